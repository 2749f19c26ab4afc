"""Gates: was the experiment able to show the claim? Learned, converged, settings inside their grids, control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.registered_claims import RegisteredGate
from mtlrepro.results.intervals import interval

NOT_COMPUTED = "not computed"


@dataclass(frozen=True)
class Gate:
    """One condition, computed from the rows of a run.

    name: as registered. value: what was measured, a number or a phrase. needs: the registered condition (filled in when the
    exhibit is judged). cost: what passing it would take, such as "9 core hours: twice the epochs"; given where it fails.
    """

    name: str
    passed: bool
    value: float | str | None
    needs: str = ""
    cost: str = ""

    @staticmethod
    def within(name: str, value: float, *, least: float = -math.inf, most: float = math.inf, cost: str = "") -> Gate:
        """Passed where least <= value <= most; a value that is not a number fails."""
        return Gate(name, bool(least <= value <= most), float(value), cost=cost)

    @staticmethod
    def clear_of_zero(name: str, values: Sequence[float], *, least: float = -math.inf, said: str = "", cost: str = "") -> Gate:
        """Passed where the 95% interval of the mean lies above zero, and the mean at `least` or above; never by one value.

        said: the value as text, in place of mean and interval.
        """
        if len(values) < 2:
            return Gate(name, False, said or "fewer than two values", cost=cost)
        mean, low, high = interval(values)
        return Gate(name, bool(low > 0 and mean >= least), said or f"{mean:.2f} [{low:.2f}, {high:.2f}]", cost=cost)

    @staticmethod
    def every(name: str, parts: Sequence[Gate], cost: str = "") -> Gate:
        """A gate of several measurements, passed where each is; the parts' names say what each value is.

        Raises BadValue without parts.
        """
        if not parts:
            raise BadValue(f"gate {name}: needs at least one measurement.")
        values = ", ".join(f"{part.name} {shown(part.value)}{'' if part.passed else ' (fails)'}" for part in parts)
        return Gate(name, all(part.passed for part in parts), values, cost=cost)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for a record; `needs` is the registry's and not stored."""
        return {"name": self.name, "passed": bool(self.passed), "value": plain(self.value), "cost": self.cost}


def shown(value: float | str | None) -> str:
    """A gate's value as text: three significant digits, yes or no, or the phrase itself."""
    if value is None:
        return NOT_COMPUTED
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.3g}" if math.isfinite(value) else "no finite value"


def plain(value: float | str | None) -> float | str | None:
    """The value as JSON has it: None where it is not finite."""
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def gate_results(registered: Sequence[RegisteredGate], computed: Sequence[Gate]) -> tuple[Gate, ...]:
    """Every registered gate in order, with what it needs; one that was not computed, or to no finite value, counts as failed.

    Raises UnknownName for a computed gate that is not registered, BadValue for one that is there twice.
    """
    by_name = {gate.name: gate for gate in computed}
    known = [gate.name for gate in registered]
    for gate in computed:
        if gate.name not in known:
            raise UnknownName("gate", gate.name, known)
    if len(by_name) < len(computed):
        raise BadValue("a gate was computed twice.")
    return tuple(_with_needs(gate, by_name.get(gate.name)) for gate in registered)


def _with_needs(registered: RegisteredGate, computed: Gate | None) -> Gate:
    if computed is None:
        return Gate(registered.name, False, NOT_COMPUTED, registered.needs)
    passed = bool(computed.passed) and plain(computed.value) is not None
    return replace(computed, passed=passed, needs=registered.needs)


def failed_gates(gates: Sequence[Gate]) -> str:
    """The failed gates in one phrase with their values and what passing would cost; empty where all passed."""
    alike: dict[tuple[str, str], list[str]] = {}
    for gate in gates:
        if not gate.passed:
            alike.setdefault((shown(gate.value), gate.cost or "not estimated"), []).append(gate.name.replace("-", " "))
    return "; ".join(f"{', '.join(names)}: {value}, cost of passing: {cost}" for (value, cost), names in alike.items())
