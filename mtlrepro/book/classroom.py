"""A class: what to hand out, a run for each student, and what the class's runs say together.

Each student runs the lesson's exhibit with seeds of his or her own, which follow from the name, and returns one CSV. `collect`
draws the intervals of all beside the recorded one: how many 95% intervals hold what they should is a lesson in itself.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import exhibits, paths, plots, results
from mtlrepro.book import exercises, lessons, runner
from mtlrepro.errors import BadValue, MtlreproError
from mtlrepro.files import replacing, write_text
from mtlrepro.results import store
from mtlrepro.results.intervals import remembered_interval as interval
from mtlrepro.results.judgement import JudgedEffect, Judgement

COLUMNS = ("student", "first_seed", "exhibit", "claim", "profile", "tier", "unit", "n", "effect", "low", "high", "outcome")
_NUMBERS = ("n", "effect", "low", "high")
# Each student has so many seeds, starting at a multiple of it.
_BLOCK = 1000
_BLOCKS = 2_000_000


def first_seed(student: str) -> int:
    """The first of a student's 1000 seeds, from the name or number: 1000 (1 + h), with h the first 8 bytes of the sha256 of the
    name (UTF-8, NFKC, lower case, single spaces), modulo two million. Raises BadValue for an empty name."""
    name = " ".join(unicodedata.normalize("NFKC", student).casefold().split())
    if not name:
        raise BadValue("a student needs a name or a number.")
    return _BLOCK * (1 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % _BLOCKS)


def exhibit_of(paper: str) -> exhibits.Exhibit:
    """The exhibit that a class runs, which the paper's lesson names. Raises BadValue without one."""
    match = re.search(r"^<!-- class: ([a-z0-9]+) -->$", (lessons.folder(paper) / "lesson.md").read_text(encoding="utf-8"), re.M)
    if not match:
        raise BadValue(f"lesson.md of {paper} names no exhibit for a class: write <!-- class: EXHIBIT --> into it.")
    return exhibits.get(f"{paper}/{match[1]}")


def make(paper: str, out: Path) -> list[str]:
    """Write the kit of a paper's lesson into `out` and say what it holds.

    ``student/``: exercises and quiz. ``instructor/``: the lesson, solutions and key. ``data/``: recorded results. Nothing in it
    needs a network. Raises UnknownName for an unknown paper, BadValue where `out` is not empty.
    """
    exhibits.everything(paper)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadValue(f"{out} is not empty: name a new folder.")
    exhibit = exhibit_of(paper)
    listed = exercises.of_paper(paper)
    for exercise in listed:
        for source, target in ((exercise.student, out / "student"), (exercise.source, out / "instructor")):
            for suffix in (".py", ".ipynb"):
                _copy(source.with_suffix(suffix), target)
    questions = [line for number, question in enumerate(lessons.quiz(paper), 1) for line in question.lines(number)]
    write_text(out / "student" / "quiz.md", "\n".join(["# Quiz", "", *questions]))
    write_text(out / "instructor" / "key.md", lessons.key(paper))
    write_text(out / "instructor" / "lesson.md", lessons.plain(paper))
    for other in exhibits.everything(paper):
        for profile in results.available(other.id, committed=True)[-1:]:
            for suffix in ("csv", "json"):
                _copy(paths.recorded() / f"{other.id}.{profile}.{suffix}", out / "data")
    write_text(out / "README.md", _read_me(paper, exhibit, listed))
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return [
        f"{out / 'student'}: {len(listed)} exercises, the quiz",
        f"{out / 'instructor'}: the lesson, solutions, the key",
        f"{out / 'data'}: the recorded results of {paper}",
        f"{size / 1e6:.1f} MB in all; {out / 'README.md'} says how to use it",
    ]


def _copy(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / source.name)


def _read_me(paper: str, exhibit: exhibits.Exhibit, listed: Sequence[exercises.Exercise]) -> str:
    quick = results.load(exhibit.id, "quick", committed=True)
    minutes, seeds = math.ceil((quick.provenance["seconds"] or 0) / 60), quick.parameters["seeds"]
    times = "\n".join(f"- `{exercise.source.stem}`, about {exercise.minutes} minutes" for exercise in listed)
    return f"""# {exhibits.papers()[paper].name}: a lesson

`student/` is for the class, `instructor/` is not. `data/` holds the recorded results, one CSV and one JSON per exhibit.
Once mtlrepro is installed (`make class` in its checkout) nothing here needs a network. In every new terminal, in the checkout:

    source .venv/bin/activate

and on Windows `.venv\\Scripts\\activate`.

{times}

In JupyterLab, open a notebook of `student/`. Without it: `python student/{listed[0].source.name}`. The check says what is wrong
until it says "Right".

## The class's run

Each student, in the checkout, with the own name or number:

    mtlrepro classroom {paper} returned --student "Ada Lovelace"

It runs `{exhibit.id}` (profile quick) with {seeds} seeds that follow from the name, and writes one CSV. On one core that took us
{minutes} min, and starting Python takes half a minute more. Bring all of them into one folder:

    mtlrepro classroom --collect returned

writes a picture of all intervals beside the recorded one, and a table of how many hold it.
"""


def hand_in(paper: str, student: str, out: Path) -> tuple[list[str], Path]:
    """Run the exhibit of the lesson with a student's seeds: its verdict line, and the CSV to return. Raises as `first_seed` and
    `runner.run_exhibits` do; and OSError, before anything runs, where `out` cannot be made."""
    exhibit, seed = exhibit_of(paper), first_seed(student)
    out.mkdir(parents=True, exist_ok=True)
    given = {"first_seed": seed}
    lines = runner.run_exhibits([exhibit.id], "quick", given)
    run = store.latest(exhibit.id, runner.parameters_of(exhibit, "quick", given))
    name = re.sub(r"[^a-z0-9]+", "-", unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode().lower()).strip(
        "-"
    )
    file = out / f"{name[:60] or 'student'}-{seed}.csv"
    with replacing(file) as part:
        returned(student, run.judgement).to_csv(part, index=False)
    return lines, file


def returned(student: str, judgement: Judgement) -> pd.DataFrame:
    """What a student returns: one row per primary claim that was measured, with its 95% interval, positive for the claim.

    Columns: `COLUMNS`.
    """
    return pd.DataFrame(_rows(student, judgement), columns=list(COLUMNS))


def _rows(student: str, judgement: Judgement) -> list[dict[str, Any]]:
    who = {"student": student, "first_seed": first_seed(student), "exhibit": judgement.exhibit}
    how = {"profile": judgement.profile, "tier": judgement.tier}
    rows = []
    for judged in judgement.claims:
        if isinstance(judged, JudgedEffect) and judged.claim.primary and len(judged.values) > 1:
            effect, low, high = _interval(judged)
            what = {"claim": judged.claim.id, "unit": judged.claim.unit, "n": judged.n, "outcome": judged.outcome}
            rows.append(who | how | what | {"effect": effect, "low": low, "high": high})
    return rows


def _interval(judged: JudgedEffect) -> tuple[float, float, float]:
    """Effect and 95% interval, positive for the claim."""
    return interval([judged.claim.sign * value for value in judged.values])


def read(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """What students returned, one row per student and claim, and one line for each file that is left out.

    Raises BadValue where `folder` is none.
    """
    if not folder.is_dir():
        raise BadValue(f"{folder} is no folder.")
    tables: list[pd.DataFrame] = []
    seen: dict[int, str] = {}
    left_out = []
    for file in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        try:
            table = _returned_file(file)
            seed = int(table.first_seed[0])
            if seed in seen:
                raise BadValue(f"a second file of {table.student[0]}; {seen[seed]} is used")
        except BadValue as error:
            left_out.append(f"{file.name}: {error}")
        else:
            seen[seed] = file.name
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS)), left_out


def _returned_file(file: Path) -> pd.DataFrame:
    """One student's rows, checked. Raises BadValue, saying what is wrong."""
    if file.suffix.lower() != ".csv":
        raise BadValue("not a CSV")
    if file.stat().st_size > 1_000_000:
        raise BadValue("too large for what a student returns")
    content = file.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise BadValue("neither UTF-8 nor UTF-16: save it as UTF-8") from None
    try:
        table = pd.read_csv(io.StringIO(text), dtype={"student": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError):
        raise BadValue("not a CSV") from None
    if missing := [name for name in COLUMNS if name not in table]:
        raise BadValue(f"lacks the columns {', '.join(missing)}")
    if table.empty:
        raise BadValue("holds no row")
    if table[["exhibit", "claim"]].isna().any(axis=None):
        raise BadValue("holds a row without its exhibit or claim")
    numbers = table[list(_NUMBERS)].apply(pd.to_numeric, errors="coerce")
    if not np.isfinite(numbers).all(axis=None) or not (numbers.low.le(numbers.effect) & numbers.effect.le(numbers.high)).all():
        raise BadValue("holds an effect that is no number, or not inside its interval")
    if table.student.nunique(dropna=False) != 1 or table.student.isna().any() or table.duplicated(["exhibit", "claim"]).any():
        raise BadValue("must hold one row per claim, of one student")
    if set(table.first_seed) != {first_seed(table.student[0])}:
        raise BadValue(f"first_seed is not that of {table.student[0]!r}")
    return table[list(COLUMNS)].assign(**numbers)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per claim: students, the class's mean, how many intervals hold it, and the same of the recorded run's effect.

    The recorded run is that of the same profile and data; empty cells where there is none. Its seeds are not the class's.
    """
    lines = []
    for (exhibit, claim), own in rows.groupby(["exhibit", "claim"], sort=False):
        mean = own.effect.mean()
        outcomes = ", ".join(f"{count} {word}" for word, count in own.outcome.value_counts().items())
        line = {"exhibit": exhibit, "claim": claim, "unit": own.unit.iloc[0], "students": len(own), "outcomes": outcomes}
        line |= {"class mean": mean, "hold the class mean": _holding(own, mean)}
        if recorded := _recorded(own):
            effect, low, high = recorded
            line |= {"recorded": effect, "recorded low": low, "recorded high": high, "hold the recorded": _holding(own, effect)}
        lines.append(line)
    return pd.DataFrame(lines)


def _holding(rows: pd.DataFrame, value: float) -> int:
    return int((rows.low.le(value) & rows.high.ge(value)).sum())


def _recorded(own: pd.DataFrame) -> tuple[float, float, float] | None:
    """Effect and 95% interval of the committed run that the rows of one claim are to be compared with."""
    exhibit, claim, profile, tier = own[["exhibit", "claim", "profile", "tier"]].iloc[0]
    known = {entry.id for entry in exhibits.everything()}
    if exhibit not in known or profile not in results.available(exhibit, committed=True):
        return None
    run = results.load(exhibit, profile, committed=True)
    judged = [one for one in run.judgement.claims if isinstance(one, JudgedEffect) and one.claim.id == claim]
    return _interval(judged[0]) if judged and len(judged[0].values) > 1 and run.tier == tier else None


def draw(rows: pd.DataFrame) -> Figure:
    """A panel per claim: each student's interval, those that miss the class's mean marked, and the recorded run's as a band."""
    plots.use()
    groups = list(rows.groupby(["exhibit", "claim"], sort=False))
    height = sum(1.4 + 0.22 * len(own) for _, own in groups)
    figure, axes = plt.subplots(len(groups), 1, squeeze=False, figsize=(plots.WIDTH, height))
    for ax, ((exhibit, claim), own) in zip(axes[:, 0], groups, strict=True):
        own, mean = own.sort_values("effect"), own.effect.mean()
        holds = own.low.le(mean) & own.high.ge(mean)
        for chosen, color, marker, label in (
            (holds, "blue", "o", "hold it"),
            (~holds, "vermillion", "X", "miss it"),
        ):
            part = own[chosen]
            ends = np.stack([part.effect - part.low, part.high - part.effect])
            places = np.flatnonzero(chosen)
            ax.errorbar(part.effect, places, xerr=ends, fmt=marker, color=plots.COLORS[color], label=f"{len(part)}: {label}")
        ax.axvline(mean, color=plots.COLORS["black"], linewidth=1, label="mean of the class")
        if recorded := _recorded(own):
            ax.axvspan(*recorded[1:], color=plots.COLORS["grey"], alpha=0.25, label="recorded, 95% interval")
        ax.set_yticks(range(len(own)), list(own.student))
        ax.set(xlabel=own.unit.iloc[0], title=f"{exhibit}, {claim}: {len(own)} students")
        ax.legend(loc="lower right")  # the smallest effects are at the left there
    return figure


def collect(folder: Path) -> list[str]:
    """Draw and tabulate what students returned, into ``FOLDER/class``; one line for each file that is left out, then the results.

    Raises MtlreproError where no file can be used, and as `read` does.
    """
    rows, left_out = read(folder)
    lines = [f"left out: {line}" for line in left_out]
    if rows.empty:
        raise MtlreproError("; ".join([f"no file of {folder} can be used", *lines]))
    table, target = summary(rows), folder / "class"
    figure = draw(rows)
    with replacing(target / "intervals.svg") as part:
        figure.savefig(part, format="svg", metadata={"Date": None})
    plt.close(figure)
    write_text(target / "intervals.csv", table.to_csv(index=False))
    for line in table.to_dict("records"):
        held = f"{line['hold the class mean']} of {line['students']} intervals hold the class's mean"
        text = f"{line['exhibit']}, {line['claim']}: {held}"
        if pd.notna(line.get("recorded")):
            text += f", {line['hold the recorded']:.0f} the recorded effect"
        lines.append(f"{text} ({line['outcomes']})")
    return [*lines, str(target / "intervals.svg"), str(target / "intervals.csv")]
