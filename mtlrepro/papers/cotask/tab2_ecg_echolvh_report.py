"""Tables 2 and 8 and Figure 4 of the CO-TASK paper: figures, tables, claims and gates from the rows of `tab2_ecg_echolvh`.

Claims are judged in the paper's protocol: all multi-task arms that are compared take the same number of steps.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.cotask import ecg_tables, gates
from mtlrepro.papers.cotask.ecg_tables import by_method
from mtlrepro.results import Gate, Measured

EXHIBITS = ("cotask/tab2", "cotask/tab8", "cotask/fig4")
SINGLE, NONE, MAJOR, MULTI = "Single/Major-Task", "Multi/None", "Multi/Major-Task", "Multi/Task-Aware"
DWA, COTASK = "Multi+DWA/Task-Aware", "CO-TASK/Task-Aware"
TABLE8 = (SINGLE, NONE, MAJOR, MULTI, DWA, COTASK)
# The same with the other budget: as many steps in all as CO-TASK, and as many batches of the major task.
LONG_SINGLE, SHORT_MULTI = "Single, CO-TASK's steps", "Multi, CO-TASK's major batches"
# Methods of Figure 4 -> name in the legend, colour.
CURVES = {SINGLE: ("single-task", "black"), MULTI: ("multi-task", "vermillion"), COTASK: ("CO-TASK", "blue")}
# Method -> the published script's steps in all, and those of the major task, which is drawn five times as often as any other.
_PAPER_STEPS = {SINGLE: (2000, 2000), MULTI: (15_000, 15_000 * 5 / 9), COTASK: (15_000, 15_000 * 5 / 17)}
CONTROLS = ("noise-free minor labels", "permuted minor labels")
# Kind of row -> the recordings it is of.
_SETS = {"test": "generated", "real": "part of PTB-XL"}
GAINS = ("minor labels without noise over permuted ones", "CO-TASK over multi-task learning")


# --- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's ratios beside the generated ones, and how good the annotators are."""
    labels = rows[rows.kind == "label"].groupby("label", sort=False)
    paper = pd.Series(results.paper_values("cotask/tab2"))
    ours = (rows["n"].max() / labels["count"].mean()).reindex(paper.index)
    table = {
        "paper, one record in": paper, "ours, one record in": ours, "difference": ours - paper,
        "annotator's sensitivity": labels["sensitivity"].mean(), "annotator's specificity": labels["specificity"].mean(),
    }  # fmt: skip
    return pd.DataFrame(table).reindex(paper.index).rename_axis("label")


# --- Table 8 ----------------------------------------------------------------------------------------------------------


def table8(rows: pd.DataFrame) -> pd.DataFrame:
    """AUROC of the major task and differences from single-task learning in points, the paper's beside ours with 95% interval."""
    auroc, steps, paper = by_method(rows, "auroc"), by_method(rows, "steps").mean(), results.paper_values("cotask/tab8")
    lines = {}
    for method in map(str, auroc):
        printed, base = paper.get(method), method == SINGLE
        lines[method] = {
            "paper": printed,
            "ours": auroc[method].mean(),
            "difference": None if printed is None else auroc[method].mean() - printed,
            "over single, paper (points)": None if printed is None or base else 100 * (printed - paper[SINGLE]),
            "over single, ours (points)": None if base else results.in_words(100 * (auroc[method] - auroc[SINGLE])),
            "steps in all": int(steps[method]),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("model / sampler")


def draw8(rows: pd.DataFrame) -> Figure:
    """AUROC minus the single-task network's, in points: ours with 95% interval, the paper's hollow."""
    paper = results.paper_values("cotask/tab8")
    kinds = ("test", "real") if _has_real(rows) else ("test",)
    fig, axes = plt.subplots(1, len(kinds), figsize=(plots.WIDTH, 3.6), squeeze=False, sharey=True, layout="constrained")
    methods = list(by_method(rows, "auroc"))
    places = range(len(methods))
    for ax, kind in zip(axes[0], kinds, strict=True):
        auroc = by_method(rows, "auroc", kind).reindex(columns=methods)
        over = np.array([results.interval((100 * (auroc[method] - auroc[SINGLE])).to_numpy()) for method in methods])
        spread = np.abs(over[:, 1:] - over[:, :1]).T
        ax.errorbar(over[:, 0], places, xerr=spread, fmt="o", color=plots.COLORS["blue"], label="ours, 95% interval")
        printed = [100 * (paper[method] - paper[SINGLE]) if method in paper else np.nan for method in methods]
        ax.plot(printed, places, "D", ms=8, mfc="none", mew=1.6, color=plots.COLORS["black"], label="paper")
        ax.axvline(0, color=plots.COLORS["black"], lw=0.8)
        ax.set(xlabel="AUROC, over single (points)", title=_SETS[kind] if len(kinds) > 1 else "")
    axes[0, 0].set_yticks(places, methods)
    axes[0, 0].invert_yaxis()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def _has_real(rows: pd.DataFrame) -> bool:
    return bool((rows.kind == "real").any())


def real_table(rows: pd.DataFrame) -> pd.DataFrame:
    """AUROC of the major task of the real recordings, and the differences that Table 8's claims are of, in points."""
    if not _has_real(rows):
        return pd.DataFrame({"real recordings": ["not part of this run"]})
    auroc, paper, own = by_method(rows, "auroc", "real"), results.paper_values("cotask/tab8"), rows[rows.kind == "real"]
    lines = {}
    for method, base in ((SINGLE, None), (NONE, SINGLE), (MAJOR, SINGLE), (MULTI, NONE), (DWA, MULTI), (COTASK, MULTI)):
        lines[method] = {
            "AUROC": auroc[method].mean(),
            "over": base or "",
            "paper (points)": 100 * (paper[method] - paper[base]) if base else None,
            "ours (points)": results.in_words(100 * (auroc[method] - auroc[base])) if base else None,
            "rate": own[own.method == method].rate.iloc[0],
            "steps in all": int(own[own.method == method].steps.iloc[0]),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("model / sampler")


def real_findings(rows: pd.DataFrame) -> str:
    """What the real recordings say of the three claims, in words."""
    if not _has_real(rows):
        return "This run is without real recordings."
    auroc, own = 100 * by_method(rows, "auroc", "real"), rows[rows.kind == "real"]
    gains = [results.in_words(auroc[one] - auroc[other]) for one, other in ((MULTI, NONE), (MULTI, SINGLE), (COTASK, MULTI))]
    rates, tried = own.groupby("method").rate.first(), rows[rows.kind == "real rate"].rate
    ends = int(rates.isin([tried.min(), tried.max()]).sum())
    return (
        f"On {own.records.iloc[0]:.0f} test records of PTB-XL, {own.positives.iloc[0]:.0f} with hypertrophy, the single-task "
        f"network reaches an AUROC of {auroc[SINGLE].mean() / 100:.3f}. The task-aware sampler lies {gains[0]} points from no "
        f"sampler, multi-task learning {gains[1]} from single-task learning, and CO-TASK {gains[2]} from multi-task learning. "
        f"The validation part, which is as small, chose a rate at an end of the grid for {ends} of {len(rates)} methods."
    )


def equal_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """CO-TASK's AUROC and sensitivity over the others', by either budget, in points."""
    lines = {}
    for value, title in (("auroc", "AUROC"), ("sensitivity", "sensitivity at the doctor's specificity")):
        values = by_method(rows, value)
        for name, *bases in (("single-task", SINGLE, LONG_SINGLE), ("multi-task", SHORT_MULTI, MULTI)):
            lines[f"{title}, over {name}"] = {
                budget: results.in_words(100 * (values[COTASK] - values[base])) if base in values else "not recorded"
                for budget, base in zip(("batches of the major task equal", "steps in all equal"), bases, strict=True)
            }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("CO-TASK (points)")


def draw_budgets(rows: pd.DataFrame) -> Figure:
    """AUROC with its 95% interval against the steps in all, and against those of the major task; the paper's three points
    hollow. Every budget that the rows have."""
    counts = {
        column: name for column, name in (("steps", "steps in all"), ("major steps", "steps of the major task")) if column in rows
    }
    fig, axes = plt.subplots(1, len(counts), figsize=(plots.WIDTH, 3.8), sharey=True, squeeze=False, layout="constrained")
    paper = results.paper_values("cotask/tab8")
    for place, (ax, column) in enumerate(zip(axes[0], counts, strict=True)):
        for (method, (name, color)), marker in zip(CURVES.items(), plots.MARKERS, strict=False):
            others = {SINGLE: LONG_SINGLE, MULTI: SHORT_MULTI}
            own = rows[rows.kind.isin(["test", "twice"]) & rows.method.isin([method, others.get(method)])]
            points = [(x, *results.interval(each["auroc"].to_numpy())) for x, each in own.groupby(column) if len(each) > 1]
            x, mean, low, high = map(np.array, zip(*points, strict=True))
            ax.errorbar(
                x, mean, [mean - low, high - mean], fmt=f"{marker}-", lw=0.8, capsize=3, color=plots.COLORS[color], label=name
            )
            look = {"ms": 8, "mfc": "none", "mew": 1.6, "color": plots.COLORS[color]}
            ax.plot(_PAPER_STEPS[method][place], paper[method], marker, **look)
        ax.set(xscale="log", xlabel=counts[column])
    axes[0, 0].set_ylabel("AUROC of the major task")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def rate_table(rows: pd.DataFrame) -> pd.DataFrame:
    """AUROC on the validation part, mean over seeds, by method and learning rate; the rate that the method is trained with."""
    return ecg_tables.rate_table(rows, "model / sampler")


def twice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """AUROC of every method, trained as it is and with twice the steps, on the seeds that have both; and the difference."""
    return ecg_tables.twice_table(rows, "auroc", "AUROC", "model / sampler")


def by_dial(rows: pd.DataFrame) -> pd.DataFrame:
    """Differences of the major task's AUROC in points, one row per place of the dial and seed: minor labels without noise over
    permuted ones, CO-TASK over multi-task learning. None where the run has one place of the dial alone."""
    dialled = rows.kind == "dial"
    if not dialled.any():
        return pd.DataFrame(columns=GAINS, index=pd.MultiIndex.from_arrays([[], []], names=["shared_waves", "seed"]))
    judged = (rows.kind == "control") | ((rows.kind == "test") & rows.method.isin([MULTI, COTASK]))
    auroc = 100 * rows[dialled | judged].pivot(index=["shared_waves", "seed"], columns="method", values="auroc")
    pairs = dict(zip(GAINS, (CONTROLS, (COTASK, MULTI)), strict=True))
    return pd.DataFrame({name: auroc[one] - auroc[other] for name, (one, other) in pairs.items()})


def dial_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The gains of `by_dial` in points with 95% intervals, and the number of seeds of each."""
    places = by_dial(rows).groupby("shared_waves")
    table = {name: places[name].agg(lambda own: f"{results.in_words(own.dropna())} ({own.count()} seeds)") for name in GAINS}
    return pd.DataFrame(table).rename_axis("share of the waves")


def draw_dial(rows: pd.DataFrame) -> Figure:
    """The gains of `by_dial` against the share of waves, with 95% intervals over seeds."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.8), layout="constrained")
    gains = by_dial(rows)
    for name, color, marker in zip(GAINS, ("blue", "vermillion"), plots.MARKERS, strict=False):
        own = [(x, *results.interval(each.to_numpy())) for x, each in gains[name].dropna().groupby("shared_waves")]
        x, mean, low, high = np.array(own, float).reshape(-1, 4).T
        ax.errorbar(x, mean, [mean - low, high - mean], fmt=f"{marker}-", capsize=3, color=plots.COLORS[color], label=name)
    ax.axhline(0, color=plots.COLORS["black"], lw=0.8)
    ax.set(xlabel="share of the major label's waves that minor labels share", ylabel="gain in AUROC (points)", xlim=(-0.05, 1.05))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return fig


# --- Figure 4 ---------------------------------------------------------------------------------------------------------


def draw4(rows: pd.DataFrame) -> Figure:
    """ROC curves, mean over seeds, the doctor's operating points, and, hollow, where the paper's gains would put the other two
    networks below CO-TASK at the doctor's specificity."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH * 0.8, plots.WIDTH * 0.8), layout="constrained")
    curves = rows[rows.kind == "roc"]
    for method, (name, color) in CURVES.items():
        points = curves[curves.method == method].groupby("x")["y"].mean()
        ax.plot(points.index, points, color=plots.COLORS[color], label=name)
    doctor = by_method(rows, "doctor sensitivity")[SINGLE], by_method(rows, "doctor specificity")[SINGLE]
    ax.plot(1 - doctor[1], doctor[0], "X", ms=7, color=plots.COLORS["green"], label="doctor (annotated ECG-LVH), per seed")
    paper, top = results.paper_values("cotask/fig4"), by_method(rows, "sensitivity")[COTASK].mean()
    for name, color in (("single", "black"), ("multi", "vermillion")):
        gain = paper[f"sensitivity_gain_over_{name}_points"] / 100
        label = f"{name}-task, if the paper's gain were seen"
        ax.plot(1 - doctor[1].mean(), top - gain, "D", ms=8, mfc="none", mew=1.6, color=plots.COLORS[color], label=label)
    ax.plot([0, 1], [0, 1], ":", color=plots.COLORS["grey"])
    ax.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1))
    ax.legend(loc="lower right", fontsize=9.5)
    return fig


def table4(rows: pd.DataFrame) -> pd.DataFrame:
    """Sensitivity at the doctor's specificity, and CO-TASK's over it in points, the paper's beside ours with 95% interval."""
    values, paper = by_method(rows, "sensitivity"), results.paper_values("cotask/fig4")
    doctor = by_method(rows, "doctor sensitivity")[SINGLE]
    lines = {
        "doctor": {
            "sensitivity": doctor.mean(),
            "CO-TASK over it, ours (points)": results.in_words(100 * (values[COTASK] - doctor), 1),
        }
    }
    printed = {SINGLE: paper["sensitivity_gain_over_single_points"], MULTI: paper["sensitivity_gain_over_multi_points"]}
    for method, (name, _) in CURVES.items():
        lines[name] = {"sensitivity": values[method].mean(), "CO-TASK over it, paper (points)": printed.get(method)}
        if method != COTASK:
            lines[name]["CO-TASK over it, ours (points)"] = results.in_words(100 * (values[COTASK] - values[method]), 1)
    columns = ["sensitivity", "CO-TASK over it, paper (points)", "CO-TASK over it, ours (points)"]
    return pd.DataFrame.from_dict(lines, orient="index")[columns].rename_axis("at the doctor's specificity")


# --- what it shows ------------------------------------------------------------------------------------------------------


def findings(rows: pd.DataFrame) -> str:
    """In words, with the numbers of these rows."""
    auroc, paper = by_method(rows, "auroc"), results.paper_values("cotask/tab8")

    def over(method: str, base: str) -> str:
        printed = f" (paper: {100 * (paper[method] - paper[base]):+.2f})" if {method, base} <= set(paper) else ""
        return results.in_words(100 * (auroc[method] - auroc[base])) + printed

    return (
        f"Without a sampler multi-task learning lies {over(NONE, SINGLE)} points of AUROC from single-task learning, with the "
        f"task-aware one {over(MULTI, SINGLE)}. The task-aware sampler gains {over(MULTI, NONE)} points over none and "
        f"{over(MULTI, MAJOR)} over the major task's weights. CO-TASK lies {over(COTASK, MULTI)} points from multi-task learning "
        "with as many steps in all"
        + (f", and {over(COTASK, SHORT_MULTI)} from it with as many batches of the major task." if SHORT_MULTI in auroc else ".")
    )


# --- claims and gates ---------------------------------------------------------------------------------------------------


def recorded(rows: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, Measured | None]]:
    """Exhibit -> its rows, and what they say of its claims and gates."""
    curves = rows[rows.method.isin(CURVES) & (rows.kind == "roc")]
    judged = rows[rows.kind != "roc"]
    own = [rows[rows.kind == "label"], judged, pd.concat([judged, curves])]
    table2_, table8_, figure4 = (part.dropna(axis="columns", how="all") for part in own)
    claims = (None, measured_table8(table8_), measured_figure4(figure4))
    return dict(zip(EXHIBITS, zip((table2_, table8_, figure4), claims, strict=True), strict=True))


def measured_table8(rows: pd.DataFrame) -> Measured:
    """Differences of the major task's AUROC, paired over seeds."""
    auroc = by_method(rows, "auroc")
    pairs = {
        "sampler-over-none": (MULTI, NONE), "multi-over-single": (MULTI, SINGLE), "cotask-over-multi": (COTASK, MULTI),
        "none-below-single": (NONE, SINGLE), "major-below-single": (MAJOR, SINGLE),
    }  # fmt: skip
    return Measured({claim: (auroc[a] - auroc[b]).tolist() for claim, (a, b) in pairs.items()}, gates=gates_table8(rows))


def gates_table8(rows: pd.DataFrame) -> list[Gate]:
    """The gates of Table 8."""
    auroc = by_method(rows, "auroc")
    effect = auroc[COTASK] - auroc[MULTI]
    return [
        _baseline(rows), _imbalance(rows), _same_steps(rows), _converged(rows), gates.grid_interior(rows),
        gates.precision({"CO-TASK minus multi-task": (effect, 0.003)}, "more seeds of both arms, larger test parts"),
        _control(rows),
    ]  # fmt: skip


def _baseline(rows: pd.DataFrame) -> Gate:
    single = by_method(rows, "auroc")[SINGLE]
    linear = rows[rows.kind == "linear"]
    parts = [Gate.within("single-task AUROC", single.mean(), least=0.75, most=0.95)]
    if linear.empty:
        return Gate.every("baseline-level", [*parts, Gate("linear model", False, "not recorded")], "seconds: ridge regression")
    over = (single - linear.set_index("seed").auroc).mean()
    return Gate.every("baseline-level", [*parts, Gate.within("over a linear model", over, least=1e-9)], "longer trainings")


def _imbalance(rows: pd.DataFrame) -> Gate:
    labels = rows[rows.kind == "label"]
    if "correlation" not in labels or labels.empty:
        return gates.not_recorded("imbalance", "seconds: the labels are counted in the next run")
    paper = pd.Series(results.paper_values("cotask/tab2"))
    ratios = labels["n"].max() / labels.groupby("label")["count"].mean()
    off = float((ratios.reindex(paper.index) / paper - 1).abs().max())
    minor = labels[labels.label != "EchoLVH"].groupby("label").correlation.mean()
    parts = [
        Gate.within("largest deviation of a ratio", off, most=0.2),
        Gate.within("largest correlation with the major label", float(minor.max()), least=0.1, most=0.8),
    ]
    return Gate.every("imbalance", parts, "another generator of labels")


def _same_steps(rows: pd.DataFrame) -> Gate:
    """Of the multi-task arms: all their steps, and those on the major task."""
    steps = by_method(rows, "steps").mean()[list(TABLE8[1:])]
    parts = [Gate("steps in all", steps.nunique() == 1, " to ".join(f"{each:.0f}" for each in sorted(set(steps))))]
    if "major steps" not in rows:
        return Gate.every(
            "same-steps", [*parts, Gate("on the major task", False, "not recorded")], "nothing: the next run has it"
        )
    major = by_method(rows, "major steps").mean()[list(TABLE8[1:])]
    parts.append(Gate("on the major task", major.max() <= 2 * major.min(), f"{major.min():.0f} to {major.max():.0f}"))
    return Gate.every("same-steps", parts, "other shares of the major task")


def _converged(rows: pd.DataFrame) -> Gate:
    cost = "every arm with more than twice the steps"
    if not (rows.kind == "twice").any():
        return gates.not_recorded("converged", cost)
    return gates.order_kept(by_method(rows, "auroc"), by_method(rows, "auroc", "twice"), TABLE8, cost)


def _control(rows: pd.DataFrame) -> Gate:
    """Multi-task learning with noise-free minor labels over that with permuted ones: AUROC, 95% interval over seeds."""
    if not (rows.kind == "control").any():
        return gates.not_recorded("control", "two multi-task arms, minor labels without noise and permuted")
    auroc = by_method(rows, "auroc", "control")
    effect = 100 * (auroc[CONTROLS[0]] - auroc[CONTROLS[1]])
    return gates.clear_of_zero(effect, "points of AUROC", "minor tasks that share more with the major one, more seeds")


def measured_figure4(rows: pd.DataFrame) -> Measured:
    """Differences of sensitivity at the doctor's specificity in points, paired over seeds.

    The claim on the doctor is left out: a made-up annotator cannot test it.
    """
    values = 100 * by_method(rows, "sensitivity")
    pairs = {
        "cotask-over-single": (COTASK, SINGLE),
        "cotask-over-multi": (COTASK, MULTI),
        "multi-over-single": (MULTI, SINGLE),
    }
    effects = {claim: values[a] - values[b] for claim, (a, b) in pairs.items()}
    sensitivity, specificity = (by_method(rows, f"doctor {what}")[SINGLE].mean() for what in ("sensitivity", "specificity"))
    point = [
        Gate.within("specificity", specificity, least=0.6, most=0.98),
        Gate.within("sensitivity + specificity - 1", sensitivity + specificity - 1, least=0.1),
    ]
    return Measured(
        {claim: values.tolist() for claim, values in effects.items()},
        gates=[
            gates.of_other("tab8", gates_table8(rows), ("baseline-level", "same-steps", "converged", "control")),
            Gate.every("doctor-point", point, "another annotator"),
            Gate(
                "not-planted",
                "model-over-doctor" not in effects,
                "the annotator's sensitivity is ours, and no claim on it is judged",
                cost="a source for how often doctors miss a label",
            ),
            gates.precision({"CO-TASK minus multi-task": (effects["cotask-over-multi"], 1.0)}, "more seeds, larger test sets"),
        ],
    )
