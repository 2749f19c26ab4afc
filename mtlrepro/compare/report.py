"""From the rows of the protocol to effects, tables, figures and words. No torch here."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro.compare import statistics
from mtlrepro.results.gates import Gate
from mtlrepro.results.intervals import remembered_interval

REFERENCE = "static"
ROPE = 0.01  # an effect within this is practically none
LARGER = ("accuracy", "AUROC")
FEWEST = 5  # problems from which a posterior for a further one is told
_ACROSS = 3  # problems in a row of the figure: more cannot be read on a phone


def effects(rows: pd.DataFrame, column: str = "test") -> pd.DataFrame:
    """A line per problem, method and seed: `effect` against tuned static weights on the same seed, above 0 where it is better.

    In points of accuracy or AUROC; of an error, as a share of the mean error of static weights on that problem.
    """
    lines = rows[["problem", "method", "seed", "metric", column]].rename(columns={column: "value"})
    reference = lines[lines.method == REFERENCE][["problem", "seed", "value"]]
    lines = lines.merge(reference, on=["problem", "seed"], suffixes=("", "_reference"))
    difference = lines["value"] - lines["value_reference"]
    size = lines.groupby("problem")["value_reference"].transform("mean")
    return lines.assign(effect=difference.where(lines["metric"].isin(LARGER), -difference / size))


def means(rows: pd.DataFrame, column: str = "test") -> pd.DataFrame:
    """(problems, methods) mean effects; NaN where a method does not serve a problem."""
    return effects(rows, column).pivot_table(index="problem", columns="method", values="effect", sort=False)


def by_problem(rows: pd.DataFrame, column: str = "test") -> pd.DataFrame:
    """A line per problem and method: mean test metric, effect with its 95% interval, seeds."""
    lines = []
    for (problem, method), group in effects(rows, column).groupby(["problem", "method"], sort=False):
        effect, low, high = remembered_interval(group["effect"].tolist())
        line = {"problem": problem, "method": method, "metric": group["metric"].iloc[0], "value": group["value"].mean()}
        # Single precision leaves a metric's rounding, 1e-8, where two methods are equal.
        line |= {name: round(value, 6) for name, value in (("effect", effect), ("low", low), ("high", high))}
        lines.append(line | {"seeds": len(group)})
    return pd.DataFrame(lines)


def complete(rows: pd.DataFrame, column: str = "test") -> pd.DataFrame:
    """`means` of the methods that serve every problem: those that can be ranked."""
    return means(rows, column).dropna(axis=1)


def posteriors(table: pd.DataFrame) -> dict[str, statistics.SignedRank]:
    """Against tuned static weights, of the methods that serve FEWEST problems or more. table: (problems, methods), of `means`."""
    told = [name for name in table if name != REFERENCE and table[name].count() >= min(FEWEST, len(table))]
    return {str(name): statistics.bayesian_signed_rank(table[name].dropna(), ROPE) for name in told}


def overall(rows: pd.DataFrame, titles: dict[str, str] | None = None) -> pd.DataFrame:
    """The table: a line per method, best mean rank first, those that do not serve every problem at the end.

    titles: of methods, by name. "better", "same", "worse": of `posteriors`.
    """
    table, equal_cost, ranked = means(rows), means(rows, "equal_cost_test"), complete(rows)
    ranks, equal_ranks = statistics.mean_ranks(ranked), statistics.mean_ranks(complete(rows, "equal_cost_test"))
    costs = rows.groupby("method")[["gradients", "cost"]].mean()
    several = len(ranked) > 1
    clear = statistics.against(ranked, REFERENCE)["clear"].to_dict() if several else {}
    told = posteriors(table) if several else {}
    unknown = statistics.SignedRank(np.nan, np.nan, np.nan)
    lines = []
    for method in sorted(map(str, table), key=lambda name: (ranks.get(name, np.inf), name)):
        own = table[method].dropna()
        line = {"method": (titles or {}).get(method, method), "problems": len(own), "mean rank": ranks.get(method, np.nan)}
        line |= {"mean effect": own.mean(), "worst": own.min(), "best": own.max()}
        if several:
            line |= told.get(method, unknown)._asdict()
            line["rank differs from static"] = {True: "yes", False: "no", None: ""}[clear.get(method)]
        line |= {"gradients per step": costs.gradients[method], "cost per step": costs.cost[method]}
        line |= {"mean rank at equal cost": equal_ranks.get(method, np.nan), "effect at equal cost": equal_cost[method].mean()}
        lines.append(line)
    return pd.DataFrame(lines)


def served(rows: pd.DataFrame, titles: dict[str, str], needs: dict[str, str]) -> pd.DataFrame:
    """A line per method: what it needs of a problem, and the problems that have it; those that serve every problem first."""
    table = means(rows)
    some = {str(method): ", ".join(map(str, table.index[table[method].notna()])) for method in table}
    where = some | {str(method): "all" for method in complete(rows)}
    lines = [{"method": titles[name], "needs": needs[name], "problems": where[name]} for name in where]
    return pd.DataFrame(lines).sort_values("problems", key=lambda names: names != "all", kind="stable")


def own_table(rows: pd.DataFrame, titles: dict[str, str]) -> pd.DataFrame:
    """The table of one problem: a line per method, the best first."""
    table = by_problem(rows).merge(
        rows.groupby("method", as_index=False)[["gradients", "cost", "inside", "equal_cost_test"]].mean()
    )
    table = table.sort_values("effect", ascending=False, kind="stable").assign(method=table.method.map(titles))
    names = {"value": table["metric"].iloc[0], "equal_cost_test": "at equal cost", "inside": "rate inside the grid"}
    return table.drop(columns=["problem", "metric"]).rename(columns=names)


def spread(rows: pd.DataFrame) -> pd.DataFrame:
    """By problem: the part of a test metric's variance between seeds that pairing takes out, and the deviation that is left."""
    lines = []
    for problem, group in rows.groupby("problem", sort=False):
        values = group.pivot_table(index="seed", columns="method", values="test").dropna()
        if min(values.shape) > 1:
            seed, rest = statistics.variance_components(values)
            share = seed / (seed + rest) if seed + rest else np.nan
            lines.append({"problem": problem, "shared by seed": share, "deviation that is left": rest**0.5})
    return pd.DataFrame(lines)


def by_trait(rows: pd.DataFrame) -> pd.DataFrame:
    """The decision list: for each trait of problems, the method with the best mean rank on those that have it, and its effect."""
    table, lines = means(rows), []
    traits = rows.drop_duplicates("problem").set_index("problem")["traits"].fillna("").str.split(", ")
    for trait in sorted({trait for own in traits for trait in own if trait}):
        own = table.loc[[problem for problem in table.index if trait in traits[problem]]].dropna(axis=1)
        ranks = statistics.mean_ranks(own)
        best = str(ranks.idxmin())
        line = {"where": trait, "best method": best, "mean rank": ranks[best], "mean effect": own[best].mean()}
        lines.append(line | {"rows": ", ".join(map(str, own.index))})
    return pd.DataFrame(lines)


def gates(rows: pd.DataFrame, seeds: int = 10, problems: int = 10) -> list[Gate]:
    """Whether the rows can carry a sentence: enough seeds and problems, and chosen rates inside their grids."""
    cost = "the full profile"
    return [
        Gate.within("seeds", int(rows.groupby(["problem", "method"])["seed"].nunique().min()), least=seeds, cost=cost),
        Gate.within("problems", len(complete(rows)), least=problems, cost=cost),
        Gate.within(
            "rates inside their grids",
            float(rows["inside"].astype(float).mean()),
            least=0.8,
            cost="wider grids of rates, and then the full profile",
        ),
    ]


def draw_effects(rows: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """Effect against tuned static weights by problem (columns) and method (lines), 95% intervals; best mean rank on top."""
    table = by_problem(rows)
    problems = list(dict.fromkeys(table.problem))
    ranks = statistics.mean_ranks(means(rows))
    order = [name for name in ranks.sort_values().index if name != REFERENCE]
    across = min(_ACROSS, len(problems))
    down = -(-len(problems) // across)
    size = (2.2 + 1.4 * across, down * (0.9 + 0.2 * len(order)))
    figure, axes = plt.subplots(down, across, figsize=size, sharey=True, squeeze=False)
    for axis in axes.flat[len(problems) :]:
        axis.set_axis_off()
    for axis, problem in zip(axes.flat, problems, strict=False):
        own = table[table.problem == problem].set_index("method")
        for y, method in enumerate(order):
            if method not in own.index:
                continue
            effect, low, high = (100 * own.loc[method, name] for name in ("effect", "low", "high"))
            axis.plot([low, high], [y, y], lw=1.2, color="C0")
            axis.plot(effect, y, "o", ms=3, color="C0" if low <= 0 <= high else "C1")
        axis.axvline(0, color="0.5", lw=0.8)
        axis.axvspan(-100 * ROPE, 100 * ROPE, color="0.9", zorder=0)
        axis.set_title(problem.partition("/")[2].replace("_", " ") or problem, fontsize=11)
        axis.tick_params(labelsize=10)
        limit = 1.3 * max(1.0, float(np.nanmax(np.abs(100 * own.effect))))
        axis.set_xlim(-limit, limit)
    axes[0, 0].set_yticks(range(len(order)), [titles.get(name, name) for name in order])
    axes[0, 0].invert_yaxis()
    figure.supxlabel("effect against tuned static weights (points, or % of its error)", fontsize=11)
    figure.tight_layout()
    return figure


def draw_ranks(rows: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """The critical-difference diagram: mean ranks, and bars over methods that Nemenyi's test does not tell apart."""
    ranked = complete(rows)
    ranks = statistics.mean_ranks(ranked).sort_values()
    difference = statistics.critical_difference(len(ranks), len(ranked))
    figure, axis = plt.subplots(figsize=(7, 0.9 + 0.22 * len(ranks)))
    for y, (method, rank) in enumerate(ranks.items()):
        axis.plot(rank, y, "o", ms=4, color="C1" if method == REFERENCE else "C0")
        axis.annotate(
            f"{titles.get(str(method), method)}  {rank:.1f}", (rank, y), (6, -3), textcoords="offset points", fontsize=8
        )
    for i, (low, high) in enumerate(statistics.alike(ranks, difference)):
        axis.plot([low, high], [-1 - 0.6 * i] * 2, lw=2.5, color="0.4", solid_capstyle="butt")
    axis.set_xlim(0.5, len(ranks) + 2.5)
    axis.set_yticks([])
    axis.invert_yaxis()
    axis.set_xlabel(f"mean rank over {len(ranked)} problems (critical difference {difference:.1f})")
    figure.tight_layout()
    return figure
