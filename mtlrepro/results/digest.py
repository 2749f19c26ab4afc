"""What a finished run was computed from, and what has changed since.

A run's key is a digest of its function's code (`mtlrepro.results.import_graph`), its setting and the digests of the data that
it reads; nothing else. The claims are left out: judging rows anew costs nothing.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mtlrepro import paths
from mtlrepro.errors import BadValue
from mtlrepro.results.import_graph import ImportGraph, text_sha256

_STARTED = time.time_ns()


def graph() -> ImportGraph:
    """The import graph of this package, as its files are from now on."""
    return ImportGraph(paths.PACKAGE, paths.cache() / "code.json")


def refuse_notebook_function(function: Callable[..., Any]) -> None:
    """Raise BadValue unless `function` stands at the top level of a module of ours, so that its file is all its code.

    What a notebook, a closure, a lambda, a bound method or a partial function holds besides is in no file.
    """
    module, name = getattr(function, "__module__", None) or "", getattr(function, "__qualname__", type(function).__name__)
    ours = module.partition(".")[0] == graph().root
    if not (ours and inspect.isfunction(function) and getattr(sys.modules.get(module), name, None) is function):
        raise BadValue(
            f"{name} is defined in a notebook or inside another function, where a changed constant leaves no trace: "
            "put it at the top level of mtlrepro/papers/<paper>/<exhibit>.py and map that."
        )


def names_in(setting: Any) -> frozenset[str]:
    """Every string in a setting, keys among them."""
    if isinstance(setting, str):
        return frozenset([setting])
    if isinstance(setting, Mapping):
        return names_in([*setting.keys(), *setting.values()])
    if isinstance(setting, list | tuple):
        return frozenset().union(*map(names_in, setting))
    return frozenset()


def run_code(function: Callable[..., Any], setting: Mapping[str, Any], read: ImportGraph | None = None) -> dict[str, str]:
    """Part -> digest of the code of one run: of its function's module, and of every module of ours that a setting names.

    read: the graph to take it from (default: the files as they are now). Raises BadValue for a notebook's function, and as
    `ImportGraph.closure` does.
    """
    refuse_notebook_function(function)
    read = read or graph()
    return {
        part: code
        for module in _modules(function, setting, read)
        for part, code in read.closure(module, names_in(setting)).items()
    }


def _modules(function: Callable[..., Any], setting: Mapping[str, Any], read: ImportGraph) -> list[str]:
    """Its own module, then those that the setting names, such as ``mtlrepro.papers.hydalearn.problems.related_toy``."""
    named = sorted(name for name in names_in(setting) if name.startswith(f"{read.root}.") and read.file(name))
    return [function.__module__, *named]


def run_key(
    function: Callable[..., Any], setting: Mapping[str, Any], data: Mapping[str, str], code: Mapping[str, str] | None = None
) -> str:
    """The key of a finished run: its function, its code, its setting and the data it reads; 24 hexadecimal digits.

    data: name -> digest of each data set. code: from `run_code`, where the caller has it. Raises BadValue for a notebook's
    function, and for a setting that is not JSON (a number that is not finite is none).
    """
    code = run_code(function, setting) if code is None else code
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        text = json.dumps([name, dict(code), dict(setting), dict(data)], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadValue(f"a setting of {name} is not JSON: {error}.") from None
    return text_sha256(text)[:24]


def rows_in(code: Iterable[str]) -> frozenset[str]:
    """The names of the rows of method tables among parts: those that a run with this code may read."""
    return frozenset(part[part.index("[") + 1 : -1] for part in code if part.endswith("]"))


_first_digests: dict[str, str] = {}


def refuse_edited(code: Mapping[str, str]) -> None:
    """Raise BadValue where a module was edited after this process imported it: the process computes by the old code.

    code: part -> digest, as the files are now. A changed comment is an edit only where it came before the first call.
    """
    for part, digest in code.items():
        file = part.partition("[")[0]
        if file.endswith(".py") and file.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".") not in sys.modules:
            continue
        place = paths.PACKAGE.parent / file
        newer = part not in _first_digests and place.is_file() and place.stat().st_mtime_ns > _STARTED
        if newer or _first_digests.setdefault(part, digest) != digest:
            raise BadValue(f"{file} was edited after this process had read it: start it again; finished runs are kept.")


def code_record(runs: Iterable[tuple[Callable[..., Any], Mapping[str, Any]]], read: ImportGraph | None = None) -> dict[str, Any]:
    """What a published result keeps of its code, as JSON. runs: function and setting of each of its runs.

    "modules": module of a function -> the strings of its settings that name a method; "parts": part -> digest.
    """
    read = read or graph()
    modules: dict[str, set[str]] = {}
    for function, setting in runs:
        for module in _modules(function, setting, read):
            modules.setdefault(module, set()).update(read.asked(module, names_in(setting)))
    parts = {part: digest for module, names in modules.items() for part, digest in read.closure(module, names).items()}
    return {"modules": {module: sorted(names) for module, names in sorted(modules.items())}, "parts": dict(sorted(parts.items()))}


def changes(recorded: Mapping[str, Any], read: ImportGraph | None = None) -> list[str]:
    """What changed since a `code_record` was taken, one line per part; [] where the code is today's.

    Each line begins with the part (``mtlrepro/methods/dtp.py changed``), for `since`. read: the graph to compare with (default:
    the files as they are now). Code that cannot be read any more is a change, not an error.
    """
    if not recorded["modules"]:
        return ["it was recorded without any code"]
    before: Mapping[str, str] = recorded["parts"]
    read = read or graph()
    today: dict[str, str] = {}
    for module, names in recorded["modules"].items():
        try:
            today |= read.closure(module, names)
        except BadValue as error:
            return [str(error)]
    changed = [f"{part} changed" for part in before if today.get(part, before[part]) != before[part]]
    gone = [f"{part} is no longer imported" for part in before if part not in today]
    return sorted([*changed, *gone, *(f"{part} is imported now" for part in today if part not in before)])


def since(files: Iterable[str]) -> dict[str, str]:
    """File -> the commit that last changed it (hash, date, subject), or "not committed"; those that git does not know left out.

    files: paths from the checkout's top. {} where there is no git or no repository.
    """
    wanted = sorted({file.partition("[")[0] for file in files})
    if not wanted:
        return {}
    last: dict[str, str] = {}
    commit = ""
    log = git(paths.PACKAGE.parent, "log", "--no-renames", "--relative", "--format=%x00%h %cs %s", "--name-only", "--", *wanted)
    for line in (log or "").splitlines():
        if line.startswith("\0"):
            commit = line[1:]
        elif line:
            last.setdefault(line, commit)
    status = git(paths.PACKAGE.parent, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *wanted)
    return last | {entry[3:]: "not committed" for entry in (status or "").split("\0") if entry}


def git(folder: Path, *words: str) -> str | None:
    """What git says in `folder`; None where there is no git, no repository, or it refuses."""
    command = ["git", "-c", "core.quotepath=off", *words]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
