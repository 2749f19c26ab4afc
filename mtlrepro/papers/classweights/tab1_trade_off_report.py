"""The comparison of methods on scenes with two tasks: its runs, the plane of both losses, tables and claims."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from mtlrepro import plots
from mtlrepro.papers.classweights.tab1_trade_off import BEST_PARETO
from mtlrepro.papers.classweights.training.scene_tasks import METHODS, PARETO, TASKS
from mtlrepro.results.claims import Part, paired
from mtlrepro.results.intervals import interval

_LOOKS = {"linear": ("black", "s"), "uncertainty": ("grey", "D"), "mgda": ("purple", "v"), BEST_PARETO: ("blue", "P"),
          "classes": ("vermillion", "o"), "exact": ("orange", "^")}  # fmt: skip
_TITLES = {name: own.title for name, own in METHODS.items()} | {BEST_PARETO: "Pareto MTL, best vector"}
# Names of the paper's loss tables -> ours.
_PRINTED = {"single": "single", **{name: f"pareto ({v})" for name, v in zip(
    PARETO, ("1.0,0.0", "0.92,0.38", "0.71,0.71", "0.38,0.92", "0.0,1.0"), strict=True)}}  # fmt: skip


def losses(rows: pd.DataFrame, main: str, value: str | None = None) -> pd.DataFrame:
    """Test loss of `value` (default: of `main`) by seed (rows) and method (columns), of the states chosen for `main`; with a
    column for the Pareto vector that each seed's validation chooses."""
    here = rows[(rows.main == main) & (rows.region == "full")]
    found = here.pivot(index="seed", columns="method", values=value or main)
    if set(PARETO) & set(found):
        own = here[here.method.isin(PARETO)]
        best = own.loc[own.groupby("seed").validation.idxmin()].set_index("seed")
        found[BEST_PARETO] = best[value or main]
    return found


def draw_plane(rows: pd.DataFrame) -> None:
    """Both test losses of every method and seed, for each choice of the main task: small marks are seeds, large ones means.
    Dashed: the single task. Numbers: the preference vectors of Pareto MTL."""
    fig, axes = plt.subplots(2, 1, figsize=(plots.WIDTH, 8.4))
    for ax, main in zip(axes, TASKS, strict=True):
        x, y = (losses(rows, main, task) for task in TASKS)
        for i, name in enumerate(PARETO):
            if name in x:
                ax.plot(x[name], y[name], ".", color=plots.COLORS["sky"], markersize=4)
                ax.text(x[name].mean(), y[name].mean(), str(i + 1), color=plots.COLORS["blue"], ha="center", va="center")
        for name, (color, marker) in _LOOKS.items():
            if name in x and name != BEST_PARETO:
                ax.plot(x[name], y[name], marker, color=plots.COLORS[color], markersize=4, alpha=0.5)
                ax.plot(x[name].mean(), y[name].mean(), marker, color=plots.COLORS[color], markersize=9, label=_TITLES[name])
        if "single" in x:
            line = ax.axvline if main == TASKS[0] else ax.axhline
            alone = (x if main == TASKS[0] else y)["single"].mean()
            line(alone, linestyle="--", color=plots.COLORS["green"], linewidth=1.2, label="single task")
        ax.set(
            title=f"main task: {main}",
            xlabel="test loss of segmentation",
            ylabel="test loss of depth",
            xscale="log",
            yscale="log",
        )
        ax.xaxis.set_minor_formatter("{x:.3g}")
        ax.yaxis.set_minor_formatter("{x:.3g}")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    plots.show(fig)


def loss_table(rows: pd.DataFrame, paper: dict[str, Any]) -> pd.DataFrame:
    """A line a method and main task: the paper's two losses, ours, and how far the main loss is above the class-wise method's,
    in percent, paired, with its 95% interval."""
    lines = {}
    for i, main in enumerate(TASKS):
        both = [losses(rows, main, task) for task in TASKS]
        for name in [*METHODS, BEST_PARETO]:
            if name not in both[0]:
                continue
            key = {"classes": "ours_main_seg" if main == TASKS[0] else "ours_main_depth"}.get(name, _PRINTED.get(name, ""))
            printed = paper.get(key, ["", ""])
            line = {f"paper, {task}": printed[j] if name != "single" or i == j else "" for j, task in enumerate(TASKS)}
            for j, (task, found) in enumerate(zip(TASKS, both, strict=True)):
                line[task] = "" if name == "single" and i != j else f"{found[name].mean():.4f} ({found[name].std():.4f})"
            if name != "classes" and "classes" in both[i]:
                mean, low, high = interval(100 * (both[i][name] / both[i]["classes"] - 1).to_numpy())
                line["main loss above class-wise, %"] = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
            lines[main, _TITLES[name]] = line
    return pd.DataFrame(lines).T.fillna("")


def claims(rows: pd.DataFrame) -> list[Part]:
    """The class-wise method's main loss lower than single task's, linear sum's and that of Pareto MTL's best vector."""
    parts = []
    for main in TASKS:
        found = losses(rows, main)
        for name in ("single", BEST_PARETO, "linear"):
            if name in found and "classes" in found:
                effect = 1 - found["classes"] / found[name]
                text = f"class-wise weights have a lower loss than {_TITLES[name]}"
                parts.append(paired(text, effect.to_numpy(), setting=f"main task: {main}", unit="share of its loss"))
    return parts


_REGIONS = ("full", "non-car", "car")


def region_scores(rows: pd.DataFrame, region: str, value: str) -> pd.DataFrame:
    """`value` by seed and method (single, linear), of the states chosen for the task that `value` measures."""
    main = TASKS[0] if value in ("iou", "accuracy") else TASKS[1]
    here = rows[(rows.main == main) & (rows.region == region) & rows.method.isin(["single", "linear"])]
    return here.pivot(index="seed", columns="method", values=value)


def region_table(rows: pd.DataFrame, paper: dict[str, Any]) -> pd.DataFrame:
    """Table 1: a line a region and score, the paper's two numbers, ours, and multi-task minus single task with its interval."""
    lines = {}
    for region in _REGIONS:
        for value, key, factor in (("accuracy", "iou", 100), ("iou", "iou", 100), ("log_l1", "logl1", 1)):
            printed = paper[f"{region.replace('-', '')}_{key}"]
            found = factor * region_scores(rows, region, value)
            mean, low, high = interval((found["linear"] - found["single"]).to_numpy())
            lines[region, {"accuracy": "pixel accuracy, %", "iou": "mean IoU, %", "log_l1": "log L1"}[value]] = {
                "paper, single": printed[0], "paper, multi": printed[1], "paper, difference": round(printed[1] - printed[0], 4),
                "single": round(found["single"].mean(), 4), "multi": round(found["linear"].mean(), 4),
                "difference": f"{mean:+.3g} [{low:+.3g}, {high:+.3g}]",
            }  # fmt: skip
    return pd.DataFrame(lines).T


def region_claims(rows: pd.DataFrame) -> list[Part]:
    """Multi-task learning hurts both tasks on the whole image and outside of cars, and helps both on cars."""
    parts = []
    for region in _REGIONS:
        for value, task in (("log_l1", "depth"), ("accuracy", "segmentation")):
            found = region_scores(rows, region, value)
            gain = (found["linear"] - found["single"]) * (-1 if value == "log_l1" else 1)
            helps = region == "car"
            text = f"multi-task learning {'helps' if helps else 'hurts'} {task}"
            unit = "log L1, lower" if value == "log_l1" else "pixel accuracy"
            parts.append(
                paired(text, gain.to_numpy(), claim="positive" if helps else "negative", setting=f"{region} region", unit=unit)
            )
    return parts


def choices(rows: pd.DataFrame) -> pd.DataFrame:
    """What was chosen: the rate by method and main task, and the mean step of the state that was kept."""
    here = rows[rows.region == "full"]
    return here.groupby(["main", "method"], sort=False)[["rate", "step"]].mean().round(4)
