"""Algorithm 1 of the class-weight paper: drawn and measured from the rows of `alg1_class_weights`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from mtlrepro import plots, results
from mtlrepro.papers.classweights.ladder_arms import LADDER_ARMS, RUNGS
from mtlrepro.papers.classweights.planted_arms import PLANTED_ARMS

NAMES = {
    "ratio": "the paper's ratio", "scalar": "scalar form, eq. 7", "exact": "exact, next batch", "held-out": "exact, held-out",
    "reference": "reference",
}  # fmt: skip
_GIVEN = ("single", "more labels", "oracle", "inverse oracle")


# --- figures and tables -----------------------------------------------------------------------------------------------


def arms(rows: pd.DataFrame, kind: str, value: str = "test") -> pd.DataFrame:
    """`value` by seed (rows) and arm (columns) on one kind of problem; seeds that not every arm has are left out."""
    own = rows[rows.part.isin(["arm", "rung"]) & (rows.kind == kind)]
    return own.pivot(index="seed", columns="arm", values=value)


def kinds(rows: pd.DataFrame) -> list[str]:
    """The kinds of planted problems, in the order of the rows."""
    return list(dict.fromkeys(rows.loc[rows.part == "arm", "kind"]))


def change(table: pd.DataFrame, arm: str) -> pd.Series[float]:
    """Relative difference of an arm's loss from that of all weights 1, by seed."""
    return (table[arm] / table["equal"] - 1).dropna()


def draw_room(rows: pd.DataFrame) -> Figure:
    """Each arm's main loss over that of all weights 1, by problem, with 95% intervals; the band is the oracle's room. An arrow
    stands for an arm that lies beyond the axis, which ends at twice what the inverse oracle costs."""
    shown, ladder = [arm for arm in PLANTED_ARMS if arm != "equal"], [*kinds(rows), *RUNGS]
    ladder = [kind for kind in ladder if not arms(rows, kind).empty]
    fig, axes = plt.subplots(1, len(ladder), figsize=(plots.WIDTH, 5.4), sharey=True, squeeze=False)
    for ax, kind in zip(axes[0], ladder, strict=True):
        table = arms(rows, kind)
        ax.axvline(0, color=plots.COLORS["black"], linewidth=0.9)
        ax.set_title(RUNGS.get(kind, kind), fontsize=10)
        ax.axvspan(100 * float(np.mean(change(table, "oracle"))), 0, color=plots.COLORS["grey"], alpha=0.2, linewidth=0)
        most = 200 * float(np.mean(change(table, "inverse oracle")))
        for y, arm in enumerate(reversed(shown)):
            if arm not in table:
                continue
            mean, low, high = results.interval(100 * np.array(change(table, arm)))
            color = plots.COLORS["blue" if arm == "held-out" else "black" if arm in _GIVEN else "vermillion"]
            if mean > most > 0:
                ax.plot(most, y, ">", markersize=6, color=color, clip_on=False)
                continue
            ax.errorbar(mean, y, xerr=[[mean - low], [high - mean]], fmt="o", markersize=4, color=color)
    axes[0, 0].set_yticks(range(len(shown)), [PLANTED_ARMS[arm] for arm in reversed(shown)], fontsize=9)
    fig.supxlabel("test loss of the main task over that with all weights 1, %", fontsize=11)
    return fig


def ladder_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A column per problem: changes of the main loss by the oracle and its inverse, in %, whether these are clear of 0, and the
    share of the oracle's gain that each rule gets, in %, means over seeds."""
    columns = {}
    for kind in [*kinds(rows), *RUNGS]:
        table = arms(rows, kind)
        column = columns[RUNGS.get(kind, kind)] = {"gate": "not run"}
        if table.empty:
            continue
        ends = {arm: results.interval(100 * np.array(change(table, arm))) for arm in ("oracle", "inverse oracle")}
        column["gate"] = "passed" if ends["oracle"][2] < 0 < ends["inverse oracle"][1] else "failed"
        column |= {f"{arm}, %": f"{mean:+.0f} [{low:+.0f}, {high:+.0f}]" for arm, (mean, low, high) in ends.items()}
        for arm in LADDER_ARMS:
            if arm not in _GIVEN and arm != "equal":
                share = change(table, arm).mean() / change(table, "oracle").mean()
                column[f"{PLANTED_ARMS[arm]}: of the oracle's gain"] = f"{100 * share:.0f}%"
    return pd.DataFrame(columns).fillna("").rename_axis("measure").reset_index()


def arm_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per problem and arm: the main loss, its change from all weights 1, the share of the oracle's gain, final weights of
    helpful and harmful classes, and the rates."""
    lines = []
    for kind in kinds(rows):
        table = arms(rows, kind)
        weights = _final(rows, kind)
        room = float(np.mean(change(table, "oracle")))
        own = rows[(rows.part == "arm") & (rows.kind == kind)].drop_duplicates("arm").set_index("arm")
        for arm, title in PLANTED_ARMS.items():
            mean, low, high = results.interval(100 * np.array(change(table, arm)))
            line: dict[str, object] = {
                "problem": kind, "weights": title, "main loss": table[arm].dropna().mean(),
                "change, %": mean, "low": low, "high": high,
                "of the oracle's gain, %": mean / room, "helpful": None, "harmful": None,
                "learning rate": own.loc[arm, "rate"], "rate of weights": own.loc[arm, "alpha"] or None,
            }  # fmt: skip
            if arm in weights:
                line |= {"helpful": weights[arm][0].mean(), "harmful": weights[arm][1].mean()}
            lines.append(line)
    return pd.DataFrame(lines)


def draw_weights(rows: pd.DataFrame) -> Figure:
    """Final weight of each class, mean over seeds with intervals, by problem and rule; helpful ones by their share of signal."""
    columns = kinds(rows)
    fig, axes = plt.subplots(1, len(columns), figsize=(plots.WIDTH, 3.6), squeeze=False)
    for ax, kind in zip(axes[0], columns, strict=True):
        for arm, color, marker, shift in (("ratio", "vermillion", "o", -0.12), ("held-out", "blue", "s", 0.12)):
            own = rows[(rows.part == "arm") & (rows.kind == kind) & (rows.arm == arm)]
            values = own[_classes(own, "w")].astype(float)
            points = [results.interval(values[name].to_numpy()) for name in values]
            mean, low, high = (np.array(column) for column in zip(*points, strict=True))
            at = np.arange(len(mean)) + shift
            ax.errorbar(
                at, mean, yerr=[mean - low, high - mean], fmt=marker, color=plots.COLORS[color], markersize=5, label=NAMES[arm]
            )
        helpful = _helpful(rows, kind)
        ax.axvline(helpful - 0.5, color=plots.COLORS["grey"], linewidth=0.9)
        ax.axhline(1, color=plots.COLORS["black"], linewidth=0.9, linestyle="--")
        ax.set_xticks(range(len(mean)), [f"+{c + 1}" if c < helpful else "-" for c in range(len(mean))])
        ax.set_title(kind, fontsize=11)
        ax.set_ylim(0, None)
    axes[0, 0].set_ylabel("weight at the end")
    fig.supxlabel("class: + helps, more by its number; - harms", fontsize=11)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig


def map_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Where class weights can matter: one line per varied quantity and value, change of the main loss from all weights 1 in %."""
    lines = []
    for (name, value), own in rows[rows.part == "map"].groupby(["varied", "value"], sort=False):
        table = own.pivot(index="seed", columns="arm", values="test")
        line: dict[str, object] = {"varied": name, "value": value, "all weights 1": table["equal"].mean()}
        for arm in ("oracle", "ratio", "held-out"):
            mean, low, high = results.interval(100 * np.array(change(table, arm)))
            line[f"{PLANTED_ARMS[arm]}, %"] = f"{mean:+.0f} [{low:+.0f}, {high:+.0f}]"
        lines.append(line)
    return pd.DataFrame(lines)


def frequency_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Classes that help alike and differ in frequency: rank correlation of final weight and frequency over classes, by rule."""
    lines = []
    for arm, own in rows[rows.part == "frequency"].groupby("arm", sort=False):
        weights = own[_classes(own, "w")].astype(float)
        line: dict[str, object] = {"weights": PLANTED_ARMS[str(arm)], "commonest class": weights.iloc[:, 0].mean()}
        ranks = _ranked_by_frequency(own)
        lines.append(line | {"rarest class": weights.iloc[:, -1].mean(), "rank correlation with frequency": _interval(ranks)})
    return pd.DataFrame(lines)


def _ranked_by_frequency(rows: pd.DataFrame) -> list[float]:
    """Spearman correlation of final weight and frequency, of each row: its classes stand from the commonest to the rarest."""
    weights = rows[_classes(rows, "w")].astype(float).to_numpy()
    return [float(stats.spearmanr(np.arange(weights.shape[1]), -line).statistic) for line in weights]


def agreement_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per problem, pair of rules and number of steps summed over; means over seeds with 95% intervals."""
    own = rows[(rows.part == "agreement") & ~rows["still"].astype(bool)]
    lines = []
    for key, one in own.groupby(["kind", "first", "second", "window"], sort=False):
        kind, first, second, window = (str(part) for part in key)
        lines.append({
            "problem": kind, "rules": f"{NAMES[first]} / {NAMES[second]}", "steps": int(float(window)),
            "same sign": _interval(one["same sign"], ""),
            "by chance": one["by chance"].mean(), "rank correlation": _interval(one["rank correlation"]),
        })  # fmt: skip
    return pd.DataFrame(lines)


def draw_agreement(rows: pd.DataFrame) -> Figure:
    """Rank correlation of each rule's derivatives with the reference, over the number of steps that are summed."""
    fig, axes = plt.subplots(1, len(kinds(rows)), figsize=(plots.WIDTH, 3.4), sharey=True, squeeze=False)
    own = rows[(rows.part == "agreement") & ~rows["still"].astype(bool) & (rows["second"] == "reference")]
    looks = {"ratio": ("vermillion", "o-"), "scalar": ("orange", "^--"), "exact": ("sky", "v-."), "held-out": ("blue", "s-")}
    for ax, kind in zip(axes[0], kinds(rows), strict=True):
        for rule, (color, style) in looks.items():
            one = own[(own.kind == kind) & (own["first"] == rule)].groupby("window")["rank correlation"]
            points = [(window, *results.interval(values.to_numpy())) for window, values in one]
            window, mean, low, high = (np.array(column) for column in zip(*points, strict=True))
            ax.errorbar(
                window,
                mean,
                yerr=[mean - low, high - mean],
                fmt=style,
                color=plots.COLORS[color],
                markersize=4,
                label=NAMES[rule],
            )
        ax.axhline(0, color=plots.COLORS["black"], linewidth=0.9)
        ax.set(xscale="log", ylim=(-1, 1))
        ax.set_title(kind, fontsize=11)
    axes[0, 0].set_ylabel("rank correlation\nwith the reference")
    fig.supxlabel("steps that are summed", fontsize=11)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig


def size_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per problem and rule: share above 0 and how heavy the tails are, means over seeds."""
    own = rows[(rows.part == "size") & ~rows["still"].astype(bool)]
    titles = {"above 0": "share above 0", "q75": "75% quantile", "q95": "95% quantile", "q99": "99% quantile",
              "largest hundredth": "largest hundredth's share of squares"}  # fmt: skip
    table = own.groupby(["kind", "rule"], sort=False)[list(titles)].mean().rename(columns=titles).reset_index()
    return table.assign(rule=table["rule"].map(NAMES)).rename(columns={"kind": "problem"})


def still_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Median size of the ratio and of the exact derivative while the network learns and while it stands still, one seed each."""
    own = rows[(rows.part == "size") & rows["rule"].isin(["ratio", "exact"])]
    own = own[own["seed"].isin(own[own["still"].astype(bool)]["seed"])]
    table = own.pivot(index=["kind", "still"], columns="rule", values="median").reset_index()
    return pd.DataFrame({
        "problem": table["kind"], "network": np.where(table["still"].astype(bool), "stands still", "learns"),
        "median size of the ratio": table["ratio"], "median size of the exact derivative": table["exact"],
    })  # fmt: skip


def findings(rows: pd.DataFrame) -> str:
    """What the arms show, in sentences."""
    effects = measured(rows).effects

    ran = {kind: title for kind, title in RUNGS.items() if not arms(rows, kind).empty}

    def changes(arm: str, real: bool = False) -> str:
        titles = ran if real else {kind: kind for kind in kinds(rows)}
        return ", ".join(f"{100 * change(arms(rows, kind), arm).mean():+.0f}% ({title})" for kind, title in titles.items())

    on_real = ""
    if ran:
        on_real = (
            f" On real sets with planted classes, known weights: {changes('oracle', True)}; the paper's ratio: "
            f"{changes('ratio', True)}; one learnt weight: {changes('one weight', True)}; exact derivative of the held-out main "
            f"loss: {changes('held-out', True)}; of the next training batch's: {changes('exact on the batch', True)}."
        )

    def apart(arm: str) -> str:
        return ", ".join(f"{np.subtract(*_final(rows, kind)[arm]).mean():+.2f}" for kind in kinds(rows))

    return (
        "Main loss against all weights 1, mean over seeds, by problem. Class weights that are known from the start: "
        f"{changes('oracle')}. The paper's ratio: {changes('ratio')}; its weights of helpful classes minus those of harmful "
        f"ones end at {apart('ratio')}, and the harmful ones fall by {np.mean(effects['harmful-near-zero']):.2f} on average. "
        f"Exact derivative of the held-out main loss: {changes('held-out')}, with the classes {apart('held-out')} apart; of the "
        f"next training batch's: {changes('exact on the batch')}. The held-out labels trained on, at all weights 1: "
        f"{changes('more labels')}.{on_real}"
    )


# --- what the rows say of the registered claims and gates --------------------------------------------------------------


def measured(rows: pd.DataFrame) -> results.Measured:
    """Means over the kinds of problems, paired by seed."""
    tables = {kind: arms(rows, kind) for kind in kinds(rows)}
    final = {kind: _final(rows, kind)["ratio"] for kind in tables}
    sizes = rows[(rows.part == "size") & (rows["rule"] == "ratio") & ~rows["still"].astype(bool)]
    rough = [1 - own["roughness"] / own["plain roughness"] for _, own in sizes.set_index("seed").groupby("kind")]
    own = rows[rows.part == "arm"]
    return results.Measured(
        {
            "harmful-near-zero": _mean([1 - harmful for _, harmful in final.values()]),
            "helpful-above-harmful": _mean([helpful - harmful for helpful, harmful in final.values()]),
            "main-loss-falls": _mean([-change(table, "ratio") for table in tables.values()]),
            "importance-ranked": _mean([_ranked(rows, kind) for kind in tables]),
            "stable-with-adam": _mean(rough),
            "weights-not-by-frequency": _ranked_by_frequency(rows[(rows.part == "frequency") & (rows["arm"] == "ratio")]),
        },
        gates=[
            results.Gate.every(
                "plants-work", [part for kind, table in tables.items() for part in _plants(kind, table)], cost=_COST
            ),
            results.Gate.every("baseline-level", [_baseline(rows, kind) for kind in tables], cost=_COST),
            results.Gate.every("enough-updates", [_enough(own, kind) for kind in tables], cost=_COST),
            results.Gate.every("converged", [_settled(own, kind) for kind in tables], cost=_COST),
            results.Gate.every("grid-interior", [_interior(own, kind) for kind in tables], cost=_COST),
            results.Gate.every(
                "control", [*(part for kind, table in tables.items() for part in _plants(kind, table)), _drift(rows)], cost=_COST
            ),
        ],
    )


_COST = "the full profile: about an hour of one core"


def _mean(effects: list[pd.Series[float]]) -> list[float]:
    """Mean over problems of each seed that all of them have."""
    return [float(value) for value in pd.concat(effects, axis=1, join="inner").mean(axis=1)]


def _interval(values: pd.Series[float] | list[float], sign: str = "+") -> str:
    mean, low, high = results.interval(np.asarray(values, dtype=float))
    return f"{mean:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def _classes(rows: pd.DataFrame, name: str) -> list[str]:
    """Columns of the classes in order, of those that some row fills."""
    own = [f"{name}{c}" for c in range(rows.shape[1]) if f"{name}{c}" in rows]
    return [column for column in own if rows[column].notna().any()]


def _helpful(rows: pd.DataFrame, kind: str) -> int:
    """Number of helpful classes: each was left out once."""
    own = rows[(rows.part == "arm") & (rows.kind == kind)]
    return int(own.arm[own.arm.str.startswith("without")].nunique())


def _final(rows: pd.DataFrame, kind: str, name: str = "w") -> dict[str, tuple[pd.Series[float], pd.Series[float]]]:
    """Arm whose weights are learnt -> mean weight of its helpful and of its harmful classes, by seed."""
    own, helpful = rows[(rows.part == "arm") & (rows.kind == kind)], _helpful(rows, kind)
    return {
        str(arm): (one[columns[:helpful]].mean(axis=1), one[columns[helpful:]].mean(axis=1))
        for arm, one in own.set_index("seed").groupby("arm")
        if (columns := _classes(one, name))
    }


def _ranked(rows: pd.DataFrame, kind: str) -> pd.Series[float]:
    """Rank correlation over helpful classes of the final weight and of what the main loss gains by the class, by seed."""
    table, count = arms(rows, kind), _helpful(rows, kind)
    own = rows[(rows.part == "arm") & (rows.kind == kind) & (rows.arm == "ratio")].set_index("seed")
    weights = own[[f"w{c}" for c in range(count)]].astype(float)
    helps = pd.DataFrame({f"w{c}": table[f"without {c}"] - table["equal"] for c in range(count)}).loc[weights.index]
    # Weights that all stopped at 0 rank nothing.
    ranks = [
        0.0 if np.ptp(w) == 0 else float(stats.spearmanr(w, h).statistic)
        for w, h in zip(weights.to_numpy(), helps.to_numpy(), strict=True)
    ]
    return pd.Series(ranks, weights.index)


def _plants(kind: str, table: pd.DataFrame) -> list[results.Gate]:
    """The oracle leaves the harmful classes out, the inverse oracle the helpful ones."""
    gates = []
    for arm, sign in (("oracle", -1), ("inverse oracle", 1)):
        mean, low, _ = results.interval(sign * np.array(change(table, arm)))
        gates.append(results.Gate(f"{kind}, {arm}", bool(mean >= 0.05 and low > 0), f"{sign * mean:+.2f}"))
    return gates


def _baseline(rows: pd.DataFrame, kind: str) -> results.Gate:
    return results.Gate.within(
        kind, float((arms(rows, kind)["single"] / arms(rows, kind, "constant")["single"]).mean()), most=0.5
    )


def _enough(own: pd.DataFrame, kind: str) -> results.Gate:
    ratio = own[(own.kind == kind) & (own.arm == "ratio")].iloc[0]
    return results.Gate.within(kind, float(ratio["steps"] * ratio["alpha"]), least=2)


def _settled(own: pd.DataFrame, kind: str) -> results.Gate:
    """Weights of the ratio at the end and after half of their updates; or the two kinds of classes in one order at both."""
    ratio = own[(own.kind == kind) & (own.arm == "ratio")]
    end, half = (ratio[_classes(ratio, name)].to_numpy(dtype=float) for name in ("w", "half"))
    moved = float(np.abs(end - half).mean())
    apart = [float(np.subtract(*_final(own, kind, name)["ratio"]).mean()) for name in ("w", "half")]
    return results.Gate(
        kind, moved <= 0.1 or apart[0] * apart[1] > 0, f"moved {moved:.2f}, apart {apart[1]:+.2f} then {apart[0]:+.2f}"
    )


def _interior(own: pd.DataFrame, kind: str) -> results.Gate:
    inside = own[own.kind == kind].drop_duplicates("arm").set_index("arm")["inside"].astype(bool)
    outside = [arm for arm in ("equal", "ratio") if not inside[arm]]
    return results.Gate(kind, not outside, f"{', '.join(outside)} at an end" if outside else "inside")


def _drift(rows: pd.DataFrame) -> results.Gate:
    """Separation of the two kinds of classes by random gradients, mean over problems and seeds."""
    apart = [float(np.subtract(*_final(rows, kind)["random"]).mean()) for kind in kinds(rows)]
    mean = float(np.mean(apart))
    return results.Gate("random gradients", abs(mean) <= 0.05, f"{mean:+.3f}")
