"""Tables 3 to 6 and Figure 5 of the CO-TASK paper: figures, tables, claims and gates from the rows of `tab3_cifar_mtl`.

Claims are judged in the paper's protocol: CO-TASK's auxiliary batches come on top of multi-task training's, 50 auxiliary tasks
in Tables 3 and 4 where the run has them. A run may hold only some of the arms; what it lacks is left out or a dash.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from mtlrepro import plots, results
from mtlrepro.methods.cotask import draw_pairs
from mtlrepro.papers.cotask import gates
from mtlrepro.results import Gate, Measured

# Baseline -> what we call it, and its line in the paper's Table 5.
BASELINES = {
    "multi": ("multi-task", "Multi-task"), "dwa": ("DWA", "DWA"), "dtp": ("DTP", "DTP"), "trl": ("task routing", "TRL"),
}  # fmt: skip
EXHIBITS = ("cotask/tab3", "cotask/tab4", "cotask/tab5", "cotask/tab6", "cotask/fig5")
# Column of the rows -> the statistics of batch normalisation in the test.
STATISTICS = {"accuracy": "running averages", "own": "the task's own", "mixed": "all tasks mixed"}
# Variant of the rows -> what a reader calls it.
VARIANTS = {"mixed batches": "mixed batches", "group norm": "group normalisation", "double": "twice the epochs"}
# Method -> what a reader calls it, colour and marker.
_LOOKS = {"single": ("single-task", "green", "^"), "multi": ("multi-task", "blue", "o"), "cotask": ("CO-TASK", "vermillion", "s")}
_PAPER_COUNT, _COMBINED = 50, 40
# Epochs, batches of 128 an epoch of the twenty tasks and of all seventy: what the paper's three trainings saw.
_PAPER_IMAGES = {"single": (900 * 300 * 128,) * 2, "multi": (400 * 300 * 128,) * 2, "cotask": (400 * 1050 * 128, 400 * 300 * 128)}
_GRID = "each of the recorded trainings once more for every point of a common grid of rates and decays"


def _learned(trainings: float, seeds: int = 3) -> str:
    """What trainings of the full profile cost. trainings: for each seed, in units of a multi-task training's images."""
    hours, many = trainings * seeds * 2_688_000 / 2_490 / 3600, "one seed" if seeds == 1 else f"{seeds} seeds"
    return f"about {hours:.1f} core hours: 2.7 million images of major tasks, 32 x 32 pixels, {many}, 2,490 images/s"


_SINGLE, _COTASK = 8 / 7, 3.5  # images of the other two arms of Table 3 in that unit
_THREE = 1 + _SINGLE + _COTASK


# --- rows of one kind of training ---------------------------------------------------------------------------------------


def counts_in(rows: pd.DataFrame, rule: str = "paper") -> list[int]:
    """Numbers of auxiliary tasks that were added to plain multi-task learning without noise, rising."""
    plain = (rows.method == "cotask") & (rows.baseline == "multi") & (rows.noise == 0) & (rows["variant"] == "standard")
    return sorted(map(int, rows[plain & (rows.rule == rule)].auxiliary.unique()))


def paper_count(rows: pd.DataFrame) -> int:
    """50 auxiliary tasks where the run has them, else the number that also has other budgets, else the smallest."""
    counts = counts_in(rows)
    return _PAPER_COUNT if _PAPER_COUNT in counts else (counts_in(rows, "equal") or counts)[0]


def combined_count(rows: pd.DataFrame) -> int:
    """The number of auxiliary tasks of Tables 5 and 6."""
    other = rows[(rows.method == "cotask") & ((rows.baseline != "multi") | (rows.noise > 0))]
    return int(other.auxiliary.iloc[0]) if len(other) else _COMBINED


def of_arm(
    rows: pd.DataFrame, method: str, rule: str = "", baseline: str = "multi", noise: float = 0.0, count: int | None = None,
    variant: str = "standard",
) -> pd.DataFrame:  # fmt: skip
    """Rows of one kind of training. rule: default the paper's. count: auxiliary tasks; None: the exhibit's number."""
    rule = rule or ("paper" if method == "cotask" else "equal")
    if count is None:
        plain = baseline == "multi" and noise == 0
        count = (paper_count(rows) if plain else combined_count(rows)) if method == "cotask" or rule == "as long" else 0
    chosen = (rows.method == method) & (rows.rule == rule) & (rows.baseline == baseline) & (rows.noise == noise)
    return rows[chosen & (rows.auxiliary == count) & (rows["variant"] == variant)]


def means(rows: pd.DataFrame, method: str, rule: str = "", **options: Any) -> pd.Series:
    """Mean accuracy over tasks, by seed; empty where the run has no such training."""
    accuracy: pd.Series = of_arm(rows, method, rule, **options).groupby("seed").accuracy.mean()
    return accuracy


def by_task(rows: pd.DataFrame, method: str, rule: str = "", **options: Any) -> pd.Series:
    """Mean accuracy over seeds, by task in the paper's order."""
    accuracy: pd.Series = of_arm(rows, method, rule, **options).groupby("task", sort=False).accuracy.mean()
    return accuracy


def by_seed_and_task(rows: pd.DataFrame, method: str, rule: str = "", **options: Any) -> pd.DataFrame:
    """(seeds, tasks) accuracies."""
    return of_arm(rows, method, rule, **options).pivot(index="seed", columns="task", values="accuracy")


def added(rows: pd.DataFrame, **options: Any) -> pd.Series:
    """What CO-TASK adds to a method, by seed. options: baseline or noise, count."""
    alone = {name: value for name, value in options.items() if name != "count"}
    return (means(rows, "cotask", **options) - means(rows, "multi", **alone)).dropna()


def delta_m(rows: pd.DataFrame, method: str, rule: str = "", **options: Any) -> pd.Series:
    """Delta_m in percent by seed: mean over tasks of (m - s) / s, s single-task learning of the same seed.

    Tasks on which single-task learning has no right answer are left out.
    """
    single = by_seed_and_task(rows, "single")
    gain: pd.Series = 100 * (by_seed_and_task(rows, method, rule, **options) / single.where(single > 0) - 1).mean(axis=1)
    return gain


def noises(rows: pd.DataFrame) -> list[float]:
    """The noise ratios, rising."""
    return sorted(map(float, rows.noise.unique()))


def arms(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What a reader calls the trainings without noise and other methods -> how `of_arm` finds them; those that the run has."""
    many = f"CO-TASK ({paper_count(rows)})"
    three: dict[str, dict[str, Any]]
    three = {"single-task": {"method": "single"}, "multi-task": {"method": "multi"}, many: {"method": "cotask"}}
    listed = three | {
        f"{many}, equal steps": {"method": "cotask", "rule": "equal"},
        "multi-task, as many steps as CO-TASK": {"method": "multi", "rule": "as long"},
    }
    for variant, text in VARIANTS.items():
        listed |= {f"{title}, {text}": arm | {"variant": variant} for title, arm in three.items()}
    return {title: arm for title, arm in listed.items() if len(of_arm(rows, **arm))}


def _words(values: pd.Series) -> str | None:
    """Mean with its interval; alone where there is one seed, None without any."""
    known = values.dropna()
    return None if known.empty else f"{known.iloc[0]:+.2f} (one seed)" if len(known) == 1 else results.in_words(known)


# --- tables -------------------------------------------------------------------------------------------------------------


def overall(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 3: mean accuracy and Delta_m, the paper's and ours, and images in thousands; in brackets the auxiliary tasks."""
    paper = results.paper_values("cotask/tab3")
    printed = {"single-task": (paper["single"], 0.0), "multi-task": (paper["multi"][0], 100 * paper["multi"][2])}
    printed[f"CO-TASK ({paper_count(rows)})"] = (paper["cotask"][0], 100 * paper["cotask"][2])
    lines = []
    for title, arm in arms(rows).items():
        accuracy, gain = printed.get(title, (np.nan, np.nan))
        own, ours = of_arm(rows, **arm), means(rows, **arm).mean()
        lines.append({
            "method": title, "paper": accuracy, "ours": ours, "difference": ours - accuracy, "Delta_m, paper (%)": gain,
            "Delta_m, ours (%)": delta_m(rows, **arm).mean(), "images (thousands)": round(own.images.median() / 1000),
            "of major tasks": round(own["major images"].median() / 1000), "seeds": own.seed.nunique(),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("method")


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of trainings, paired over seeds, in points, by the statistics that batch normalisation is tested with."""
    multi, single, cotask = ({"method": method} for method in ("multi", "single", "cotask"))
    as_long, mixed, group = {"rule": "as long"}, {"variant": "mixed batches"}, {"variant": "group norm"}
    pairs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "multi-task over single-task": (multi, single),
        "CO-TASK over multi-task": (cotask, multi),
        "CO-TASK over single-task": (cotask, single),
        "CO-TASK over multi-task, equal steps": (cotask | {"rule": "equal"}, multi),
        "CO-TASK over multi-task with as many steps": (cotask, multi | as_long),
        "multi-task with as many steps over multi-task": (multi | as_long, multi),
        "mixed batches: multi-task over single-task": (multi | mixed, single),
        "mixed batches: CO-TASK over multi-task": (cotask | mixed, multi | mixed),
        "group normalisation: multi-task over single-task": (multi | group, single | group),
        "group normalisation: CO-TASK over multi-task": (cotask | group, multi | group),
    }
    kinds = {text: rows.assign(accuracy=rows[column]) for column, text in STATISTICS.items()}
    table = {
        title: {text: _words(100 * (means(kind, **a) - means(kind, **b))) for text, kind in kinds.items()}
        for title, (a, b) in pairs.items()
    }
    return pd.DataFrame.from_dict(table, orient="index").dropna(how="all").rename_axis("difference (points)")


def task_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 4: per method and task the paper's accuracy, ours, and the difference."""
    columns = ("single", "multi", "CO-TASK")
    ours = pd.DataFrame({name: by_task(rows, name.lower().replace("-", "")) for name in columns})
    paper = pd.DataFrame(results.paper_values("cotask/tab4"), index=columns).T.reindex(ours.index)
    parts = {"paper": paper, "ours": ours, "difference": ours - paper}
    table = pd.DataFrame({f"{name}, {whose}": part[name] for name in columns for whose, part in parts.items()})
    return table.rename_axis("task")


def combined_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 5: accuracy of each method alone and with CO-TASK, the paper's beside ours, and the differences in points."""
    lines = [
        {"method": title} | _with_and_without(rows, results.paper_values("cotask/tab5")[line], baseline=baseline)
        for baseline, (title, line) in BASELINES.items()
    ]
    return pd.DataFrame(lines).set_index("method")


def noise_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 6: as `combined_table`, by noise ratio, with single-task learning."""
    lines = []
    for ratio, (single, *pair) in results.paper_values("cotask/tab6").items():
        noise = float(ratio)
        own = {"single, paper": single, "single, ours": means(rows, "single", noise=noise).mean()}
        lines.append({"noise ratio": noise} | own | _with_and_without(rows, pair, noise=noise))
    return pd.DataFrame(lines).set_index("noise ratio")


def _with_and_without(rows: pd.DataFrame, printed: list[float], **options: Any) -> dict[str, Any]:
    count = combined_count(rows)
    ours = [means(rows, "multi", **options).mean(), means(rows, "cotask", count=count, **options).mean()]
    return {
        "alone, paper": printed[0], "alone, ours": ours[0], "with CO-TASK, paper": printed[1], "with CO-TASK, ours": ours[1],
        "difference, paper (points)": 100 * (printed[1] - printed[0]),
        "difference, ours (points)": _words(100 * added(rows, count=count, **options)),
    }  # fmt: skip


def printed_noise() -> pd.DataFrame:
    """The paper's Table 6 as differences in points."""
    noisy = pd.DataFrame(results.paper_values("cotask/tab6"), index=["single", "multi", "CO-TASK"]).T
    minus = {f"CO-TASK minus {other}-task (points)": 100 * (noisy["CO-TASK"] - noisy[other]) for other in ("multi", "single")}
    return pd.DataFrame(minus).rename_axis("noise ratio")


# --- figures ------------------------------------------------------------------------------------------------------------


def counts_of(rows: pd.DataFrame, rule: str = "paper") -> pd.DataFrame:
    """Mean accuracy by a budget rule, seeds by numbers of auxiliary tasks."""
    accuracy = {count: means(rows, "cotask", rule, count=count) for count in counts_in(rows, rule)}
    return pd.DataFrame({0: means(rows, "multi"), **accuracy})


def draw_counts(rows: pd.DataFrame) -> Figure:
    """Figure 5: mean accuracy with its 95% interval against the number of auxiliary tasks, by the paper's steps and equal ones;
    the paper's points that stand in its Tables 3 and 5 hollow."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.8))
    for rule, label, color, marker in (("paper", "the paper's steps", "blue", "o"), ("equal", "equal steps", "vermillion", "s")):
        counts = counts_of(rows, rule)
        if len(counts.columns) > 1:
            plots.band(
                ax, list(counts.columns), *_bounds([x for _, x in counts.items()]), label=label, color=color, marker=marker
            )
    paper, combined = results.paper_values("cotask/tab3"), results.paper_values("cotask/tab5")["Multi-task"]
    accuracy = [paper["multi"][0], combined[1], paper["cotask"][0]]
    ax.plot([0, 40, 50], accuracy, "D", ms=8, mfc="none", mew=1.6, color=plots.COLORS["black"], label="paper, Tables 3 and 5")
    ax.set(xlabel="number of auxiliary tasks", ylabel="mean accuracy")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def _bounds(values: list[pd.Series]) -> list[tuple[float, ...]]:
    """Means, lower and upper ends of intervals; of one seed the mean alone."""
    found = [results.interval(x.dropna().to_numpy()) for x in values]
    return list(zip(*((m, *((low, high) if np.isfinite(low) else (m, m))) for m, low, high in found), strict=True))


def draw_budgets(rows: pd.DataFrame) -> Figure:
    """Mean accuracy with its 95% interval against the images trained on, of all tasks and of the major ones; the paper's three
    points hollow."""
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.8), sharey=True)
    paper = results.paper_values("cotask/tab3")
    printed = {"single": paper["single"], "multi": paper["multi"][0], "cotask": paper["cotask"][0]}
    usual = {title: arm for title, arm in arms(rows).items() if arm.get("variant", "double") == "double"}
    for place, (ax, column) in enumerate(zip(axes, ("images", "major images"), strict=True)):
        for method, (label, color, marker) in _LOOKS.items():
            own = [arm for arm in usual.values() if arm["method"] == method]
            x = np.array([of_arm(rows, **arm)[column].median() for arm in own])
            mean, low, high = (np.array(part) for part in _bounds([means(rows, **arm) for arm in own]))
            ax.errorbar(x, mean, [mean - low, high - mean], fmt=marker, ms=7, capsize=3, color=plots.COLORS[color], label=label)
            ax.plot(_PAPER_IMAGES[method][place], printed[method], marker, ms=9, mfc="none", mew=1.6, color=plots.COLORS[color])
        ax.set(xscale="log", xlabel=f"millions of images, {'all' if place == 0 else 'major'} tasks")
        ax.xaxis.set(major_locator=LogLocator(subs=(1, 3)), minor_locator=NullLocator())
        ax.xaxis.set_major_formatter(lambda images, _: f"{images / 1e6:g}")
    axes[0].set(ylabel="mean accuracy")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


# --- what it shows ------------------------------------------------------------------------------------------------------


def findings(rows: pd.DataFrame) -> str:
    """In words, with the numbers of these rows."""
    paper = results.paper_values("cotask/tab3")
    level = {method: means(rows, method).mean() for method in ("single", "multi", "cotask")}
    own = rows.assign(accuracy=rows.own)

    def gap(kind: pd.DataFrame, one: dict[str, Any], other: dict[str, Any]) -> str | None:
        return _words(100 * (means(kind, **one) - means(kind, **other)))

    multi, single, cotask = ({"method": method} for method in ("multi", "single", "cotask"))
    text = (
        f"Mean accuracy is {level['single']:.3f} by single-task learning, {level['multi']:.3f} by multi-task learning and "
        f"{level['cotask']:.3f} with {paper_count(rows)} auxiliary tasks (paper: {paper['single']:.3f}, {paper['multi'][0]:.3f}, "
        f"{paper['cotask'][0]:.3f}). CO-TASK lies {gap(rows, cotask, multi)} points from multi-task learning, which lies "
        f"{gap(rows, multi, single)} points from single-task learning, and {gap(own, multi, single)} where every task is tested "
        "with batch statistics of its own images."
    )
    equal = gap(rows, cotask | {"rule": "equal"}, multi)
    if equal is not None:
        text += f" With as many steps in all as multi-task learning CO-TASK lies {equal} points from it."
    as_long = means(rows, "cotask") - means(rows, "multi", "as long")
    words = _words(100 * as_long)
    if words is not None:
        text += f" Beside multi-task learning with as many steps as CO-TASK it lies at {words} points."
        if results.interval(as_long.dropna().to_numpy())[2] < 0:
            text += " At this budget it is the steps that pay, not the merged tasks."
    return text


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
    single, multi, cotask = (means(rows, method) for method in ("single", "multi", "cotask"))
    gain = {method: delta_m(rows, method) for method in ("multi", "cotask")}
    return _values({
        "cotask-over-multi": cotask - multi,
        "delta-m-over-multi": gain["cotask"] - gain["multi"],
        "multi-over-single": multi - single,
        "doubled": gain["cotask"] - 2 * gain["multi"].clip(lower=0),
        "cotask-over-single": cotask - single,
        "mixed-batches-over-one-task": means(rows, "multi", variant="mixed batches") - multi,
    })  # fmt: skip


def _level(rows: pd.DataFrame, least: dict[str, tuple[float, dict[str, Any]]], cost: str) -> Gate:
    """The gate baseline-level. least: what -> (the least mean accuracy, arm)."""
    parts = [Gate.within(what, own.mean(), least=level) for what, (level, arm) in least.items() if len(own := means(rows, **arm))]
    if len(parts) < len(least):
        return gates.not_recorded("baseline-level", cost)
    return Gate.every("baseline-level", parts, cost)


def _level3(rows: pd.DataFrame, cost: str) -> Gate:
    return _level(rows, {"single-task": (0.58, {"method": "single"}), "multi-task": (0.6, {"method": "multi"})}, cost)


def _converged(rows: pd.DataFrame, cost: str) -> Gate:
    """Order of the three arms of Table 3 and their mean accuracies where the epochs double, on the seeds that were doubled."""
    arm = {method: (means(rows, method), means(rows, method, variant="double")) for method in ("single", "multi", "cotask")}
    if any(twice.empty for _, twice in arm.values()):
        return gates.not_recorded("converged", cost)
    once, twice = ({method: float(pair[i].loc[pair[1].index].mean()) for method, pair in arm.items()} for i in (0, 1))
    kept = sorted(once, key=once.__getitem__) == sorted(twice, key=twice.__getitem__)
    most = max(abs(twice[method] - once[method]) for method in once)
    parts = [Gate("order kept", kept, "yes" if kept else "no"), Gate.within("largest move", most, most=0.01)]
    return Gate.every("converged", parts, cost)


def _grid(rows: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy on the grid that each method is tuned on: columns method, rate, decay, validation."""
    return rows[rows["variant"] == "grid"].reindex(columns=["method", "rate", "decay", "validation"])


def grid_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean validation accuracy by learning rate and weight decay, a column per method."""
    grid = _grid(rows).drop_duplicates()
    table = grid.pivot(index=["rate", "decay"], columns="method", values="validation").reindex(columns=list(_LOOKS))
    table = table.rename(columns={method: looks[0] for method, looks in _LOOKS.items()}).rename_axis(columns=None)
    return table.rename_axis(["learning rate", "weight decay"])


def _grid_interior(rows: pd.DataFrame) -> Gate:
    """Whether the rate and the decay that each method's trainings have lie inside those that were tried for it."""
    grid, parts = _grid(rows), []
    for method, (title, _, _) in _LOOKS.items():
        used = of_arm(rows, method)
        for name, point in (("rate", "learning rate"), ("decay", "weight decay")):
            tried = sorted(grid[grid.method == method][name].unique())
            if len(tried) < 3 or used.empty:
                return gates.not_recorded("grid-interior", _GRID, "one rate and decay, the paper's, for all arms")
            value = float(used[name].iloc[0])
            parts.append(Gate(f"{point}, {title}", tried[0] < value < tried[-1], f"{value:g} of {tried[0]:g} to {tried[-1]:g}"))
    return Gate.every("grid-interior", parts, "a wider grid for the points at an edge")


def _control(rows: pd.DataFrame) -> Gate:
    gain = (means(rows, "multi") - means(rows, "multi", variant="half")).dropna()
    if gain.empty:
        return gates.not_recorded("control", _learned(0.5))
    mean, low, _ = results.interval(gain.to_numpy())
    parts = [Gate.within("all images over half of them", mean, least=0.0226), Gate.within("lower bound", low, least=1e-9)]
    return Gate.every("control", parts, _learned(1.5))


def _gates3(rows: pd.DataFrame) -> list[Gate]:
    return [
        _level3(rows, _learned(_THREE)),
        _converged(rows, _learned(2 * _THREE, seeds=1) + ", with twice the epochs; then as long as it moves"),
        _grid_interior(rows),
        gates.precision({"CO-TASK minus multi-task": (added(rows), 0.005)}, "more seeds of both arms"),
        _control(rows),
    ]


def best_on_most(rows: pd.DataFrame) -> list[float]:
    """Share of the tasks on which CO-TASK is the best of three, ties shared, minus one half; per seed."""
    three = [by_seed_and_task(rows, method) for method in ("single", "multi", "cotask")]
    seeds = three[0].index.intersection(three[1].index).intersection(three[2].index)
    three = [accuracy.loc[seeds] for accuracy in three]
    best = pd.concat(three).groupby("seed").max()
    ties = sum((accuracy == best).astype(int) for accuracy in three)
    shares = ((three[-1] == best) / ties).mean(axis=1) - 0.5
    return [float(share) for share in shares]


def _gates4(rows: pd.DataFrame, shared: list[Gate]) -> list[Gate]:
    return [
        gates.of_other("tab3", shared, ("baseline-level", "converged", "grid-interior", "control")),
        Gate.within("test-size", float(rows.tested.min()), least=500, cost="CIFAR-100 itself"),
    ]


def _effects5(rows: pd.DataFrame) -> dict[str, list[float]]:
    count = combined_count(rows)
    alone = {b: means(rows, "multi", baseline=b) for b in BASELINES}
    joined = {b: means(rows, "cotask", baseline=b, count=count) for b in BASELINES}
    effects = {f"adds-to-{b}": joined[b] - alone[b] for b in BASELINES}
    effects |= {f"{b}-boosts-cotask": joined[b] - joined["multi"] for b in ("dwa", "trl")}
    if not any(alone[b].empty for b in ("dwa", "dtp", "trl")):
        best = max((alone[b] for b in ("dwa", "dtp", "trl")), key=pd.Series.mean)
        effects["larger-than-other-methods"] = joined["multi"] - best
    return _values(effects)


def _gates5(rows: pd.DataFrame, shared: list[Gate]) -> list[Gate]:
    least = {"multi": 0.6, "dwa": 0.6, "trl": 0.6, "dtp": 0.58}
    effects = {BASELINES[b][0]: (added(rows, baseline=b), 0.005) for b in ("dwa", "dtp", "trl")}
    eight = _learned(4 * (1 + 3))  # with 40 auxiliary tasks an epoch is three times as long
    return [
        _level(rows, {BASELINES[b][0]: (x, {"method": "multi", "baseline": b}) for b, x in least.items()}, eight),
        _weights_move(rows),
        gates.not_recorded("converged", _learned(2 * 3 * (1 + 3), seeds=1) + ", with twice the epochs"),
        gates.not_recorded("grid-interior", _GRID, "one rate, the paper's gamma and share of units"),
        gates.precision(effects, "more seeds of six arms"),
        next(gate for gate in shared if gate.name == "control"),
    ]


def _weights_move(rows: pd.DataFrame) -> Gate:
    own = {BASELINES[b][0]: of_arm(rows, "multi", baseline=b) for b in ("dwa", "dtp")}
    if any(arm.empty for arm in own.values()):
        return gates.not_recorded("weights-move", _learned(2))
    parts = []
    for title, arm in own.items():
        parts.append(Gate.within(f"{title}: share of updates that change a weight", arm.moved.mean(), least=0.5))
        parts.append(Gate.within(f"{title}: largest over smallest weight", arm.spread.mean(), least=1.01))
    return Gate.every("weights-move", parts, "more epochs: DWA waits for two of them")


def _effects6(rows: pd.DataFrame) -> dict[str, list[float]]:
    gain = pd.DataFrame({z: added(rows, noise=z, count=combined_count(rows)) for z in noises(rows)})
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
    parts = [Gate.within(what, results.interval(x.dropna().to_numpy())[2], most=-1e-9) for what, x in bounds.items()]
    five, chance = _learned(5 * (1 + _SINGLE + 3)), gates.not_recorded("above-chance", _learned(1))
    if 0.7 in multi:
        mean, low, _ = results.interval(multi[0.7].to_numpy())
        least = [Gate.within("accuracy at 0.7", mean, least=0.22), Gate.within("lower bound", low, least=0.2)]
        chance = Gate.every("above-chance", least, _learned(1))
    return [
        _level3(rows, five),
        Gate.every("noise-hurts", parts, "more seeds") if parts else gates.not_recorded("noise-hurts", five),
        chance,
        gates.not_recorded("converged", _learned(2 * 5 * (1 + 3), seeds=1) + ", with twice the epochs"),
        gates.not_recorded("grid-interior", _GRID, "one rate and decay for both arms"),
        next(gate for gate in shared if gate.name == "control"),
    ]


def _effects_of_counts(rows: pd.DataFrame) -> dict[str, list[float]]:
    counts = counts_of(rows)
    effects = {}
    if _PAPER_COUNT in counts:
        effects["rises-with-count"] = counts[50] - counts[0]
    if set(counts) >= {10, 20, 30, 40, 50}:
        five = counts[[10, 20, 30, 40, 50]].dropna()
        effects["more-is-better"] = five.apply(lambda line: 10 * np.polyfit(five.columns, line, 1)[0], axis=1)
    if set(counts) >= {50, 100}:
        effects["flattens"] = (counts[100] - counts[50]) / 5 - (counts[50] - counts[0]) / 5
    if set(counts) >= {40, 50}:
        effects["last-ten"] = counts[50] - counts[40]
    return _values(effects)


def _gates_of_counts(rows: pd.DataFrame, shared: list[Gate]) -> list[Gate]:
    counts = counts_of(rows)
    here = [int(str(count)) for count in counts]
    missing = [str(n) for n in (0, 10, 20, 30, 40, 50) if n not in here] + (["100 or more"] if max(here) < 100 else [])
    rise = counts[50] - counts[0] if 50 in counts else pd.Series(dtype=float)
    return [
        gates.of_other("tab3", shared, ("baseline-level", "grid-interior", "control")),
        Gate(
            "range", not missing, f"missing: {', '.join(missing)}" if missing else "complete",
            cost=_learned(1.5 + 2 + 2.5 + 3 + 6),
        ),
        _draws(rows, here),
        gates.not_recorded("converged", _learned(2 * (1 + _COTASK + 6), seeds=1) + ", with twice the epochs"),
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
