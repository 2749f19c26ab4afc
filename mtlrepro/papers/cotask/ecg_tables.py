"""Tables that both notebooks on ECGs show: learning rates tried on the validation part, and twice the steps."""

from __future__ import annotations

import pandas as pd

from mtlrepro import results


def validation(rows: pd.DataFrame) -> pd.DataFrame:
    """(methods, rates) score on the validation part, mean over seeds. rows: those of kind rate are read."""
    return rows[rows.kind == "rate"].groupby(["method", "rate"], sort=False)["validation"].mean().unstack()


def rate_table(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """`validation`, and the rate that each method is trained with. method: what the methods are called."""
    if not (rows.kind == "rate").any():
        return pd.DataFrame({"learning rates": ["one for all methods"]})
    means = validation(rows)
    table = means.set_axis([f"rate {rate:g}" for rate in means], axis=1).assign(chosen=means.idxmax(axis=1).map("{:g}".format))
    return table.rename_axis(method)


def by_method(rows: pd.DataFrame, value: str, kind: str = "test") -> pd.DataFrame:
    """(seeds, methods) of a column of the rows of one kind, such as test or twice (the steps); methods as first met."""
    own = rows[rows.kind == kind]
    return own.pivot(index="seed", columns="method", values=value)[list(own.method.unique())]


def twice_table(rows: pd.DataFrame, value: str, score: str, method: str) -> pd.DataFrame:
    """A score of every method, trained as it is and with twice the steps, on the seeds that have both; the difference in points.

    value: column of the score. score, method: what the scores and the methods are called.
    """
    if not (rows.kind == "twice").any():
        return pd.DataFrame({"twice the steps": ["not part of this run"]})
    once, twice = (by_method(rows, value, kind) for kind in ("test", "twice"))
    once = once.loc[twice.index, twice.columns]
    more = 100 * (twice - once)
    gain = more.map("{:+.2f}".format).iloc[0] if len(more) == 1 else more.apply(results.in_words)
    table = {score: once.mean(), "with twice the steps": twice.mean(), "gain (points)": gain}
    return pd.DataFrame(table).rename_axis(method)
