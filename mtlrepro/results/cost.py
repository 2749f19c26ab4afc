"""What a run of the `paper` profile takes, by arithmetic and measured throughput, and what a cluster's job asks for.

A paper's ``profiles.yaml`` says under ``cost``, for each exhibit, one of

- ``{a_second: 690, times: [epochs, images, 40]}``: samples forward and backward through the profile's network in a second on one
  core here, and the factors of their number;
- ``{full: tab1, times: [epochs, 93/17]}``: by what factors it is longer than the recorded full run of that exhibit.

and, where it is much, ``holds: [images, 224, 224]``: the factors of the bytes of data that it has in memory at once; of a set
that is read in pieces, what is kept of it, whatever its size on disk.

A factor is a number, a fraction, or a parameter's name: the profile's value, or its ratio to that of `full`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mtlrepro import exhibits
from mtlrepro.errors import BadValue, MtlreproError
from mtlrepro.parameters import costs, profile_values
from mtlrepro.results import store

# Of a job, in MB: Python, PyTorch, a network with its optimizer and activations; what it holds of data comes on top.
_BASE_MB = 4000
# A cluster's cores may be slower than those measured, and a job out of time has to be started again.
_MARGIN = 3
_LEAST_MINUTES = 60
# Where its hours are not known. A job that is ended by the clock keeps its finished runs and its checkpoints.
_UNKNOWN_MINUTES = 24 * 60
# A GPU counts as so many cores: an assumption, as low as networks of this size would hardly be trained on one.
_GPU_CORES = 10


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
    hours = recorded_hours(f"{paper}/{entry['full']}", "full") or math.nan
    return Cost(None, math.prod(_factor(exhibit, each, ratios) for each in entry["times"]) * hours)


def resources(notebook: str, profile: str, shares: int = 1) -> dict[str, int | str]:
    """What a job of `notebook` asks of a scheduler, by the names of Snakemake. shares: jobs that compute its runs together.

    mem_mb: memory. runtime: minutes, from the hours of a core; a day where these are not known. Of a `paper` profile that trains
    on a GPU, which counts as ten cores: gpu, gpu_manufacturer, and scale, 0 for limits equal to the requests, as Kubernetes wants
    them of GPUs.
    """
    served = [exhibit.id for exhibit in exhibits.everything() if exhibit.notebook == notebook]
    if profile != "paper":
        return {"mem_mb": _BASE_MB} | _minutes([recorded_hours(exhibit, profile) for exhibit in served], shares)
    memory: dict[str, int | str] = {"mem_mb": _BASE_MB + math.ceil(max(map(_held, served)) / 1e6)}
    hours = [cost.hours for exhibit in served if (cost := paper_cost(exhibit))]
    if any(profile_values(exhibit, profile).get("device", "cpu") != "cpu" for exhibit in served):
        return memory | {"gpu": 1, "gpu_manufacturer": "nvidia", "scale": 0} | _minutes(hours, shares * _GPU_CORES)
    return memory | _minutes(hours, shares)


def _minutes(hours: Sequence[float], shares: int) -> dict[str, int | str]:
    if any(map(math.isnan, hours)):
        return {"runtime": _UNKNOWN_MINUTES}
    return {"runtime": max(_LEAST_MINUTES, math.ceil(60 * max(hours, default=0) * _MARGIN / shares))}


def recorded_hours(exhibit: str, profile: str, committed: bool = False) -> float:
    """Hours of a core that the recorded run took; 0 for what takes no time, as a diagram, NaN where there is none.

    committed: the committed one, whatever this machine has.
    """
    try:
        return float(store.load(exhibit, profile, committed).provenance["seconds"] or 0) / 3600
    except MtlreproError:
        return math.nan


def _held(exhibit: str) -> float:
    """Bytes of data in memory at once."""
    paper, _, name = exhibit.partition("/")
    entry = costs(paper).get(name) or {}
    return math.prod(_factor(exhibit, each, profile_values(exhibit, "paper")) for each in entry.get("holds", [0]))


def _factor(exhibit: str, factor: Any, values: dict[str, Any]) -> float:
    if factor in values:
        return float(values[factor])
    try:
        return float(Fraction(str(factor)))
    except ValueError:
        raise BadValue(f"{exhibit}: the cost's factor {factor!r} is no number and no parameter of size.") from None
