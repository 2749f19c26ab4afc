"""Tables and figures of the page on Proposition 1, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials

COLORS = [plots.COLORS[name] for name in ("blue", "vermillion", "green", "purple")]
_MODELS = {"prop1_error": r"$\theta_2$ of Prop. 1 (single task)", "borrowed_error": "optimum that borrows from the source"}


def worst_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per case: instances, the worst relative error of model and loss, the least excess of any other model."""
    groups = rows[rows["kind"] == "optimum"].groupby("case", sort=False)
    return pd.DataFrame(
        {
            "instances": groups["n"].sum().astype(int),
            "largest |B*A_i* − θ_i| / |θ_i|": groups["model_worst"].max(),
            "largest |f* − Σ single-task| / Σ|y|²": groups["loss_worst"].max(),
            "least excess, disturbed": groups["below_worst"].min(),
            "least excess, descent": groups["descent_worst"].min(),
            "median excess, descent": groups["descent_gap"].median(),
        }
    )


def draw(rows: pd.DataFrame) -> Figure:
    """Top: loss gap against r. Bottom: error of the target's model at several optima of the same loss."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(plots.WIDTH, 8))
    for color, (cosine, group) in zip(COLORS, rows[rows["kind"] == "gap"].groupby("cosine"), strict=False):
        ranks = group.groupby("r")["gap"]
        top.plot(ranks.median(), "o-", color=color, label=f"cosine to a common model {cosine:g}")
        top.fill_between(ranks.median().index, ranks.quantile(0.1), ranks.quantile(0.9), color=color, alpha=0.2)
    top.set(xlabel="capacity r (k = 6 tasks)", ylabel="loss above the single-task minima, relative")
    top.legend(title="median, 10% to 90%")
    after = rows[rows["kind"] == "transfer"]
    lines = [(label, after.groupby("target_samples")[column].median()) for column, label in _MODELS.items()]
    for start, group in after.groupby("start"):
        lines.append((f"gradient descent from size {start:g}", group.groupby("target_samples")["descent_error"].median()))
    for color, marker, (label, line) in zip(COLORS, "osv^", lines, strict=False):
        bottom.plot(line, marker + "-", color=color, label=label)
    bottom.axvline(20, color="0.6", linestyle=":")
    bottom.set(
        xlabel="target samples (d = 20 inputs)", ylabel=r"error of the target's model, $|BA_2-\theta|^2/|\theta|^2$", yscale="log"
    )
    bottom.legend(title="r = k = 2, medians")
    return fig


def transfer_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Medians over draws: error, excess loss and change of in-sample predictions of every optimum, and how often each
    start of gradient descent ends with a smaller error than Prop. 1's model."""
    after = rows[rows["kind"] == "transfer"].astype({"target_samples": int})
    after["share of draws below Prop. 1"] = after["descent_error"] < after["prop1_error"]
    groups = after.groupby(["target_samples", "start"])
    columns = [f"{name}_{what}" for what in ("error", "excess", "moved") for name in ("prop1", "borrowed", "descent")]
    table = groups[columns].median().join(groups["share of draws below Prop. 1"].mean())
    return table.rename(columns=lambda name: name.replace("_", ": ")).drop(columns=["prop1: moved"])


def smallest_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Losses of the smallest counterexample to the ReLU extension."""
    names = {
        "own": "loss when each head picks its own unit", "refit": "loss with the same B, best heads",
        "least": "multi-task optimum",
    }  # fmt: skip
    return rows[rows["kind"] == "smallest"].reindex(columns=list(names)).rename(columns=names)


def relu_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per size of the noise: in how many instances the claimed optimum of ReLU tasks is beaten, and by how much."""
    names = {
        "n": "instances", "violations": "claimed optimum beaten", "median": "by (median share of |y|²)", "worst": "by at most",
    }  # fmt: skip
    some = rows[rows["kind"] == "relu"].astype({"n": int, "violations": int})
    return some.set_index("noise")[list(names)].rename(columns=names)


def measured(rows: pd.DataFrame) -> Measured:
    """The construction has every task's own model and the least loss, and nothing tried lies below it."""
    tried = rows[rows["kind"] == "optimum"]
    broken = [f"{name}_violations" for name in ("model", "loss", "below", "descent")]
    return Measured(
        statements={"no-transfer-at-full-capacity": StatementTrials(trials(tried, broken, tried["loss_worst"].max()))}
    )
