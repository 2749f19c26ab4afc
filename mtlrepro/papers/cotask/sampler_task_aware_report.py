"""The task-aware sampler of the CO-TASK paper: figure, tables and gates from the rows of `sampler_task_aware`.

Its claims are those of Tables 8 and 7 on the sampler, from the rows recorded there; they are no evidence of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.cotask import gates
from mtlrepro.papers.cotask.ecg_tables import by_method
from mtlrepro.papers.cotask.tab1_ecg_p18_report import differences, set_of
from mtlrepro.papers.cotask.tab2_ecg_echolvh_report import MAJOR, MULTI, NONE, gates_table8
from mtlrepro.results import Gate, Measured

# Weight -> w(x) of an array of counts, its colour and marker.
WEIGHTS: dict[str, tuple[Callable[[Any], Any], str, str]] = {
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
    """By data set and weight, smallest and largest over tasks: how many times as many records the larger class has, and how many
    times as often it is drawn."""
    shares = rows[rows.kind == "share"].assign(times=lambda r: (1 - r["drawn"]) / r["drawn"], raw=lambda r: r["many"] / r["few"])
    groups = shares.groupby(["name", "weight"], sort=False)
    columns = {"raw": "larger / smaller, records", "times": "larger / smaller, drawn"}
    table = pd.DataFrame({f"{text}, {how}": groups[key].agg(how) for key, text in columns.items() for how in ("min", "max")})
    return table.rename_axis(["labels of", "weight w(x)"])


def major_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of the minor tasks' smaller classes: among the records, by the major task's weights, and task-aware."""
    shares = rows[rows.kind == "major"].set_index("task")[["records", "major", "aware"]].astype(float)
    return shares.set_axis(["among records", "drawn by EchoLVH's weights", "drawn task-aware"], axis=1)


def rate_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Batches a second of processor time, and how many times the loaders' rate ours is: medians over turns."""
    columns = ["ours", "loader", "loader of batches", "times the loader", "times the loader of batches"]
    return rows[rows.kind == "rate"].groupby("what", sort=False)[columns].median().rename_axis("a record is")


def own_data_table(tasks: list[str], records: list[float], drawn: list[list[float]]) -> pd.DataFrame:
    """A reader's own tasks: batches drawn for each, and the share of yes among its records and among those drawn.

    records: share of yes per task. drawn: per task the share of yes in each batch.
    """
    means = [float(np.mean(own)) for own in drawn]
    columns = {"batches": list(map(len, drawn)), "share of yes, records": records, "share of yes, drawn": means}
    return pd.DataFrame(columns, index=pd.Index(tasks, name="task"))


def findings(rows: pd.DataFrame) -> str:
    """In words, with the numbers of these rows."""
    shares = _by_log(rows).assign(times=lambda r: (1 - r["drawn"]) / r["drawn"])
    least, most = (shares.loc[shares.times == bound].iloc[0] for bound in (shares.times.min(), shares.times.max()))
    rates = rate_table(rows)["times the loader"]
    return (
        f"The larger class is drawn {least.times:.2f} times as often as the smaller one for {least.task} and {most.times:.2f} "
        f'times as often for {most.task}: "slightly higher", as the paper says, is true of common diseases only. Where a record '
        f"is small, our sampler draws {rates.max():.0f} times as many batches per second as the usual loader; for images, which "
        f"both have to copy, {rates.min():.0f} times as many."
    )


def _by_log(rows: pd.DataFrame) -> pd.DataFrame:
    """The shares drawn with the paper's weight."""
    return rows[(rows.kind == "share") & (rows.weight == "log(x)/x")]


def recorded_rows(exhibit: str, profile: str, committed: bool = False) -> pd.DataFrame | None:
    """The rows of another exhibit's run in the same profile, where there is one; see `results.load`."""
    there = profile in results.available(exhibit, committed)
    return results.load(exhibit, profile, committed).rows if there else None


def measured(rows: pd.DataFrame, table8: pd.DataFrame | None, table7: pd.DataFrame | None) -> Measured:
    """What the rows of Tables 8 and 7, where there are any, say of the sampler, and whether it follows its law."""
    effects: dict[str, Sequence[float]] = {}
    gates_of_table8: Sequence[Gate] = ()
    if table8 is not None:
        auroc = by_method(table8, "auroc")
        effects["over-none"] = (auroc[MULTI] - auroc[NONE]).tolist()
        effects["over-one-task-sampling"] = (auroc[MULTI] - auroc[MAJOR]).tolist()
        gates_of_table8 = gates_table8(table8)
    if table7 is not None and set_of(table7) == "p18":  # others have no such ratios
        effects["extreme-ratios"] = differences(table7, "test", "MacroAUROC", "Multi-task", "Single-Task").tolist()
    wanted = ("baseline-level", "imbalance", "same-steps", "converged", "grid-interior", "precision", "control")
    return Measured(effects, gates=[gates.of_other("tab8", gates_of_table8, wanted), _law(rows)])


def _law(rows: pd.DataFrame) -> Gate:
    """Largest distance of a drawn share from log n_c / sum of log n, in standard errors, and the batches drawn."""
    own = _by_log(rows)
    law = np.log(own["few"]) / (np.log(own["few"]) + np.log(own["many"]))
    errors = (own["drawn"] - law).abs() / np.sqrt(law * (1 - law) / own["draws"])
    parts = [
        Gate.within("batches a task", float(own["batches"].min()), least=10_000),
        Gate.within("largest distance in standard errors", float(errors.max()), most=3),
    ]
    return Gate.every("law", parts, "half a core minute: the full profile draws 20,000 batches a task")
