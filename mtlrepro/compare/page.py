"""The page "Which method should I use?": what ``mtlrepro compare --profile`` writes into book/comparison for it to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtlrepro import paths, plots, results
from mtlrepro.compare import problems, report, running, statistics
from mtlrepro.errors import UnknownName
from mtlrepro.files import read_yaml, replacing, write_text
from mtlrepro.parameters import Params
from mtlrepro.results.gates import failed_gates
from mtlrepro.results.store import provenance
from mtlrepro.results.tables import shown_value

PROFILES = ("quick", "full")
# Columns that stand in a table of their own, so that none is wider than a page.
_COSTS = [
    "rank differs from static",
    "gradients per step",
    "cost per step",
    "mean rank at equal cost",
    "effect at equal cost",
]


def folder() -> Path:
    """Where the page's tables, figures and words are."""
    return paths.book() / "comparison"


def settings(profile: str) -> dict[str, Any]:
    """What a profile runs. Raises UnknownName. Of the quick one, papers' problems that are not there are left out."""
    if profile not in PROFILES:
        raise UnknownName("profile of the comparison", profile, PROFILES)
    chosen: dict[str, Any] = read_yaml(paths.PACKAGE / "compare" / "profiles.yaml")[profile]
    known = problems.discovered()
    return chosen | {"problems": [name for name in chosen["problems"] or known if name in known]}


def record(profile: str) -> list[Path]:
    """Run a profile, keeping finished runs, and write rows, tables, figures and words. Returns the files."""
    chosen = settings(profile)
    places = {name: problems.place(name) for name in chosen["problems"]}
    runs = results.Runs(Params("compare", profile), place="compare")
    rows = running.rows(runs, places, range(chosen["seeds"]), chosen["trials"], chosen["share"], chosen["methods"])
    about = {"profile": profile, "parameters": chosen, "provenance": provenance(runs.data, runs.seconds, "cpu", runs.code)}
    overall = shown(report.overall(rows, running.titles()))
    tables = {
        "rows": rows,
        "overall": overall.drop(columns=_COSTS),
        "costs": overall[["method", *_COSTS]],
        "served": report.served(rows, running.titles(), running.needs()),
        "problems": shown(report.by_problem(rows).replace({"method": running.titles()})),
        "traits": shown(report.by_trait(rows).replace({"best method": running.titles()})),
        "spread": shown(report.spread(rows)),
    }
    written = [folder() / f"{name}.csv" for name in tables] + [folder() / "summary.md", folder() / "run.json"]
    for file, table in zip(written, tables.values(), strict=False):
        write_text(file, table.to_csv(index=False))
    write_text(folder() / "summary.md", summary(rows, profile, runs.seconds))
    write_text(folder() / "run.json", json.dumps(about, indent=1) + "\n")
    plots.use()
    for name, draw in {"effects": report.draw_effects, "ranks": report.draw_ranks}.items():
        written.append(folder() / f"{name}.svg")
        with replacing(written[-1]) as part:
            draw(rows, running.titles()).savefig(part, format="svg", metadata={"Date": None})
    return written


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """With every number as pages show it."""
    return table.map(shown_value)


def summary(rows: pd.DataFrame, profile: str, seconds: float) -> str:
    """The box, and below it five sentences; without the sentences where a gate failed. seconds: that the runs took."""
    size = f"{rows.problem.nunique()} problems, {rows.method.nunique()} methods, {rows.seed.nunique()} seeds"
    size += f", {seconds / 60:.1f} minutes of computing"
    failed = failed_gates(report.gates(rows))
    if failed:
        words = f"The rows of the {profile} profile ({size}) show the page at work and tell nothing of the methods: {failed}."
        return f":::{{admonition}} Too small to judge\n:class: warning\n\n{words}\n:::\n"
    lines = "\n".join(f"- {sentence}" for sentence in sentences(rows))
    return f":::{{admonition}} What was run\n:class: note\n\nThe {profile} profile: {size}.\n:::\n\n{lines}\n"


def sentences(rows: pd.DataFrame) -> list[str]:
    """What the rows say, each number computed from them."""
    titles, ranked = running.titles(), report.complete(rows)
    ranks = statistics.mean_ranks(ranked).sort_values()
    _, p = statistics.friedman(ranked)
    against = statistics.against(ranked, report.REFERENCE)
    clear = _listed([titles[str(name)] for name in against.index[against["clear"]]], "no method")
    posterior = report.posteriors(report.means(rows))
    better, same, worse = (
        _listed([titles[m] for m, each in posterior.items() if getattr(each, kind) > 0.95], "none")
        for kind in ("better", "same", "worse")
    )
    table = report.by_problem(rows)
    above = table[(table.method != report.REFERENCE) & (table.low > 0)].problem.nunique()
    costs = statistics.mean_ranks(report.complete(rows, "equal_cost_test")).sort_values()
    left = statistics.leave_one_out(ranked)
    first = list(ranks.index[np.isclose(ranks, ranks.iloc[0])])  # equal sums of ranks
    kept = int(left["best"].isin(first).sum())
    return [
        f"Best by mean rank over {len(ranked)} problems: {' and '.join(titles[str(m)] for m in first)} ({ranks.iloc[0]:.1f} of "
        f"{len(ranks)}); that all methods are alike has p = {p:.2g} (Friedman).",
        f"By Holm's procedure, what ranks otherwise than tuned static weights: {clear}.",
        f"With probability above 0.95, within {100 * report.ROPE:g} point of tuned static weights: {same}; better: {better}; "
        f"worse: {worse}.",
        f"On {above} of {rows.problem.nunique()} problems some method is clear above tuned static weights; at equal cost "
        f"the best mean rank is that of {titles[str(costs.index[0])]} ({costs.iloc[0]:.1f}).",
        f"Without any one problem the best is still the same in {kept} of {len(left)} cases; the smallest Kendall tau of the "
        f"rankings is {left['tau'].min():.2f}.",
    ]


def _listed(names: list[str], nothing: str) -> str:
    return ", ".join(names) or nothing
