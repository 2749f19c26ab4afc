"""Learning-rate schedules as functions of the number of updates made."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal, get_args

from mtlrepro.errors import BadValue

Kind = Literal["constant", "cosine", "step", "one-cycle"]


@dataclass(frozen=True)
class Schedule:
    """A factor on the learning rate, as a function of the share of the training that is done.

    kind: "constant": 1; "cosine": half a cosine from 1 to `floor`; "step": multiplied by `factor` at each of `milestones`, in
    epochs, which may be fractions; "one-cycle": in a straight line from `floor` up to 1 at share `peak`, and down to `floor`
    (Smith 2018). warm_up: over the first so many epochs the factor grows in a straight line from almost 0; none in one cycle.
    Raises BadValue for values out of range.
    """

    kind: Kind = "constant"
    warm_up: float = 0.0
    milestones: tuple[float, ...] = ()
    factor: float = 0.1
    peak: float = 0.25
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise BadValue(f"schedule must be one of {', '.join(get_args(Kind))}, not {self.kind!r}.")
        if list(self.milestones) != sorted(self.milestones) or (self.kind == "step") != bool(self.milestones):
            raise BadValue("milestones are ascending epochs of a 'step' schedule, at least one, and of no other.")
        if self.warm_up < 0 or not 0 < self.peak < 1 or not 0 <= self.floor <= 1:
            raise BadValue("warm_up is at least 0, peak between 0 and 1, floor 0 to 1.")

    def at(self, update: int, updates: int, epochs: int) -> float:
        """The factor of update number `update` (from 0) of `updates` in `epochs` epochs."""
        done = update / updates
        epoch = done * epochs
        if self.kind == "cosine":
            value = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))
        elif self.kind == "step":
            # The small addend keeps rounding of update / updates from moving a milestone by one update.
            value = self.factor ** bisect_right(self.milestones, epoch + 1e-9)
        elif self.kind == "one-cycle":
            share = done / self.peak if done < self.peak else (1 - done) / (1 - self.peak)
            return self.floor + (1 - self.floor) * share
        else:
            value = 1.0
        started = (epoch + epochs / updates) / self.warm_up if self.warm_up else 1.0
        return value * min(started, 1.0)
