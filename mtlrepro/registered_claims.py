"""Claims as they were registered before the runs that judge them: what the paper says, how large, and what it takes to see it.

An exhibit's entry is one of three: `NoClaim` (a diagram, a table of settings), `Claims` (effects over seeds) or `Statements`
(theorems, tried on random instances). The models refuse what they do not know, so a misspelt key cannot pass unread.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from mtlrepro.errors import BadValue

MOST_PRIMARY = 3

Direction = Literal["positive", "negative", "equal"]
Kind = Literal["figure", "table", "diagram", "theorem", "algorithm", "settings"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
YesNo = Annotated[bool, Field(strict=True)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RegisteredGate(_Frozen):
    """What must be so for the experiment to be able to show the exhibit's claims. why: what goes wrong otherwise."""

    name: Name
    needs: Text
    why: str = ""


class EffectClaim(_Frozen):
    """A claim on the size or the sign of an effect.

    estimand: what is measured once a seed, in `unit`, with the sign that `direction` speaks of. effect: the paper's own size,
    None where it prints none (`reading` says where its direction is from). arithmetic: the printed numbers it was computed
    from (`from` in the file). effect_error: what their rounding can do to it. smallest: the smallest effect anyone could care
    about; the margin of a claim of equality.
    """

    id: Name
    says: Text
    where: Text
    quote: Text
    primary: YesNo
    estimand: Text
    protocol: Text
    direction: Direction
    effect: Number | None
    arithmetic: Text = Field(alias="from")
    reading: Literal["caption", "not in text"] | None = None
    effect_error: Annotated[Number, Field(ge=0)] | None
    unit: Text
    smallest: Annotated[Number, Field(gt=0)]

    @model_validator(mode="after")
    def _effect_with_its_error(self) -> EffectClaim:
        if (self.effect is None) != (self.effect_error is None):
            raise ValueError("effect and effect_error are both numbers or both null")
        if (self.effect is None) != (self.reading is not None):
            raise ValueError("reading is given where effect is null, and only there")
        return self

    @property
    def sign(self) -> int:
        """-1 where the paper claims a negative effect, else 1: times an effect, positive means for the paper's claim."""
        return -1 if self.direction == "negative" else 1

    @property
    def paper_effect(self) -> float | None:
        """The paper's own size, positive for its claim; None where it prints none."""
        return None if self.effect is None else self.sign * self.effect

    @property
    def target(self) -> float | None:
        """The least size that the paper's printed numbers allow, which an effect must reach to hold.

        Its size less its rounding error. None for a claim of equality, where the paper prints no size, and where its own
        numbers are not on the claimed side by more than rounding: such claims are judged against zero and `smallest`.
        """
        if self.direction == "equal" or self.effect is None or self.effect_error is None:
            return None
        least = self.sign * self.effect - self.effect_error
        return least if least > 0 else None


class StatementClaim(_Frozen):
    """A statement that is true or false. printed: as the paper has it. corrected: a true form, None where none is needed.

    checked_by: the random and the awkward instances it is tried on.
    """

    id: Name
    says: Text
    where: Text
    quote: Text
    primary: YesNo
    printed: Text
    corrected: Text | None
    checked_by: Text


class _Judged(_Frozen):
    """What entries with claims share. ours: our own questions, never part of a verdict."""

    kind: Kind
    gates: tuple[RegisteredGate, ...] = ()
    ours: tuple[Text, ...]

    @model_validator(mode="after")
    def _names_and_count(self) -> _Judged:
        claims: tuple[Any, ...] = getattr(self, "claims", ())
        for what, names in (("claim", [claim.id for claim in claims]), ("gate", [gate.name for gate in self.gates])):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"{what} {twice[0]!r} is there twice")
        primary = sum(claim.primary for claim in claims)
        if not 1 <= primary <= MOST_PRIMARY:
            raise ValueError(f"needs one to {MOST_PRIMARY} primary claims, has {primary}")
        return self


class Claims(_Judged):
    """An exhibit judged by effects over seeds. stand_in_ok: what data must have to stand in for the paper's.

    printed, corrected, checked_by: for an algorithm, how the paper has it, what is wrong with that, how ours is tested.
    """

    verdict: Literal["claims"]
    claims: tuple[EffectClaim, ...]
    stand_in_ok: Text
    printed: str = ""
    corrected: str = ""
    checked_by: str = ""


class Statements(_Judged):
    """An exhibit judged by checks of statements. proof_slips: errors in the proof that leave the statement as it is."""

    verdict: Literal["statement"]
    claims: tuple[StatementClaim, ...]
    proof_slips: tuple[Text, ...] = ()


class NoClaim(_Frozen):
    """A diagram or a table of settings: left out of every count."""

    kind: Kind
    verdict: Literal["none"]
    why: Text
    ours: tuple[Text, ...] = ()


Entry = Annotated[NoClaim | Claims | Statements, Field(discriminator="verdict")]
_ENTRY: TypeAdapter[NoClaim | Claims | Statements] = TypeAdapter(Entry)
_MODELS: dict[str, type[BaseModel]] = {"none": NoClaim, "claims": Claims, "statement": Statements}
_CLAIMS: dict[str, type[BaseModel]] = {"claims": EffectClaim, "statement": StatementClaim}


def registered(content: Mapping[str, Any], file: str) -> dict[str, NoClaim | Claims | Statements]:
    """Exhibit -> its entry, checked.

    content: exhibit -> mapping, as read from YAML. file: its name, for messages.
    Raises BadValue with the file, the exhibit, the claim or gate, and the field of the first fault.
    """
    if not isinstance(content, Mapping):
        raise BadValue(f"{file}: expected a mapping of exhibits, found {type(content).__name__}.")
    entries = {}
    for exhibit, entry in content.items():
        try:
            entries[str(exhibit)] = _ENTRY.validate_python(entry)
        except ValidationError as error:
            raise BadValue(f"{file}: {exhibit}, {_first_fault(entry, error)}") from None
    return entries


def _first_fault(entry: Any, error: ValidationError) -> str:
    """Claim or gate, field and message; a misspelt key comes before what it leaves missing."""
    faults = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if fault["type"].startswith("union_tag"):
        return f"field 'verdict': expected {', '.join(_MODELS)}.{more}"
    if not fault["loc"]:
        return f"expected a mapping, found {type(entry).__name__}."
    tag, *place = fault["loc"]
    model: type[BaseModel] = _MODELS[str(tag)]
    item = ""
    if len(place) > 1:
        group, index, *place = place
        item = _called(entry[group][index], str(group), int(index)) + ", "
        model = RegisteredGate if group == "gates" else _CLAIMS[str(tag)]
    field = ".".join(str(part) for part in place)
    message = fault["msg"].removeprefix("Value error, ") + "."
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, [info.alias or name for name, info in model.model_fields.items()], n=1)
        message = "unknown" + (f", did you mean {near[0]!r}?" if near else ".")
    return f"{item}{f'field {field!r}: ' if field else ''}{message}{more}"


def _called(item: Any, group: str, index: int) -> str:
    """How a reader finds one item of a list: by its id or name, else by its place, counted from 1."""
    name = item.get("id", item.get("name")) if isinstance(item, Mapping) else None
    return f"{group.rstrip('s')} {name}" if name else f"{group}, number {index + 1}"
