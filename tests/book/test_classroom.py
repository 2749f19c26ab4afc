"""A class: the kit, seeds from names, and what returned files say together."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from registered import PAPER

from mtlrepro import exhibits, results
from mtlrepro.book import classroom, exercises
from mtlrepro.errors import BadValue, MtlreproError, UnknownName
from mtlrepro.results.intervals import interval

EXHIBIT = classroom.exhibit_of(PAPER)


def rows_of(student: str, values: np.ndarray, claim: str = "some-claim", tier: str = "synthetic") -> pd.DataFrame:
    effect, low, high = interval(values)
    row = [
        student,
        classroom.first_seed(student),
        EXHIBIT.id,
        claim,
        "quick",
        tier,
        "points",
        len(values),
        effect,
        low,
        high,
        "holds",
    ]
    return pd.DataFrame([row], columns=list(classroom.COLUMNS))


def hand_in(folder: Path, student: str, values: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{student}.csv"
    rows_of(student, values).to_csv(file, index=False)
    return file


def test_a_seed_follows_from_the_name_and_blocks_of_seeds_do_not_overlap() -> None:
    assert classroom.first_seed("Ada Lovelace") == classroom.first_seed("  ada  LOVELACE ")
    assert classroom.first_seed("Zoë") == classroom.first_seed("Zoe\u0308"), "composed or not, a letter is a letter"
    seeds = {classroom.first_seed(str(number)) for number in range(300)}
    assert len(seeds) == 300
    assert all(seed % 1000 == 0 and 1000 <= seed < 2**31 - 1000 for seed in seeds)
    with pytest.raises(BadValue, match="a name or a number"):
        classroom.first_seed("  ")


@pytest.mark.parametrize("paper", exhibits.papers())
def test_the_kit_of_every_paper_is_whole_and_keeps_solutions_from_students(paper: str, tmp_path: Path) -> None:
    out = tmp_path / "kit"
    classroom.make(paper, out)
    names = [exercise.source.stem for exercise in exercises.of_paper(paper)]
    for part in ("student", "instructor"):
        assert sorted(file.stem for file in (out / part).glob("*.ipynb")) == names
    students = "".join(file.read_text(encoding="utf-8") for file in (out / "student").iterdir())
    assert "BEGIN SOLUTION" not in students
    assert "dropdown" not in students
    for file in (out / "instructor").glob("*.ipynb"):
        nbformat.validate(nbformat.read(file, 4))
    recorded = [exhibit for exhibit in exhibits.everything(paper) if results.available(exhibit.id, committed=True)]
    assert len(list((out / "data").glob("*.json"))) == len(recorded)
    exhibit = classroom.exhibit_of(paper).id
    seeds = results.load(exhibit, "quick", committed=True).parameters["seeds"]
    assert re.search(
        rf"runs `{exhibit}` \(profile quick\) with {seeds} seeds.*\n[1-9]\d* min,", (out / "README.md").read_text("utf-8")
    )
    with pytest.raises(BadValue, match="not empty"):
        classroom.make(paper, out)


def test_a_kit_of_an_unknown_paper_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        classroom.make("nosuchpaper", tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


def test_a_return_holds_the_95_percent_interval_of_each_primary_claim_that_was_measured() -> None:
    profile = results.available(EXHIBIT.id, committed=True)[0]
    recorded = results.load(EXHIBIT.id, profile, committed=True)
    table = classroom.returned("Ada", recorded.judgement)
    assert list(table.columns) == list(classroom.COLUMNS)
    assert len(table)
    signs = {judged.claim.id: judged.claim.sign for judged in recorded.judgement.claims}
    row = table.iloc[-1]
    values = np.asarray(recorded.measured.effects[row.claim]) * signs[row.claim]
    assert (row.effect, row.low, row.high) == pytest.approx(interval(values))


def test_a_class_of_right_intervals_covers_the_truth_about_as_often_as_it_should(tmp_path: Path) -> None:
    """Many students with 20 seeds each: close to 95% of their intervals hold the class's mean."""
    rng, students = np.random.default_rng(0), 60
    rows = pd.concat([rows_of(str(number), rng.normal(1, 2, 20)) for number in range(students)], ignore_index=True)
    line = classroom.summary(rows).iloc[0]
    assert line["students"] == students
    assert 0.88 <= line["hold the class mean"] / students < 1


def test_the_recorded_effect_is_compared_with_where_profile_and_data_are_the_same(tmp_path: Path) -> None:
    recorded = results.load(EXHIBIT.id, "quick", committed=True)
    judged = next(judged for judged in recorded.judgement.claims if len(judged.values) > 1)
    claim, values = judged.claim.id, np.asarray(judged.values) * judged.claim.sign
    near = rows_of("Ada", values, claim, recorded.tier)
    far = rows_of("Bo", values + 1000 * np.ptp(values) + 1000, claim, recorded.tier)
    line = classroom.summary(pd.concat([near, far], ignore_index=True)).iloc[0]
    assert line["recorded"] == pytest.approx(np.mean(values))
    assert line["hold the recorded"] == 1
    assert "recorded" not in classroom.summary(near.assign(tier="another"))


def test_every_file_that_cannot_be_used_is_named_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "returned"
    rng = np.random.default_rng(1)
    good = hand_in(folder, "Ada", rng.normal(size=5))
    text = good.read_text()
    hand_in(folder, "Grüße", rng.normal(size=5))
    (folder / "excel.csv").write_text(rows_of("Excel", rng.normal(size=5)).to_csv(index=False), encoding="utf-16")
    bad = {
        "again.csv": (text.replace("Ada", "ADA").encode(), "a second file of Ada|a second file of ADA"),
        "latin.csv": (text.replace("Ada", "Zoë").encode("latin-1"), "UTF-8"),
        "picture.png": (b"\x89PNG", "not a CSV"),
        "binary.csv": (bytes(range(256)), "UTF-8"),
        "empty.csv": (b"", "not a CSV"),
        "ragged.csv": (b"a,b\n1,2,3,4\n1,2,3,4,5\n", "not a CSV|lacks"),
        "columns.csv": (b"student,effect\nBo,1\n", "lacks the columns first_seed"),
        "header.csv": (text.splitlines()[0].encode(), "holds no row"),
        "words.csv": (text.replace(text.splitlines()[1].split(",")[8], "much").encode(), "no number"),
        "nameless.csv": (re.sub(r"(?m)^(Ada,\d+,[^,]+,)[^,]+", r"\1", text).encode(), "without its exhibit or claim"),
        "stolen.csv": (text.replace("Ada", "Mallory").encode(), "first_seed is not that of 'Mallory'"),
        "two.csv": ((text + text.splitlines()[1] + "\n").encode(), "one row per claim"),
    }
    for name, (content, _) in bad.items():
        (folder / name).write_bytes(content)
    rows, left_out = classroom.read(folder)
    assert len(left_out) == len(bad)
    assert set(rows.student.str.lower()) == {"ada", "grüße", "excel"}
    for line in left_out:
        name, _, reason = line.partition(": ")
        wanted = bad.pop("again.csv" if name == "Ada.csv" else name)[1]  # which of two comes first is a matter of the file system
        assert any(part in reason for part in wanted.split("|")), line
        assert "\n" not in line


def test_collecting_draws_and_tabulates_a_class_of_forty_and_may_be_repeated(tmp_path: Path) -> None:
    folder, students = tmp_path / "returned", 40
    rng = np.random.default_rng(2)
    for number in range(students):
        hand_in(folder, f"Student {number}", rng.normal(size=6))
    first = classroom.collect(folder)
    assert first == classroom.collect(folder), "what it wrote is not taken for a student's file"
    assert f"of {students} intervals hold the class's mean" in first[0]
    assert "<svg" in (folder / "class" / "intervals.svg").read_text()
    assert pd.read_csv(folder / "class" / "intervals.csv").students.tolist() == [students]
    figure = classroom.draw(classroom.read(folder)[0])
    figure.draw_without_rendering()
    names = sorted(label.get_window_extent().extents[[1, 3]].tolist() for label in figure.axes[0].get_yticklabels())
    plt.close(figure)
    assert len(names) == students
    assert all(below[1] <= above[0] for below, above in pairwise(names)), "one name is written over another"


def test_a_folder_without_a_file_to_use_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(MtlreproError, match=r"no file of .* can be used; left out: notes.txt: not a CSV"):
        classroom.collect(tmp_path)
    with pytest.raises(BadValue, match="is no folder"):
        classroom.collect(tmp_path / "nowhere")


def test_handing_in_runs_the_exhibit_with_the_students_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def run(ids: list[str], profile: str, given: dict[str, object]) -> list[str]:
        asked.update(ids=ids, profile=profile, given=given)
        return ["a verdict"]

    monkeypatch.setattr(classroom.runner, "run_exhibits", run)
    monkeypatch.setattr(classroom.store, "latest", lambda exhibit, profile: results.load(exhibit, "quick", committed=True))
    assert len(classroom.hand_in(PAPER, "a" * 5000, tmp_path / "long")[1].name) < 100
    lines, file = classroom.hand_in(PAPER, "Zoë Ångström", tmp_path)
    assert asked == {"ids": [EXHIBIT.id], "profile": "quick", "given": {"first_seed": classroom.first_seed("Zoë Ångström")}}
    assert lines == ["a verdict"]
    assert file.name.startswith("zoe-angstrom-")
    rows, left_out = classroom.read(tmp_path)
    assert left_out == []
    assert json.loads(rows.to_json())["student"]["0"] == "Zoë Ångström"
