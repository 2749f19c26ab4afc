"""Tables and figures of the page on Lemma 8, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.rates_report import draw_rates
from mtlrepro.papers.transfer.theory.trials_report import worst_setting
from mtlrepro.results import Measured, StatementTrials

# The statement's "with probability 1 - δ".
DELTA = 0.1


def counter_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per constant: the size of the instance, the bound, the sine of the optimum, and how often the bound fails."""
    groups = rows[rows["kind"] == "counterexample"].groupby("constant")
    table = groups[["d", "m1", "sigma1", "lemma"]].first().astype({"d": int, "m1": int})
    table["sin(B*, θ₂), median"], table["least"] = groups["sin2"].median(), groups["sin2"].min()
    table["draws"], table["bound fails in"] = groups.size(), groups["lemma_failed"].sum().astype(int)
    table["m₁ of the corrected condition"] = groups["corrected_m1"].first()
    return table.rename(columns={"m1": "m₁", "sigma1": "σ₁", "lemma": "bound"})


def draw(rows: pd.DataFrame) -> Figure:
    """Share of instances in which the bound fails against m_1 over the printed condition, with exact intervals."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.0))
    shapes = zip(plots.COLORS.values(), plots.MARKERS, strict=False)
    curves = list(rows[rows["kind"] == "curve"].groupby("name", sort=False))
    many = rows[rows["kind"] == "counterexample"].assign(factor=lambda table: table["constant"])
    for (color, marker), (name, group) in zip(shapes, [*curves, ("many inputs, noisy source", many)], strict=False):
        failed = group.groupby("factor")["lemma_failed"]
        draw_rates(ax, failed.size().index, failed.sum(), failed.size(), label=str(name), color=color, marker=marker)
    ax.axhline(DELTA, color=plots.COLORS["black"], linestyle="--", linewidth=1, label="δ, allowed")
    ax.set(xscale="log", xlabel="$m_1$ over the printed condition (constants 1)", ylabel="share in which Lemma 8's bound fails")
    ax.legend()
    return fig


def needed_table(rows: pd.DataFrame) -> pd.DataFrame:
    """For each setting: the printed m_1, and the least factor tried from which on failures stay below δ."""
    lines = {}
    for name, group in rows[rows["kind"] == "curve"].groupby("name", sort=False):
        rates = group.groupby("factor")["lemma_failed"].mean()
        bad = rates.index[rates > DELTA]
        enough = [factor for factor in rates.index if not len(bad) or factor > bad.max()]
        m1 = group[group["factor"] == 1.0]["m1"].median()
        lines[name] = {"printed m₁, median": m1, "enough from factor": enough[0], "failed at the least factor": rates.iloc[0]}
    return pd.DataFrame(lines).T.rename_axis("setting")


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per displayed line: the share of instances in which it fails, in both settings, and the correction."""
    lines = rows[rows["kind"] == "line"]
    table = lines.assign(failed=lines["broken"] / lines["n"]).pivot_table("failed", ["line", "relation"], "where", sort=False)
    table.columns = [f"fails: {name}" for name in table.columns]
    notes = lines.drop_duplicates("line").set_index("line")["correction"].fillna("")
    return table.reset_index("relation").join(notes)


def concentration_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Draws in which the source's covariance is far from its expectation, at either number of samples."""
    names = {
        "n": "draws", "printed_m1": "m₁ in the proof", "printed": "fails", "corrected_m1": "m₁, with L",
        "corrected": "fails, with L",
    }  # fmt: skip
    return rows.loc[rows["kind"] == "concentration", list(names)].astype(int).rename(columns=names)


def inequality_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per setting and factor: the deterministic inequality on random instances."""
    names = {
        "factor": "m₁ over the condition", "n": "n", "violations": "violations", "worst": "largest excess",
        "trivial": "bound is 1 in", "loose": "bound / truth, median",
    }  # fmt: skip
    some = rows[rows["kind"] == "inequality"].astype({"n": int, "violations": int, "trivial": int}).set_index("name")
    return some[list(names)].rename(columns=names)


def corrected_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per setting: m_1 of the corrected condition, failures of the lemma there, and the largest sine over its bound."""
    groups = rows[rows["kind"] == "corrected"].groupby("name", sort=False)
    table = pd.DataFrame({"m₁, median": groups["m1"].median(), "draws": groups.size()})
    table["bound fails in"] = groups["lemma_failed"].sum().astype(int)
    table["largest sine / bound"] = groups.apply(lambda group: (group["sin2"] / group["lemma"]).max())
    return table


def measured(rows: pd.DataFrame) -> Measured:
    """In the worst setting: failures at the printed condition (any constant), and at the corrected one."""
    at_condition = rows[(rows["kind"] == "curve") & (rows["factor"] == 1.0)].groupby("name")["lemma_failed"]
    counter = rows[rows["kind"] == "counterexample"].groupby("constant")["lemma_failed"]
    corrected = rows[rows["kind"] == "corrected"].groupby("name")["lemma_failed"]
    printed = [failed for groups in (at_condition, counter) for _, failed in groups]
    angle = StatementTrials(worst_setting(printed, DELTA), worst_setting([failed for _, failed in corrected], DELTA))
    return Measured(statements={"angle-of-optimum": angle})
