"""Tables 1 to 4 and Figure 5 of the HydaLearn paper from the rows of `tab1_tab2_real_data`: tables, figures, claims and gates.

Table 1 and its ablations, Table 4, are of mortality; Table 2, its ablations, Table 3, and Figure 5 of mortgages.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.gates import grid_interior, kept_early, same_heads
from mtlrepro.papers.hydalearn.tab1_tab2_real_data import ABLATIONS, MOST_EVENTS
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES

# The paper's names of what it compares -> methods.
PAPERS = {
    "HydaLearn": "hydalearn",
    "Gcosim": "cosine",
    "OL-AUX": "olaux",
    "GradNorm": "gradnorm",
    "Static": "static",
    "STL": "stl",
}
ADAPTIVE = ("cosine", "olaux", "gradnorm")
FOLLOWED = {"hydalearn": "vermillion", "olaux": "blue", "static": "black", "gradnorm": "green"}
VARIANTS = {method for method, _ in ABLATIONS.values()} - {"hydalearn"}
PRINTED = UPDATES[0]
LONGER = {
    "tab1": "about 5 core hours: twice the updates on every seed, rates from 0.001",
    "tab2": "about 1.5 core hours: 10,000 updates, and twice as many on every seed",
}
PLANTED = "data on which a noisy copy of the main task's logit helps more, beside 10 core minutes for the control itself"
SHUFFLED = "about half a core hour: HydaLearn with shuffled labels of default"
# What planted labels must gain, and what twice the updates may change.
LINES = {"tab1": (0.006, 0.002), "tab2": (0.010, 0.003)}
BASELINES = {"logistic": "logistic regression", "boosting": "gradient boosting"}


def title(method: str) -> str:
    """For readers."""
    return METHODS[method].title if method in METHODS else BASELINES[method]


def scores(rows: pd.DataFrame, update: str = PRINTED, value: str = "test", measured_on: str = "validation") -> pd.DataFrame:
    """`value` by seed (rows) and method (columns) at one update; what has no auxiliary gradient stands at both."""
    if "measured_on" not in rows or value not in rows:
        return pd.DataFrame()
    here = rows[(rows.kind == "seed") & (rows.measured_on == measured_on)]
    here = here[(here["update"] == update) | here.method.isin(["stl", *BASELINES])]
    return here.pivot(index="seed", columns="method", values=value)


def ablations(rows: pd.DataFrame, update: str = PRINTED, value: str = "test") -> pd.DataFrame:
    """`value` by seed (rows) and ablation (columns), those that are there."""
    by_part = {part: scores(rows, update, value, part) for part in ("validation", "training")}
    return pd.DataFrame({name: by_part[part][method] for name, (method, part) in ABLATIONS.items() if method in by_part[part]})


# ---------------------------------------------------------------------------------------------------------------------
# Tables 1 and 2
# ---------------------------------------------------------------------------------------------------------------------


def auroc_table(rows: pd.DataFrame, exhibit: str, update: str = PRINTED) -> pd.DataFrame:
    """A line per method: AUROC and its deviation over seeds in the paper and here, and HydaLearn minus the method in both."""
    printed = {PAPERS[name]: values for name, values in results.paper_values(exhibit).items()}
    test = scores(rows, update)
    lines = []
    for name in [name for name in (*METHODS, *BASELINES) if name in test and name not in VARIANTS]:
        (paper, deviation), best = printed.get(name, (np.nan, np.nan)), printed["hydalearn"][0]
        mean, low, high = _interval(test, "hydalearn", name)
        line = {"method": title(name), "paper": paper, "ours": test[name].mean(), "difference": test[name].mean() - paper}
        line |= {"deviation, paper": deviation, "deviation, ours": test[name].std()}
        if name != "hydalearn":
            line |= {
                "HydaLearn minus it, paper": best - paper,
                "HydaLearn minus it, ours": mean,
                "95% interval": _range(low, high),
            }
        lines.append(line)
    return pd.DataFrame(lines)


def _interval(table: pd.DataFrame, one: str, other: str) -> tuple[float, float, float]:
    """Mean and 95% interval of the paired difference of two columns; NaN where one is missing."""
    if not {one, other} <= set(table):
        return np.nan, np.nan, np.nan
    return results.interval((table[one] - table[other]).to_numpy())


def _range(low: float, high: float) -> str | None:
    return f"[{low:+.3f}, {high:+.3f}]" if np.isfinite(low) and np.isfinite(high) else None


def draw_differences(rows: pd.DataFrame, exhibit: str) -> Figure:
    """HydaLearn minus every other method in test AUROC, paired over seeds, with 95% intervals; hollow: the paper's."""
    printed = {PAPERS[name]: values[0] for name, values in results.paper_values(exhibit).items()}
    names = [name for name in (*BASELINES, *reversed(METHODS)) if name in scores(rows) and name not in {"hydalearn"} | VARIANTS]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 0.36 * len(names) + 1.7))
    for update, offset, color, marker in ((PRINTED, 0.16, "vermillion", "o"), (UPDATES[1], -0.16, "blue", "s")):
        test = scores(rows, update)
        if "hydalearn" not in test:
            continue
        for y, name in enumerate(names):
            mean, low, high = _interval(test, "hydalearn", name)
            label = f"ours, update {update}" if y == 0 else None
            ax.errorbar(
                mean,
                y + offset,
                xerr=[[mean - low], [high - mean]],
                color=plots.COLORS[color],
                fmt=marker,
                markersize=5,
                label=label,
            )
    for y, name in enumerate(names):
        if name in printed:
            label = "the paper's" if name == "stl" else None
            ax.plot(
                printed["hydalearn"] - printed[name], y, "D", color=plots.COLORS["black"], markerfacecolor="none", label=label
            )
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.9)
    ax.set_yticks(range(len(names)), [title(name) for name in names])
    ax.set_xlabel("test AUROC, HydaLearn minus the method")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def choices(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per method and update: means over seeds of what was chosen on validation, of the weights, of the excess over test.

    lowest rate, highest rate: shares of the seeds that chose an end of the grid.
    """
    here = rows[(rows.kind == "seed") & rows["rate"].notna()].copy()
    here["method"] = [title(name) for name in here["method"]]
    here["lowest rate"], here["highest rate"] = here.rate == here.rate.min(), here.rate == here.rate.max()
    here["validation minus test"] = here.validation - here.test
    here = here.rename(columns={"measured_on": "gains on", "step": "updates kept", "share": "auxiliary share"})
    here = here.rename(columns={"spread": "deviation of the share"})
    columns = [
        "lowest rate",
        "highest rate",
        "updates kept",
        "auxiliary share",
        "deviation of the share",
        "validation minus test",
    ]
    return here.groupby(["method", "gains on", "update"], sort=False)[columns].mean()


def findings(rows: pd.DataFrame) -> str:
    """What the table shows, in words."""
    test = scores(rows)
    means = test[[name for name in PAPERS.values() if name in test]].mean().sort_values(ascending=False)
    order = ", ".join(f"{title(str(name))} {value:.3f}" for name, value in means.items())
    text = f"Mean test AUROC of the paper's six methods, best first: {order}."
    beside = [f"{label} {test[name].mean():.3f}" for name, label in BASELINES.items() if name in test]
    text += f" Beside them, on the same splits: {', '.join(beside)}." if beside else ""
    excess = (scores(rows, value="validation") - test)[list(means.index)].mean()
    if "hydalearn" in excess:
        own, others = excess["hydalearn"], excess.drop("hydalearn")
        text += (
            f" HydaLearn measures its gains on the validation rows, which also choose its settings and its state: its AUROC on "
            f"them minus that on test is {own:+.3f}, the other methods' {others.min():+.3f} to {others.max():+.3f}."
        )
    return text


# ---------------------------------------------------------------------------------------------------------------------
# Tables 3 and 4
# ---------------------------------------------------------------------------------------------------------------------


def ablation_table(rows: pd.DataFrame, exhibit: str, update: str = PRINTED) -> pd.DataFrame:
    """A line per ablation: AUROC in the paper and here, its change from ExpImp-0 in both, validation minus test."""
    printed = results.paper_values(exhibit)
    test, held = ablations(rows, update), ablations(rows, update, "validation")
    lines = []
    for name in map(str, test):
        paper, whole = printed.get(name, [np.nan])[0], printed["ExpImp-0"][0]
        line = {"ablation": name, "paper": paper, "ours": test[name].mean(), "difference": test[name].mean() - paper}
        if name != "ExpImp-0":
            mean, low, high = _interval(test, name, "ExpImp-0")
            line |= {"minus ExpImp-0, paper": paper - whole, "minus ExpImp-0, ours": mean, "95% interval": _range(low, high)}
        lines.append(line | {"validation minus test": (held[name] - test[name]).mean()})
    return pd.DataFrame(lines)


# ---------------------------------------------------------------------------------------------------------------------
# Figure 5
# ---------------------------------------------------------------------------------------------------------------------


def draw_weights(rows: pd.DataFrame) -> Figure:
    """The paper's figure: the auxiliary task's share of the weight by epoch, update as printed; hollow: static weights there."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.2))
    _draw_shares(ax, rows, "epoch", PRINTED)
    printed = results.paper_values("hydalearn/tab5")["settings"]["mortgage"]
    last = rows.loc[rows.kind == "epoch", "level"].max() + 1
    share = 1 - printed["static"][1] / 2
    ax.plot([last], [share], "D", color=plots.COLORS["black"], markerfacecolor="none", markersize=8, label="static, the paper's")
    ax.set(xlabel="epoch", ylabel="prepayment's share of weight")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_weights_by_events(rows: pd.DataFrame) -> Figure:
    """The same by the number of defaults in the batch, and both for the scale-matched update."""
    fig, axes = plt.subplots(1, 3, figsize=(plots.WIDTH, 3.6), sharey=True)
    panels = ((PRINTED, "events"), (UPDATES[1], "events"), (UPDATES[1], "epoch"))
    for ax, (update, kind) in zip(axes, panels, strict=True):
        _draw_shares(ax, rows, kind, update)
        ax.set(title=update, xlabel="epoch" if kind == "epoch" else "defaults in the batch")
        if kind == "events":
            ax.set_xlim(-0.6, MOST_EVENTS + 0.6)
            ax.set_xticks(range(MOST_EVENTS + 1), [*map(str, range(MOST_EVENTS)), f"{MOST_EVENTS}+"])
    axes[0].set_ylabel("prepayment's share of weight")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def _draw_shares(ax: Axes, rows: pd.DataFrame, kind: str, update: str) -> None:
    here = curves(rows)
    here = here[(here["update"] == update) & (here.kind == kind)]
    for (name, color), marker in zip(FOLLOWED.items(), plots.MARKERS, strict=False):
        some = here[here.method == name]
        if some.empty:
            continue
        table = results.summary(some, "level", "share").sort_values("level")
        x = table.level + (kind == "epoch")
        plots.band(ax, x, table["mean"], table.low, table.high, label=title(name), color=color, marker=marker)
    ax.axhline(0.5, color=plots.COLORS["grey"], linewidth=0.9)
    ax.set_ylim(0, 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of weights along training of the methods that the figure follows, gains on validation."""
    chosen = rows.kind.isin(["epoch", "events"]) & rows.method.isin(list(FOLLOWED))
    return rows[chosen & (rows["measured_on"] == "validation")] if "measured_on" in rows else rows[chosen]


def recorded_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """What is recorded for Figure 5: the weights that it follows, and every method's rows per seed, for its gates."""
    return pd.concat([per_seed(rows), curves(rows)], ignore_index=True)


def per_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows per seed, those of the control runs and of the methods trained again among them."""
    return rows[rows.kind.isin(["seed", "control", "once more", "doubled"])]


# ---------------------------------------------------------------------------------------------------------------------
# Claims and gates
# ---------------------------------------------------------------------------------------------------------------------


def measured_tab1(rows: pd.DataFrame) -> results.Measured:
    """Table 1: HydaLearn over its rivals, and static weights over a single task, paired over seeds."""
    return results.Measured(_comparisons(rows, "sharing-regularises"), gates=_gates(rows, "tab1"))


def measured_tab2(rows: pd.DataFrame) -> results.Measured:
    """Table 2: as Table 1."""
    return results.Measured(_comparisons(rows, "future-helps-present"), gates=_gates(rows, "tab2"))


def measured_tab3(rows: pd.DataFrame) -> results.Measured:
    """Table 3: HydaLearn minus each of its ablations, paired over seeds."""
    return results.Measured(_ablated(rows, "normalising-negligible"), gates=_ablation_gates(rows, "tab2"))


def measured_tab4(rows: pd.DataFrame) -> results.Measured:
    """Table 4: as Table 3."""
    return results.Measured(_ablated(rows, "normalising-helps"), gates=_ablation_gates(rows, "tab1"))


def measured_fig5(rows: pd.DataFrame) -> results.Measured:
    """Figure 5: the weights of HydaLearn, OL-AUX and static weights by epoch, update as printed."""
    here = curves(rows)
    here = here[here["update"] == PRINTED]
    epochs, events = here[here.kind == "epoch"], here[here.kind == "events"]
    means = epochs.pivot_table("share", "seed", "method")
    effects: dict[str, pd.Series[float]] = {}
    if {"hydalearn", "olaux", "static"} <= set(means):
        effects["above-other-methods"] = means["hydalearn"] - means[["olaux", "static"]].max(axis=1)
        effects["olaux-balanced"] = means["olaux"] - 0.5
        effects["static-favours-default"] = 0.5 - means["static"]
    ours = epochs[epochs.method == "hydalearn"]
    if "kept" in ours:
        effects["favours-prepayment"] = ours.groupby("seed")["kept"].mean() - 0.5
        # The main task's share is one less the auxiliary one's.
        effects["default-batches"] = (ours["kept_without"] - ours["kept_with"]).groupby(ours["seed"]).mean()
    none = events[(events.method == "hydalearn") & (events.level == 0)].set_index("seed")["share"]
    if len(none):
        effects["no-default-batches"] = none - 0.5
    return results.Measured(_lists(effects), gates=_weight_gates(rows, events[events.method == "hydalearn"]))


def _lists(effects: dict[str, pd.Series[float]]) -> dict[str, list[float]]:
    return {claim: effect.tolist() for claim, effect in effects.items()}


def _comparisons(rows: pd.DataFrame, sharing: str) -> dict[str, list[float]]:
    test, validation = scores(rows), scores(rows, value="validation")
    pairs = {"over-single": "stl", "over-static": "static", "over-gcosim": "cosine", "over-gradnorm": "gradnorm"}
    if set(ADAPTIVE) <= set(validation):
        pairs["over-best-adaptive"] = str(validation[list(ADAPTIVE)].mean().idxmax())
    effects = {claim: test["hydalearn"] - test[other] for claim, other in pairs.items() if {"hydalearn", other} <= set(test)}
    if {"static", "stl"} <= set(test):
        effects[sharing] = test["static"] - test["stl"]
    return _lists(effects)


def _ablated(rows: pd.DataFrame, normalising: str) -> dict[str, list[float]]:
    """ExpImp-2 counts only where its gains are measured on all training rows, as in the paper."""
    test, held = ablations(rows), ablations(rows, value="validation")
    parts = {normalising: "ExpImp-1", "down-scaling-negligible": "ExpImp-3"}
    effects = {claim: test["ExpImp-0"] - test[name] for claim, name in parts.items() if {"ExpImp-0", name} <= set(test)}
    on_training = rows[rows.measured_on == "training"]
    if "measured_share" in rows and len(on_training) and (on_training["measured_share"] == 1).all():
        gap = held - test
        effects["training-rows-negligible"] = test["ExpImp-0"] - test["ExpImp-2"]
        effects["validation-turns-optimistic"] = gap["ExpImp-0"] - gap["ExpImp-2"]
    return _lists(effects)


def _gates(rows: pd.DataFrame, table: str) -> list[results.Gate]:
    test, cost = scores(rows), LONGER[table]
    if not {"stl", "logistic"} <= set(test):
        level = results.Gate("baseline-level", False, "not recorded", cost=cost)
    else:
        level = results.Gate.within("baseline-level", test["stl"].mean() - test["logistic"].mean(), least=-0.005, cost=cost)
    trained = rows[
        (rows.kind == "seed") & rows["rate"].notna() & (rows["update"] == PRINTED) & (rows.measured_on == "validation")
    ]
    early = results.Gate.within("least share kept before the last tenth", kept_early(trained), least=0.9)
    part = trained.loc[trained.method == "hydalearn", "measured_share"] if "measured_share" in trained else pd.Series(dtype=float)
    gain_rows = "not recorded" if part.isna().all() else float(part.mean())
    return [
        level,
        results.Gate.every("converged", [early, _doubled(rows, LINES[table][1])], cost=cost),
        grid_interior(trained, ("rate",), cost),
        results.Gate("gain-rows", gain_rows == 1, gain_rows, cost=cost),
        same_heads(trained),
        _planted_control(rows, LINES[table][0]),
    ]


def _doubled(rows: pd.DataFrame, most: float) -> results.Gate:
    """The largest change, over methods, of the mean test AUROC with twice the updates at the chosen settings, same seeds."""
    name = "most that twice the updates change"
    once, twice = (
        rows[rows.kind == kind].pivot(index="seed", columns="method", values="test") for kind in ("once more", "doubled")
    )
    if twice.empty or once.empty:
        return results.Gate(name, False, "not recorded")
    change = twice - once
    return results.Gate.within(name, float(change.mean().abs().max()), most=most)


def _planted_control(rows: pd.DataFrame, least: float) -> results.Gate:
    """The lower bound of what Static gains over the single task with a planted auxiliary task, and its mean."""
    planted, test = _control(rows, "planted").set_index("seed")["test"], scores(rows)
    if planted.empty or "stl" not in test:
        return results.Gate("control", False, "not recorded", cost=PLANTED)
    mean, low, _ = results.interval((planted - test["stl"]).to_numpy())
    parts = [results.Gate.within("mean", mean, least=least), results.Gate("lower bound", low > 0, low)]
    return results.Gate.every("control", parts, cost=PLANTED)


def _control(rows: pd.DataFrame, labels: str) -> pd.DataFrame:
    return rows[(rows.kind == "control") & (rows["labels"] == labels)] if "labels" in rows else rows[:0].assign(test=0.0)


def _all_of(name: str, rows: pd.DataFrame, table: str, without: Iterable[str] = ()) -> results.Gate:
    """The gates of a table as one; not recorded where the rows are not those of every method."""
    if "measured_on" not in rows or "stl" not in scores(rows):
        return results.Gate(name, False, "not recorded", cost=LONGER[table])
    parts = [gate for gate in _gates(rows, table) if gate.name not in without]
    return results.Gate.every(name, parts, cost=LONGER[table])


def _ablation_gates(rows: pd.DataFrame, table: str) -> list[results.Gate]:
    test, cost = scores(rows), LONGER[table]
    bounds = {other: _interval(test, "hydalearn", other)[1:] for other in ("stl", "static")}
    clear = [f"minus {title(other)} {_range(*span)}" for other, span in bounds.items() if _range(*span)]
    matters = any(low > 0 or high < 0 for low, high in bounds.values())
    whole = rows[(rows.method == "hydalearn") & (rows["update"] == PRINTED) & (rows.measured_on == "validation")]
    if {"downscaled", "gradient_ratio"} <= set(rows):
        both = results.Gate.within("both gains negative", whole["downscaled"].mean(), least=0.05)
        ratio = results.Gate.within("longer over shorter gradient", whole["gradient_ratio"].mean(), least=1.5)
        at_work = results.Gate.every("parts-at-work", [both, ratio], cost=cost)
    else:
        at_work = results.Gate("parts-at-work", False, "not recorded", cost=cost)
    return [
        _all_of(f"gates-of-{table}", rows, table),
        results.Gate("method-matters", matters, "; ".join(clear) or "not recorded", cost=cost),
        at_work,
    ]


def _weight_gates(rows: pd.DataFrame, events: pd.DataFrame) -> list[results.Gate]:
    """events: HydaLearn's rows by number of defaults."""
    none = events.loc[events.level == 0, "batches"].sum() / events["batches"].sum()
    spread = scores(rows, value="spread")
    moves = results.Gate("weights-move", False, "not recorded", cost=LONGER["tab2"])
    if "hydalearn" in spread:
        moves = results.Gate.within("weights-move", spread["hydalearn"].mean(), least=0.02, cost=LONGER["tab2"])
    return [
        _all_of("gates-of-tab2", rows, "tab2", without=("control",)),
        results.Gate.within("both-kinds", none, least=0.1, most=0.95, cost="rarer defaults, as in the paper's data"),
        moves,
        _shuffled_control(rows),
    ]


def _shuffled_control(rows: pd.DataFrame) -> results.Gate:
    here = _control(rows, "shuffled")
    if here.empty:
        return results.Gate("control", False, "not recorded", cost=SHUFFLED)
    return results.Gate.within("control", here["gap"].mean(), least=-0.05, most=0.05, cost=SHUFFLED)
