"""Parameters of a notebook: declared in its first cell, filled from a profile, checked before anything runs.

A notebook declares its parameters with types in a cell tagged ``parameters``::

    profile: str = "quick"
    show: str = "live"     # live: this run; recorded: the recorded run of the largest profile
    seeds: int = None      # None: the profile's value

and its next cell reads them with ``p = params("transfer/fig3", globals())``. Papermill injects what the user passes
with ``-p`` between the two. Papermill accepts any name; `params` does not; what other cells have set is none of its business, so
that the two cells may be run again at any time. The type is that of the checked value, without
None: papermill reads such a declaration, and a value is never None once the profile has filled it.
"""

from __future__ import annotations

import ast
import re
import reprlib
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import ConfigDict, ValidationError, create_model

from mtlrepro import exhibits, paths
from mtlrepro.errors import BadValue, MtlreproError, UnknownName
from mtlrepro.files import read_yaml

PROFILES = ("quick", "full", "paper")
SHOW = ("live", "recorded")

# What IPython itself puts into a notebook's namespace.
_IPYTHON = {"In", "Out", "exit", "quit", "open", "get_ipython"}
# A value in a message, cut: a line of YAML may stand for gigabytes.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
# How the cell begins that papermill injects.
_INJECTED = "# Parameters\n"
# What tells the parameters cell from others.
_DECLARES = re.compile(r"^profile *:", re.MULTILINE)


@dataclass(frozen=True)
class Params:
    """Checked parameters of one run; each is an attribute (``p.seeds``).

    exhibit: id, such as ``transfer/fig3``. profile: quick, full or paper. values: every parameter but profile and show.
    show: which run the figures are drawn from, see `results.shown`.
    overrides: the parameters that differ from the profile's own value; empty for a standard run.
    """

    exhibit: str
    profile: str
    values: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    show: str = "live"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.__dict__.get("values", {}):
            raise AttributeError(f"{name!r} is no parameter of {self.__dict__.get('exhibit')}")
        return self.values[name]

    def _repr_html_(self) -> str:
        shown = {"profile": self.profile, **self.values}
        rows = "".join(f"<tr><td><code>{name}</code></td><td>{value}</td></tr>" for name, value in shown.items())
        return f'<table class="parameters">{rows}</table>'


def profile_values(exhibit: str, profile: str) -> dict[str, Any]:
    """The values that `profile` sets for `exhibit`; {} where it sets none.

    Raises UnknownName for a profile that does not exist.
    """
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    paper, _, name = exhibit.partition("/")
    return dict((profiles(paper).get(name) or {}).get(profile) or {})


def profiles(paper: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Exhibit of `paper`, without the paper's key, -> profile -> values, from ``papers/<paper>/profiles.yaml``."""
    return {name: values for name, values in _profiles_file(paper).items() if name != "cost"}


def costs(paper: str) -> dict[str, dict[str, Any]]:
    """Exhibit of `paper` -> what ``profiles.yaml`` says of the cost of its paper profile, see `results.cost`."""
    return _profiles_file(paper).get("cost") or {}


@cache
def _profiles_file(paper: str) -> dict[str, Any]:
    file = paths.paper(paper) / "profiles.yaml"
    content = read_yaml(file) or {} if file.exists() else {}
    try:
        for name, profiles in content.items():
            for profile, values in profiles.items():
                if name != "cost" and profile not in PROFILES:
                    raise BadValue(f"papers/{paper}/profiles.yaml, {name}: {profile!r} is no profile: {', '.join(PROFILES)}.")
                dict(values or {})
    except (AttributeError, TypeError, ValueError):
        raise BadValue(f"papers/{paper}/profiles.yaml is a mapping of exhibits to profiles to values.") from None
    return dict(content)


def params(exhibit: str, namespace: Mapping[str, Any], positive: Iterable[str] = ("seeds",)) -> Params:
    """Check the parameters in a notebook's `namespace` (its ``globals()``) and fill what is None from the profile.

    positive: names of parameters that must be at least 1 (integers) or above 0 (floats), lists element by element.
    Raises UnknownName for an unknown exhibit, profile or parameter (with the nearest known name) and BadValue for a
    value of the wrong type, below 0, out of range, or set neither by the caller nor by the profile.
    """
    exhibits.get(exhibit)
    counted = _set_by_parameter_cells(namespace)
    declared = {name: kind for name, kind in namespace.get("__annotations__", {}).items() if name in counted}
    given = {
        name: namespace[name]
        for name in counted & namespace.keys()
        if not name.startswith("_") and name not in _IPYTHON
        if not callable(namespace[name]) and not isinstance(namespace[name], types.ModuleType)
    }
    return check(exhibit, declared, given, positive)


def _set_by_parameter_cells(namespace: Mapping[str, Any]) -> set[str]:
    """What the parameters cell that ran last has set, and what papermill injected after it; outside of IPython all names."""
    cells = namespace.get("In", [])
    last = max((number for number, source in enumerate(cells) if _DECLARES.search(source)), default=None)
    if last is None:
        return set(namespace)
    injected = [source for source in cells[last + 1 :] if source.startswith(_INJECTED)]
    return set().union(*map(_assigned, [cells[last], *injected]))


def _assigned(source: str) -> set[str]:
    """The names that a cell's own lines assign; none for a cell that is no Python."""
    try:
        lines = ast.parse(source).body
    except SyntaxError:
        return set()
    targets = [line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)] for line in lines]
    return {target.id for line in targets for target in line if isinstance(target, ast.Name)}


def check(exhibit: str, declared: Mapping[str, Any], given: Mapping[str, Any], positive: Iterable[str] = ()) -> Params:
    """Check `given` values against `declared` name -> type; the rest is as in `params`."""
    for name in given:
        if name not in declared:
            raise UnknownName("parameter", name, declared, advice=f"({exhibit})")
    profile = given.get("profile", "quick")
    if not isinstance(profile, str):
        raise BadValue(f"{exhibit}: profile must be one of {', '.join(PROFILES)}, not {profile!r}.")
    show = given.get("show", "live")
    if show not in SHOW:
        raise UnknownName("value of show", str(show), SHOW, advice=f"({exhibit})")
    standard = profile_values(exhibit, profile)
    for name in standard:
        if name not in declared:
            raise UnknownName("parameter", name, declared, advice=f"(in profile {profile} of {exhibit})")
    names = [name for name in declared if name not in ("profile", "show")]
    merged = {name: standard.get(name) if given.get(name) is None else given[name] for name in names}
    unset = [name for name in names if merged[name] is None]
    if unset:
        raise BadValue(f"{exhibit}: profile {profile!r} sets no {', '.join(unset)}: pass it with -p {unset[0]} VALUE.")

    fields: dict[str, Any] = {name: (_without_none(declared[name]), ...) for name in names}
    config = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
    model = create_model("Parameters", __config__=config, **fields)
    try:
        values = model(**merged).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadValue(f"{exhibit}: parameter {place!r}: {first['msg']} (got {_SHORT.repr(first['input'])}).") from None
    for name in set(positive) & set(names):
        if values[name] == []:
            raise BadValue(f"{exhibit}: parameter {name!r} is an empty list: give it one value at least.")
        for number in values[name] if isinstance(values[name], list) else [values[name]]:
            if isinstance(number, (int, float)) and not number > 0:
                raise BadValue(f"{exhibit}: parameter {name!r} must be above 0 (got {number}).")
    for name in names:
        if odd := [number for number in _numbers(values[name]) if not 0 <= number < 2**63]:
            limit = "not be below 0" if odd[0] < 0 else "be below 2^63"
            raise BadValue(f"{exhibit}: parameter {name!r} must {limit} (got {_SHORT.repr(values[name])}).")
    overrides = {name: values[name] for name in names if name in standard and values[name] != standard[name]}
    return Params(exhibit, profile, values, overrides, show)


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in a value: no parameter of a notebook may be below 0 or too long for an array, and few functions look."""
    if isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)
    elif isinstance(value, int | float):
        yield value


def declared_in(notebook: Path) -> dict[str, Any]:
    """Name -> type of the parameters that a notebook (.ipynb) declares, read without running the notebook.

    Raises MtlreproError where the notebook has no parameters cell.
    """
    import nbformat

    for cell in nbformat.read(notebook, as_version=4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            namespace: dict[str, Any] = {}
            exec(cell.source, namespace)  # our own committed source: assignments only
            return dict(namespace.get("__annotations__", {}))
    raise MtlreproError(f"{notebook.name} has no cell tagged 'parameters'.")


def _without_none(kind: Any) -> Any:
    """`int | None` -> `int`: a checked parameter is never None."""
    members = [member for member in get_args(kind) if member is not type(None)]
    return members[0] if isinstance(kind, types.UnionType) and len(members) == 1 else kind
