"""Table 1, Figures 10 and 11: figures, tables and what the rows of `tab1_fig10_fig11_capacity` say of the claims."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import sem

from mtlrepro import plots
from mtlrepro.papers.transfer.capacity_choice import NETWORK, chance, chosen, curve, log_ratios, resampled, single_sum
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.papers.transfer.interval_marks import interval_marks, paper_marks
from mtlrepro.results import Gate, Measured, in_words, interval, paper_values, summary

TASKS = list(TITLES)
ENCODERS = {"mlp": "MLP", "cnn": "CNN", "lstm": "LSTM"}
# The largest capacity that the paper tried.
_LARGEST = 500
_LEAK = {False: "without the leak", True: "with the leak"}
_NETWORKS = {"sst": ("SST", "blue"), "mr": ("MR", "green"), "all": ("MTL, both", "vermillion")}


def searched(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the search for the capacity."""
    rows = rows if "encoder" in rows else rows.assign(encoder="lstm")
    return rows[rows.stage == "capacity"]


class Printed(NamedTuple):
    """A line of Table 1 as printed."""

    capacity: int
    single: float
    multi: float


def _paper() -> dict[str, Printed]:
    """Task, or "overall" -> its line of Table 1."""
    values = paper_values("transfer/tab1")
    titles = TITLES | {"overall": "overall"}
    single, multi = values["STL"], values["MTL"]
    return {key: Printed(single[title][0], single[title][1], multi[title]) for key, title in titles.items()}


def _share_below_cap(rows: pd.DataFrame) -> float:
    """Share of the trainings (percent) whose best epoch comes before the last one allowed."""
    runs = rows.drop_duplicates([*NETWORK, "capacity", "seed"])
    return 100 * float((runs.best_epoch < runs.epochs).mean())


def _grid_can_refute(search: pd.DataFrame) -> Gate:
    needed, largest = single_sum(chosen(search)["lstm"]), _grids(search)[1][-1]
    cost = "about 3 core hours: the shared network at 1,600 units, two seeds"
    return Gate("grid-can-refute", largest >= needed, f"up to {largest}, the sum is {needed}", cost=cost)


# --- Table 1 ----------------------------------------------------------------------------------------------------------


def trained_with(rows: pd.DataFrame) -> list[bool]:
    """Which of leak-free (False) and leaky (True) training the final rows hold."""
    return sorted(rows[rows.stage == "final"].leak.astype(bool).unique())


def test_accuracy(rows: pd.DataFrame, leak: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test accuracy at the chosen capacities, seeds x tasks: of the shared network, and of the six."""
    final = rows[(rows.stage == "final") & (rows.leak == leak)]
    shared = final.trained_on == "all"
    multi, single = (final[which].pivot_table(index="seed", columns="task", values="test")[TASKS] for which in (shared, ~shared))
    return multi, single


def _gains(rows: pd.DataFrame, leak: bool) -> pd.DataFrame:
    """Test accuracy at the chosen capacities, the shared network's minus that of the six, seeds x tasks."""
    multi, single = test_accuracy(rows, leak)
    return multi - single


def _owed(rows: pd.DataFrame) -> pd.DataFrame | None:
    """What the leak adds to the gains, seeds x tasks, of the seeds that trained both ways; None where none did."""
    return (_gains(rows, True) - _gains(rows, False)).dropna() if len(trained_with(rows)) == 2 else None


def measured_tab1(rows: pd.DataFrame) -> Measured:
    """The accuracies as the paper trains, on plain random splits, so with the leak, where such rows were recorded."""
    search, leak = searched(rows), trained_with(rows)[-1]
    shared = _grids(search)[1]
    best = int(chosen(search)["lstm"]["all"])
    effects = {"capacity-far-below-sum": log_ratios(search)["lstm"]}
    if shared[-1] >= _LARGEST:
        each = [chosen(of)["lstm"]["all"] for _, of in search.groupby("seed")]
        effects["peak-at-100"] = [math.log2(_LARGEST / size) for size in each]
    if leak:
        effects["overall-accuracy"] = _gains(rows, leak).mean(axis=1).tolist()
    level = float(test_accuracy(rows, leak)[1].to_numpy().mean())
    below = Gate.within("best epoch below the cap, % of runs", _share_below_cap(search), least=95)
    gates = [
        _grid_can_refute(search),
        Gate("grid-interior", shared[0] < best < shared[-1], f"{best} of {shared[0]} to {shared[-1]}", cost="as grid-can-refute"),
        Gate.within("baseline-level", level, least=80, cost="about 3 core hours: all sentences"),
        Gate.every("converged", [below, _doubled(rows)], cost="about 2 core hours: every run with twice the epochs"),
        _peak_resolved(search, best),
    ]
    return Measured(effects, gates=gates)


def _grids(search: pd.DataFrame) -> tuple[list[int], list[int]]:
    """The capacities that single-task networks and the shared one were tried at, in order."""
    shared = search.trained_on == "all"
    single, both = (sorted(search[which].capacity.astype(int).unique().tolist()) for which in (~shared, shared))
    return single, both


def _doubled(rows: pd.DataFrame) -> Gate:
    """Where early stopping ends every training before the last epoch allowed, twice the epochs are the same training."""
    stopped = 100 * float((rows.trained_epochs < rows.epochs).mean())
    return Gate("epochs doubled", stopped == 100, f"{stopped:.1f}% of trainings stopped before the last epoch allowed")


def _peak_resolved(search: pd.DataFrame, best: int) -> Gate:
    """The shared network's accuracy at the best capacity less that of the better neighbour, in standard errors."""
    shared = curve(search, "lstm", "all")
    place = list(shared).index(best)
    beside = [shared[best] - shared[size] for size in list(shared)[max(0, place - 1) : place + 2] if size != best]
    least = min(float(gain.mean()) / max(float(sem(gain)), 1e-9) for gain in beside)
    return Gate.within("peak-resolved", least, least=1, cost="about one core hour for two more seeds of the search")


def table_1(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's table beside ours, of the paper's kind of training where it was recorded."""
    best = chosen(searched(rows))["lstm"]
    multi, single = test_accuracy(rows, trained_with(rows)[-1])
    lines: dict[str, dict[str, Any]] = {}
    for key, paper in _paper().items():
        column = TASKS if key == "overall" else [key]
        lines[TITLES.get(key, key)] = {
            "STL capacity, paper": paper.capacity,
            "STL capacity, ours": sum(best[task] for task in column),
            "STL, paper": paper.single,
            "STL, ours": single[column].to_numpy().mean(),
            "MTL, paper": paper.multi,
            "MTL, ours": multi[column].to_numpy().mean(),
            "difference MTL - STL, paper": paper.multi - paper.single,
            "difference MTL - STL, ours": in_words((multi - single)[column].mean(axis=1), 1),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("task")


def leak_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy of the shared network and of the six, and MTL minus STL, on each task's test part: the paper's, ours with
    (where it was trained) and without sentences shared by training and test, and what of the gain is left without them."""
    paper, columns = _paper(), {task: [task] for task in TASKS} | {"overall": TASKS}
    lines: dict[str, dict[str, Any]] = {}
    for key in columns:
        printed = paper[key]
        lines[key] = {
            "STL, paper": printed.single,
            "MTL, paper": printed.multi,
            "MTL - STL, paper": printed.multi - printed.single,
        }
    for leak in reversed(trained_with(rows)):
        multi, single = test_accuracy(rows, leak)
        for key, column in columns.items():
            lines[key][f"STL, {_LEAK[leak]}"] = single[column].to_numpy().mean()
            lines[key][f"MTL, {_LEAK[leak]}"] = multi[column].to_numpy().mean()
            lines[key][f"MTL - STL, {_LEAK[leak]}"] = in_words((multi - single)[column].mean(axis=1), 1)
    if (owed := _owed(rows)) is not None:
        for key, column in columns.items():
            lines[key]["gain owed to the leak"] = in_words(owed[column].mean(axis=1), 1)
    lines = {TITLES.get(key, key): line for key, line in lines.items()}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("task")


def leak_findings(rows: pd.DataFrame) -> str:
    """How much of the gain is left without the leak, and which tasks owe it theirs, in words; "" without rows with the leak."""
    if (owed := _owed(rows)) is None:
        return ""
    without, leaky, lost = (in_words(of.mean(axis=1), 1) for of in (_gains(rows, False), _gains(rows, True), owed))
    clear = [task for task in TASKS if interval(owed[task].to_numpy())[1] > 0]
    most = ", ".join(f"{TITLES[task]} {in_words(owed[task], 1)}" for task in clear)
    shared = test_accuracy(rows, True)[0].mean()
    return (
        f"Shared minus single is {without} points without the leak and {leaky} with it. The difference, {lost}, is owed to test "
        f"sentences that another task's training part holds{f'; it is clear of zero for {most}' if most else ''}. With the leak "
        f"the shared network has {shared['mr']:.1f} on MR, where the paper prints {_paper()['mr'].multi:.1f}, and "
        f"{shared['sst']:.1f} on SST ({_paper()['sst'].multi:.1f})."
    )


def printed_overall() -> pd.DataFrame:
    """The paper's row "Overall" beside the mean of the column above it."""
    paper = _paper()
    lines = {
        name: {
            "printed": getattr(paper["overall"], kind),
            "mean of the column": np.mean([getattr(paper[t], kind) for t in TASKS]),
        }
        for name, kind in (("STL", "single"), ("MTL", "multi"))
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("accuracy")


def figure_tab1(rows: pd.DataFrame) -> Figure:
    """Mean validation accuracy against capacity, and the gain of the shared network on each task's test part."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.6), width_ratios=(1, 1.15))
    search, paper = searched(rows), _paper()
    kinds = search.assign(network=np.where(search.trained_on == "all", "one shared network", "six networks"))
    means = kinds.groupby(["network", "capacity", "seed"]).valid.mean().reset_index()
    for (network, of), color in zip(means.groupby("network"), ("vermillion", "blue"), strict=True):
        line = summary(of, "capacity", "valid")
        low, high = (line[end].where(np.isfinite(line[end]), line["mean"]) for end in ("low", "high"))
        plots.band(left, line.capacity, line["mean"], low, high, label=str(network), color=color)
    plots.log_sizes(left, sorted(search.capacity.unique()), "capacity (LSTM output dimension)")
    paper_marks(left, [paper_values("transfer/tab1")["MTL"]["capacity"]], [paper["overall"].multi], "paper, shared (test)")
    left.set_ylabel("mean validation accuracy (%)")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=1)
    places = np.arange(len(TASKS))
    for leak in trained_with(rows):
        shift, marker, color = (0.2, "s", "orange") if leak else (-0.2, "o", "green")
        interval_marks(
            right, places + shift, list(_gains(rows, leak).to_numpy().T), color=color, marker=marker, label=_LEAK[leak]
        )
    paper_marks(right, places, [paper[task].multi - paper[task].single for task in TASKS])
    plots.zero_line(right)
    right.set_xticks(places, list(TITLES.values()), rotation=45)
    right.set_ylabel("MTL - STL, test (points)")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=1)
    return figure


def findings_tab1(rows: pd.DataFrame) -> str:
    """Which training is shown, the shared network's capacity, and the mean gain, in words."""
    leak, best, paper = trained_with(rows)[-1], chosen(searched(rows))["lstm"], paper_values("transfer/tab1")
    training = "on plain random splits, as in the paper" if leak else "without any sentence that another task's test part holds"
    grid, shared = _grids(searched(rows))
    odds = chance(grid, len(TASKS), shared)
    return (
        f"Trained {training}. The shared network's best capacity is {best['all']} (paper: {paper['MTL']['capacity']}), the six "
        f"single ones add up to {single_sum(best)} (paper: {paper['STL']['overall'][0]}). Mean test accuracy, shared minus "
        f"single: {in_words(_gains(rows, leak).mean(axis=1), 1)} points. Capacities drawn at random from the same grids would "
        f"satisfy the first claim with probability {odds:.4f}: one choice is compared with a sum of six."
    )


# --- Figure 10 --------------------------------------------------------------------------------------------------------


def measured_fig10(rows: pd.DataFrame) -> Measured:
    """The capacity is chosen on the mean validation accuracy over seeds; what it gains is read on test, seed by seed."""
    search = searched(rows)
    best, shared = chosen(search)["lstm"], curve(search, "lstm", "all", "test")
    effects = {"peak-below-sum": log_ratios(search)["lstm"]}
    if _LARGEST in shared:
        effects["interior-peak"] = list(shared[best["all"]] - shared[_LARGEST])
    level = np.mean([curve(search, "lstm", task, "test")[best[task]].mean() for task in TASKS])
    gates = [
        _grid_can_refute(search),
        _converged_everywhere(search, "about 2 core hours: every run with twice the epochs"),
        Gate("rate-per-capacity", False, "one rate for all capacities", cost="about 2 core hours: every rate at every capacity"),
        Gate.within("baseline-level", float(level), least=80, cost="about 1 core hour: all sentences"),
    ]
    return Measured(effects, gates=gates)


def _converged_everywhere(search: pd.DataFrame, cost: str) -> Gate:
    """The least share, over capacities, of trainings whose best epoch comes before the last one allowed."""
    worst = min(_share_below_cap(of) for _, of in search.groupby("capacity"))
    return Gate.within("converged", worst, least=95, cost=cost)


def _draw_curve(axis: Axes, curve: Mapping[int, NDArray[np.float64]], color: str, label: str = "") -> None:
    """Mean over seeds as a line, its best capacity as a star, each seed as a dot."""
    means = {size: float(values.mean()) for size, values in curve.items()}
    best = max(means, key=lambda size: means[size])
    axis.plot(list(means), list(means.values()), color=plots.COLORS[color], label=label)
    for size, values in curve.items():
        axis.plot([size] * len(values), values, ".", color=plots.COLORS[color], alpha=0.6)
    axis.plot(best, means[best], "*", markersize=12, color=plots.COLORS[color])
    plots.log_sizes(axis, list(curve), "capacity")


def figure_10(rows: pd.DataFrame) -> Figure:
    """Validation accuracy against capacity: a panel per network."""
    figure, axes = plt.subplots(2, 4, figsize=(plots.WIDTH, 4.4), sharex=True)
    search, paper = searched(rows), _paper()
    for axis, (network, title) in zip(axes.flat, [*TITLES.items(), ("all", "MTL, all six")], strict=False):
        _draw_curve(axis, curve(search, "lstm", network), "vermillion" if network == "all" else "blue")
        if network == "all":
            paper_marks(axis, [paper_values("transfer/tab1")["MTL"]["capacity"]], [paper["overall"].multi])
        else:
            paper_marks(axis, [paper[network].capacity], [paper[network].single])
        axis.set_title(title)
        axis.tick_params(axis="x", labelrotation=60, labelbottom=True)
        axis.set_xlabel("")
    axes.flat[-1].axis("off")
    figure.supxlabel("capacity (LSTM output dimension)")
    figure.supylabel("validation accuracy (%)")
    return figure


def table_10(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean validation accuracy by network and capacity, and the best capacity, the paper's and ours."""
    search, paper = searched(rows), _paper()
    best, shared = chosen(search)["lstm"], paper_values("transfer/tab1")["MTL"]["capacity"]
    lines = {
        title: {str(size): values.mean() for size, values in curve(search, "lstm", network).items()}
        | {"best, paper": shared if network == "all" else paper[network].capacity, "best, ours": int(best[network])}
        for network, title in [*TITLES.items(), ("all", "MTL, all six")]
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("network")


# --- Figure 11 --------------------------------------------------------------------------------------------------------


def measured_fig11(rows: pd.DataFrame) -> Measured:
    """One value per seed and encoder, each seed's capacities chosen by itself."""
    search = searched(rows)
    ratios, best = log_ratios(search), chosen(search)
    levels = [
        Gate.within(
            f"{ENCODERS[encoder]} on {TITLES[task]}",
            float(curve(search, encoder, task, "test")[best[encoder][task]].mean()),
            least=least,
        )
        for encoder in ratios
        for task, least in (("sst", 78), ("mr", 73))
    ]
    single, shared = _grids(search)
    # Apart, since the shared network alone tries the larger capacities.
    drawn = pd.concat([resampled(of) for _, of in search.groupby(search.trained_on == "all")], axis=1)
    span = np.log2(drawn.quantile(0.975) / drawn.quantile(0.025)).max()
    whole = "rows" not in rows or bool(rows["rows"].isna().all())
    cost = "about a core hour: the full profile"
    gates = [
        Gate.within("grid-can-refute", shared[-1] / single[-1], least=2, cost=cost),
        Gate("whole-sets", whole, f"{int(search.train_sentences.max())} training sentences a task", cost=cost),
        Gate.every("baseline-level", levels, cost=cost),
        _converged_everywhere(search, "about a core hour: twice the epochs"),
        Gate.within("enough-seeds", float(span), most=2, cost="about 10 core minutes per seed"),
    ]
    return Measured(ratios, gates=gates)


def figure_11(rows: pd.DataFrame) -> Figure:
    """Validation accuracy against capacity: a panel per encoder."""
    search, paper = searched(rows), _paper()
    shown = [encoder for encoder in ENCODERS if encoder in set(search.encoder)]
    figure, axes = plt.subplots(1, len(shown), figsize=(plots.WIDTH, 3.2), sharey=True, squeeze=False)
    for axis, encoder in zip(axes[0], shown, strict=True):
        for network, (label, color) in _NETWORKS.items():
            _draw_curve(axis, curve(search, encoder, network), color, label)
        if encoder == "lstm":
            both = [paper[task] for task in ("sst", "mr")]
            paper_marks(axis, [line.capacity for line in both], [line.single for line in both], "paper, SST and MR alone (test)")
        axis.set_title(ENCODERS[encoder])
    axes[0, 0].set_ylabel("validation accuracy (%)")
    figure.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside upper center", ncol=2)
    return figure


def table_11(rows: pd.DataFrame) -> pd.DataFrame:
    """The best capacities of each encoder, and what the next smaller and the next larger shared one cost."""
    search, lines = searched(rows), {}
    for encoder, best in chosen(search).items():
        shared = {size: float(values.mean()) for size, values in curve(search, encoder, "all").items()}
        sizes, top = list(shared), int(best["all"])
        place = sizes.index(top)
        lines[ENCODERS[encoder]] = {
            "SST alone": int(best["sst"]),
            "MR alone": int(best["mr"]),
            "sum": single_sum(best),
            "both together": top,
            "next smaller costs (points)": shared[top] - shared[sizes[place - 1]] if place else None,
            "next larger costs (points)": shared[top] - shared[sizes[place + 1]] if place + 1 < len(sizes) else None,
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("best capacity of")


def findings_fig11(rows: pd.DataFrame) -> str:
    """How much the claim says by chance."""
    grid, shared = _grids(searched(rows))
    odds = chance(grid, 2, shared)
    return f"If the three capacities were drawn at random from the grid, the claim would hold with probability {odds:.2f}."
