"""Figure 3 of the HydaLearn paper from the rows of `fig3_geometry`: panels, shares of geometries, gates."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlrepro import exhibits, plots, results
from mtlrepro.papers.hydalearn.fig3_geometry import KINDS, METHODS, PANEL_RATE, PANELS
from mtlrepro.papers.hydalearn.gates import below_ridge

UPDATES = {"cosine": ("blue", 3.0), "hydalearn": ("vermillion", 3.0), "hydalearn, matched": ("orange", 1.8)}
CLAIMED = {
    "dominant auxiliary": [
        "more weight to main",
        "main leads the step",
        "gains more than gradient cosine",
        "points better than gradient cosine",
    ],
    "harmful main, helpful auxiliary": ["main not followed", "step improves the metric", "gains more than gradient cosine"],
    "both harmful": ["more weight to the worse", "gains more than gradient cosine"],
}


COLUMNS = {"rate": "learning rate", "beta": "β", "w_m": "weight of main", "w_a": "weight of auxiliary", "name": "panel"}
COLUMNS |= {"group": "kind of geometry"}
STATES = "about an hour: Exp1 for 12,500 updates, 50 seeds, all updates tried at two steps of five"


def _of_kind(rows: pd.DataFrame, kind: str, **setting: float | str) -> pd.DataFrame:
    chosen = rows["kind"] == kind
    for name, value in setting.items():
        chosen &= rows[name] == value
    return rows[chosen]


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with names for readers."""
    return rows.assign(method=[METHODS[name].title for name in rows["method"]]).rename(columns=COLUMNS)


def draw_panels(rows: pd.DataFrame) -> Figure:
    """Contours of the metric, the descent steps of both tasks (thin, black), the methods' updates at the smallest exponent."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 7.2))
    beta = rows["beta"].min()
    for ax, name in zip(axes.flat, PANELS, strict=True):
        here = _of_kind(rows, "panel", name=name, beta=beta).set_index("method")
        gradients, hessian = (np.reshape(_numbers(here[column].iloc[0]), (2, 2)) for column in ("gradients", "hessian"))
        _draw_contours(ax, hessian)
        arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0}
        for number, (method, (color, width)) in enumerate(UPDATES.items()):
            style = arrow | {"color": plots.COLORS[color], "lw": width}
            ax.annotate("", here.loc[method, ["x", "y"]].astype(float), (0, 0), arrowprops=style, zorder=3 + number)
            ax.plot([], [], color=plots.COLORS[color], linewidth=width, label=METHODS[method].title)
        turn = np.sign(np.linalg.det(gradients))
        for tip, label, away in zip(-PANEL_RATE * gradients, ("$-g_m$", "$-g_a$"), (-turn, turn), strict=True):
            ax.annotate("", tip, (0, 0), arrowprops=arrow | {"color": plots.COLORS["black"], "lw": 1.0}, zorder=8)
            # Beside the arrow, away from the other one.
            beside = 15 * away * np.array([-tip[1], tip[0]]) / np.linalg.norm(tip)
            ax.annotate(label, 0.7 * tip, beside, textcoords="offset points", ha="center", va="center", fontsize=13, zorder=9)
        ax.set(title=name, xlim=(-0.6, 1.15), ylim=(-0.75, 1.0), xticks=[], yticks=[], aspect="equal")
        ax.grid(False)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return fig


def _draw_contours(ax: Axes, hessian: np.ndarray) -> None:
    """The metric, with a darker contour through the model's place and a star at the optimum."""
    x, y = np.meshgrid(np.linspace(-0.6, 1.15, 80), np.linspace(-0.75, 1.0, 80))
    off = np.stack([x - 1, y], -1)
    metric = -np.einsum("...i,ij,...j->...", off, hessian, off) / hessian[0, 0]
    ax.contour(x, y, metric, levels=np.arange(-6, 0, 0.25), colors="#DDDDDD", linestyles="-", linewidths=0.8)
    ax.contour(x, y, metric, levels=[-1], colors="#777777", linestyles="-", linewidths=1.4)
    ax.plot(1, 0, marker="*", markersize=12, color=plots.COLORS["black"])


def _numbers(cell: list[float] | str) -> list[float]:
    """A list of numbers, also from a recorded table, where it is text."""
    numbers: list[float] = json.loads(cell) if isinstance(cell, str) else cell
    return numbers


def panel_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Weights and gain of every method in every panel, by exponent."""
    here = _named(_of_kind(rows, "panel"))
    table = here.pivot(index=["panel", "method"], columns="β", values=["weight of main", "weight of auxiliary", "gain"]).astype(
        float
    )
    table = table.set_axis([f"{column[0]}, β = {column[1]:g}" for column in table.columns], axis=1)
    order = pd.MultiIndex.from_product([PANELS, [method.title for method in METHODS.values()]], names=["panel", "method"])
    return table.reindex(order)


def sweep_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean shares over seeds at the largest rate and the smallest exponent, one line per group and method."""
    swept = _of_kind(rows, "sweep")
    rate, beta = swept["rate"].max(), swept["beta"].min()
    other = ["main not followed", "step improves the metric", "more weight to the worse", "median gain"]
    here = _named(_of_kind(rows, "sweep", rate=rate, beta=beta)).rename(columns={"gain": "median gain"})
    return here.groupby(["kind of geometry", "method"], sort=False)[[*CLAIMED["dominant auxiliary"], *other]].mean()


def harm_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Both gains negative: how often the worse task gets more weight, and the median loss of the step."""
    here = _of_kind(rows, "sweep", group="both harmful")
    here = _named(here[here.method.isin(["cosine", "hydalearn", "inverted"])]).rename(columns={"gain": "median gain"})
    columns = ["more weight to the worse", "points better than gradient cosine", "median gain"]
    return here.groupby(["learning rate", "β", "method"], sort=False)[columns].mean()


def draw_shares(rows: pd.DataFrame) -> Figure:
    """The share of geometries with each property that the figure claims, at every learning rate and exponent."""
    lines = [(group, name) for group, names in CLAIMED.items() for name in names]
    here = _of_kind(rows, "sweep")
    rates, betas = (sorted(here[column].unique()) for column in ("rate", "beta"))
    fig, axes = plt.subplots(len(rates), 1, figsize=(plots.WIDTH, 3.9 * len(rates)), sharex=True, squeeze=False)
    for ax, rate in zip(axes[:, 0], rates, strict=True):
        for number, beta in enumerate((betas[0], betas[-1])):
            for method, color, offset in (("hydalearn", "vermillion", 0.16), ("hydalearn, matched", "blue", -0.16)):
                some = _of_kind(here, "sweep", rate=rate, beta=beta, method=method)
                at = [some.loc[some.group == group, name].mean() for group, name in lines]
                fill = plots.COLORS[color] if number == 0 else "white"
                ax.plot(
                    at, -np.arange(len(lines)) + offset, plots.MARKERS[number], color=plots.COLORS[color], markerfacecolor=fill,
                    markersize=6.5, label=rf"{METHODS[method].title}, $\beta$ = {beta:g}", clip_on=False,
                )  # fmt: skip
        start = 0
        for group, names in CLAIMED.items():
            ax.text(1.02, -start + 0.3, group.replace(", ", ",\n"), fontsize=10.5, va="top", transform=ax.get_yaxis_transform())
            start += len(names)
            if start < len(lines):
                ax.axhline(0.5 - start, color="#777777", linewidth=0.9)
        ax.axvline(0.5, color="#555555", linewidth=0.9, linestyle=":")
        ax.set_yticks(-np.arange(len(lines)), [name for _, name in lines])
        ax.set(title=f"learning rate {rate:g}", xlim=(-0.02, 1.02), ylim=(0.5 - len(lines), 0.5))
    ax.set_xlabel("share of geometries")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return fig


def met_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per claim: how many states of its kind, their share of all, and in what share of them it is so."""
    if not (rows.kind == "met").any():
        return pd.DataFrame()
    here = rows[rows.kind == "met"].groupby("claim", sort=False)[["states", "so"]].sum()
    of_all = here["states"] / rows[rows.kind == "visits"]["visits"].sum()
    table = pd.DataFrame(
        {"states": here["states"].astype(int), "of all states": of_all, "it is so in": here["so"] / here["states"]}
    )
    says = {claim.id: claim.says for claim in exhibits.get("hydalearn/fig3").claims}
    return table.rename(says).reset_index()


def measured(rows: pd.DataFrame) -> results.Measured:
    """The registered claims from states met in training, and the gates."""
    if not (rows.kind == "met").any():
        gates = ("enough-states", "learned", "gain-meter", "control")
        return results.Measured(gates=[results.Gate(name, False, "not recorded", cost=STATES) for name in gates])
    met, visits = rows[(rows.kind == "met") & (rows["states"] > 0)], rows[rows.kind == "visits"]
    floor = dict.fromkeys(KINDS, 0.5) | {"cosine-blocks-help": 0.05}
    effects = {claim: (some["so"] / some["states"] - floor[str(claim)]).tolist() for claim, some in met.groupby("claim")}
    geometry = [name for name in KINDS if name != "cosine-blocks-help"]
    counts = met.groupby("claim")[["states", "metric gains more"]].sum().reindex(geometry, fill_value=0)
    same = visits[["same main", "same auxiliary"]].mean().min()
    return results.Measured(
        {str(name): values for name, values in effects.items()},
        gates=[
            results.Gate.every(
                "enough-states",
                [
                    results.Gate.within("states", int(counts["states"].min()), least=200),
                    results.Gate.within("seeds", visits["seed"].nunique(), least=10),
                ],
                cost=STATES,
            ),
            below_ridge(rows),
            results.Gate.within("gain-meter", same, least=0.8, cost=STATES),
            results.Gate.within("control", float((counts["metric gains more"] / counts["states"]).min()), least=0.9, cost=STATES),
        ],
    )
