"""The command line as a user meets it: what it prints, on which stream, with which exit code."""

from __future__ import annotations

import io
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from registered import EXHIBIT, PAPER, SEEDED, misspelt

from mtlrepro import cli, doctor, exhibits
from mtlrepro.parameters import PROFILES
from mtlrepro.results import outcomes

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mtlrepro(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give the command ``mtlrepro WORDS`` in this process."""

    def give(*words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["mtlrepro", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        return subprocess.CompletedProcess(words, int(end.value.code or 0), *capsys.readouterr())

    return give


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def as_json(text: str) -> list[dict]:
    """`text` as JSON without NaN or infinity, which the standard does not know."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_list_names_every_exhibit_and_says_what_is_planned(mtlrepro: Command) -> None:
    entries = as_json(mtlrepro("list", "--json").stdout)
    assert [entry["id"] for entry in entries] == [exhibit.id for exhibit in exhibits.everything()]
    assert {"id", "title", "kind", "notebook", "tier", "verdicts"} <= set(entries[0])
    planned = {entry["id"] for entry in entries if entry["notebook"] == "planned"}
    assert planned == {exhibit.id for exhibit in exhibits.everything() if exhibit.planned}


def test_list_of_a_paper_names_its_exhibits_alone(mtlrepro: Command) -> None:
    text = mtlrepro("list", "--paper", PAPER).stdout
    listed = {word for line in text.splitlines() for word in line.split()[:1]}
    assert {exhibit.id for exhibit in exhibits.everything(PAPER)} <= listed
    assert not listed & {exhibit.id for exhibit in exhibits.everything() if exhibit.paper != PAPER}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", misspelt(EXHIBIT.id)], f"did you mean '{EXHIBIT.id}'"),
        (["run", EXHIBIT.id, "--profile", "ful"], "did you mean 'full'"),
        (["run", SEEDED.id, "-p", "sedes=3"], "did you mean 'seeds'"),
        (["run", SEEDED.id, "-p", "seeds=many"], "seeds"),
        (["run", EXHIBIT.id, "-p", "seeds"], "NAME=VALUE"),
        (["run", SEEDED.id, "-p", "seeds=-1"], "above 0"),
        (["run", SEEDED.id, "-p", "seeds=1:30"], "seeds"),
        (["run", SEEDED.id, "-p", "first_seed=-1"], "'first_seed' must not be below 0 (got -1)"),
        (["run", SEEDED.id, "-p", f"seeds={10**25}"], "'seeds' must be below 2^63"),
        (["run", SEEDED.id, "-p", "seeds=[1"], "YAML"),
        (["run", SEEDED.id, "-p", "profile=full"], "--profile full"),
        (["run", SEEDED.id, "-p", "seeds=2", "-p", " seeds=2"], "-p seeds is given twice"),
        (["campaign", "--engine", '"--executor'], "a quotation mark without its other"),
        (["list", "--paper", misspelt(PAPER)], f"did you mean '{PAPER}'"),
        (["data", "verify", "cifar11"], "cifar10"),
        (["data", "list", "--mirror", "/dev/null"], "'/dev/null', which is no folder"),
        (["data", "verify", "--mirror", "/proc/none"], "'/proc/none', which is no folder"),
        (["publish", EXHIBIT.id, "--profile", "quick"], EXHIBIT.id),
        (["publish", EXHIBIT.id, "--profile", "ful"], "did you mean 'full'"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_1(mtlrepro: Command, words: list[str], expected: str) -> None:
    assert expected in one_line(mtlrepro(*words))


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", 10), ("1e-3", 1e-3), ("1:30", "1:30"), ("no", "no"), ("True", True), ("None", None), ("1_0", 10), ("0x10", "0x10")],
)
def test_a_value_is_read_as_papermill_reads_it(text, value):
    """Law: the same text is the same value alone, in a list and in a mapping."""
    for given, wanted in ((text, value), (f"[{text}]", [value]), (f"{{a: {text}}}", {"a": value})):
        assert repr(cli._parameter(f"x={given}")) == repr(("x", wanted))


def test_in_a_list_words_of_yaml_and_quoted_text_stand():
    assert cli._parameter("x=[true, null, '010']") == ("x", [True, None, "010"])


def test_ctrl_c_is_one_line_and_exit_130(mtlrepro: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exhibits, "everything", interrupted)
    done = mtlrepro("list")
    assert done.returncode == 130
    assert done.stderr.count("\n") == 1
    assert "finished runs are kept" in done.stderr


def test_a_stream_without_these_letters_is_printed_to_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "argv", ["mtlrepro", "run", EXHIBIT.id, "-p", "ü"])
    with pytest.raises(SystemExit):
        cli.main()
    stream.flush()
    assert "-p '\\xfc' is not NAME=VALUE" in stream.buffer.getvalue().decode("ascii")


def test_doctor_never_raises_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home, folders that cannot be read or written, a checkout of another owner; and no kernel."""

    def nobody(_: int) -> None:
        raise KeyError("uid")

    def broken(*_: object) -> None:
        raise OSError(13, "Permission denied", "runs")

    for name in ("HOME", "MTLREPRO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(doctor.pairing, "stale", broken)
    monkeypatch.setattr(doctor, "_writable", lambda folder: False)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    said = {finding.what: finding for finding in doctor.examine()}
    assert "MTLREPRO_CACHE" in said["cache"].found
    assert "Permission denied" in said["pairs"].found
    assert "MTLREPRO_RUNS" in said["runs"].advice
    assert "set HOME" in said["home"].advice
    assert "safe.directory" in said["git"].advice
    monkeypatch.undo()
    assert doctor._kernel().state == "ok"
    monkeypatch.setattr(doctor.runner, "KERNEL", "nowhere")
    assert "ipykernel" in doctor._kernel().advice
    monkeypatch.setitem(sys.modules, "snakemake", None)
    assert doctor._workflow().state == "note", "a class's set-up has none and lacks nothing"


def test_listing_results_is_cheap() -> None:
    """Law: no library that computes or runs notebooks is imported for it."""
    heavy = ["torch", "pandas", "sklearn", "matplotlib", "papermill", "snakemake"]
    code = "import sys; from mtlrepro import cli\ntry: cli.app([sys.argv[1]])\nexcept SystemExit: pass\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    for command in ("list", "verdicts"):
        done = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, timeout=280, check=True)
        assert done.stdout.splitlines()[-1] == "[]", command


@pytest.mark.slow
def test_in_a_process_of_its_own_a_mistake_is_one_line_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from mtlrepro.cli import main; main()", "data", "verify", "mr"],
        capture_output=True, text=True, env=os.environ | {"MTLREPRO_MIRROR": "/nowhere/at/all"}, timeout=120,
    )  # fmt: skip
    assert "MTLREPRO_MIRROR" in one_line(done)


def test_a_planned_exhibit_says_so(mtlrepro: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = EXHIBIT.model_copy(update={"notebook": None})
    monkeypatch.setattr(exhibits, "get", lambda name: planned)
    assert "planned" in one_line(mtlrepro("run", EXHIBIT.id))


def test_verdicts_as_json_keep_their_contract(mtlrepro: Command) -> None:
    """Every recorded run with its verdict, claims and gates; intervals in order; no NaN."""
    records = as_json(mtlrepro("verdicts", "--json").stdout)
    assert records
    for record in records:
        exhibit = exhibits.get(record["exhibit"])
        assert record["profile"] in PROFILES
        assert record["tier"] in exhibits.TIERS
        assert record["scope"] in get_args(outcomes.Scope)
        assert record["verdict"] in get_args(outcomes.Verdict)
        assert [claim["id"] for claim in record["claims"]] == [claim.id for claim in exhibit.claims]
        for claim in record["claims"]:
            assert {"id", "primary", "says", "paper_effect", "effect", "low", "high", "n", "outcome"} <= set(claim)
            assert None in (claim["low"], claim["high"]) or claim["low"] <= claim["high"]
        for gate in record["gates"]:
            assert {"name", "passed", "value", "needs"} <= set(gate)


@pytest.mark.slow
def test_doctor_reports_every_look_and_ends_as_it_says(mtlrepro: Command) -> None:
    done = mtlrepro("doctor")
    for what in ("python", "torch", "torchvision", "notebook pairs", "cache", "disk"):
        assert f"{what}:" in done.stdout
    assert done.returncode == ("FAIL" in done.stdout)


@pytest.mark.parametrize("words", [[], ["x"], ["--student", "Ada"], ["x", "out", "--collect", "folder"]])
def test_classroom_says_how_it_is_called(mtlrepro: Command, words: list[str]) -> None:
    assert "PAPER OUT" in one_line(mtlrepro("classroom", *words))


@pytest.mark.parametrize("words", [["{}/kit"], ["{}", "--student", "Ada"]], ids=["kit", "student"])
@pytest.mark.parametrize("place", ["/proc/none", "/dev/null", "/dev/null/folder", "{tmp}/" + 300 * "a"])
def test_a_folder_that_cannot_be_made_is_one_line_before_anything_runs(
    mtlrepro: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], place: str
) -> None:
    monkeypatch.setattr("mtlrepro.book.runner.run_exhibits", None)
    line = one_line(mtlrepro("classroom", PAPER, *[word.format(place.format(tmp=tmp_path)) for word in words]))
    assert place.format(tmp=tmp_path) in line


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null", "/dev/null/folder"])
def test_a_place_for_runs_that_cannot_be_made_is_one_line(mtlrepro: Command, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("MTLREPRO_RUNS", place)
    assert place in one_line(mtlrepro("run", EXHIBIT.id))


def test_classroom_writes_a_kit_and_says_where(mtlrepro: Command, tmp_path: Path) -> None:
    done = mtlrepro("classroom", PAPER, str(tmp_path / "kit"))
    assert done.returncode == 0
    assert str(tmp_path / "kit" / "README.md") in done.stdout
