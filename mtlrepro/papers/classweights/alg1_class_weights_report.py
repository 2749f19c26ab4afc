"""Tables, figures and claims of the page on class-wise weights' Algorithm 1, drawn from the rows of its study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from mtlrepro import plots, results
from mtlrepro.papers.classweights.alg1_class_weights import RULES, frequency_groups

PAIRS = (("ratio", "exact"), ("scalar", "exact"), ("ratio", "reference"), ("exact", "reference"))
NAMES = {"ratio": "finite differences", "scalar": "scalar form, eq. 7", "exact": "exact", "reference": "reference"}
GROUPS = ("all", "frequent", "middle", "rare")
PLANTS = {"misleading": "misleading texture", "scrambled": "scrambled labels"}
_LEARNT = {"classes": "finite differences", "exact": "exact derivative"}


def grouped(derivatives: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column `group`, by each class's mean share of the pixels."""
    shares = derivatives.groupby("class")["share"].mean()
    groups = dict(zip(shares.index, frequency_groups(shares.to_list()), strict=True))
    return derivatives.assign(group=derivatives["class"].map(groups))


def _by_seed(rows: pd.DataFrame, first: str, second: str) -> Iterator[dict[str, float]]:
    for _, own in rows.groupby("seed"):
        a, b = own[first] > 0, own[second] > 0
        chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
        rank = stats.spearmanr(own[first], own[second]).statistic
        yield {"agreement": (a == b).mean(), "chance": chance, "rank correlation": rank}


def agreement(derivatives: pd.DataFrame, optimizer: str, first: str, second: str, group: str = "all") -> pd.DataFrame:
    """A row a seed: share of steps and classes where two rules have one sign, what independent signs of the same frequencies
    would give, and the rank correlation."""
    here = derivatives[derivatives.optimizer == optimizer]
    return pd.DataFrame(list(_by_seed(here if group == "all" else here[here.group == group], first, second)))


def _shown(values: pd.Series[Any], sign: str = "") -> str:
    mean, low, high = results.interval(values.to_numpy())
    return f"{mean:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def agreement_table(derivatives: pd.DataFrame) -> pd.DataFrame:
    """A line an optimizer, pair of rules and group of classes; means over seeds with 95% intervals."""
    lines = {}
    for optimizer in derivatives.optimizer.unique():
        for first, second in PAIRS:
            for group in GROUPS if (first, second) == PAIRS[0] else GROUPS[:1]:
                found = agreement(derivatives, optimizer, first, second, group)
                lines[optimizer, f"{NAMES[first]}, {NAMES[second]}", group] = {
                    "same sign": _shown(found["agreement"]), "by chance": f"{found['chance'].mean():.3f}",
                    "rank correlation": _shown(found["rank correlation"], "+"),
                }  # fmt: skip
    return pd.DataFrame(lines).T.rename_axis(["optimizer", "rules", "classes"])


def _scaled(derivatives: pd.DataFrame, rule: str) -> np.ndarray:
    """|g| over the median of its seed and class, so that tails over time are seen, not differences between classes; falling."""
    here = derivatives[(derivatives.optimizer == "adam") & (derivatives[rule] != 0)]
    size = here[rule].abs()
    found = (size / size.groupby([here["seed"], here["class"]]).transform("median")).sort_values(ascending=False)
    return np.asarray(found, dtype=float)


def tail_table(derivatives: pd.DataFrame) -> pd.DataFrame:
    """A line a rule, trained with Adam: the share above 0 (mean over seeds, interval); how heavy tails are, by quantiles of |g|
    over its class's median and by the share that the largest hundredth has of all squares."""
    lines = {}
    here = derivatives[derivatives.optimizer == "adam"]
    for rule in RULES:
        size = _scaled(derivatives, rule)
        line = {"share above 0": _shown((here[rule] > 0).groupby(here["seed"]).mean())}
        line |= {f"{q:.0%} quantile": f"{np.quantile(size, q):.1f}" for q in (0.75, 0.95, 0.99)}
        largest = (size[: max(len(size) // 100, 1)] ** 2).sum()
        lines[NAMES[rule]] = line | {"largest": f"{size[0]:.0f}", "share of squares": f"{largest / (size**2).sum():.2f}"}
    return pd.DataFrame(lines).T


def draw_tails(derivatives: pd.DataFrame) -> None:
    """The distribution of |g| over its class's median by rule, on logarithmic axes."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.6))
    for rule, color, dash in zip(RULES[:3], ("vermillion", "orange", "blue"), ("-", "--", "-."), strict=True):
        size = _scaled(derivatives, rule)
        ax.plot(size, np.arange(1, len(size) + 1) / len(size), dash, color=plots.COLORS[color], label=NAMES[rule])
    ax.set(
        xscale="log",
        yscale="log",
        xlim=(0.1, None),
        xlabel="size of the derivative, over the class's median",
        ylabel="share that is larger",
    )
    ax.legend()
    plots.show(fig)


def draw_agreement(derivatives: pd.DataFrame) -> None:
    """Agreement in sign beyond chance, with 95% intervals: finite differences by group of classes, then the other pairs."""
    cases = [(*PAIRS[0], group) for group in GROUPS] + [(*pair, "all") for pair in PAIRS[1:]]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.8))
    for optimizer, offset, color, marker in (("adam", 0.14, "vermillion", "o"), ("sgd", -0.14, "blue", "s")):
        for y, (first, second, group) in enumerate(reversed(cases)):
            found = agreement(derivatives, optimizer, first, second, group)
            mean, low, high = results.interval((found["agreement"] - found["chance"]).to_numpy())
            ax.errorbar(mean, y + offset, xerr=[[mean - low], [high - mean]], color=plots.COLORS[color], fmt=marker,
                        label=f"trained with {optimizer}" if y == 0 else None)  # fmt: skip
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.9)
    texts = [f"{NAMES[a]}, {NAMES[b]}" + ("" if group == "all" else f": {group}") for a, b, group in reversed(cases)]
    ax.set_yticks(range(len(cases)), texts, fontsize=10)
    ax.set(xlabel="same sign, beyond chance", xlim=(-0.55, 0.55))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    plots.show(fig)


def draw_weights(planted: pd.DataFrame) -> None:
    """Mean weight of each class over the training, by rule and kind of harm; planted classes are drawn in colour."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 5.6), sharex=True, sharey="col")
    for line, plant in zip(axes, PLANTS, strict=True):
        for ax, how in zip(line, _LEARNT, strict=True):
            own = planted[(planted.kind == "weights") & (planted.plant == plant) & (planted.how == how)]
            means = own.groupby(["class", "harmful", "step"])["weight"].mean().reset_index()
            for (_, harmful), one in means.groupby(["class", "harmful"]):
                color, dash = (plots.COLORS["vermillion"], "-") if harmful else (plots.COLORS["grey"], "--")
                ax.plot(one.step, one.weight, dash, color=color, linewidth=1.3, label="harmful" if harmful else "other")
            ax.set_title(f"{PLANTS[plant]}: {_LEARNT[how]}", fontsize=11)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    for ax in axes[:, 0]:
        ax.set_ylabel("weight")
    handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    fig.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2)
    plots.show(fig)


def final_weights(planted: pd.DataFrame, plant: str, how: str) -> pd.DataFrame:
    """Mean weight at the end by seed: columns False (other classes) and True (harmful ones)."""
    own = planted[(planted.kind == "weights") & (planted.plant == plant) & (planted.how == how)]
    last = own[own.step == own.step.max()].astype({"harmful": bool})
    found: pd.DataFrame = last.pivot_table(index="seed", columns="harmful", values="weight", aggfunc="mean")
    return found


def main_losses(planted: pd.DataFrame, plant: str) -> pd.DataFrame:
    """Test loss of depth by seed and kind of training."""
    return planted[(planted.kind == "test") & (planted.plant == plant)].pivot(index="seed", columns="how", values="depth")


def planted_table(planted: pd.DataFrame) -> pd.DataFrame:
    """A line a kind of harm and of training: depth's test loss, its change from all weights 1 in percent, final weights."""
    lines = {}
    for plant in PLANTS:
        found = main_losses(planted, plant)
        for how in ("all weights 1", "harmful 0", "others 0", "single", "classes", "exact"):
            change = 100 * (found[how] / found["all weights 1"] - 1)
            line = {
                "depth": f"{found[how].mean():.4f} ({found[how].std():.4f})",
                "change, %": "",
                "harmful minus other weight": "",
            }
            if how != "all weights 1":
                line["change, %"] = _shown(change, "+")
            if how in _LEARNT:
                weights = final_weights(planted, plant, how)
                line["harmful minus other weight"] = _shown(weights[True] - weights[False], "+")
            lines[PLANTS[plant], _LEARNT.get(how, how)] = line
    return pd.DataFrame(lines).T


def claims(derivatives: pd.DataFrame, planted: pd.DataFrame) -> list[results.Part]:
    """The ratio stands for the derivative; harmful classes lose weight; and the main loss gains from it."""
    parts = []
    for optimizer in derivatives.optimizer.unique():
        for group in GROUPS:
            found = agreement(derivatives, optimizer, *PAIRS[0], group)
            effect = (found["agreement"] - found["chance"]).to_numpy()
            text = "the ratio has the exact derivative's sign more often than by chance"
            parts.append(results.paired(text, effect, setting=f"{optimizer}, classes: {group}", unit="share beyond chance"))
    for plant, name in PLANTS.items():
        weights, found = final_weights(planted, plant, "classes"), main_losses(planted, plant)
        fallen = (weights[False] - weights[True]).to_numpy()
        parts.append(results.paired("planted harmful classes end below the others", fallen, setting=name, unit="weight"))
        gained = (1 - found["classes"] / found["all weights 1"]).to_numpy()
        parts.append(results.paired("a lower main loss than with all weights 1", gained, setting=name, unit="share of it"))
    return parts
