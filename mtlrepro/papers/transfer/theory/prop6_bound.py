"""Proposition 6 of the transfer paper: a bound on the least multi-task loss when the tasks' covariances differ.

Procedure:  W_j maximises sum_i <X_i B, y_i>² / |X_i B|² over B in R^d, λ_j is that maximum; then X_i W_j is projected off
            every column of X_i, for every task i; repeat, j = 1..d.
Losses:     h(B) = sum_i min_A |X_i B A - y_i|²;  OPT = sum_i (|y_i|² - |X_i θ_i|²), the single-task models
Printed:    h(B*) <= OPT - sum over j > r of λ_j. Since h(B*) >= OPT always, this holds only where the sum is 0.
Corrected:  h(B*) <= OPT + sum over j = r + 1..d of λ_j, because the right side is h([W_1..W_r]). It is an equality for r = 1
            and for equal covariances, and holds for any linearly independent W_1..W_d, maximisers or not.
Also:       h(B*) <= OPT + the k - r smallest |X_i θ_i|² (B holds the models of the other r tasks).

Tasks are `regression_tasks.Tasks` of weights 1, X_i of full column rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mtlrepro.papers.transfer.theory import optimum, prop5_equal_covariances, regression_tasks
from mtlrepro.papers.transfer.theory.proof_lines import Array, Line, line_rows
from mtlrepro.papers.transfer.theory.regression_tasks import Tasks, best_loss, descend
from mtlrepro.parameters import Params

# Relative to the label energy; rounding leaves about 1e-15.
TOLERANCE = 1e-9
CASES = ("equal covariances", "same inputs", "different covariances", "few samples", "two tasks")

# What can be meant by h, OPT and the sum.
READINGS = ("printed", "gain", "gain_sum", "short", "corrected", "largest")


def tasks_of_case(case: str, d: int, k: int, rng: np.random.Generator) -> Tasks:
    """k tasks of weight 1 with noisy labels; case: one of CASES ("few samples": m_i = d, so that OPT is 0)."""
    if case not in CASES:
        raise ValueError(f"unknown case {case!r}; known: {', '.join(CASES)}")
    if case == "equal covariances":
        return prop5_equal_covariances.tasks_of_case("equal weights", d, k, rng)
    k = 2 if case == "two tasks" else k
    tasks = regression_tasks.tasks_of_case("same inputs" if case == "same inputs" else "different covariances", d, k, rng)
    keep = d if case == "few samples" else None
    return Tasks(tuple(x[:keep] for x in tasks.xs), tuple(y[:keep] for y in tasks.ys), np.ones(k))


def explained_alone(tasks: Tasks) -> Array:
    """(k,): |X_i θ_i|², what each single-task model explains of its labels."""
    fits = [x @ np.linalg.lstsq(x, y)[0] for x, y in zip(tasks.xs, tasks.ys, strict=True)]
    return np.array([float(fit @ fit) for fit in fits])


def gain(xs: Iterable[Array], ys: Iterable[Array], w: Array) -> float:
    """sum_i <X_i w, y_i>² / |X_i w|² for w: (d,), eq. 4 for k tasks; 0 from a task that does not see w."""
    outputs = [(x @ w, y) for x, y in zip(xs, ys, strict=True)]
    return float(sum((o @ y) ** 2 / (o @ o) for o, y in outputs if o @ o > 0))


def best_direction(xs: list[Array], ys: list[Array], rng: np.random.Generator, starts: int = 8, steps: int = 500) -> Array:
    """The direction (p,) of largest `gain`, for X_i (m_i, p) of full column rank.

    Alternates exactly between the heads and B from every task's model and `starts` random directions at once; each pass
    raises the gain. Exact for one input and, like any local search, the best of the maxima it met otherwise.
    """
    p = xs[0].shape[1]
    grams, pulls = np.stack([x.T @ x for x in xs]), np.stack([x.T @ y for x, y in zip(xs, ys, strict=True)])
    if p == 1 or not pulls.any():
        return np.ones(p)
    b = np.concatenate([np.linalg.solve(grams, pulls[..., None])[..., 0], rng.standard_normal((starts, p))])
    b = b[np.linalg.norm(b, axis=1) > 0]  # a task whose labels are used up names no direction
    before = np.zeros(len(b))
    for _ in range(steps):
        b /= np.linalg.norm(b, axis=1, keepdims=True)
        along = b @ pulls.T
        energy = np.einsum("np,kpq,nq->nk", b, grams, b)
        heads = along / energy
        gains = (along * heads).sum(1)
        if (gains - before).max() <= 1e-15 * gains.max():
            break
        before = gains
        b = np.linalg.solve(np.einsum("nk,kpq->npq", heads**2, grams), (heads @ pulls)[..., None])[..., 0]
    best: Array = b[int(np.argmax(before))]
    return best


@dataclass(frozen=True)
class Directions:
    """What the procedure returns: w (d, d) with W_j as columns, lambdas (d,) with the λ_j."""

    w: Array
    lambdas: Array


def orthogonalise(tasks: Tasks, rng: np.random.Generator, greedy: bool = True) -> Directions:
    """The paper's procedure for all d steps. greedy=False: W_j are random instead of maximisers.

    After j steps X_i W_1 = .. = X_i W_j = 0 for every task, so W_{j+1} is sought in the complement of their span.
    """
    d = tasks.xs[0].shape[1]
    xs, chosen, lambdas = list(tasks.xs), np.zeros((d, 0)), []
    for j in range(d):
        rest = np.linalg.qr(chosen, mode="complete")[0][:, j:]
        inside = [x @ rest for x in xs]
        w = rest @ (best_direction(inside, list(tasks.ys), rng) if greedy else rng.standard_normal(d - j))
        lambdas.append(gain(xs, tasks.ys, w))
        for i, x in enumerate(xs):
            unit = x @ w / np.linalg.norm(x @ w)
            xs[i] = x - np.outer(unit, unit @ x)
        chosen = np.column_stack([chosen, w])
    return Directions(chosen, np.array(lambdas))


def least_loss(tasks: Tasks, rank: int, rng: np.random.Generator, starts: int, witness: Array) -> tuple[float, bool]:
    """h(B*) for B of that rank, and whether it is exact.

    Exact from `theory.mtl_optimum` where that knows it; else the least end of `starts` random descents and one from the
    columns of `witness` (d, rank), an upper bound on h(B*) that is never below it.
    """
    xs, ys = ([torch.from_numpy(np.ascontiguousarray(a)) for a in part] for part in (tasks.xs, tasks.ys))
    k = len(xs)
    same = max(float((x.mT @ x - xs[0].mT @ xs[0]).abs().max() / xs[0].square().sum()) for x in xs) < 1e-13
    if rank >= k or same or (rank == 1 and k == 2):
        return float(optimum.mtl_optimum(xs, ys, rank).loss), True
    d = tasks.xs[0].shape[1]
    begin = [(rng.standard_normal((d, rank)), rng.standard_normal((rank, k))) for _ in range(starts)]
    heads = [np.linalg.lstsq(x @ witness, y)[0] for x, y in zip(tasks.xs, tasks.ys, strict=True)]
    return min(descend(tasks, *start)[0] for start in [*begin, (witness, np.stack(heads, axis=1))]), False


def excesses(tasks: Tasks, lambdas: Array, rank: int, loss: float, exact: bool) -> dict[str, float]:
    """How far each of READINGS is from holding (left minus right, relative to sum |y_i|²), given h(B*) = `loss`.

    Where `loss` is an upper bound only (not exact), the claims that break take OPT, a lower bound, in its place, so that
    every violation is one of h(B*) itself.
    """
    alone = np.sort(explained_alone(tasks))
    energy, k = tasks.energy, len(tasks.xs)
    opt, tail, got = energy - alone.sum(), lambdas[rank:].sum(), energy - loss
    floor = loss if exact else opt
    over = {
        "printed": floor - (opt - tail),
        "gain": got - (opt - tail),
        "gain_sum": got - (lambdas.sum() - tail),
        "short": floor - (opt + lambdas[rank:k].sum()),
        "corrected": loss - (opt + tail),
        "largest": loss - (opt + alone[: max(0, k - rank)].sum()),
    }
    return {name: float(value) / energy for name, value in over.items()}


def try_bound(case: str, count: int, seed: int, tolerance: float, starts: int) -> dict[str, Any]:
    """Every one of READINGS on `count` instances of `case` at a random rank; d in 2..6, k in 2..5, r in 1..d.

    Relative to sum |y_i|². For each reading its largest excess and in how many instances that is above `tolerance`. Also
    n_tail: instances with sum over j > r of λ_j above tolerance; sum: largest |sum λ_j - sum |X_i θ_i|²|; prefix: largest
    |h([W_1..W_r]) - OPT - tail|; any: the same two for random W; tight: largest |h(B*) - OPT - tail| where h(B*) is exact and
    r = 1 or the covariances are equal; slack: the median of corrected bound minus h(B*).
    """
    rng = np.random.default_rng(seed)
    over: dict[str, list[float]] = {name: [] for name in READINGS}
    sums: list[float] = []
    prefixes: list[float] = []
    others: list[float] = []
    tight: list[float] = []
    tails = exact = 0
    for _ in range(count):
        tasks = tasks_of_case(case, int(rng.integers(2, 7)), int(rng.integers(2, 6)), rng)
        d = tasks.xs[0].shape[1]
        rank, energy = int(rng.integers(1, d + 1)), tasks.energy
        explained = float(explained_alone(tasks).sum())
        for greedy, ends in ((True, (sums, prefixes)), (False, (others, others))):
            steps = orthogonalise(tasks, rng, greedy)
            ends[0].append(abs(steps.lambdas.sum() - explained) / energy)
            loss_there = best_loss(tasks, steps.w[:, :rank])
            ends[1].append(abs(loss_there - (energy - explained + steps.lambdas[rank:].sum())) / energy)
            if greedy:
                loss, known = least_loss(tasks, rank, rng, starts, steps.w[:, :rank])
                exact += known
                tails += bool(steps.lambdas[rank:].sum() > tolerance * energy)
                over_bound = excesses(tasks, steps.lambdas, rank, loss, known)
                for name, value in over_bound.items():
                    over[name].append(value)
                if known and (rank == 1 or case in ("equal covariances", "same inputs")):
                    tight.append(abs(over_bound["corrected"]))
    row: dict[str, Any] = {"n": count, "n_tail": tails, "n_exact": exact}
    row |= {"sum_worst": max(sums), "prefix_worst": max(prefixes), "any_worst": max(others)}
    row |= {"tight_n": len(tight), "tight_worst": max(tight, default=np.nan), "tight_broken": sum(t > tolerance for t in tight)}
    for name, values in over.items():
        row |= {f"{name}_worst": max(values), f"{name}_broken": sum(value > tolerance for value in values)}
    return row | {"slack": float(np.median([-value for value in over["corrected"]]))}


def trap(k: int, narrow: float = 0.01, lure: float = 1.1) -> Tasks:
    """k tasks whose models lie in one plane, and one task across it that is worth a little more: greed pays badly.

    d = 3. Each X_i is large, 1 / narrow, across its own θ_i: a direction helps a task only if it nearly is θ_i. With r = 2
    the plane serves k tasks, but the procedure starts with the lure. lure: |y|² of the task across the plane; others 1.
    """
    angles = np.pi * np.arange(k) / k
    xs, ys = [np.diag([1 / narrow, 1 / narrow, 1.0])], [np.array([0.0, 0.0, np.sqrt(lure)])]
    for c, s in zip(np.cos(angles), np.sin(angles), strict=True):
        xs.append(np.array([[-s / narrow, c / narrow, 0], [c, s, 0], [0, 0, 1 / narrow]]))
        ys.append(np.array([0.0, 1.0, 0.0]))
    return Tasks(tuple(xs), tuple(ys), np.ones(k + 1))


def smallest() -> dict[str, float]:
    """Loss, OPT, λ and both bounds for two inputs, two tasks, X_i the identity and y_i = e_i; r = 1."""
    tasks, rng = prop5_equal_covariances.basis_tasks(2), np.random.default_rng(0)
    steps = orthogonalise(tasks, rng)
    loss, _ = least_loss(tasks, 1, rng, 1, steps.w[:, :1])
    opt, tail = tasks.energy - explained_alone(tasks).sum(), steps.lambdas[1:].sum()
    first, second = steps.lambdas
    return {"OPT": opt, "λ_1": first, "λ_2": second, "h(B*)": loss, "printed": opt - tail, "corrected": opt + tail}


def curve(instance: str, seed: int, starts: int) -> list[dict[str, Any]]:
    """h(B*), OPT and the bounds for r = 1..d on one instance, relative to sum |y_i|². instance: one of CASES or "trap"."""
    rng = np.random.default_rng(seed)
    tasks = trap(5) if instance == "trap" else tasks_of_case(instance, 6, 6, rng)
    steps, alone = orthogonalise(tasks, rng), np.sort(explained_alone(tasks))
    energy, (d, k) = tasks.energy, (tasks.xs[0].shape[1], len(tasks.xs))
    opt, rows = float(energy - alone.sum()), []
    for r in range(1, d + 1):
        witness = np.array([[1.0, 0], [0, 1], [0, 0]]) if instance == "trap" and r == 2 else steps.w[:, :r]
        loss, exact = least_loss(tasks, r, rng, starts, witness)
        tail, rest = steps.lambdas[r:].sum(), alone[: max(0, k - r)].sum()
        values = {"loss": loss, "opt": opt, "printed": opt - tail, "corrected": opt + tail, "largest": opt + rest}
        rows.append({"r": r, "k": k, "exact": exact} | {key: float(v) / energy for key, v in values.items()})
    return rows


def try_trap(in_plane: int, seed: int) -> dict[str, Any]:
    """The trap at r = 2: number k of tasks, the plane's loss, an upper bound on h(B*), and the corrected bounds."""
    tasks = trap(in_plane)
    steps, alone = orthogonalise(tasks, np.random.default_rng(seed)), np.sort(explained_alone(tasks))
    opt = float(tasks.energy - alone.sum())
    return {
        "k": in_plane + 1, "plane": best_loss(tasks, np.eye(3)[:, :2]),
        "corrected": opt + float(steps.lambdas[2:].sum()),
        "largest": opt + float(alone[: in_plane - 1].sum()),
    }  # fmt: skip


def proof_lines(tasks: Tasks, rank: int, rng: np.random.Generator) -> list[Line]:
    """The definitions, the statement and every step of its proof on one instance: as printed, and corrected."""
    steps, alone = orthogonalise(tasks, rng), explained_alone(tasks)
    lambdas, energy, k = steps.lambdas, tasks.energy, len(tasks.xs)
    opt, tail, d = float(energy - alone.sum()), float(lambdas[rank:].sum()), len(lambdas)
    loss, _ = least_loss(tasks, rank, rng, 1, steps.w[:, :rank])
    first = sum(gain([x], [y], steps.w[:, 0]) for x, y in zip(tasks.xs, tasks.ys, strict=True))
    # The one index j, taken literally, runs over tasks and directions together and gives one number for every λ.
    literal = sum(gain([tasks.xs[j]], [tasks.ys[j]], steps.w[:, j]) for j in range(min(k, d)))
    there = best_loss(tasks, steps.w[:, :rank])
    all_of_them = best_loss(tasks, steps.w[:, : min(k, d)])
    below = "OPT + Σ_{j>r} λ_j"
    return [
        Line("definition: λ_1 with the index j for direction and task", "=", literal, float(lambdas[0]),
             "λ_j = Σ_i <X_iW_j/|X_iW_j|, y_i>²"),
        Line("(corrected) λ_1 = sum over the tasks i at W_1", "=", first, float(lambdas[0])),
        Line("statement: h(B*) ≤ OPT − Σ_{j>r} λ_j", "≤", loss, opt - tail, below),
        Line("any B: OPT ≤ h(B*)", "≤", opt, loss + 1e-12 * energy),
        Line("proof: OPT = Σ_{j≤k} λ_j", "=", opt, float(lambdas[:k].sum()), "Σ_i |X_iθ_i|² = Σ_{j≤d} λ_j"),
        Line("proof: Σ_i |X_iθ_i|² = Σ_{j≤k} λ_j (OPT meant as a gain)", "=", float(alone.sum()), float(lambdas[:k].sum()),
             "sum to d"),
        Line("(corrected) Σ_i |X_iθ_i|² = Σ_{j≤d} λ_j", "=", float(alone.sum()), float(lambdas.sum())),
        Line("proof: h(B*) ≤ h([W_1..W_k])", "≤", loss, all_of_them, "[W_1..W_r]; more columns than B* may have"),
        Line("(corrected) h(B*) ≤ h([W_1..W_r])", "≤", loss, there * (1 + 1e-12)),
        Line("proof: h([W_1..W_k]) = OPT − Σ_{j>r} λ_j", "=", all_of_them, opt - tail, below + " = h([W_1..W_r])"),
        Line("(corrected) h([W_1..W_r]) = OPT + Σ_{j>r} λ_j", "=", there, opt + tail),
    ]  # fmt: skip


def try_lines(count: int, seed: int) -> list[dict[str, Any]]:
    """`proof_lines` on `count` instances of different covariances, k in 3..5, d in k..6, r below k."""
    rng = np.random.default_rng(seed)
    instances = []
    for _ in range(count):
        k = int(rng.integers(3, 6))
        tasks = tasks_of_case("different covariances", int(rng.integers(k, 7)), k, rng)
        instances.append(proof_lines(tasks, int(rng.integers(1, k)), rng))
    return line_rows(instances)


MEASURES: dict[str, Callable[..., Any]] = {
    "smallest": smallest, "curve": curve, "trap": try_trap, "bound": try_bound, "line": try_lines,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page runs: the smallest counterexample, loss and bounds against r, traps, random instances, the proof."""
    chunk = min(50, p.instances)
    return [
        {"kind": "smallest"},
        *(
            {"kind": "curve", "instance": name, "seed": 3, "starts": p.starts}
            for name in ("equal covariances", "different covariances", "trap")
        ),
        *({"kind": "trap", "in_plane": k, "seed": 5} for k in (3, 5, 10, 20)),
        *(
            {
                "kind": "bound",
                "case": case,
                "count": chunk,
                "seed": 1000 * place + part,
                "tolerance": TOLERANCE,
                "starts": p.starts,
            }
            for place, case in enumerate(CASES)
            for part in range(-(-p.instances // chunk))
        ),
        {"kind": "line", "count": p.proofs, "seed": 6},
    ]
