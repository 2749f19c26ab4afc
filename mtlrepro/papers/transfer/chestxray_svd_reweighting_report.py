"""Chest X-rays: figure, tables and what the rows of `chestxray_svd_reweighting` say of the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.chestxray_svd_reweighting import JUDGED, chosen
from mtlrepro.papers.transfer.interval_marks import interval_marks, keys, paper_marks, standard_error
from mtlrepro.results import Gate, Measured, in_words, paper_values

_SETS = {
    "cifar100": "CIFAR-100, 14 attributes",
    "nih64": "ChestX-ray14, 64 px",
    "chestxray14": "ChestX-ray14",
    "digits": "digits",
}
_COLORS = {"SVD": "vermillion", "Kendall": "blue", "SVD, centred": "orange", "SVD, normalised": "green"}
_LEAST_IMAGES = 10_000
_PRECISION = 0.1


def auc(rows: pd.DataFrame, doubled: bool = False, value: str = "auc") -> pd.DataFrame:
    """Test AUC of what was chosen: a line per seed, columns (method, setting). doubled: after twice the epochs."""
    final = rows[rows.stage == "final"]
    epochs = final.epochs.min() * (2 if doubled else 1)
    found: pd.DataFrame = final[final.epochs == epochs].pivot(index="seed", columns=["method", "setting"], values=value)
    return found


def _judged(rows: pd.DataFrame, doubled: bool = False) -> pd.DataFrame:
    """Test AUC of the three methods: a line per seed, a column per method, Algorithm 2 at the rank that validation chooses."""
    table, best = auc(rows, doubled), chosen(rows[rows.stage == "search"])
    return pd.DataFrame({method: table[method, best[method][0]] for method in JUDGED})


def _control(rows: pd.DataFrame) -> tuple[float, pd.Series]:
    """The power that is best on validation, mean over seeds, and its gain over equal weights."""
    table = auc(rows)
    valid = auc(rows, value="valid").mean()
    power = max((setting for method, setting in keys(table) if method == "control"), key=lambda s: valid["control", s])
    return power, table["control", power] - table["unweighted", 0.0]


def measured(rows: pd.DataFrame) -> Measured:
    """Algorithm 2 as printed, at the rank and rate that validation chooses; values are those of seeds."""
    table, twice = _judged(rows), _judged(rows, doubled=True)
    effects: dict[str, Sequence[float]] = {
        "over-unweighted": list(table["SVD"] - table["unweighted"]),
        "over-kendall": list(table["SVD"] - table["Kendall"]),
        "kendall-over-unweighted": list(table["Kendall"] - table["unweighted"]),
    }
    error = max(map(standard_error, effects.values()))
    orders = [" < ".join(each.mean().sort_values().index) for each in (table, twice)]
    span = auc(rows, value="weight span")["SVD", chosen(rows[rows.stage == "search"])["SVD"][0]]
    power, gain = _control(rows)
    seeds = int(len(table) * (error / _PRECISION) ** 2) + 1 if error > 0 else 2
    gates = [
        _baseline_level(rows, table),
        Gate.within("precision", error, most=_PRECISION, cost=f"about {seeds} seeds"),
        Gate("converged", orders[0] == orders[1], "; ".join(dict.fromkeys(orders)), cost="half a core hour: more epochs"),
        _grid_interior(rows),
        Gate("weights-differ", bool(span.between(1.2, 20).all()), f"{span.min():.3g} to {span.max():.3g}", cost="other tasks"),
        Gate.clear_of_zero(
            "control", list(gain), said=f"share of positives to the power -{power:g}: {in_words(gain)}",
            cost="half a core hour: a search over each task's weight, or more seeds",
        ),
    ]  # fmt: skip
    return Measured(effects, gates=gates)


def _baseline_level(rows: pd.DataFrame, table: pd.DataFrame) -> Gate:
    level, cost = float(table["unweighted"].mean()), "DenseNet-121 on ChestX-ray14: see the paper profile's cost"
    if rows.source.iloc[0] == "chestxray14":
        return Gate.within("baseline-level", level, least=80, cost=cost)
    above = level - float(auc(rows)["linear"].to_numpy().mean())
    parts = [
        Gate.within("AUC over a linear model's", above, least=10),
        Gate.within("images", rows.images.min(), least=_LEAST_IMAGES),
    ]
    return Gate.every("baseline-level", parts, cost=cost)


def _grid_interior(rows: pd.DataFrame) -> Gate:
    """Whether each method's learning rate is chosen strictly inside the grid."""
    searched = rows[rows.stage == "search"]
    grid, best = searched.rate, chosen(searched)
    parts = [Gate(method, bool(grid.min() < best[method][1] < grid.max()), f"{best[method][1]:g}") for method in JUDGED]
    return Gate.every("grid-interior", parts, cost="a wider grid: a few core minutes")


def _names(rows: pd.DataFrame) -> dict[tuple[str, float], str]:
    """(method, setting) -> what the page calls it, but for equal weights and the linear model."""
    names: dict[tuple[str, float], str] = {}
    for method, setting in keys(auc(rows)):
        rank = "k" if setting == 0 else f"{setting:g}"
        if method.startswith("SVD"):
            names[method, setting] = f"{method}, r = {rank}"
        elif method == "control":
            names[method, setting] = f"share of positives to the power -{setting:g}"
        elif method == "Kendall":
            names[method, setting] = method
    return names


def figure(rows: pd.DataFrame) -> Figure:
    """Gain over equal weights of each method and rank, with the paper's numbers."""
    table, names = auc(rows), _names(rows)
    shown = [key for key in names if key[0] in _COLORS]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 0.4 * len(shown) + 1.6), layout="constrained")
    for line, (method, setting) in enumerate(shown):
        gain = (table[method, setting] - table["unweighted", 0.0]).dropna().to_numpy()
        interval_marks(ax, [line], [gain], color=_COLORS[method], marker="o", lying=True)
    paper = paper_values("transfer/chestxray")
    svd, over_kendall = paper["over_unweighted_auc_points"], paper["over_kendall_auc_points"]
    lines = [line for line, (method, _) in enumerate(shown) if method == "SVD"]
    kendall = [line for line, (method, _) in enumerate(shown) if method == "Kendall"]
    paper_marks(ax, [svd] * len(lines) + [svd - over_kendall] * len(kendall), lines + kendall, "paper, on ChestX-ray14")
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
    ax.set_xlabel("gain over equal weights (AUC points)")
    ax.set_yticks(range(len(shown)), [names[key] for key in shown])
    ax.invert_yaxis()
    fig.legend(loc="outside lower center")
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC, gains over equal weights and over Kendall's, and the span of the weights: the paper's, and ours for every method."""
    paper = paper_values("transfer/chestxray")
    lines: list[dict[str, Any]] = [
        {
            "set": "ChestX-ray14 (paper)", "method": "SVD",
            "over equal weights": f"{paper['over_unweighted_auc_points']:+.1f}",
            "over Kendall's": f"{paper['over_kendall_auc_points']:+.1f}",
        }
    ]  # fmt: skip
    source, values, spans = rows.source.iloc[0], auc(rows), auc(rows, value="weight span")
    named = {("linear", 0.0): "linear model, equal weights", ("unweighted", 0.0): "equal weights"} | _names(rows)
    for key, name in named.items():
        own = values[key].dropna()
        line = {"set": _SETS.get(source, source), "method": name, "seeds": f"{len(own)}", "AUC (%)": own.mean()}
        for base in ("unweighted", "Kendall"):
            if key[0] not in (base, "linear"):
                column = "over equal weights" if base == "unweighted" else "over Kendall's"
                line[column] = in_words((own - values[base, 0.0]).dropna())
        lines.append(line | {"largest over smallest weight": f"{spans[key].mean():.2f}"})
    columns = ["set", "method", "seeds", "AUC (%)", "over equal weights", "over Kendall's", "largest over smallest weight"]
    return pd.DataFrame(lines).reindex(columns=columns)


def search(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean validation AUC of the search: a line per method and rank, a column per learning rate."""
    searched = rows[rows.stage == "search"]
    found = searched.pivot_table(index=["method", "setting"], columns="rate", values="valid")
    found.index = pd.Index(
        [f"{m}, r = {'k' if s == 0 else f'{s:g}'}" if m == "SVD" else m for m, s in found.index.tolist()], name="method"
    )
    return found.rename(columns=lambda rate: f"rate {rate:g}").rename_axis(columns=None)


def doubled(rows: pd.DataFrame) -> pd.DataFrame:
    """What is judged, after the epochs of the claims and after twice as many."""
    lines = {}
    for name, twice in (("as judged", False), ("twice the epochs", True)):
        table = _judged(rows, twice)
        lines[name] = {"equal weights: AUC (%)": f"{table['unweighted'].mean():.2f}"} | {
            f"{method} over equal weights": in_words(table[method] - table["unweighted"]) for method in ("SVD", "Kendall")
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("epochs")
