"""Figure 1 of the HydaLearn paper from the rows of `fig1_flips`: boxes, their shares and flips, gates."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn.fig1_flips import TASKS
from mtlrepro.papers.hydalearn.gates import below_ridge
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES

SETTING = ["problem", "inputs", "update", "rate"]
BOXES = 20  # shown of a burst
KEYS = {"green": "green", "flips": "flips", "coin": "flips of a coin"}
TRAINED = "about 1 core hour: Exp1 for 20,000 updates at one rate, 20 seeds"
JUDGED = "none but more test rows for the gains, of which there are 2,000"


def boxes(rows: pd.DataFrame, **setting: Any) -> pd.DataFrame:
    """The rows of one setting, batch size 16; setting: column -> value."""
    chosen = rows["part"] == "boxes"
    for name, value in setting.items():
        chosen &= rows[name] == value
    return rows[chosen]


def alive(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of bursts in which the network was neither dead nor diverged."""
    return rows[rows["alive"].astype(bool)]


def draw_boxes(rows: pd.DataFrame) -> Figure:
    """The paper's figure from measured colours: the first seed's boxes of each task, early and late, softened inputs."""
    rates = rows.groupby("problem", sort=False)["rate"].max()
    lines = [(problem, rate, update) for problem, rate in rates.items() for update in UPDATES]
    fig, axes = plt.subplots(2 * len(lines), 1, figsize=(plots.WIDTH, 2.1 * len(lines) + 0.4))
    for pair, (problem, rate, update) in zip(axes.reshape(-1, 2), lines, strict=True):
        here = boxes(rows, meter="unit", inputs="softened", problem=problem, rate=rate, update=update)
        here = here[here["main colours"].notna()]
        for ax, when, row in zip(pair, ("early", "late"), (here.iloc[0], here.iloc[-1]), strict=True):
            for y, task in zip((0, -1), TASKS, strict=True):
                for x, mark in enumerate(row[f"{task} colours"][:BOXES]):
                    color, sign = (plots.COLORS["green"], "+") if mark == "+" else (plots.COLORS["vermillion"], "–")
                    ax.add_patch(Rectangle((x + 0.06, y + 0.06), 0.88, 0.84, color=color, linewidth=0))
                    ax.text(x + 0.5, y + 0.5, sign, color="white", ha="center", va="center", weight="bold")
            ax.set(xlim=(0, BOXES), ylim=(-1.05, 1.05), xticks=[])
            ax.set_yticks([0.5, -0.5], TASKS)
            ax.tick_params(length=0)
            ax.set_title(f"{problem}, rate {rate:g}, update {update}: {when}", fontsize=11, loc="left", pad=3)
            ax.grid(False)
            ax.spines[:].set_visible(False)
    return fig


def box_table(rows: pd.DataFrame, meter: str) -> pd.DataFrame:
    """One line per setting and task: shares of green boxes, of flips, and of flips in a random order."""
    keys = KEYS | ({"same": "same on other samples"} if meter == "unit" else {})
    lines = []
    for setting, some in alive(boxes(rows, meter=meter)).groupby(SETTING, sort=False):
        for task in TASKS:
            shares = {words: some[f"{task} {key}"].mean() for key, words in keys.items()}
            lines.append(dict(zip(SETTING, setting, strict=True)) | {"task": task} | shares)
    return pd.DataFrame(lines)


def pair_table(rows: pd.DataFrame, meter: str) -> pd.DataFrame:
    """One line per setting: in what share of the batches the two tasks differ or are both red; share of bursts left out."""
    here = boxes(rows, meter=meter)
    names = {"differ": "tasks differ", "differ by chance": "tasks differ, two coins", "both red": "both red"}
    shares = alive(here).groupby(SETTING, sort=False)[list(names)].mean().rename(columns=names)
    return shares.assign(**{"left out": 1 - here.groupby(SETTING, sort=False)["alive"].mean()})


def draw_shares(rows: pd.DataFrame, inputs: str) -> Figure:
    """Share of green boxes along training, unit steps: mean and 95% interval over seeds."""
    here = alive(boxes(rows, meter="unit", inputs=inputs))
    panels = here[["problem", "rate"]].drop_duplicates().to_numpy().tolist()
    fig, axes = plt.subplots(2, -(-len(panels) // 2), figsize=(plots.WIDTH, 5.6), sharey=True, squeeze=False)
    for ax, (problem, rate) in zip(axes.flat, panels, strict=False):
        for task, color in zip(TASKS, ("blue", "vermillion"), strict=True):
            for update, marker, style in zip(UPDATES, ("o", "s"), ("-", "--"), strict=True):
                some = results.summary(boxes(here, problem=problem, rate=rate, update=update), "at", f"{task} green")
                some = some.sort_values("at")
                ends = np.clip([some["mean"] - some["low"], some["high"] - some["mean"]], 0, 1)
                ax.errorbar(
                    (some["at"] + 1) / (here["at"].max() + 1), some["mean"], ends, label=f"{task}, update {update}",
                    color=plots.COLORS[color], marker=marker, linestyle=style, linewidth=1.2, markersize=4,
                )  # fmt: skip
        ax.axhline(0.5, color="#777777", linewidth=0.8, linestyle=":")
        ax.set(title=f"{problem}, learning rate {rate:g}", ylim=(-0.03, 1.03))
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    for ax in axes[-1]:
        ax.set_xlabel("share of training")
    for ax in axes[:, 0]:
        ax.set_ylabel("share of green boxes")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def batch_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per batch size of the same training."""
    here = alive(rows[(rows.part == "batch size") & (rows.meter == "unit")])
    keys = KEYS | {"same": "same on other samples"}
    columns = {f"{task} {key}": f"{task}, {words}" for task in TASKS for key, words in keys.items()}
    columns |= {"differ": "tasks differ", "both red": "both red"}
    return here.groupby("batch")[list(columns)].mean().rename(columns=columns).rename_axis("batch size").reset_index()


def findings(rows: pd.DataFrame) -> str:
    """What the boxes show, in words."""
    here = alive(boxes(rows, meter="unit"))
    lines = []
    for task in TASKS:
        flips, coin, same = (here[f"{task} {key}"].mean() for key in ("flips", "coin", "same"))
        lines.append(
            f"The {task} box changes colour in {flips:.0%} of the batches, tosses of a coin with its share of green would in "
            f"{coin:.0%}, and it has the same colour on other validation samples in {same:.0%}."
        )
    differ, chance = here["differ"].mean(), here["differ by chance"].mean()
    return " ".join(
        [*lines, f"The two boxes differ in {differ:.0%} of the batches; two independent coins would in {chance:.0%}."]
    )


def before_selected(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Rows "state" or "whole" of the states up to each seed's selected one."""
    selected = rows[rows.kind == "seed"].set_index("seed")["selected"]
    here = rows[rows.kind == kind]
    return here[here["step"] <= here["seed"].map(selected)]


def fixed_batches(rows: pd.DataFrame) -> pd.DataFrame:
    """Plain steps on batches of 16 at fixed parameters, states up to the selected one."""
    here = before_selected(rows, "state")
    return here[(here["batch"] == 16) & ~here["unit"].astype(bool)]


def draw_fixed(rows: pd.DataFrame) -> Figure:
    """The paper's boxes: up to ten mini-batches at the same parameters (each line a state along training), of the first seed.

    From rows without them: `draw_boxes`.
    """
    if not (rows.part == "visited").any():
        return draw_boxes(rows)
    here = fixed_batches(rows)
    here = here[here["seed"] == here["seed"].min()].drop_duplicates("epoch").sort_values("step")
    shown = min(10, int(here["batches"].max()))
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 0.55 * len(here) + 1.0), sharey=True)
    for ax, task, place in zip(axes, TASKS, (2, 1), strict=True):
        for y, signs in enumerate(here["signs"].astype(int)):
            for x in range(shown):
                good = signs // 4**x % 4 & place
                color, sign = (plots.COLORS["green"], "+") if good else (plots.COLORS["vermillion"], "–")
                ax.add_patch(Rectangle((x + 0.06, y + 0.08), 0.88, 0.84, color=color, linewidth=0))
                ax.text(x + 0.5, y + 0.5, sign, color="white", ha="center", va="center", weight="bold")
        ax.set(xlim=(0, shown), ylim=(len(here), 0), xticks=[], title=f"step on the {task} loss", xlabel="mini-batch")
        ax.set_yticks([y + 0.5 for y in range(len(here))], [f"epoch {epoch:.0f}" for epoch in here["epoch"]])
        ax.tick_params(length=0)
        ax.grid(False)
        ax.spines[:].set_visible(False)
    return fig


def fixed_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per batch size and length of the step, means over states up to the selected one and seeds."""
    if not (rows.part == "visited").any():
        return pd.DataFrame()
    here = before_selected(rows, "state").astype({"batch": int})
    here = here.assign(step=["unit length" if unit else "plain" for unit in here["unit"].astype(bool)])
    names = {"worse": "main step does harm", "rarer": "rarer sign of the auxiliary step"}
    names |= {f"same {task}": f"same sign on both halves, {task}" for task in TASKS}
    return here.groupby(["batch", "step"])[list(names)].mean().rename(columns=names).reset_index()


def measured(rows: pd.DataFrame) -> results.Measured:
    """The registered claims from mini-batches at fixed parameters, on rows outside training, and the gates."""
    if not (rows.part == "visited").any():
        return results.Measured(gates=_gates_of_boxes(rows))
    rows = rows[rows.part == "visited"]
    here = fixed_batches(rows)
    of_seed = here.groupby("seed")[["worse", "rarer"]].mean() - 0.05
    epochs = here.groupby(["seed", "epoch"])
    within, drift = epochs["q_variance"].mean(), epochs["q_mean"].var()
    share = (within / (within + drift)).groupby("seed").mean() - 0.5
    effects = {"main-not-always-good": of_seed["worse"], "auxiliary-flips": of_seed["rarer"], "batch-over-drift": share.dropna()}
    improves = before_selected(rows, "whole")["improves"].astype(float).mean()
    return results.Measured(
        {claim: values.tolist() for claim, values in effects.items()},
        gates=[
            below_ridge(rows),
            results.Gate.within("gain-meter", here[[f"same {task}" for task in TASKS]].mean().min(), least=0.8, cost=JUDGED),
            results.Gate.within("control", improves, least=0.95, cost=JUDGED),
        ],
    )


def _gates_of_boxes(rows: pd.DataFrame) -> list[results.Gate]:
    """Of rows of successive batches alone, between which the parameters move: they judge no claim."""
    here = alive(boxes(rows, meter="unit", inputs="as printed", update="as printed", problem="Exp1"))
    same = min(here[f"{task} same"].mean() for task in TASKS)
    return [
        results.Gate("learned", False, "not recorded", cost=f"{TRAINED}, with ridge regression beside it"),
        results.Gate.within("gain-meter", same, least=0.8, cost=f"{TRAINED}, gains on all 2,000 validation rows"),
        results.Gate("control", False, "not recorded", cost="minutes: the step on the whole training set at every checkpoint"),
    ]
