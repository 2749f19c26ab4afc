"""What is compared on scenes with two tasks: tasks, methods, rules for the weights, and trainings with planted classes."""

from __future__ import annotations

from dataclasses import dataclass

TASKS = ("segmentation", "depth")
# Kind of scenes -> the exhibit that they stand for.
EXHIBITS = {"driving": "classweights/fig2", "indoor": "classweights/fig3", "street": "classweights/fig4"}


@dataclass(frozen=True)
class Method:
    """A way to train. title: on figures. own_main: whether a training serves one main task only. weighs_classes: whether it
    learns a weight for each class, at a rate of its own."""

    title: str
    own_main: bool = False
    weighs_classes: bool = False


VECTORS = 5
# Of scenes with planted useless classes: the weights 0 for these and 1 for the others.
ORACLE = "oracle"
METHODS: dict[str, Method] = {
    "single": Method("single task", own_main=True),
    "linear": Method("equal"),
    "uncertainty": Method("uncertainty"),
    "mgda": Method("MGDA"),
    **{f"pareto {i}": Method(f"Pareto MTL {i + 1}") for i in range(VECTORS)},
    "classes": Method("class-wise", own_main=True, weighs_classes=True),
    "held-out": Method("class-wise, held-out (ours)", own_main=True, weighs_classes=True),
    ORACLE: Method("oracle", own_main=True),
}
PARETO = tuple(name for name in METHODS if name.startswith("pareto"))
# All vectors of Pareto MTL as one method: the one that validation prefers.
BEST_PARETO = "pareto"
