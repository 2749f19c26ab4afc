"""Tables 3 to 6 and Figure 5 of the CO-TASK paper: figure, tables, claims and gates from the rows of `tab3_cifar_mtl`.

Claims are judged in the paper's protocol: CO-TASK's auxiliary batches come on top of multi-task training's ("by the paper"), in
Tables 3 and 4 with 50 auxiliary tasks where the run has them, else with the run's own number.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.methods.cotask import draw_pairs
from mtlrepro.papers.cotask import gates
from mtlrepro.results import Gate, Measured

# Baseline -> what we call it, and its line in the paper's Table 5.
BASELINES = {
    "multi": ("multi-task", "Multi-task"), "dwa": ("DWA", "DWA"), "dtp": ("DTP", "DTP"), "trl": ("task routing", "TRL"),
}  # fmt: skip
EXHIBITS = ("cotask/tab3", "cotask/tab4", "cotask/tab5", "cotask/tab6", "cotask/fig5")
_PAPER_COUNT = 50
_GRID = "a common grid of rates and decays: each of the recorded trainings once more for every point of it"


def _learned(units: float) -> str:
    """What larger networks cost, from images a training and images a second. units: of one multi-task training each."""
    hours = units * 5 * 900_000 / 2_300 / 3600
    return f"about {hours:.0f} core hours: 16, 32, 64 channels on 32 x 32 pixels, 23 epochs (900,000 images, 2,300/s), 5 seeds"


# --- rows of one kind of training ---------------------------------------------------------------------------------------


def own_count(rows: pd.DataFrame) -> int:
    """The run's own number of auxiliary tasks, that of Tables 5 and 6."""
    return int(rows[rows.rule == "as long"].auxiliary.max())


def paper_count(rows: pd.DataFrame) -> int:
    """50 auxiliary tasks where the run has them, else its own number."""
    by_paper = rows[(rows.rule == "paper") & (rows.baseline == "multi") & (rows.noise == 0)]
    return _PAPER_COUNT if (by_paper.auxiliary == _PAPER_COUNT).any() else own_count(rows)


def of_arm(
    rows: pd.DataFrame, method: str, rule: str = "equal", baseline: str = "multi", noise: float = 0.0,
    count: int | None = None, variant: str = "standard",
) -> pd.DataFrame:  # fmt: skip
    """Rows of one kind of training. count: auxiliary tasks; None: the run's own number, 0 without CO-TASK."""
    if count is None:
        count = own_count(rows) if method == "cotask" or rule == "as long" else 0
    chosen = (rows.method == method) & (rows.rule == rule) & (rows.baseline == baseline) & (rows.noise == noise)
    kind = rows["variant"] if "variant" in rows else pd.Series("standard", rows.index)
    return rows[chosen & (rows.auxiliary == count) & (kind == variant)]


def means(rows: pd.DataFrame, method: str, rule: str = "equal", **options: Any) -> pd.Series:
    """Mean accuracy over tasks, by seed; empty where the run has no such training."""
    accuracy: pd.Series = of_arm(rows, method, rule, **options).groupby("seed").accuracy.mean()
    return accuracy


def by_task(rows: pd.DataFrame, method: str, rule: str = "equal", **options: Any) -> pd.Series:
    """Mean accuracy over seeds, by task in the paper's order."""
    accuracy: pd.Series = of_arm(rows, method, rule, **options).groupby("task", sort=False).accuracy.mean()
    return accuracy


def by_seed_and_task(rows: pd.DataFrame, method: str, rule: str = "equal", **options: Any) -> pd.DataFrame:
    """(seeds, tasks) accuracies."""
    return of_arm(rows, method, rule, **options).pivot(index="seed", columns="task", values="accuracy")


def added(rows: pd.DataFrame, rule: str = "paper", count: int | None = None, **options: Any) -> pd.Series:
    """What CO-TASK adds to a method, by seed. options: baseline or noise."""
    return (means(rows, "cotask", rule, count=count, **options) - means(rows, "multi", **options)).dropna()


def delta_m(rows: pd.DataFrame, method: str, rule: str = "equal", **options: Any) -> pd.Series:
    """Delta_m in percent by seed: mean over tasks of (m - s) / s, s single-task learning of the same seed.

    Tasks on which single-task learning has no right answer are left out.
    """
    single = by_seed_and_task(rows, "single")
    gain: pd.Series = 100 * (by_seed_and_task(rows, method, rule, **options) / single.where(single > 0) - 1).mean(axis=1)
    return gain


def baselines(rows: pd.DataFrame) -> list[str]:
    """What CO-TASK was added to: plain multi-task learning first."""
    return [name for name in BASELINES if (rows.baseline == name).any()]


def noises(rows: pd.DataFrame) -> list[float]:
    """The noise ratios, rising."""
    return sorted(map(float, rows.noise.unique()))


def arms(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What a reader calls the trainings of Table 3 -> how `of_arm` finds them."""
    few, many = own_count(rows), paper_count(rows)
    listed: dict[str, dict[str, Any]] = {
        "single-task": {"method": "single"},
        "multi-task": {"method": "multi"},
        "multi-task, as many steps as CO-TASK": {"method": "multi", "rule": "as long"},
        f"CO-TASK ({few}), equal steps": {"method": "cotask"},
        f"CO-TASK ({few})": {"method": "cotask", "rule": "paper"},
    }
    return listed if few == many else listed | {f"CO-TASK ({many})": {"method": "cotask", "rule": "paper", "count": many}}


# --- tables -------------------------------------------------------------------------------------------------------------


def overall(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 3: mean accuracy and Delta_m, the paper's and ours; in brackets the number of auxiliary tasks."""
    paper = results.paper_values("cotask/tab3")
    printed = {"single-task": (paper["single"], 0.0), "multi-task": (paper["multi"][0], 100 * paper["multi"][2])}
    printed[list(arms(rows))[-1]] = (paper["cotask"][0], 100 * paper["cotask"][2])
    lines = []
    for title, arm in arms(rows).items():
        accuracy, gain = printed.get(title, (np.nan, np.nan))
        ours = means(rows, **arm).mean()
        lines.append({
            "method": title, "paper": accuracy, "ours": ours, "difference": ours - accuracy, "Delta_m, paper (%)": gain,
            "Delta_m, ours (%)": delta_m(rows, **arm).mean(), "steps": int(of_arm(rows, **arm).steps.median()),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("method")


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of trainings, paired over seeds, in points; also where each task is tested with batch statistics of its own."""
    few = own_count(rows)
    cotask: dict[str, Any] = {"method": "cotask", "rule": "paper", "count": few}
    pairs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "multi-task over single-task": ({"method": "multi"}, {"method": "single"}),
        f"CO-TASK ({few}) over multi-task": (cotask, {"method": "multi"}),
        f"CO-TASK ({few}) over multi-task, equal steps": ({"method": "cotask"}, {"method": "multi"}),
        f"CO-TASK ({few}) over multi-task with as many steps": (cotask, {"method": "multi", "rule": "as long"}),
        "multi-task with as many steps over multi-task": ({"method": "multi", "rule": "as long"}, {"method": "multi"}),
    }
    kinds = {"points": rows, "with the task's own statistics": rows.assign(accuracy=rows.own)}
    table = {
        title: {text: results.in_words(100 * (means(kind, **a) - means(kind, **b))) for text, (a, b) in pairs.items()}
        for title, kind in kinds.items()
    }
    return pd.DataFrame(table).rename_axis("difference")


def task_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 4: accuracy of every task, the paper's beside ours, and what CO-TASK adds to multi-task learning in both."""
    columns = {"single": {"method": "single"}, "multi": {"method": "multi"}, "CO-TASK": _cotask(rows)}
    ours = pd.DataFrame({f"ours: {name}": by_task(rows, **arm) for name, arm in columns.items()})
    paper = pd.DataFrame(results.paper_values("cotask/tab4"), index=[f"paper: {name}" for name in columns]).T.reindex(ours.index)
    table = paper.join(ours)
    for whose in ("paper", "ours"):
        table[f"{whose}: CO-TASK over multi"] = table[f"{whose}: CO-TASK"] - table[f"{whose}: multi"]
    return table.rename_axis("task")


def _cotask(rows: pd.DataFrame) -> dict[str, Any]:
    return {"method": "cotask", "rule": "paper", "count": paper_count(rows)}


def combined_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 5: accuracy of each method alone and with CO-TASK, the paper's beside ours, and the differences in points."""
    lines = []
    for baseline in baselines(rows):
        printed = results.paper_values("cotask/tab5")[BASELINES[baseline][1]]
        lines.append({"method": BASELINES[baseline][0]} | _with_and_without(rows, printed, baseline=baseline))
    return pd.DataFrame(lines).set_index("method")


def noise_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 6: as `combined_table`, by noise ratio, with single-task learning."""
    lines = []
    for noise in noises(rows):
        printed = results.paper_values("cotask/tab6").get(f"{noise:.1f}", [np.nan] * 3)
        single = {"single, paper": printed[0], "single, ours": means(rows, "single", noise=noise).mean()}
        lines.append({"noise ratio": noise} | single | _with_and_without(rows, printed[1:], noise=noise))
    return pd.DataFrame(lines).set_index("noise ratio")


def _with_and_without(rows: pd.DataFrame, printed: list[float], **options: Any) -> dict[str, Any]:
    ours = [means(rows, "multi", **options).mean(), means(rows, "cotask", "paper", **options).mean()]
    return {
        "alone, paper": printed[0], "alone, ours": ours[0], "with CO-TASK, paper": printed[1], "with CO-TASK, ours": ours[1],
        "difference, paper (points)": 100 * (printed[1] - printed[0]),
        "difference, ours (points)": results.in_words(100 * added(rows, **options)),
    }  # fmt: skip


def equal_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """What CO-TASK adds in points at equal steps and by the paper, to each method and at each noise ratio."""
    cases: dict[str, dict[str, Any]] = {BASELINES[b][0]: {"baseline": b} for b in baselines(rows)}
    cases |= {f"multi-task, noise {z:g}": {"noise": z} for z in noises(rows)[1:]}
    rules = {"equal steps": "equal", "the paper's steps": "paper"}
    table = {
        title: {name: results.in_words(100 * added(rows, rule, **options)) for name, rule in rules.items()}
        for title, options in cases.items()
    }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("CO-TASK added to")


def printed_noise() -> pd.DataFrame:
    """The paper's Table 6 as differences in points."""
    noisy = pd.DataFrame(results.paper_values("cotask/tab6"), index=["single", "multi", "CO-TASK"]).T
    minus = {f"CO-TASK minus {other}-task (points)": 100 * (noisy["CO-TASK"] - noisy[other]) for other in ("multi", "single")}
    return pd.DataFrame(minus).rename_axis("noise ratio")


# --- Figure 5 -----------------------------------------------------------------------------------------------------------


def counts_of(rows: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Mean accuracy by a budget rule, seeds by numbers of auxiliary tasks."""
    own = rows[(rows.rule == rule) & (rows.method == "cotask") & (rows.noise == 0) & (rows.baseline == "multi")]
    accuracy = {count: means(rows, "cotask", rule, count=count) for count in sorted(map(int, own.auxiliary.unique()))}
    return pd.DataFrame({0: means(rows, "multi"), **accuracy})


def draw_counts(rows: pd.DataFrame) -> Figure:
    """Mean accuracy with its 95% interval against the number of auxiliary tasks, by both budget rules; the paper's points that
    stand in its Tables 3 and 5 hollow."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.8))
    for rule, (title, color, marker) in {
        "paper": ("the paper's steps", "blue", "o"),
        "equal": ("equal steps", "vermillion", "s"),
    }.items():
        counts = counts_of(rows, rule)
        intervals = [results.interval(values.to_numpy()) for _, values in counts.items()]
        plots.band(ax, list(counts.columns), *zip(*intervals, strict=True), label=title, color=color, marker=marker)
    paper, combined = results.paper_values("cotask/tab3"), results.paper_values("cotask/tab5")["Multi-task"]
    accuracy = [paper["multi"][0], combined[1], paper["cotask"][0]]
    ax.plot([0, 40, 50], accuracy, "D", ms=8, mfc="none", mew=1.6, color=plots.COLORS["black"], label="paper, Tables 3 and 5")
    ax.set(xlabel="number of auxiliary tasks", ylabel="mean accuracy", ylim=(0.15, 0.85))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


# --- what it shows ------------------------------------------------------------------------------------------------------


def findings(rows: pd.DataFrame) -> str:
    """In words, with the numbers of these rows."""
    multi, single, few = means(rows, "multi"), means(rows, "single"), own_count(rows)
    paper = results.paper_values("cotask/tab3")
    renewed = rows.assign(accuracy=rows.own)
    as_long = 100 * (means(rows, "cotask", "paper") - means(rows, "multi", "as long"))
    below = results.interval(as_long.to_numpy())[2] < 0
    conclusion = " At this budget it is the steps that pay, not the merged tasks." if below else ""
    gap, own = (results.in_words(100 * (means(kind, "multi") - means(kind, "single"))) for kind in (rows, renewed))
    more, equal = (results.in_words(100 * added(rows, rule)) for rule in ("paper", "equal"))
    return (
        f"Mean accuracy is {multi.mean():.3f} by multi-task and {single.mean():.3f} by single-task learning (paper: "
        f"{paper['multi'][0]:.3f} and {paper['single']:.3f}). With the paper's steps {few} auxiliary tasks change the accuracy "
        f"of multi-task learning by {more} points, with equal steps by {equal}. Beside multi-task learning with as many steps, "
        f"CO-TASK lies at {results.in_words(as_long)} points.{conclusion} Multi-task learning lies {gap} points from single-task "
        f"learning, and {own} where every task is tested with batch statistics of its own."
    )


# --- claims and gates ---------------------------------------------------------------------------------------------------


def measured(rows: pd.DataFrame) -> dict[str, Measured]:
    """Exhibit -> what the rows say of its claims and gates."""
    shared = _gates3(rows)
    return {
        "cotask/tab3": Measured(_effects3(rows), gates=shared),
        "cotask/tab4": Measured({"best-on-most": best_on_most(rows)}, gates=_gates4(rows, shared)),
        "cotask/tab5": Measured(_effects5(rows), gates=_gates5(rows, shared)),
        "cotask/tab6": Measured(_effects6(rows), gates=_gates6(rows, shared)),
        "cotask/fig5": Measured(_effects_of_counts(rows), gates=_gates_of_counts(rows, shared)),
    }


def _values(effects: dict[str, pd.Series]) -> dict[str, list[float]]:
    """Those that were measured."""
    return {claim: values.dropna().tolist() for claim, values in effects.items() if values.notna().any()}


def _effects3(rows: pd.DataFrame) -> dict[str, list[float]]:
    multi, cotask = delta_m(rows, "multi"), delta_m(rows, **_cotask(rows))
    return _values({
        "cotask-over-multi": means(rows, **_cotask(rows)) - means(rows, "multi"),
        "delta-m-over-multi": cotask - multi,
        "multi-over-single": means(rows, "multi") - means(rows, "single"),
        "doubled": cotask - 2 * multi.clip(lower=0),
        "cotask-over-single": means(rows, **_cotask(rows)) - means(rows, "single"),
    })  # fmt: skip


def _level(rows: pd.DataFrame, least: dict[str, tuple[float, dict[str, Any]]], units: float) -> Gate:
    """The gate baseline-level. least: what -> (the least mean accuracy, arm). units: as in `_learned`."""
    parts = [Gate.within(what, means(rows, **arm).mean(), least=level) for what, (level, arm) in least.items()]
    return Gate.every("baseline-level", parts, _learned(units))


def _level3(rows: pd.DataFrame, units: float) -> Gate:
    return _level(rows, {"single-task": (0.58, {"method": "single"}), "multi-task": (0.6, {"method": "multi"})}, units)


def _converged(rows: pd.DataFrame, cost: str) -> Gate:
    """Order of the three arms of Table 3 and their mean accuracies where the epochs double, on the seeds that were doubled."""
    doubled = {what: means(rows, **arm, variant="double") for what, arm in _three(rows).items()}
    if any(accuracy.empty for accuracy in doubled.values()):
        return gates.not_recorded("converged", cost)
    seeds = next(iter(doubled.values())).index
    once = {what: means(rows, **arm).loc[seeds].mean() for what, arm in _three(rows).items()}
    twice = {what: accuracy.mean() for what, accuracy in doubled.items()}
    same_order = sorted(once, key=once.__getitem__) == sorted(twice, key=twice.__getitem__)
    most = max(abs(twice[what] - once[what]) for what in once)
    parts = [Gate("order kept", same_order, "yes" if same_order else "no"), Gate.within("largest move", most, most=0.01)]
    return Gate.every("converged", parts, cost)


def _three(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {"single-task": {"method": "single"}, "multi-task": {"method": "multi"}, "CO-TASK": _cotask(rows)}


def _control(rows: pd.DataFrame) -> Gate:
    cost = "2 core minutes at these settings: multi-task trainings on half of the images, 5 seeds"
    gain = (means(rows, "multi") - means(rows, "multi", variant="half")).dropna()
    if gain.empty:
        return gates.not_recorded("control", cost)
    mean, low, _ = results.interval(gain.to_numpy())
    parts = [Gate.within("all images over half of them", mean, least=0.0226), Gate.within("lower bound", low, least=1e-9)]
    return Gate.every("control", parts, "larger networks, trained longer: " + _learned(1.5))


def _gates3(rows: pd.DataFrame) -> list[Gate]:
    effect = means(rows, **_cotask(rows)) - means(rows, "multi")
    return [
        _level3(rows, 5.5),
        _converged(
            rows, "3 times the cost of baseline-level: three arms with twice the epochs, one seed; then as long as it moves"
        ),
        gates.not_recorded("grid-interior", _GRID, "one rate and decay, the paper's, for all arms"),
        gates.precision({"CO-TASK minus multi-task": (effect, 0.005)}, "more seeds of both arms"),
        _control(rows),
    ]


def best_on_most(rows: pd.DataFrame) -> list[float]:
    """Share of the tasks on which CO-TASK is the best of three, ties shared, minus one half; per seed."""
    three = [by_seed_and_task(rows, **arm) for arm in _three(rows).values()]
    best = pd.concat(three).groupby("seed").max()
    ties = sum((accuracy == best).astype(int) for accuracy in three)
    shares = ((three[-1] == best) / ties).mean(axis=1) - 0.5
    return [float(share) for share in shares]


def _gates4(rows: pd.DataFrame, shared: list[Gate]) -> list[Gate]:
    if "tested" in rows:
        tested = float(rows.tested.min())
    else:  # every recorded accuracy is then a multiple of 1 / 500
        tested = 500.0 if np.allclose(500 * rows.accuracy, (500 * rows.accuracy).round(), atol=1e-6) else np.nan
    return [
        gates.of_other("tab3", shared, ("baseline-level", "converged", "grid-interior", "control")),
        Gate.within("test-size", tested, least=500, cost="CIFAR-100 itself"),
    ]


def _effects5(rows: pd.DataFrame) -> dict[str, list[float]]:
    alone = {b: means(rows, "multi", baseline=b) for b in BASELINES}
    plain = means(rows, "cotask", "paper")
    effects = {f"adds-to-{b}": added(rows, baseline=b) for b in BASELINES}
    effects |= {f"{b}-boosts-cotask": means(rows, "cotask", "paper", baseline=b) - plain for b in ("dwa", "trl")}
    if not any(alone[b].empty for b in ("dwa", "dtp", "trl")):
        best = max((alone[b] for b in ("dwa", "dtp", "trl")), key=pd.Series.mean)
        effects["larger-than-other-methods"] = plain - best
    return _values(effects)


def _gates5(rows: pd.DataFrame, shared: list[Gate]) -> list[Gate]:
    least = {"multi": 0.6, "dwa": 0.6, "trl": 0.6, "dtp": 0.58}
    effects = {BASELINES[b][0]: (added(rows, baseline=b), 0.005) for b in ("dwa", "dtp", "trl")}
    return [
        _level(rows, {BASELINES[b][0]: (x, {"method": "multi", "baseline": b}) for b, x in least.items()}, 16),
        _weights_move(rows),
        gates.not_recorded("converged", "twice the epochs of six arms on one seed, 13 core minutes at these settings"),
        gates.not_recorded("grid-interior", _GRID, "one rate, the paper's gamma and share of units"),
        gates.precision(effects, "more seeds of six arms"),
        next(gate for gate in shared if gate.name == "control"),
    ]


def _weights_move(rows: pd.DataFrame) -> Gate:
    cost = "7 core minutes at these settings: DWA and DTP trained once more, 5 seeds"
    own = {b: of_arm(rows, "multi", baseline=b) for b in ("dwa", "dtp")}
    if "moved" not in rows or any(arm.empty for arm in own.values()):
        return gates.not_recorded("weights-move", cost)
    parts = []
    for baseline, arm in own.items():
        title = BASELINES[baseline][0]
        parts.append(Gate.within(f"{title}: share of updates that change a weight", arm.moved.mean(), least=0.5))
        parts.append(Gate.within(f"{title}: largest over smallest weight", arm.spread.mean(), least=1.01))
    return Gate.every("weights-move", parts, "more epochs: DWA waits for two of them")


def _effects6(rows: pd.DataFrame) -> dict[str, list[float]]:
    gain = pd.DataFrame({z: added(rows, noise=z) for z in noises(rows)})
    effects = {}
    if set(gain) >= {0.0, 0.1, 0.3, 0.5, 0.7}:
        five = gain[[0.0, 0.1, 0.3, 0.5, 0.7]]
        effects["difference-grows-with-noise"] = five.apply(lambda line: np.polyfit(five.columns, line, 1)[0], axis=1)
        effects["gain-under-noise"] = five.drop(columns=0.0).mean(axis=1)
    if set(gain) >= {0.0, 0.5}:
        effects["gain-at-half"] = gain[0.5] - gain[0.0]
    return _values(effects)


def _gates6(rows: pd.DataFrame, shared: list[Gate]) -> list[Gate]:
    multi = pd.DataFrame({z: means(rows, "multi", noise=z) for z in noises(rows)})
    falls = multi.diff(axis=1).iloc[:, 1:]
    bounds = {f"upper bound from {a:g} to {b:g}": falls[b] for a, b in zip(multi, falls, strict=False)}
    parts = [Gate.within(what, results.interval(values.to_numpy())[2], most=-1e-9) for what, values in bounds.items()]
    hurts = (
        Gate.every("noise-hurts", parts, "more seeds") if parts else gates.not_recorded("noise-hurts", "the paper's five ratios")
    )
    chance = gates.not_recorded("above-chance", "trainings at a ratio of 0.7, as in the full profile")
    if 0.7 in multi:
        mean, low, _ = results.interval(multi[0.7].to_numpy())
        least = [Gate.within("accuracy at 0.7", mean, least=0.22), Gate.within("lower bound", low, least=0.2)]
        chance = Gate.every("above-chance", least, _learned(1))
    return [
        _level3(rows, 25),
        hurts,
        chance,
        gates.not_recorded(
            "converged", "twice the epochs of both arms at five ratios on one seed, 22 core minutes at these settings"
        ),
        gates.not_recorded("grid-interior", _GRID, "one rate and decay for both arms; the epoch is chosen on clean labels"),
        next(gate for gate in shared if gate.name == "control"),
    ]


def _effects_of_counts(rows: pd.DataFrame) -> dict[str, list[float]]:
    counts = counts_of(rows, "paper")
    effects = {}
    if _PAPER_COUNT in counts:
        effects["rises-with-count"] = counts[50] - counts[0]
    if set(counts) >= {10, 20, 30, 40, 50}:
        five = counts[[10, 20, 30, 40, 50]]
        effects["more-is-better"] = five.apply(lambda line: 10 * np.polyfit(five.columns, line, 1)[0], axis=1)
    if set(counts) >= {50, 100}:
        effects["flattens"] = (counts[100] - counts[50]) / 5 - (counts[50] - counts[0]) / 5
    if set(counts) >= {40, 50}:
        effects["last-ten"] = counts[50] - counts[40]
    return _values(effects)


def _gates_of_counts(rows: pd.DataFrame, shared: list[Gate]) -> list[Gate]:
    counts = counts_of(rows, "paper")
    here = [int(str(count)) for count in counts]
    wanted = [0, 10, 20, 30, 40, 50]
    missing = [str(count) for count in wanted if count not in here] + (["100 or more"] if max(here) < 100 else [])
    rise = counts[50] - counts[0] if 50 in counts else pd.Series(dtype=float)
    return [
        gates.of_other("tab3", shared, ("baseline-level", "grid-interior", "control")),
        Gate(
            "range", not missing, f"missing: {', '.join(missing)}" if missing else "complete",
            cost="20 core minutes at these settings: 30 and 40 auxiliary tasks by the paper's rule, 5 seeds",
        ),
        _draws(rows, here),
        gates.not_recorded("converged", "twice the epochs for 0, 50 and 100 auxiliary tasks on one seed, 16 core minutes")
        if means(rows, "cotask", "paper", count=50, variant="double").empty
        else _counts_converged(rows),
        gates.precision({"50 minus none": (rise, 0.005)}, "more seeds, or 50 auxiliary tasks where the run has none"),
    ]  # fmt: skip


def _draws(rows: pd.DataFrame, counts: list[int]) -> Gate:
    """Whether the pairs differ between seeds, and in one seed a smaller number's are among a larger one's; drawn once more."""
    tasks, seeds = list(rows.task.unique()), sorted(map(int, rows.seed.unique()))
    drawn = {seed: {count: set(draw_pairs(tasks, count, seed)) for count in sorted(counts)} for seed in seeds}
    nested = all(a <= b for own in drawn.values() for a, b in zip(own.values(), list(own.values())[1:], strict=False))
    anew = len({frozenset(own[sorted(counts)[1]]) for own in drawn.values()}) == len(seeds)
    words = {True: "yes", False: "no"}
    return Gate.every("draws", [Gate("nested", nested, words[nested]), Gate("anew per seed", anew, words[anew])], "more tasks")


def _counts_converged(rows: pd.DataFrame) -> Gate:
    """Signs of rises-with-count and flattens on the seeds whose epochs were doubled."""
    arms_: dict[int, dict[str, Any]] = {0: {"method": "multi"}}
    arms_ |= {count: {"method": "cotask", "rule": "paper", "count": count} for count in (50, 100)}
    twice = pd.DataFrame({count: means(rows, **arm, variant="double") for count, arm in arms_.items()}).dropna()
    once = pd.DataFrame({count: means(rows, **arm) for count, arm in arms_.items()}).loc[twice.index]
    if twice.empty:
        return gates.not_recorded("converged", "twice the epochs for 100 auxiliary tasks")
    signs = [[np.sign((x[50] - x[0]).mean()), np.sign((x[100] - 2 * x[50] + x[0]).mean())] for x in (once, twice)]
    kept = signs[0] == signs[1]
    return Gate("converged", kept, "both signs kept" if kept else "a sign changes", cost="more epochs: " + _learned(10))
