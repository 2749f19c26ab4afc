"""Every task weighting by name, with the parameters to tune and the values that its paper recommends."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlrepro.errors import UnknownName
from mtlrepro.methods.table import MethodTable
from mtlrepro.training.weighting import Weighting


@dataclass(frozen=True)
class Method:
    """A weighting method: where its class is, and what one may set.

    fixed: what makes it this method of its class. recommended: tunable parameter -> the paper's value, or the one of our reading
    where the paper gives none (see the class). extra: the optional extra of the package that it needs.
    """

    module: str
    constructor: str
    recommended: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    extra: str | None = None

    def load(self) -> type[Weighting]:
        """The class, imported at first use."""
        found: type[Weighting] = getattr(importlib.import_module(f"mtlrepro.methods.{self.module}"), self.constructor)
        return found


def _aggregation(rule: str, **recommended: Any) -> Method:
    return Method("torchjd_aggregation", "Aggregation", recommended, {"rule": rule}, extra="torchjd")


METHODS: MethodTable[Method] = MethodTable(
    {
        "static": Method("static", "Static", {"weights": None}),
        "hydalearn": Method("hydalearn", "HydaLearn", {"beta": 6.0}),
        "uncertainty": Method("uncertainty", "Uncertainty", {"rate": 0.025}),
        "gradnorm": Method("gradnorm", "GradNorm", {"alpha": 1.5, "rate": 0.025}),
        "dwa": Method("dwa", "DynamicWeightAverage", {"temperature": 2.0}),
        "dtp": Method("dtp", "DynamicTaskPriority", {"alpha": 0.75, "gamma": 1.0}),
        "gradient_cosine": Method("gradient_cosine", "GradientCosine", {"scale": 1.0}, {"weighted": False}),
        "gradient_cosine_weighted": Method("gradient_cosine", "GradientCosine", {"scale": 1.0}, {"weighted": True}),
        "ol_aux": Method("ol_aux", "OLAux", {"step_size": 1.0, "every": 5}),
        "random_weights": Method("random_weights", "RandomWeights", {"total": 1.0}),
        "pcgrad": _aggregation("pcgrad"),
        "mgda": _aggregation("mgda"),
        "cagrad": _aggregation("cagrad", c=0.4),
        "upgrad": _aggregation("upgrad"),
        "pareto_mtl": Method("pareto_mtl", "ParetoMTL", {"vector": 2, "search": 100}),
    }
)


def method(name: str) -> Method:
    """The method called `name`. Raises UnknownName, with the nearest name there is."""
    if name not in METHODS:
        raise UnknownName("weighting method", name, METHODS)
    return METHODS[name]


def build(name: str, **parameters: Any) -> Weighting:
    """A fresh weighting: build("gradnorm", alpha=1.5). What is not given is as recommended.

    parameters: of the method's class, also those that one does not tune, such as `generators` or `main`; one value a run, as a
    tensor (runs,), wherever the class takes it. Raises UnknownName for a method or a parameter that does not exist, BadValue
    for a value out of range, MtlreproError where the method needs an optional extra that is not installed.
    """
    found = method(name)
    constructor = found.load()
    known = set(inspect.signature(constructor).parameters) - set(found.fixed)
    for parameter in parameters:
        if parameter not in known:
            raise UnknownName(f"parameter of {name}", parameter, known)
    return constructor(**{**found.recommended, **parameters, **found.fixed})
