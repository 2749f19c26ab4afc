"""Tables and figures of the page on equation 6, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials

_COLUMNS, _COMMON = "each column of X1 and of X2 rotated as a vector of samples", "inputs of both tasks rotated alike"
# What "rotations of the columns of X_1 and X_2" can mean, and what the corrected statement has.
_ROTATIONS = (_COLUMNS, _COMMON, "inputs of each task rotated on its own")
_INVARIANT = (_COLUMNS, _COMMON, "X1 and X2 each times its own number")


def _of_kind(rows: pd.DataFrame, kind: str, names: dict[str, str]) -> pd.DataFrame:
    """The rows of that kind with the columns of `names`, renamed; counts as whole numbers."""
    table = rows.loc[rows["kind"] == kind, list(names)]
    counts = [column for column in ("n", "changed", "violations", "below_itself", "rank") if column in names]
    return table.astype(dict.fromkeys(counts, int)).rename(columns=names)


def move_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per transformation: pairs tried, pairs whose score changed, the largest change."""
    names = {"name": "transformation", "n": "pairs", "changed": "score changed", "worst": "largest change"}
    return _of_kind(rows, "transformation", names).set_index("transformation")


def smallest_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Score of the smallest case before and after the turn."""
    return _of_kind(rows, "smallest", {"before": "before", "after": "after"})


def map_table(rows: pd.DataFrame) -> pd.DataFrame:
    """For maps in the group and outside of it: least and largest change over finitely many inputs."""
    names = {
        "inside": "in the group", "n": "pairs of maps", "least": "least change", "largest": "largest change",
        "least_ratio": "least change over disturbance",
    }  # fmt: skip
    return _of_kind(rows, "map", names).set_index("in the group")


def itself_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of diag(2, 1) with itself and with a single sample."""
    return _of_kind(rows, "itself", {"against": "against", "score": "score", "normalised": "normalised"}).set_index("against")


def range_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Random pairs, violations of any bound, and how many score higher than with themselves."""
    names = {
        "n": "random pairs", "violations": "violations", "worst": "largest error of any bound",
        "below_itself": "higher than with itself",
    }  # fmt: skip
    return _of_kind(rows, "range", names)


def draw(rows: pd.DataFrame) -> Figure:
    """Score, self-score and normalised score against the steepness of the spectrum, and against a common offset."""
    fig, axes = plt.subplots(2, 1, figsize=(plots.WIDTH, 6.6))
    lines = {
        "score": ("score, eq. 6", "vermillion", "o"), "normalised": ("normalised", "blue", "s"),
        "itself": ("score with itself", "grey", "^"), "centred": ("score, centred", "green", "D"),
    }  # fmt: skip
    for ax, kind, by, columns in [
        (axes[0], "spectrum", "steep", ["itself", "score", "normalised"]),
        (axes[1], "offset", "offset", ["score", "normalised", "centred"]),
    ]:
        for column in columns:
            label, color, marker = lines[column]
            groups = rows[rows["kind"] == kind].groupby(by)[column]
            low, high = groups.quantile(0.1), groups.quantile(0.9)
            plots.band(ax, low.index, groups.median(), low, high, label=label, color=color, marker=marker)
        ax.legend()
    axes[0].set(xlabel="steepness s of the spectrum, 20 inputs", ylabel="median, and 10% to 90% of pairs", ylim=(0, 1.04))
    axes[1].set(xlabel="length of the common offset over that of samples", ylabel="the same", ylim=(0, 1.04))
    return fig


def cut_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per share kept: how much the cut moves the score, and the most that it can lose."""
    names = {
        "energy": "share kept", "n": "pairs", "median": "median change", "largest": "largest change", "bound": "most it can lose",
        "violations": "violations",
    }  # fmt: skip
    return _of_kind(rows, "cut", names).set_index("share kept")


def edge_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of the worst cut and of the tie."""
    columns = ["with the cut", "without", "most it can lose", "e2 kept", "e3 kept", "both kept (ours)"]
    return rows[columns].max().to_frame("score").rename_axis("cut")


def rank_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Rank under each reading of the cut."""
    return _of_kind(rows, "reading", {"reading": "reading", "rank": "rank"}).set_index("reading")


def measured(rows: pd.DataFrame) -> Measured:
    """Invariance: as printed in every meaning of "rotations of the columns", corrected in those that are right. The range."""
    moved = rows[rows["kind"] == "transformation"]
    forms = [moved[moved["name"].isin(names)] for names in (_ROTATIONS, _INVARIANT)]
    invariance = StatementTrials(*(trials(some, ["changed"], some["worst"].max()) for some in forms))
    ranges = rows[rows["kind"] == "range"]
    spans = StatementTrials(trials(ranges, ["violations"], ranges["worst"].max()))
    return Measured(statements={"invariance": invariance, "range": spans})
