"""Table 2 of the class-weight paper: tabulated and measured from the rows of `tab2_seconds.seconds`."""

from __future__ import annotations

import pandas as pd

from mtlrepro import results

TITLES = {
    "linear": "equal", "classes": "class-wise", "held-out": "class-wise, held-out (ours)",
    "pareto": "Pareto MTL, one forward pass", "pareto, separate passes": "Pareto MTL, separate passes",
}  # fmt: skip
_PRINTED = {"linear": "linear_sum", "classes": "ours", "pareto, separate passes": "pareto_mtl"}


def ratios(rows: pd.DataFrame, classes: int | None = None) -> pd.DataFrame:
    """Turns by methods: each method's seconds over those of equal weights in the same turn; default: the fewest classes."""
    own = rows[rows["classes"] == (rows["classes"].min() if classes is None else classes)]
    times = own.pivot(index="turn", columns="method", values="seconds")
    return times.div(times["linear"], axis=0)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 2: the paper's seconds and ratios, and ours by number of classes, medians over turns."""
    paper, lines = results.paper_values("classweights/tab2"), []
    for name, title in TITLES.items():
        seconds = paper.get(_PRINTED.get(name, ""))
        ratio = seconds / paper["linear_sum"] if seconds else None
        line: dict[str, object] = {"method": title, "seconds, paper": seconds, "ratio, paper": ratio}
        for classes in sorted(rows["classes"].unique()):
            own = rows[(rows["classes"] == classes) & (rows.method == name)]
            ours = ratios(rows, classes)[name].median()
            line |= {f"seconds, {classes} classes": own.seconds.median(), f"ratio, {classes} classes": ours}
        if ratio:
            line["ratio minus the paper's"] = ratios(rows)[name].median() - ratio
        lines.append(line)
    return pd.DataFrame(lines)


def findings(rows: pd.DataFrame) -> str:
    """How long a step of each method takes, in steps with equal weights."""
    own = ratios(rows)
    steps = {title: f"{own[name].median():.2f}" for name, title in TITLES.items() if name != "linear"}
    return (
        "A step takes as long as this many steps with equal weights: "
        + "; ".join(f"{title} {n}" for title, n in steps.items())
        + "."
    )


def growth(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds with many classes over those with few, by method."""
    medians = rows[rows.method.isin(TITLES)].groupby(["method", "classes"])["seconds"].median().unstack()
    grown = (medians.max(axis=1) / medians.min(axis=1)).reindex(list(TITLES))
    return pd.DataFrame({"method": list(TITLES.values()), "many classes over few": grown.to_numpy()})


def measured(rows: pd.DataFrame) -> results.Measured:
    """One value per turn, with the fewest classes: all methods take turns, so a slow moment meets each."""
    own = ratios(rows)
    seconds = rows[rows["classes"] == rows["classes"].min()]
    spread = seconds.groupby("method")["seconds"].quantile([0.25, 0.5, 0.75]).unstack()
    worst = float(((spread[0.75] - spread[0.25]) / spread[0.5]).loc[["linear", "classes", "pareto"]].max())
    steady = [
        results.Gate.within("turns", float(len(own)), least=50),
        results.Gate.within("quartiles over median", worst, most=0.1),
    ]
    cost = "9 core minutes: 50 turns on a quiet machine"
    gates = [results.Gate.every("steady", steady, cost=cost)]
    for name, arm, least, most in (("compute-bound", "double batch", 1.6, None), ("control", "two backwards", 1.5, 2.1)):
        if arm in own:
            gates.append(results.Gate.within(name, float(own[arm].median()), least=least, most=most or float("inf"), cost=cost))
        else:
            gates.append(results.Gate(name, False, "not recorded", cost=cost))
    if "difference" in rows:
        gates.append(
            results.Gate.within("same-work", float(rows["difference"].max()), most=1e-3, cost="none: an error in the code")
        )
    else:
        gates.append(results.Gate("same-work", False, "not recorded", cost=cost))
    return results.Measured(
        {
            "near-linear-sum": (2 - own["classes"]).tolist(),
            "faster-than-pareto": (own["pareto"] / own["classes"] - 1).tolist(),
        },
        gates=gates,
    )
