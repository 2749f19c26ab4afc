"""What a run of the `paper` profile takes, by arithmetic and measured throughput.

A paper's ``profiles.yaml`` says under ``cost``, for each exhibit, one of

- ``{a_second: 690, times: [epochs, images, 40]}``: samples forward and backward through the profile's network in a second on one
  core here, and the factors of their number;
- ``{full: tab1, times: [epochs, 93/17]}``: by what factors it is longer than the recorded full run of that exhibit.

A factor is a number, a fraction, or a parameter's name: the profile's value, or its ratio to that of `full`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mtlrepro import exhibits
from mtlrepro.errors import BadValue, MtlreproError
from mtlrepro.parameters import costs, profile_values
from mtlrepro.results import store


@dataclass(frozen=True)
class Cost:
    """samples: forward and backward through the network; None where the cost is that of a recorded run. hours: of one core, NaN
    where no run is recorded."""

    samples: float | None
    hours: float

    def __str__(self) -> str:
        hours = "hours not known" if math.isnan(self.hours) else f"{self.hours:,.3g} core hours"
        return hours if self.samples is None else f"{self.samples:.2g} samples, {hours}"


def paper_cost(exhibit: str) -> Cost | None:
    """The cost of the `paper` profile; None for an exhibit that states none.

    Raises UnknownName for an unknown exhibit and BadValue for a factor that is neither a number nor one of its parameters.
    """
    paper, _, name = exhibits.get(exhibit).id.partition("/")
    entry = costs(paper).get(name)
    if entry is None:
        return None
    if "a_second" in entry:
        samples = math.prod(_factor(exhibit, each, profile_values(exhibit, "paper")) for each in entry["times"])
        return Cost(samples, samples / float(entry["a_second"]) / 3600)
    values, full = profile_values(exhibit, "paper"), profile_values(exhibit, "full")
    ratios = {name: value / full[name] for name, value in values.items() if isinstance(value, int | float) and full.get(name)}
    try:
        seconds = store.load(f"{paper}/{entry['full']}", "full").provenance["seconds"] or math.nan
    except MtlreproError:
        seconds = math.nan
    return Cost(None, math.prod(_factor(exhibit, each, ratios) for each in entry["times"]) * seconds / 3600)


def _factor(exhibit: str, factor: Any, values: dict[str, Any]) -> float:
    if factor in values:
        return float(values[factor])
    try:
        return float(Fraction(str(factor)))
    except ValueError:
        raise BadValue(f"{exhibit}: the cost's factor {factor!r} is no number and no parameter of size.") from None
