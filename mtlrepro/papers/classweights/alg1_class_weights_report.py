"""Algorithm 1 of the class-weight paper: drawn and measured from the rows of `alg1_class_weights`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from mtlrepro import plots, results
from mtlrepro.papers.classweights.arms import PLANTED, RULES

PAIRS = (("ratio", "exact"), ("scalar", "exact"), ("ratio", "reference"), ("exact", "reference"))
NAMES = {"ratio": "finite differences", "scalar": "scalar form, eq. 7", "exact": "exact", "reference": "reference"}
GROUPS = ("all", "frequent", "middle", "rare")
PLANTS = {"misleading": "misleading texture", "scrambled": "scrambled labels"}
_SHOWN = {"all weights 1": "equal"}
# Mean shares of the pixels below which a class is rare, and middle.
EDGES = (0.01, 0.05)
_LEARNT = {"classes": "finite differences", "exact": "exact derivative"}


def grouped(derivatives: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column `group`, by each class's mean share of the pixels."""
    shares = derivatives.groupby("class")["share"].mean()
    groups = pd.cut(shares, [0, *EDGES, 1], labels=["rare", "middle", "frequent"], right=False).astype(str)
    return derivatives.assign(group=derivatives["class"].map(groups))


def _by_seed(rows: pd.DataFrame, first: str, second: str) -> Iterator[dict[str, float]]:
    for _, own in rows.groupby("seed"):
        a, b = own[first] > 0, own[second] > 0
        chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
        rank = stats.spearmanr(own[first], own[second]).statistic
        yield {"agreement": (a == b).mean(), "chance": chance, "rank correlation": rank}


def agreement(derivatives: pd.DataFrame, optimizer: str, first: str, second: str, group: str = "all") -> pd.DataFrame:
    """A row per seed: share of steps and classes where two rules have one sign, what independent signs of the same frequencies
    would give, and the rank correlation."""
    here = derivatives[derivatives.optimizer == optimizer]
    return pd.DataFrame(list(_by_seed(here if group == "all" else here[here.group == group], first, second)))


def _shown(values: pd.Series[Any], sign: str = "") -> str:
    mean, low, high = results.interval(values.to_numpy())
    return f"{mean:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def agreement_table(derivatives: pd.DataFrame) -> pd.DataFrame:
    """A line per optimizer, pair of rules and group of classes; means over seeds with 95% intervals."""
    lines = {}
    for optimizer in derivatives.optimizer.unique():
        for first, second in PAIRS:
            for group in GROUPS if (first, second) == PAIRS[0] else GROUPS[:1]:
                found = agreement(derivatives, optimizer, first, second, group)
                lines[optimizer, f"{NAMES[first]}, {NAMES[second]}", group] = {
                    "same sign": _shown(found["agreement"]), "by chance": f"{found['chance'].mean():.3f}",
                    "rank correlation": _shown(found["rank correlation"], "+"),
                }  # fmt: skip
    return pd.DataFrame(lines).T.rename_axis(["optimizer", "rules", "classes"]).reset_index()


def _scaled(derivatives: pd.DataFrame, rule: str) -> np.ndarray:
    """|g| over the median of its seed and class, so that tails over time are seen, not differences between classes; falling."""
    here = derivatives[(derivatives.optimizer == "adam") & (derivatives[rule] != 0)]
    size = here[rule].abs()
    found = (size / size.groupby([here["seed"], here["class"]]).transform("median")).sort_values(ascending=False)
    return np.asarray(found, dtype=float)


def tail_table(derivatives: pd.DataFrame) -> pd.DataFrame:
    """A line per rule, trained with Adam: the share above 0 (mean over seeds, interval); how heavy tails are, by quantiles of |g|
    over its class's median and by the share that the largest hundredth has of all squares."""
    lines = {}
    here = derivatives[derivatives.optimizer == "adam"]
    for rule in RULES:
        size = _scaled(derivatives, rule)
        line = {"share above 0": _shown((here[rule] > 0).groupby(here["seed"]).mean())}
        line |= {f"{q:.0%} quantile": f"{np.quantile(size, q):.1f}" for q in (0.75, 0.95, 0.99)}
        largest = (size[: max(len(size) // 100, 1)] ** 2).sum()
        lines[NAMES[rule]] = line | {"largest": f"{size[0]:.0f}", "share of squares": f"{largest / (size**2).sum():.2f}"}
    return pd.DataFrame(lines).T.rename_axis("rule").reset_index()


def draw_tails(derivatives: pd.DataFrame) -> Figure:
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
    return fig


def draw_agreement(derivatives: pd.DataFrame) -> Figure:
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
    return fig


def draw_weights(planted: pd.DataFrame) -> Figure:
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
    return fig


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
    """A line per kind of harm and of training: depth's test loss, its change from all weights 1 in percent, final weights."""
    lines = {}
    for plant in PLANTS:
        found = main_losses(planted, plant)
        for how in PLANTED:
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
            lines[PLANTS[plant], (_LEARNT | _SHOWN).get(how, how)] = line
    return pd.DataFrame(lines).T.rename_axis(["harm", "weights"]).reset_index()


def joined(derivatives: pd.DataFrame, still: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """The rows that are recorded: kind "derivative", "still" (the same of a network that never changes), "test" and "weights"."""
    known = [derivatives.assign(kind="derivative"), still.assign(kind="still"), planted.drop(columns="share")]
    unused = ["accuracy", "iou", "log_l1", "rmse", "region", "class iou", "interval", "rate"]
    return pd.concat(known).drop(columns=unused, errors="ignore")


def still_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Size and sign of the ratio, and the largest exact derivative, of the first seed trained with SGD and of the network that
    stands still."""
    moving = rows[(rows.kind == "derivative") & (rows.optimizer == "sgd")]
    cases = {"learns": moving[moving.seed == moving.seed.min()], "stands still": rows[rows.kind == "still"]}
    return pd.DataFrame(
        {"network": name, "median size of the ratio": own["ratio"].abs().median(), "share above 0": (own["ratio"] > 0).mean(),
         "largest exact derivative": own["exact"].abs().max()}
        for name, own in cases.items() if len(own)
    )  # fmt: skip


def derivatives_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The measured derivatives of a training, with the group of each class."""
    return grouped(rows[rows.kind == "derivative"])


def findings(rows: pd.DataFrame) -> str:
    """What the ratio does, in sentences."""
    derivatives, effects = derivatives_of(rows), measured(rows).effects
    pairs = {name: agreement(derivatives, name, *PAIRS[0]) for name in ("adam", "sgd")}
    beyond = {name: float((own["agreement"] - own["chance"]).mean()) for name, own in pairs.items()}
    return (
        f"The ratio has the exact derivative's sign more often than by chance in {beyond['adam']:+.1%} of the cases with Adam, "
        f"{beyond['sgd']:+.1%} with SGD. Weights of classes that were made to harm fall by "
        f"{np.mean(effects['harmful-near-zero']):.2f} on average; the main loss with the rule is "
        f"{np.mean(effects['main-loss-falls']):+.1%} below that with equal weights."
    )


def measured(rows: pd.DataFrame) -> results.Measured:
    """Trainings with classes made to harm, means over both kinds of harm; no class was planted as helpful."""
    planted = rows[rows.kind != "derivative"]
    ends = [1 - final_weights(planted, plant, "classes")[True] for plant in PLANTS]
    tables = [main_losses(planted, plant) for plant in PLANTS]
    gains = [1 - table["classes"] / table["all weights 1"] for table in tables]
    without = {how: _mean([table[how] / table["all weights 1"] - 1 for table in tables]) for how in ("harmful 0", "others 0")}
    plants = [
        _clear("gain without the harmful", [-value for value in without["harmful 0"]]),
        _clear("loss without the others", without["others 0"]),
    ]
    trainings = "1 core hour: a set-up in which planted classes harm, 24 seeds"
    return results.Measured(
        {"harmful-near-zero": _mean(ends), "main-loss-falls": _mean(gains)},
        gates=[
            results.Gate.every("plants-work", plants, cost=trainings),
            results.Gate("baseline-level", False, "losses of constants not recorded", cost="minutes: a run that records them"),
            _enough_updates(rows),
            _settled(planted),
            results.Gate("grid-interior", False, "no rate was chosen", cost="three times the trainings: a grid of three rates"),
            results.Gate("control", False, "no class planted as helpful", cost=trainings),
        ],
    )


def _mean(effects: list[pd.Series[Any]]) -> list[float]:
    return [float(value) for value in pd.concat(effects, axis=1).mean(axis=1)]


def _clear(name: str, values: list[float]) -> results.Gate:
    mean, low, _ = results.interval(values)
    return results.Gate(name, bool(mean >= 0.05 and low > 0), f"{mean:+.3f}")


def _enough_updates(rows: pd.DataFrame) -> results.Gate:
    cost = "minutes: more steps, or a larger rate of the weights"
    if "alpha" not in rows or rows["alpha"].isna().all():
        return results.Gate("enough-updates", False, "rate of the weights not recorded", cost=cost)
    steps = rows[rows.kind == "weights"]["step"].max()
    return results.Gate.within("enough-updates", float(steps * rows["alpha"].max()), least=2, cost=cost)


def _settled(planted: pd.DataFrame) -> results.Gate:
    """Mean absolute change of the weights in the second half of their updates, which begin after a fifth of the training."""
    own = planted[(planted.kind == "weights") & (planted.how == "classes")]
    last = own.step.max()
    tables = [own[own.step == at].set_index(["plant", "seed", "class"]).weight for at in (last, _nearest(own.step, 0.6 * last))]
    moved = float((tables[0] - tables[1]).abs().mean())
    return results.Gate.within("converged", moved, most=0.1, cost="twice the steps: 30 core minutes")


def _nearest(steps: pd.Series[Any], wanted: float) -> int:
    known = sorted(steps.unique().tolist())
    return int(min(known, key=lambda step: abs(step - wanted)))
