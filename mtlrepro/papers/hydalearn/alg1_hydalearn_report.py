"""Tables and figures of the page on HydaLearn's Algorithm 1, drawn from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.methods.hydalearn import hydalearn_weights

UPDATES = ("as printed", "scale-matched")
COLORS = {"as printed": "vermillion", "scale-matched": "blue"}
VARIANTS = {
    "hydalearn": "our reading",
    "carried": "reference carried over, as printed",
    "heads weighted": "heads weighted, line 36 as printed",
    "inverted": "inverted (ours)",
    "no downscaling": "without eq. 4",
    "first order": "first-order gains (ours)",
    "stl": "single task",
}


def algorithm_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a set of switches: steps by the signs of their gains, and the largest difference."""
    some = rows[rows.kind == "algorithm"].set_index("name")
    columns = {"steps": "steps", "both_positive": "both positive", "mixed": "mixed", "both_negative": "both negative"}
    return some[[*columns, "worst"]].astype(dict.fromkeys(columns, int)).rename(columns=columns | {"worst": "largest difference"})


def draw_geometry() -> None:
    """Two harmful unit steps and the sums that the printed, equal and inverted weights make of them (W = 2, no eq. 4)."""
    steps = torch.tensor([[0.95, -0.3], [-0.45, -0.9]])  # the metric rises upwards
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.4))
    ax.axhspan(-2.1, 0, color="0.94")
    ax.text(-1.75, -2.0, "metric worse", color=plots.COLORS["grey"])
    main, aux = (float(w) for w in hydalearn_weights(steps[0, 1], steps[1, 1], 2.0, downscale=False))
    arrows = {"step on the main task": (steps[0], "black"), "step on the auxiliary task": (steps[1], "grey")}
    for name, weights in {"printed": (main, aux), "equal": (1.0, 1.0), "inverted": (aux, main)}.items():
        color = {"printed": "vermillion", "equal": "sky", "inverted": "blue"}[name]
        arrows[f"update, {name} weights"] = (weights[0] * steps[0] + weights[1] * steps[1], color)
    for name, (v, color) in arrows.items():
        style = {"arrowstyle": "-|>", "color": plots.COLORS[color], "linewidth": 2}
        ax.annotate("", (float(v[0]), float(v[1])), (0, 0), arrowprops=style)
        ax.plot([], [], color=plots.COLORS[color], label=name)
    ax.set(xlim=(-1.9, 3.6), ylim=(-2.1, 0.4), aspect="equal", xticks=[], yticks=[])
    ax.legend(loc="center right")
    plots.show(fig)


def of_training(rows: pd.DataFrame, method: str, update: str, batch: int = 16, points: int | None = None) -> pd.DataFrame:
    """Rows of one training, by seed."""
    trained = rows[rows.kind == "training"]
    here = trained[(trained.method == method) & (trained.batch == batch)]
    here = here[here.points == (points or trained.points.max())]
    return here[here["update"] == ("as printed" if method == "stl" else update)].set_index("seed")


def variant_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Test error of every variant, minus our reading's on the same seeds, and what its weights were."""
    lines = []
    for update in UPDATES:
        base = of_training(rows, "hydalearn", update).test
        for method, title in VARIANTS.items():
            here = of_training(rows, method, update)
            mean, low, high = results.interval((here.test - base).to_numpy())
            line = {"update": update, "variant": title, "test MAE": round(here.test.mean(), 4)}
            line |= {
                "minus our reading": f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]",
                "auxiliary share": round(here.share.mean(), 2),
            }
            lines.append(line | {"total scaled down": round(here.negative.mean(), 2)})
    return pd.DataFrame(lines).set_index(["update", "variant"])


def draw_sweeps(rows: pd.DataFrame) -> None:
    """Test error and spread of the weights against batch size and validation samples."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 6), sharex="col", sharey="row")
    here = rows[rows.kind == "training"].astype({"batch": int, "points": int})
    top = here.points.max()
    sweeps = {"batch": here[here.points == top], "points": here[(here.batch == 16) & (here.method == "hydalearn")]}
    for column, (name, some) in zip(axes.T, sweeps.items(), strict=True):
        sizes = sorted(some.loc[some.method == "hydalearn", name].unique())
        for ax, value in zip(column, ("test", "deviation"), strict=True):
            for update, color in COLORS.items():
                group = some[(some.method == "hydalearn") & (some["update"] == update)].sort_values(name)
                table = results.summary(group, name, value)
                plots.band(ax, table[name], table["mean"], table["low"], table["high"], label=f"HydaLearn, {update}", color=color)
                ax.lines[-1].set_linestyle("-" if update == "as printed" else "--")
            if name == "batch" and value == "test":
                table = results.summary(some[some.method == "stl"].sort_values(name), name, value)
                plots.band(
                    ax, table[name], table["mean"], table["low"], table["high"], label="single task", color="grey", marker="s"
                )
            ax.set_xscale("log")
            ax.set_xticks(sizes, [str(size) for size in sizes])
            ax.minorticks_off()
    axes[0, 0].set_ylabel("test MAE")
    axes[1, 0].set_ylabel("sd of the auxiliary share")
    axes[1, 0].set_xlabel("batch size")
    axes[1, 1].set_xlabel("validation samples of the gains")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    plots.show(fig)


def sweep_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line an update scale, batch size and number of validation samples."""
    some = rows[(rows.kind == "training") & (rows.method == "hydalearn")].astype({"batch": int, "points": int})
    columns = {"test": "test MAE", "share": "auxiliary share", "deviation": "sd of the share", "negative": "both negative"}
    return some.groupby(["update", "batch", "points"])[list(columns)].mean().rename(columns=columns).round(3)


def several_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Test error and mean shares with three tasks, one line a method."""
    some = rows[rows.kind == "several"].groupby("method", sort=False)
    return some[["test", "main", "related", "shuffled"]].mean().rename(columns={"test": "test MAE"}).round(3)
