"""Tables, figure and claims of a comparison of methods on real data, from the rows of `tab1_tab2_real_data`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from scipy import stats

from mtlrepro import plots
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.tab1_tab2_real_data import ABLATIONS, UPDATES
from mtlrepro.results.claims import Part, paired
from mtlrepro.results.intervals import interval

# The paper's names of what it compares -> methods.
PAPERS = {
    "HydaLearn": "hydalearn",
    "Gcosim": "cosine",
    "OL-AUX": "olaux",
    "GradNorm": "gradnorm",
    "Static": "static",
    "STL": "stl",
}
MARGIN = 0.01  # of AUROC: what is called negligible


def scores(rows: pd.DataFrame, update: str, value: str = "test", measured_on: str = "validation") -> pd.DataFrame:
    """`value` by seed (rows) and method (columns) at one update; what has no auxiliary gradient stands at both."""
    here = rows[(rows.kind == "seed") & (rows.measured_on == measured_on)]
    here = here[(here["update"] == update) | here.method.isin(["stl", "logistic"])]
    return here.pivot(index="seed", columns="method", values=value)


def ablations(rows: pd.DataFrame, update: str, value: str = "test") -> pd.DataFrame:
    """`value` by seed (rows) and ablation (columns), those that are there."""
    parts = {on: scores(rows, update, value, on) for on in rows.measured_on.dropna().unique()}
    found = {name: parts[on][method] for name, (method, on) in ABLATIONS.items() if on in parts and method in parts[on]}
    return pd.DataFrame(found)


def _spread(mean: float, deviation: float) -> str:
    return f"{mean:.3f} ({deviation:.3f})"


def _difference(values: pd.Series[Any]) -> str:
    mean, low, high = interval(values.to_numpy())
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def auroc_table(rows: pd.DataFrame, paper: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """A line a method: the paper's AUROC (sd), ours at each update, and HydaLearn minus the method, paired, with its interval."""
    printed = {PAPERS[name]: _spread(*values) for name, values in paper.items()}
    both = {update: scores(rows, update) for update in UPDATES}
    names = [name for name in [*METHODS, "logistic"] if any(name in found for found in both.values())]
    names = [name for name in names if name not in {method for method, _ in ABLATIONS.values()} - {"hydalearn"}]
    lines = {}
    for name in names:
        line = {"paper": printed.get(name, "")}
        for update, found in both.items():
            line[f"ours, {update}"] = _spread(found[name].mean(), found[name].std())
            line[f"HydaLearn minus it, {update}"] = "" if name == "hydalearn" else _difference(found["hydalearn"] - found[name])
        lines[METHODS[name].title if name in METHODS else "logistic regression"] = line
    return pd.DataFrame(lines).T


def ablation_table(rows: pd.DataFrame, paper: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """A line an ablation: the paper's AUROC (sd), ours at each update, the paired change from ExpImp-0, validation minus test."""
    lines: dict[str, dict[str, str]] = {}
    for update in UPDATES:
        found, held = ablations(rows, update), ablations(rows, update, "validation")
        for name in map(str, found):
            line = lines.setdefault(name, {"paper": _spread(*paper[name]) if name in paper else ""})
            line[f"ours, {update}"] = _spread(found[name].mean(), found[name].std())
            change = "" if name == "ExpImp-0" else _difference(found[name] - found["ExpImp-0"])
            line[f"minus ExpImp-0, {update}"] = change
            line[f"validation minus test, {update}"] = f"{(held[name] - found[name]).mean():+.3f}"
    return pd.DataFrame(lines).T


def choices(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a method and update: means over seeds of what was chosen on validation, of the weights, and of the excess over test.

    lowest rate, highest rate: shares of the seeds that chose an end of the grid.
    """
    here = rows[(rows.kind == "seed") & rows["rate"].notna()].copy()
    here["lowest rate"], here["highest rate"] = here.rate == here.rate.min(), here.rate == here.rate.max()
    here["validation minus test"] = here.validation - here.test
    columns = ["lowest rate", "highest rate", "step", "share", "spread", "validation minus test"]
    return here.groupby(["method", "measured_on", "update"], sort=False)[columns].mean().round(3)


def draw_differences(rows: pd.DataFrame) -> None:
    """HydaLearn minus every other method in test AUROC, paired over seeds, with 95% intervals, at both updates."""
    both = {update: scores(rows, update) for update in UPDATES}
    skip = {method for method, _ in ABLATIONS.values()}
    names = [name for name in [*METHODS, "logistic"] if name in both[UPDATES[0]] and name not in skip]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 0.36 * len(names) + 1.5))
    for update, offset, color, marker in ((UPDATES[0], 0.14, "vermillion", "o"), (UPDATES[1], -0.14, "blue", "s")):
        found = both[update]
        for y, name in enumerate(reversed(names)):
            mean, low, high = interval((found["hydalearn"] - found[name]).to_numpy())
            ax.errorbar(
                mean, y + offset, xerr=[[mean - low], [high - mean]], color=plots.COLORS[color], fmt=marker, markersize=5,
                label=f"update {update}" if y == 0 else None,
            )  # fmt: skip
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.9)
    titles = [METHODS[name].title if name in METHODS else "logistic regression" for name in reversed(names)]
    ax.set_yticks(range(len(names)), titles)
    ax.set_xlabel("test AUROC, HydaLearn minus the method")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    plots.show(fig)


def method_claims(rows: pd.DataFrame, paper: Mapping[str, Sequence[float]]) -> list[Part]:
    """HydaLearn above each method of the paper's table, and the paper's order of all of them (Kendall's tau a seed)."""
    parts = []
    order = {PAPERS[name]: values[0] for name, values in paper.items()}
    for update in UPDATES:
        found = scores(rows, update)
        here = [name for name in order if name in found]
        for name in sorted(
            set(here) - {"hydalearn"}, key=lambda name: ["stl", "static"].index(name) if name in ("stl", "static") else 9
        ):
            effect = (found["hydalearn"] - found[name]).to_numpy()
            parts.append(paired(f"HydaLearn above {METHODS[name].title}", effect, setting=f"update {update}", unit="AUROC"))
        tau = [stats.kendalltau([order[name] for name in here], line).statistic for line in found[here].to_numpy()]
        parts.append(paired("the paper's order of the methods", tau, setting=f"update {update}", unit="Kendall's tau"))
    return parts


def ablation_claims(rows: pd.DataFrame) -> list[Part]:
    """What the paper's text says of Tables 3 and 4; "negligible" means within `MARGIN`."""
    parts = []
    for update in UPDATES:
        found, held = ablations(rows, update), ablations(rows, update, "validation")
        base, gap = found["ExpImp-0"], held - found

        def add(name: str, effect: pd.Series[Any], update: str = update) -> None:
            parts.append(paired(name, effect.to_numpy(), setting=f"update {update}", unit="AUROC"))

        add("normalised fake steps are better (ExpImp-0 minus 1)", base - found["ExpImp-1"])
        add(f"but by no more than {MARGIN} (ExpImp-1 minus 0, plus {MARGIN})", found["ExpImp-1"] - base + MARGIN)
        add(f"training data do as well (ExpImp-2 minus 0, plus {MARGIN})", found["ExpImp-2"] - base + MARGIN)
        add(
            "validation data bias the validation score: its excess over test, ExpImp-0 minus 2", gap["ExpImp-0"] - gap["ExpImp-2"]
        )
        add(f"scaling down hardly helps (ExpImp-3 minus 0, plus {MARGIN})", found["ExpImp-3"] - base + MARGIN)
        add(f"nor hurts (ExpImp-0 minus 3, plus {MARGIN})", base - found["ExpImp-3"] + MARGIN)
    return parts
