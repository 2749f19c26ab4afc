"""Laws of the results store: nothing finished is lost, nothing torn is believed."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import filelock
import numpy as np
import pandas as pd
import pytest
import torch

from mtlrepro import exhibits, paths, results
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing, MtlreproError, Unfinished, UnknownName
from mtlrepro.parameters import Params
from mtlrepro.registered_claims import Claims
from mtlrepro.results import digest

# Any exhibit that claims effects will do.
EXHIBIT = next(exhibit for exhibit in exhibits.everything() if isinstance(exhibit.entry, Claims))
CLAIM = EXHIBIT.entry.claims[0].id
P = Params(EXHIBIT.id, "quick", {"seeds": 3}, {})
# Mapped functions stand in a module of the package: this one stands for ours.
LABORATORY = """
import json, os, pathlib, sys, time
import numpy as np

calls = []
stop_at = None


def point(seed, scale=1.0):
    calls.append(seed)
    rng = np.random.default_rng(seed)
    return {"value": rng.normal() * scale, "count": rng.integers(10)}


def other(seed):
    calls.append(seed)
    return {"value": 0.0}


def odd(seed):
    from mtlrepro.errors import BadValue

    if seed == 1:
        raise BadValue("the loss of task 0 is not finite.")
    return {"value": seed}


def checkpointed(seed):
    where = os.environ["MTLREPRO_CHECKPOINTS"]
    os.makedirs(where)
    return {"where": where}


def trained(seed):
    # 30 steps, each of which the value depends on; its state is kept at each.
    import torch

    from mtlrepro.training.checkpoints import load_checkpoint, save_checkpoint

    file = pathlib.Path(os.environ["MTLREPRO_CHECKPOINTS"], "state.pt")
    state = load_checkpoint(file, str(seed)) or {"step": 0, "value": torch.zeros(())}
    calls.append((seed, state["step"]))
    value = state["value"]
    for step in range(state["step"], 30):
        value = 0.9 * value + torch.rand((), generator=torch.Generator().manual_seed(100 * seed + step))
        save_checkpoint(file, str(seed), {"step": step + 1, "value": value})
        if "LOG" in os.environ:
            with open(os.environ["LOG"], "a") as log:
                log.write(".")
        if stop_at == step:
            raise KeyboardInterrupt
    return {"value": value}


def slow(seed):
    with open(os.environ["LOG"], "a") as log:
        log.write(f"{seed}\\n")
    time.sleep(0.15)
    return {"value": float(np.random.default_rng(seed).normal())}


def lasting(seed):
    with open(os.environ["LOG"], "a") as log:
        log.write(f"{seed}\\n")
    time.sleep(float(os.environ["SECONDS"]))
    return {"value": seed}
"""


@pytest.fixture
def laboratory(tmp_path, monkeypatch):
    """A package of one module, imported anew by each test."""
    exhibits.everything()  # the registry is read before the package is another one
    folder = tmp_path / "laboratory"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "study.py").write_text(LABORATORY)
    monkeypatch.setattr(paths, "PACKAGE", folder)
    monkeypatch.setattr(digest, "_STARTED", time.time_ns())
    monkeypatch.setattr(digest, "_first_digests", {})
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "laboratory"]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("laboratory.study")


def settings(n=4):
    return [{"seed": seed} for seed in range(n)]


def test_a_finished_run_is_not_done_again(laboratory):
    first = results.Runs(P).map(laboratory.point, settings())
    second = results.Runs(P).map(laboratory.point, settings(6))
    assert laboratory.calls == [0, 1, 2, 3, 4, 5]
    pd.testing.assert_frame_equal(first, second.iloc[:4])


def test_rows_come_in_the_order_of_the_settings(laboratory):
    runs = results.Runs(P)
    runs.map(laboratory.point, settings()[2:])
    assert runs.map(laboratory.point, settings())["seed"].tolist() == [0, 1, 2, 3]


def test_another_setting_or_another_function_is_another_run(laboratory):
    runs = results.Runs(P)
    runs.map(laboratory.point, settings(1))
    runs.map(laboratory.point, [{"seed": 0, "scale": 2.0}])
    runs.map(laboratory.other, settings(1))
    assert laboratory.calls == [0, 0, 0]


def test_a_function_of_a_notebook_or_inside_another_is_refused():
    def point(seed):
        return {"value": seed}

    with pytest.raises(BadValue, match="top level of mtlrepro/papers"):
        results.Runs(P).map(point, settings(1))


def test_other_data_are_another_run(laboratory):
    runs = results.Runs(P)
    runs.map(laboratory.point, settings(1), data={"set": "a"})
    runs.map(laboratory.point, settings(1), data={"set": "b"})
    runs.map(laboratory.point, settings(1), data={"set": "a"})
    assert laboratory.calls == [0, 0]


def test_a_torn_last_line_costs_that_run_alone(laboratory):
    runs = results.Runs(P)
    whole = runs.map(laboratory.point, settings())
    content = runs.file.read_bytes()
    runs.file.write_bytes(content[:-20])
    laboratory.calls.clear()
    pd.testing.assert_frame_equal(results.Runs(P).map(laboratory.point, settings()), whole)
    assert laboratory.calls == [3]


def test_a_flipped_byte_in_the_log_is_not_believed(laboratory):
    runs = results.Runs(P)
    whole = runs.map(laboratory.point, settings())
    lines = runs.file.read_text().splitlines(keepends=True)
    entry = json.loads(lines[1])
    entry["rows"][0]["value"] += 1
    lines[1] = json.dumps(entry) + "\n"
    runs.file.write_text("".join(lines))
    laboratory.calls.clear()
    pd.testing.assert_frame_equal(results.Runs(P).map(laboratory.point, settings()), whole)
    assert laboratory.calls == [1]


def test_processes_give_the_table_of_one_process(laboratory):
    alone = results.Runs(P).map(laboratory.point, settings(5))
    results.Runs(P).forget()
    together = results.Runs(P).map(laboratory.point, settings(5), jobs=2)
    pd.testing.assert_frame_equal(alone, together)


def test_a_full_disk_is_one_clear_line_and_keeps_what_is_done(laboratory, monkeypatch):
    runs = results.Runs(P)
    runs.map(laboratory.point, settings(2))

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(MtlreproError, match="disk full"):
            runs.map(laboratory.point, settings(3))
    laboratory.calls.clear()
    assert len(results.Runs(P).map(laboratory.point, settings(2))) == 2
    assert laboratory.calls == []


SCRIPT = """
    import sys
    from pathlib import Path
    from mtlrepro import exhibits, paths, results
    from mtlrepro.parameters import Params

    exhibits.everything()
    sys.path.insert(0, sys.argv[3])
    paths.PACKAGE = Path(sys.argv[3]) / "laboratory"
    from laboratory import study

    table = results.Runs(Params(sys.argv[2], "quick")).map(study.slow, [{"seed": s} for s in range(12)])
    table.to_csv(sys.argv[1], index=False)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_is_no_number_keeps_the_others(laboratory, jobs):
    """It is told with its setting, once every other run is finished."""
    with pytest.raises(BadValue, match=r"task 0 is not finite\. So it is in 1 of 4 runs, first in \{'seed': 1\}"):
        results.Runs(P).map(laboratory.odd, settings(4), jobs=jobs)
    assert sorted(entry["rows"][0]["value"] for entry in results.Runs(P).finished_runs().values()) == [0, 2, 3]


def test_kill_9_in_the_middle_then_the_same_command(laboratory, own_folders, monkeypatch):
    """Finished runs are not computed again, and the table equals an uninterrupted one byte for byte."""
    script = own_folders / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    log, out = own_folders / "log", own_folders / "out.csv"
    monkeypatch.setenv("LOG", str(log))
    command = [sys.executable, str(script), str(out), EXHIBIT.id, str(paths.PACKAGE.parent)]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not log.exists() or len(log.read_text().split()) < 5):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    finished = len((paths.runs() / f"{EXHIBIT.id}.jsonl").read_text().splitlines())
    assert 1 <= finished < 12
    subprocess.run(command, check=True)
    started = [int(line) for line in log.read_text().split()]
    repeated = {seed for seed in started if started.count(seed) > 1}
    assert len(repeated) <= 1, "only the run that was under way may be done twice"
    expected = pd.DataFrame({"seed": range(12), "value": [float(np.random.default_rng(s).normal()) for s in range(12)]})
    assert out.read_text() == expected.to_csv(index=False)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_compute_end_with_the_one_that_keeps_their_runs(laboratory, own_folders, monkeypatch, end):
    """Laws: a kill of the parent alone leaves no process of it; the same command, given at once, keeps every setting once."""
    script, log, out = own_folders / "script.py", own_folders / "log", own_folders / "out.csv"
    script.write_text(textwrap.dedent(SCRIPT).replace("study.slow", "study.lasting").replace("range(12)", "range(3)"))
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.setenv("MTLREPRO_JOBS", "2")
    command = [sys.executable, str(script), str(out), EXHIBIT.id, str(paths.PACKAGE.parent)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"SECONDS": "100"})
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and (not log.exists() or len(log.read_text().split()) < 2):
        time.sleep(0.05)
    first.send_signal(end)
    subprocess.run(command, check=True, env=os.environ | {"SECONDS": "0"})
    first.communicate(timeout=40)  # until no process holds its end of the pipe
    assert first.returncode == -end
    entries = [json.loads(line) for line in (paths.runs() / f"{EXHIBIT.id}.jsonl").read_text().splitlines()]
    assert sorted(entry["rows"][0]["value"] for entry in entries) == [0, 1, 2]


def test_processes_share_the_settings_and_one_that_is_killed_leaves_its_own_to_the_other(laboratory, own_folders, monkeypatch):
    """Laws: each setting is computed once, but for the one under way at the kill, and the table is that of one process."""
    script = own_folders / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    log, tables = own_folders / "log", [own_folders / "0.csv", own_folders / "1.csv"]
    monkeypatch.setenv("LOG", str(log))
    both = [
        subprocess.Popen([sys.executable, str(script), str(table), EXHIBIT.id, str(paths.PACKAGE.parent)], start_new_session=True)
        for table in tables
    ]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not log.exists() or len(log.read_text().split()) < 5):
        time.sleep(0.02)
    os.killpg(both[0].pid, signal.SIGKILL)
    assert both[0].wait() == -signal.SIGKILL
    assert both[1].wait(timeout=60) == 0
    started = [int(line) for line in log.read_text().split()]
    assert set(started) == set(range(12))
    assert len(started) <= 13
    expected = pd.DataFrame({"seed": range(12), "value": [float(np.random.default_rng(s).normal()) for s in range(12)]})
    assert tables[1].read_text() == expected.to_csv(index=False)


@pytest.fixture
def campaign_until(laboratory, monkeypatch):
    """Puts `Runs` into a campaign until a time of a clock that each run moves on by 100 seconds."""

    def begin(until):
        monkeypatch.setenv("MTLREPRO_UNTIL", str(until))
        clock = SimpleNamespace(time=lambda: 100.0 * len(laboratory.calls), perf_counter=time.perf_counter)
        monkeypatch.setattr("mtlrepro.results.runs.time", clock)

    return begin


def test_a_campaign_begins_no_run_after_its_time(laboratory, campaign_until):
    """Laws: what is left is counted, and a later campaign ends with the table of one without a limit."""
    assert results.Runs(P).standing() is None
    campaign_until(250)
    with pytest.raises(Unfinished, match="2 runs are left: the time is up"):
        results.Runs(P).map(laboratory.point, settings(5))
    assert laboratory.calls == [0, 1, 2]
    now = results.Runs(P).standing()
    assert (now.done, now.running, now.left) == (3, 0, 2)
    assert now.seconds_left == pytest.approx(2 / 3 * now.seconds)
    campaign_until(1e9)
    table = results.Runs(P).map(laboratory.point, settings(5))
    results.Runs(P).forget()
    pd.testing.assert_frame_equal(table, results.Runs(P).map(laboratory.point, settings(5)))


def test_a_campaign_leaves_what_another_process_computes(laboratory, campaign_until):
    campaign_until(1e9)
    runs = results.Runs(P)
    claim = filelock.FileLock(runs.folder / f"{digest.run_key(laboratory.point, {'seed': 1}, {})}.claim")
    with claim, pytest.raises(Unfinished, match="1 runs are left: other processes"):
        runs.map(laboratory.point, settings(3))
    with claim:
        now = runs.standing()
    assert (now.done, now.running, now.left) == (2, 1, 0)
    assert laboratory.calls == [0, 2]
    assert len(results.Runs(P).map(laboratory.point, settings(3))) == 3
    assert not list(runs.folder.glob("*.claim"))


def test_runs_of_other_code_have_no_standing(laboratory):
    runs = results.Runs(P)
    runs.map(laboratory.point, settings(2))
    assert runs.standing().done == 2
    file = paths.PACKAGE / "study.py"
    file.write_text(file.read_text() + "\nextra = 1\n")
    assert runs.standing() is None


def test_the_state_of_a_run_lies_with_its_exhibit_until_it_is_finished(laboratory):
    runs = results.Runs(P)
    [where] = runs.map(laboratory.checkpointed, settings(1))["where"]
    assert Path(where).parent == runs.folder
    assert not Path(where).exists()
    assert "MTLREPRO_CHECKPOINTS" not in os.environ


def record(**changes):
    rows = pd.DataFrame({"seed": [0, 1, 2], "value": [0.1, 0.30000000000000004, 1 / 3]})
    given = {"measured": results.Measured({CLAIM: [0.1, 0.2, 0.3]}), "tier": "paper's data", "data": {"none": "0" * 64}} | changes
    return rows, results.record(EXHIBIT.id, rows, P, **given)


def test_a_record_names_the_devices_of_its_runs(laboratory):
    """Law: runs that another machine computed are counted by its device, the others by this one's; none is counted as both."""
    runs = results.Runs(P)
    runs.map(laboratory.point, [{"seed": seed} for seed in range(3)])
    results.record(EXHIBIT.id, [{"x": 1}], runs, tier="synthetic")
    assert results.load(EXHIBIT.id, "quick").provenance["device"] == "cpu"
    lines = [json.loads(line) for line in runs.file.read_text().splitlines()]
    runs.file.write_text("".join(json.dumps(line | ({"device": "a card"} if i else {})) + "\n" for i, line in enumerate(lines)))
    again = results.Runs(P)
    again.map(laboratory.point, [{"seed": seed} for seed in range(3)])
    results.record(EXHIBIT.id, [{"x": 1}], again, tier="synthetic", device="auto")
    expected = (
        "a card (2 of 3 runs); cpu (1 of 3 runs)" if not torch.cuda.is_available() else "a card (2 of 3 runs); cuda (1 of 3 runs)"
    )
    assert results.load(EXHIBIT.id, "quick").provenance["device"] == expected


def test_a_recorded_run_comes_back_whole():
    rows, judgement = record()
    recorded = results.load(EXHIBIT.id, "quick")
    pd.testing.assert_frame_equal(recorded.rows, rows)
    assert recorded.judgement == judgement
    assert recorded.measured.effects[CLAIM] == (0.1, 0.2, 0.3)
    assert recorded.origin == "this machine"
    assert {"commit", "versions", "data", "device", "seconds", "python"} <= set(recorded.provenance)


def test_rows_changed_behind_the_claims_are_refused():
    record()
    file = results.load(EXHIBIT.id, "quick").table
    file.write_text(file.read_text().replace("0.1", "9.1"))
    with pytest.raises(DataCorrupt, match="expected sha256"):
        results.load(EXHIBIT.id, "quick")


def test_a_truncated_record_is_refused_in_one_line():
    record()
    file = paths.runs() / f"{EXHIBIT.id}.quick.json"
    file.write_text(file.read_text()[:200])
    with pytest.raises(DataCorrupt) as caught:
        results.load(EXHIBIT.id, "quick")
    assert "\n" not in str(caught.value)


def test_a_run_with_changed_parameters_never_stands_for_its_profile(monkeypatch):
    monkeypatch.setattr(paths, "recorded", lambda: paths.runs() / "nothing")
    changed = Params(EXHIBIT.id, "quick", {"seeds": 5}, {"seeds": 5})
    results.record(EXHIBIT.id, [{"value": 1}], changed, tier="synthetic")
    assert results.available(EXHIBIT.id) == []
    with pytest.raises(DataMissing):
        results.load(EXHIBIT.id, "quick")
    assert results.latest(EXHIBIT.id, changed).parameters == {"seeds": 5}
    with pytest.raises(DataMissing):
        results.latest(EXHIBIT.id, P)


def test_unknown_exhibit_and_tier_are_refused():
    with pytest.raises(UnknownName, match=EXHIBIT.id):
        results.load(EXHIBIT.id + "3", "quick")
    with pytest.raises(MtlreproError, match="data tier"):
        record(tier="real")


def test_only_committed_code_of_today_can_be_published(laboratory, monkeypatch, own_folders):
    monkeypatch.setattr(paths, "recorded", lambda: own_folders / "recorded")
    runs = results.Runs(P)
    rows = runs.map(laboratory.point, settings(2), data={"set": "a" * 64})

    def recorded(changes):
        monkeypatch.setattr(results.store, "_git", lambda *words: changes if words[0] == "status" else "abc")
        results.record(EXHIBIT.id, rows, runs, tier="synthetic")

    recorded(None)
    with pytest.raises(MtlreproError, match="git did not say"):
        results.publish(EXHIBIT.id, "quick")
    recorded("M file")
    with pytest.raises(MtlreproError, match="uncommitted"):
        results.publish(EXHIBIT.id, "quick")
    recorded("")
    written = results.publish(EXHIBIT.id, "quick")
    assert sorted(file.suffix for file in written) == [".csv", ".json"]
    assert results.load(EXHIBIT.id, "quick").provenance["data"] == {"set": "a" * 64}

    study = paths.PACKAGE / "study.py"
    study.write_text(study.read_text().replace("scale=1.0", "scale=2.0"))
    with pytest.raises(MtlreproError, match=r"not of today's code \(laboratory/study.py changed\)"):
        results.publish(EXHIBIT.id, "quick")


def test_git_that_refuses_is_not_git_that_finds_no_change(monkeypatch):
    """Law: in a checkout of another owner, where git refuses, the commit is unknown, not unchanged."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for this
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    assert digest.git(paths.project(), "rev-parse", "HEAD") is None
    assert results.store.provenance({}, None, "cpu")["commit"] == "unknown"


def test_a_flipped_bit_anywhere_in_a_record_is_not_believed():
    record()
    file = paths.runs() / f"{EXHIBIT.id}.quick.json"
    whole = file.read_bytes()
    measured = results.load(EXHIBIT.id, "quick").measured
    for place in range(0, len(whole), 101):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with contextlib.suppress(DataCorrupt, MtlreproError):
            assert results.load(EXHIBIT.id, "quick").measured == measured


def test_a_full_disk_while_recording_keeps_the_record_before(monkeypatch):
    rows, _ = record()

    def full(_):
        raise OSError(28, "No space left on device")

    for allowed in (0, 1):  # the table, then the JSON that names it
        left = iter([None] * allowed)
        monkeypatch.setattr(os, "fsync", lambda handle, left=left: next(left, full) and full(handle))
        with pytest.raises(OSError, match="No space"):
            results.record(EXHIBIT.id, [{"value": 7}], P, tier="synthetic")
        pd.testing.assert_frame_equal(results.load(EXHIBIT.id, "quick").rows, rows)
    assert not list(paths.runs().rglob("*.part"))


@pytest.fixture
def plain_provenance(monkeypatch):
    monkeypatch.setattr(results.store, "provenance", lambda data, *others: {"data": data, "commit": "0" * 40})


def begin(work):
    """A process that does `work`, as this one is now."""
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return child


def ended(child):
    return os.waitpid(child, os.WNOHANG)[0] == child


def test_who_reads_while_two_processes_record_sees_one_run_whole(plain_provenance):
    """Law: the rows are those of the run that the provenance names, at each moment, and at rest."""

    def write(n):
        for _ in range(25):
            results.record(EXHIBIT.id, [{"n": n, "i": i} for i in range(200)], P, tier="synthetic", data={"n": str(n)})

    write(0)
    children = [begin(lambda n=n: write(n)) for n in (1, 2)]
    seen = 0
    while children:
        children = [child for child in children if not ended(child)]
        now = results.load(EXHIBIT.id, "quick")
        assert set(now.rows["n"]) == {int(now.provenance["data"]["n"])}
        seen += 1
    assert seen > 10


def test_kill_9_while_recording_leaves_the_run_before_or_the_run_after(plain_provenance):
    def write():
        for n in range(1, 1000):
            results.record(EXHIBIT.id, [{"n": n}] * 50, P, tier="synthetic", data={"n": str(n)})

    results.record(EXHIBIT.id, [{"n": 0}], P, tier="synthetic", data={"n": "0"})
    rng = random.Random(0)
    for _ in range(10):
        child = begin(write)
        time.sleep(rng.uniform(0.005, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        now = results.load(EXHIBIT.id, "quick")
        assert set(now.rows["n"]) == {int(now.provenance["data"]["n"])}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_kill_9_at_random_points_of_a_campaign_loses_and_doubles_nothing(kills, laboratory, own_folders, monkeypatch):
    """Laws: rows equal an uninterrupted campaign's; what was finished at a kill stays; each run is kept once; a training that was
    under way goes on from its checkpoint."""
    whole = results.Runs(P).map(laboratory.trained, settings(3))
    results.Runs(P).forget()
    kept, rng, inside, done = results.Runs(P), random.Random(0), 0, 0
    log = own_folders / "log"
    monkeypatch.setenv("LOG", str(log))
    while done < kills:
        before = set(results.Runs(P).finished_runs())
        log.write_text("")
        child = begin(lambda: results.Runs(P).map(laboratory.trained, settings(3)))
        steps = rng.randrange(40)
        while not (over := ended(child)) and log.stat().st_size < steps:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.01))
        if over:
            assert len(results.Runs(P).finished_runs()) == 3
            results.Runs(P).forget()
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        done += 1
        inside += any(kept.folder.rglob("state.pt"))
        assert before <= set(results.Runs(P).finished_runs())
        lines = kept.file.read_text().splitlines() if kept.file.exists() else []
        keys = [json.loads(line)["key"] for line in lines]
        assert len(keys) == len(set(keys))
    assert inside, "no kill fell inside a training"
    pd.testing.assert_frame_equal(results.Runs(P).map(laboratory.trained, settings(3)), whole)
    results.Runs(P).forget()
    again = results.Runs(P).map(laboratory.trained, settings(3))
    assert again.to_csv().encode() == whole.to_csv().encode(), "the same command twice: the same bytes"


@pytest.mark.parametrize("damage", ["bit", "end", "pickle"])
def test_a_damaged_checkpoint_costs_its_training_alone(laboratory, damage):
    """Law: a flipped bit, a missing end or a pickle of a stranger changes no row and runs no code."""
    runs = results.Runs(P)
    [whole] = runs.map(laboratory.trained, settings(1))["value"]
    runs.forget()
    laboratory.stop_at = 20
    with pytest.raises(KeyboardInterrupt):
        results.Runs(P).map(laboratory.trained, settings(1))
    [file] = runs.folder.rglob("state.pt")
    content = file.read_bytes()
    stored = np.float32(torch.load(file, weights_only=True)["state"]["value"]).tobytes()
    place = content.index(stored)
    damaged = {
        "bit": content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
        "end": content[:-40],
        "pickle": b"cos\nsystem\n(S'touch stranger'\ntR.",
    }
    file.write_bytes(damaged[damage])
    laboratory.stop_at = None
    laboratory.calls.clear()
    assert results.Runs(P).map(laboratory.trained, settings(1))["value"].tolist() == [whole]
    assert laboratory.calls == [(0, 0)]
    assert math.isfinite(whole)


def test_every_committed_result_is_intact_and_carries_provenance():
    for file in paths.recorded().glob("*/*.json"):
        content = json.loads(file.read_text())
        recorded = results.store._read(file, "recorded")
        assert len(recorded.provenance["commit"]) == 40, file.name
        assert not recorded.provenance["changed_since_commit"], f"{file.name} was computed from uncommitted code"
        assert recorded.judgement.exhibit == content["exhibit"]
