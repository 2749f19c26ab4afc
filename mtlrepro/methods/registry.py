"""Every task weighting by name: the one table from which comparisons, tests and pages take methods and their grids."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.table import MethodTable
from mtlrepro.training.weighting import Weighting

# What a method reads or calls for:
#   losses        their values, in a step or as an epoch's means
#   gradients     of each task on the shared parameters: a backward pass per task
#   look_ahead    evaluations of the model after trial updates
#   slope         a gradient of what the look-ahead evaluates
#   validation    metrics of each task after each epoch
#   after_update  the losses of the same batch after the update: one more forward pass
#   all_tasks     batches that hold every task
#   generators    of random numbers, one per run
#   host          a solver on the host: a step cannot be captured in a CUDA graph
Need = Literal["losses", "gradients", "look_ahead", "slope", "validation", "after_update", "all_tasks", "generators", "host"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A task weighting: what it is called, where its class is, and what one may set.

    title: on figures and in tables. paper: who proposed it. module, constructor: its class, in `mtlrepro.methods`. grid: tunable
    parameter -> the values tried. recommended: parameter -> the paper's value, or the one of our reading where the paper gives
    none (see the class). fixed: what makes it this method of its class. needs: see `Need`. tasks: the only number of tasks that
    it serves, None for any. extra: the optional extra of the package that it needs. variant_of: the method whose ablation it is.
    """

    title: str
    paper: str
    module: str
    constructor: str
    needs: tuple[Need, ...] = ()
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    recommended: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    tasks: int | None = None
    extra: str | None = None
    variant_of: str | None = None

    def load(self) -> type[Weighting]:
        """The class, imported at first use."""
        weighting: type[Weighting] = getattr(importlib.import_module(f"mtlrepro.methods.{self.module}"), self.constructor)
        return weighting

    def points(self) -> list[dict[str, float]]:
        """Every combination of the grid's values; one empty point where nothing is tuned."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]


METHODS: MethodTable[Method] = MethodTable(
    {
        "single_task": Method(
            title="single task", paper="no sharing: the main task alone",
            module="static", constructor="MainShare", fixed={"share": 1.0}, recommended={"total": 1.0},
        ),
        "equal": Method(title="equal weights", paper="plain sum of losses", module="static", constructor="Equal"),
        "static": Method(
            title="static, tuned", paper="constant weights",
            module="static", constructor="MainShare", grid={"share": (0.75, 0.95)},
        ),
        "hydalearn": Method(
            title="HydaLearn", paper="Verboven et al. 2020",
            module="hydalearn", constructor="HydaLearn", grid={"beta": (1.0, 6.0)}, recommended={"beta": 6.0},
            needs=("gradients", "look_ahead", "all_tasks"),
        ),
        "hydalearn_first_order": Method(
            title="HydaLearn, first order", paper="Verboven et al. 2020, future work", variant_of="hydalearn",
            module="hydalearn", constructor="HydaLearn", grid={"beta": (1.0, 6.0)}, recommended={"beta": 6.0},
            fixed={"first_order": True}, needs=("gradients", "slope", "all_tasks"),
        ),
        "hydalearn_raw": Method(
            title="HydaLearn, fake steps not normalised", paper="Verboven et al. 2020, ablation", variant_of="hydalearn",
            module="hydalearn", constructor="HydaLearn", grid={"beta": (1.0, 6.0)}, recommended={"beta": 6.0},
            fixed={"normalise": False}, needs=("gradients", "look_ahead", "all_tasks"),
        ),
        "hydalearn_no_downscaling": Method(
            title="HydaLearn, total not scaled down", paper="Verboven et al. 2020, ablation", variant_of="hydalearn",
            module="hydalearn", constructor="HydaLearn", grid={"beta": (1.0, 6.0)}, recommended={"beta": 6.0},
            fixed={"downscale": False}, needs=("gradients", "look_ahead", "all_tasks"),
        ),
        "hydalearn_inverted": Method(
            title="HydaLearn, inverted", paper="not in the paper", variant_of="hydalearn",
            module="hydalearn", constructor="HydaLearn", grid={"beta": (1.0, 6.0)}, recommended={"beta": 6.0},
            fixed={"invert_negative": True}, needs=("gradients", "look_ahead", "all_tasks"),
        ),
        "hydalearn_carried": Method(
            title="HydaLearn, reference carried over", paper="Verboven et al. 2020, Algorithm 1, lines 21 to 25",
            variant_of="hydalearn",
            module="hydalearn", constructor="HydaLearn", grid={"beta": (1.0, 6.0)}, recommended={"beta": 6.0},
            fixed={"carried": True}, needs=("gradients", "look_ahead", "all_tasks"),
        ),
        "uncertainty": Method(
            title="uncertainty", paper="Kendall et al. 2018",
            module="uncertainty", constructor="Uncertainty", grid={"rate": (0.001, 0.01)}, recommended={"rate": 0.025},
            needs=("losses",),
        ),
        "gradnorm": Method(
            title="GradNorm", paper="Chen et al. 2018",
            module="gradnorm", constructor="GradNorm", grid={"alpha": (0.5, 1.5)}, recommended={"alpha": 1.5, "rate": 0.025},
            needs=("losses", "gradients", "all_tasks"),
        ),
        "dwa": Method(
            title="DWA", paper="Liu et al. 2019",
            module="dwa", constructor="DynamicWeightAverage", grid={"temperature": (1.0, 2.0)}, recommended={"temperature": 2.0},
            needs=("losses",),
        ),
        "dtp": Method(
            title="DTP", paper="Guo et al. 2018",
            module="dtp", constructor="DynamicTaskPriority", grid={"gamma": (1.0, 2.0)},
            recommended={"alpha": 0.75, "gamma": 1.0}, needs=("validation",),
        ),
        "gradient_cosine": Method(
            title="gradient cosine", paper="Du et al. 2018",
            module="gradient_cosine", constructor="GradientCosine", grid={"scale": (1.0, 2.0)}, recommended={"scale": 1.0},
            fixed={"weighted": False}, needs=("gradients", "all_tasks"),
        ),
        "gradient_cosine_weighted": Method(
            title="gradient cosine, weighted", paper="Du et al. 2018",
            module="gradient_cosine", constructor="GradientCosine", grid={"scale": (1.0, 2.0)}, recommended={"scale": 1.0},
            fixed={"weighted": True}, needs=("gradients", "all_tasks"),
        ),
        "ol_aux": Method(
            title="OL-AUX", paper="Lin et al. 2019",
            module="ol_aux", constructor="OLAux", grid={"step_size": (0.01, 0.1)}, recommended={"step_size": 1.0, "every": 5},
            needs=("gradients", "all_tasks"),
        ),
        "held_out_class_weights": Method(
            title="held-out class weights", paper="ours: exact derivative of the held-out main loss",
            module="held_out_class_weights", constructor="HeldOutClassWeights", grid={"rate": (0.01, 0.03)},
            recommended={"rate": 0.01}, needs=("slope", "all_tasks"),
        ),
        "random_weights": Method(
            title="random weights", paper="Lin et al. 2022",
            module="random_weights", constructor="RandomWeights", recommended={"total": 1.0}, needs=("all_tasks", "generators"),
        ),
        "famo": Method(
            title="FAMO", paper="Liu et al. 2023",
            module="famo", constructor="FAMO", grid={"decay": (0.001, 0.01)},
            recommended={"rate": 0.025, "decay": 0.01, "total": 1.0},
            needs=("losses", "after_update", "all_tasks"),
        ),
        "pareto_mtl": Method(
            title="Pareto MTL", paper="Lin et al. 2019",
            module="pareto_mtl", constructor="ParetoMTL", grid={"vector": (0, 1, 2, 3, 4)},
            recommended={"vector": 2, "search": 100}, needs=("losses", "gradients", "all_tasks", "host"), tasks=2,
        ),
        "pcgrad": Method(
            title="PCGrad", paper="Yu et al. 2020", module="torchjd_aggregation", constructor="Aggregation",
            fixed={"rule": "PCGrad"}, needs=("gradients", "all_tasks", "generators", "host"), extra="torchjd",
        ),
        "mgda": Method(
            title="MGDA", paper="Sener and Koltun 2018", module="torchjd_aggregation", constructor="Aggregation",
            fixed={"rule": "MGDA"}, needs=("gradients", "all_tasks", "host"), extra="torchjd",
        ),
        "cagrad": Method(
            title="CAGrad", paper="Liu et al. 2021", module="torchjd_aggregation", constructor="Aggregation",
            fixed={"rule": "CAGrad"}, grid={"c": (0.2, 0.4)}, recommended={"c": 0.4},
            needs=("gradients", "all_tasks", "host"), extra="torchjd",
        ),
        "upgrad": Method(
            title="UPGrad", paper="Quinton and Rey 2024", module="torchjd_aggregation", constructor="Aggregation",
            fixed={"rule": "UPGrad"}, needs=("gradients", "all_tasks", "host"), extra="torchjd",
        ),
        "imtl_g": Method(
            title="IMTL-G", paper="Liu et al. 2021", module="torchjd_aggregation", constructor="Aggregation",
            fixed={"rule": "IMTLG"}, needs=("gradients", "all_tasks", "host"), extra="torchjd",
        ),
        "nash_mtl": Method(
            title="Nash-MTL", paper="Navon et al. 2022", module="nash_mtl", constructor="NashMTL",
            recommended={"max_norm": 1.0}, needs=("gradients", "all_tasks"),
        ),
    }
)  # fmt: skip


def serving(tasks: int, lacking: Collection[Need] = (), variants: bool = False) -> list[str]:
    """The names of all methods for an experiment with so many tasks that cannot give what is in `lacking`, in the table's order.

    variants: whether ablations of a method count too. Raises UnknownName for a need that does not exist.
    """
    known = Need.__args__  # type: ignore[attr-defined]
    for need in lacking:
        if need not in known:
            raise UnknownName("need of a method", need, known)
    return [
        name
        for name, row in METHODS.items()
        if row.tasks in (None, tasks) and not set(row.needs) & set(lacking) and (variants or row.variant_of is None)
    ]


def build(name: str, offered: Mapping[str, Any] | None = None, **parameters: Any) -> Weighting:
    """A fresh weighting: build("gradnorm", alpha=1.5). What is not given is as recommended.

    parameters: of the method's class, also those that one does not tune, such as `main`; one value per run, as a tensor (runs,),
    wherever the class takes it. offered: what an experiment has for whichever method asks, such as generators, kinds, tasks,
    total, main, metric and maximise; a method takes those that are parameters of its class, instead of what is recommended.
    Raises UnknownName for a method or a parameter that does not exist, BadValue for a value out of range or a parameter that
    has no value, MtlreproError where the method needs an optional extra that is not installed.
    """
    row = METHODS[name]
    constructor = row.load()
    known = {key: p for key, p in inspect.signature(constructor).parameters.items() if key not in row.fixed}
    for parameter in parameters:
        if parameter not in known:
            raise UnknownName(f"parameter of {name}", parameter, known)
    taken = {key: value for key, value in (offered or {}).items() if key in known}
    values = {**row.recommended, **taken, **parameters, **row.fixed}
    missing = [key for key, p in known.items() if p.default is p.empty and key not in values]
    if missing:
        raise BadValue(f"{name} needs {', '.join(missing)}.")
    return constructor(**values)
