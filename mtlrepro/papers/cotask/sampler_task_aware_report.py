"""The task-aware sampler of the CO-TASK paper: the picture, tables and claims from the rows of `sampler_task_aware`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results

# Weight -> w(x) of an array of counts, its colour and marker.
WEIGHTS = {
    "log(x)/x": (lambda x: np.log(x) / x, "blue", "o"),
    "1/x": (lambda x: 1 / x, "vermillion", "s"),
    "1": (np.ones_like, "grey", "v"),
}


def draw(rows: pd.DataFrame) -> Figure:
    """Share of the smaller class against the imbalance: lines the law for ECG-P18's size, markers what was drawn."""
    shares = rows[rows.kind == "share"]
    n = shares.loc[shares.name == "ECG-P18", ["few", "many"]].iloc[0].sum()
    times = np.logspace(0.3, 3.5, 60)
    few = n / (1 + times)
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.2))
    for name, (weight, color, marker) in WEIGHTS.items():
        one, other = few * weight(few), (n - few) * weight(n - few)
        label = "no weights" if name == "1" else f"w(x) = {name}"
        ax.plot(times, one / (one + other), color=plots.COLORS[color], label=label)
        for data, face in (("ECG-P18", plots.COLORS[color]), ("ECG-EchoLVH", "white")):
            own = shares[(shares.weight == name) & (shares.name == data)]
            ax.plot(own["many"] / own["few"], own["drawn"], marker, color=plots.COLORS[color], markerfacecolor=face)
    ax.set(xscale="log", ylim=(-0.02, 0.56), ylabel="share of the smaller class in draws")
    ax.set_xlabel("records of the larger class for each of the smaller")
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.3))
    return fig


def share_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Smallest and largest over tasks: how many times as often the larger class is drawn as the smaller one."""
    shares = rows[rows.kind == "share"].assign(times=lambda r: (1 - r["drawn"]) / r["drawn"], raw=lambda r: r["many"] / r["few"])
    groups = shares.groupby(["name", "weight"], sort=False)
    columns = {"raw": "larger / smaller, records", "times": "larger / smaller, drawn"}
    parts = {f"{text}, {how}": groups[key].agg(how) for key, text in columns.items() for how in ("min", "max")}
    return pd.DataFrame(parts).assign(**{"smallest p": groups["p"].min(), "draws a task": groups["draws"].first()}).round(4)


def major_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of the minor tasks' smaller classes: among the records, by the major task's weights, and task-aware."""
    shares = rows[rows.kind == "major"][["task", "records", "major", "aware"]].astype({"records": float})
    return shares.rename(columns={"major": "by EchoLVH's weights", "aware": "task-aware"}).set_index("task").round(4)


def rate_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Batches a second of processor time, and how many times the loaders' rate ours is: medians over turns."""
    columns = ["ours", "loader", "loader of batches", "times the loader", "times the loader of batches"]
    return rows[rows.kind == "rate"].groupby("what", sort=False)[columns].median().round(1)


def own_data_table(tasks: list[str], records: list[float], drawn: list[list[float]]) -> pd.DataFrame:
    """A reader's own tasks: batches drawn for each, and the share of yes among its records and among those drawn.

    records: share of yes per task. drawn: per task the share of yes in each batch.
    """
    means = [float(np.mean(own)) for own in drawn]
    columns = {"batches": list(map(len, drawn)), "share of yes, records": records, "share of yes, drawn": means}
    return pd.DataFrame(columns, index=tasks).round(3)


def claims(rows: pd.DataFrame) -> list[results.Part]:
    """The law task by task (below p = 0.001 divided by the number of tasks a frequency counts as off), and the major task's
    weights."""
    own = rows[(rows.kind == "share") & (rows.weight == "log(x)/x")]
    majors = rows[rows.kind == "major"]
    logs = np.log(own["few"]) / (np.log(own["few"]) + np.log(own["many"]))
    larger = own["drawn"] / (1 - own["drawn"])
    return [
        results.check(
            "a class is drawn in proportion to the logarithm of its count",
            worst=(own["drawn"] - logs).abs().max(), n=len(own), violations=int((own["p"] < 1e-3 / len(own)).sum()),
        ),
        results.check(
            "the larger class is drawn more often, and less so than it is larger",
            worst=larger.max(), n=len(own), violations=int(((larger >= 1) | (larger <= own["few"] / own["many"])).sum()),
        ),
        results.paired(
            "the minor tasks' smaller class is drawn more often than by the major task's weights",
            (majors["aware"] - majors["major"]).round(6).to_numpy(), unit="share, a task",
        ),
    ]  # fmt: skip
