"""The command line as a user meets it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mtlrepro import exhibits


def mtlrepro(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from mtlrepro.cli import main; main()", *words],
        capture_output=True, text=True, env=os.environ | environment, timeout=120,
    )  # fmt: skip


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_list_names_every_exhibit_and_says_what_is_planned():
    entries = json.loads(mtlrepro("list", "--json").stdout)
    assert [entry["id"] for entry in entries] == [exhibit.id for exhibit in exhibits.everything()]
    assert {"id", "title", "kind", "notebook", "tier", "verdicts"} <= set(entries[0])
    planned = {entry["id"] for entry in entries if entry["notebook"] == "planned"}
    assert planned == {exhibit.id for exhibit in exhibits.everything() if exhibit.planned}
    text = mtlrepro("list", "--paper", "transfer").stdout
    assert "transfer/tab1" in text
    assert "cotask" not in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "transfer/fgi3"], "did you mean 'transfer/fig3'"),
        (["run", "transfer/fig3", "--profile", "ful"], "did you mean 'full'"),
        (["run", "transfer/fig3", "-p", "sedes=3"], "did you mean 'seeds'"),
        (["run", "transfer/fig3", "-p", "seeds=many"], "seeds"),
        (["run", "transfer/fig3", "-p", "seeds"], "NAME=VALUE"),
        (["run", "transfer/fig3", "-p", "seeds=-1"], "above 0"),
        (["list", "--paper", "trasfer"], "did you mean 'transfer'"),
        (["data", "verify", "cifar11"], "cifar10"),
        (["publish", "transfer/fig3", "--profile", "quick"], "transfer/fig3"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_1(words, expected):
    assert expected in one_line(mtlrepro(*words))


def test_a_planned_exhibit_says_so():
    planned = next((exhibit.id for exhibit in exhibits.everything() if exhibit.planned), None)
    if planned is None:
        pytest.skip("every exhibit has a notebook")
    assert "planned" in one_line(mtlrepro("run", planned))


def test_a_mirror_that_is_no_folder_is_named():
    assert "MTLREPRO_MIRROR" in mtlrepro("data", "verify", "mr", MTLREPRO_MIRROR="/nowhere/at/all").stderr


def test_verdicts_as_json_can_be_read_and_hold_intervals():
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    for verdict in json.loads(mtlrepro("verdicts", "--json").stdout, parse_constant=refuse):
        assert verdict["status"] in {"reproduced", "partly", "not reproduced", "inconclusive", "not testable here"}
        assert verdict["tier"] in exhibits.TIERS
        for part in verdict["parts"]:
            assert None in (part["low"], part["high"]) or part["low"] <= part["high"]


def test_doctor_reports_every_look_and_ends_well_here():
    done = mtlrepro("doctor")
    for what in ("python", "torch", "torchvision", "notebook pairs", "cache", "disk"):
        assert f"{what}:" in done.stdout
    assert done.returncode == ("FAIL" in done.stdout)
