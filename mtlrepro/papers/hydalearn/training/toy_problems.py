"""The two toy problems as networks are trained on them: Exp1 (related tasks) and Exp2 (unrelated), with the appendix's widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtlrepro.papers.hydalearn.data.toys import Parts, toy
from mtlrepro.papers.hydalearn.training.tuned_runs import TrainingConfig

BETA = 6.0  # HydaLearn's exponent on both toys (Table 6)
# Standard deviation of what enters the tanh of the labels; None: about 32 and 18, the labels are nearly signs.
INPUTS: dict[str, float | None] = {"as printed": None, "softened": 1.0}


@dataclass(frozen=True)
class ToyProblem:
    """kind: of `toy`. shared, head: widths of the shared layers and of each head's hidden layers."""

    kind: str
    shared: tuple[int, ...]
    head: tuple[int, ...]


TOY_PROBLEMS = {
    "Exp1": ToyProblem("related", (64,) * 4, (32,)),
    "Exp2": ToyProblem("unrelated", (40,) * 2, (20,)),
}


def prepare(
    problem: str,
    inputs: str,
    seeds: Sequence[int],
    *,
    steps: int,
    check: int,
    points: int,
    batch: int = 16,
    width: int | None = None,
    scales: tuple[float, float] = (1.0, 10.0),
) -> tuple[Parts, TrainingConfig]:
    """Data of every seed, and the network and length of a training on them.

    problem, inputs: names in TOY_PROBLEMS and INPUTS. width: of the shared layers, in place of the paper's. scales: of the labels
    (sigma_m, sigma_a). The rest is as in `TrainingConfig`.
    """
    toy_problem = TOY_PROBLEMS[problem]
    shared = toy_problem.shared if width is None else (width,) * len(toy_problem.shared)
    splits = toy(toy_problem.kind, seeds, spread=INPUTS[inputs], scales=scales)
    return splits, TrainingConfig(shared, toy_problem.head, steps, check, points, batch)
