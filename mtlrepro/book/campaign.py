"""The campaign: stale and unrecorded runs, in the order of what they are worth an hour, as far as the time goes.

The workflow of the book is the engine: of each notebook it starts several processes at once, which share the notebook's settings
(`results.Runs`), each leaving for the next notebook when the others have the rest in hand. Finished runs and checkpoints outlive
any kill, so the same command goes on where it stopped. Nothing is published or committed.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mtlrepro import exhibits, paths
from mtlrepro.errors import BadValue, MtlreproError
from mtlrepro.parameters import Params
from mtlrepro.results import Runs, store
from mtlrepro.results.runs import Standing
from mtlrepro.results.status import status

# A notebook whose cost nothing tells, as one that draws what another has computed, comes behind the long ones.
_UNKNOWN_SECONDS = 8 * 3600.0


class Engine(Protocol):
    """Runs notebooks, the first first, until a time in seconds since the epoch; notebook -> error of those that failed."""

    def __call__(self, notebooks: Sequence[str], profile: str, processes: int, until: float) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Work:
    """A notebook with runs to make. owner: the exhibit that its runs are kept under.

    failing: an exhibit of it has no recorded run or fails a gate. primary: primary claims of its exhibits that are to be judged.
    seconds: what its runs will take on one core, NaN where nothing tells; standing: how far they are, None where not begun.
    """

    notebook: str
    owner: str
    failing: bool
    primary: int
    seconds: float
    standing: Standing | None

    @property
    def rank(self) -> tuple[bool, float]:
        """Failing gates first, then primary claims an hour."""
        seconds = _UNKNOWN_SECONDS if math.isnan(self.seconds) else max(self.seconds, 60.0)
        return (not self.failing, -(self.primary + 0.5) / seconds)


def ready(ids: Iterable[str], profile: str) -> list[str]:
    """Those of the exhibits whose runs of this machine can be published and are not what is recorded already."""
    stale = [one.exhibit for one in status(ids, [profile]) if one.state != "current"]
    return [exhibit for exhibit in stale if not _refusal(exhibit, profile)]


def waiting(ids: Iterable[str], profile: str) -> list[Work]:
    """The notebooks of the exhibits `ids` that are neither recorded nor ready to be published, in the order of the campaign.

    Raises UnknownName for an unknown exhibit.
    """
    stale = [exhibits.get(one.exhibit) for one in status(ids, [profile]) if one.state != "current"]
    by_notebook: dict[str, list[exhibits.Exhibit]] = {}
    for exhibit in stale:
        if exhibit.notebook and _refusal(exhibit.id, profile):
            by_notebook.setdefault(exhibit.notebook, []).append(exhibit)
    return sorted((_work(served, profile) for served in by_notebook.values()), key=lambda work: work.rank)


def _refusal(exhibit: str, profile: str) -> str:
    try:
        store.publishable(exhibit, profile)
    except MtlreproError as error:
        return str(error)
    return ""


def _work(served: Sequence[exhibits.Exhibit], profile: str) -> Work:
    owner = exhibits.owner(served[0]).id
    failing, seconds = False, math.nan
    for exhibit in served:
        try:
            recorded = store.load(exhibit.id, profile)
            failing |= any(not gate.passed for gate in recorded.judgement.gates)
            seconds = recorded.provenance["seconds"] or seconds
        except MtlreproError:
            failing = True
    standing = Runs(Params(owner, profile)).standing()
    if standing and not math.isnan(standing.seconds_left):
        seconds = standing.seconds_left
    primary = sum(claim.primary for exhibit in served for claim in exhibit.claims)
    return Work(str(served[0].notebook), owner, failing, primary, seconds, standing)


def run(
    ids: Sequence[str] | None, hours: float, profile: str, processes: int, engine: Engine, clock: Callable[[], float] = time.time
) -> list[str]:
    """Make the runs of the exhibits `ids` (default: of all) for at most `hours`; return what is ready, failed and left in lines.

    Raises UnknownName for an unknown exhibit and BadValue for hours that are not above 0.
    """
    if not hours > 0:
        raise BadValue(f"a campaign takes more than no time: --hours must be above 0, not {hours:g}.")
    ids = [exhibit.id for exhibit in exhibits.everything()] if ids is None else ids
    until = clock() + 3600 * hours
    failed: dict[str, str] = {}
    before = None
    while clock() < until:
        todo = [work for work in waiting(ids, profile) if work.notebook not in failed]
        now = (len(todo), sum(work.standing.done for work in todo if work.standing))
        if not todo or now == before:
            break
        before = now
        failed |= engine([work.notebook for work in todo], profile, processes, until)
    return _account(ids, profile, failed)


def _account(ids: Sequence[str], profile: str, failed: Mapping[str, str]) -> list[str]:
    lines = []
    if done := ready(ids, profile):
        lines += ["ready to publish:", f"  mtlrepro publish {' '.join(done)} --profile {profile}", "  git add book/results"]
        lines += ['  git commit -m "Recorded runs"']
    lines += [f"failed: {notebook}: {error}" for notebook, error in failed.items()]
    left = [work for work in waiting(ids, profile) if work.notebook not in failed]
    lines += [f"left: {work.notebook}: {_figures(work)}" for work in left]
    for work in left:
        if "uncommitted" in (refusal := _refusal(work.owner, profile)):
            lines.append(f"not ready: {refusal}")
    return [*lines, "the same command goes on from here."] if left else lines or ["nothing is stale."]


def _figures(work: Work) -> str:
    now = work.standing
    counts = f"{now.done} runs done, {now.running} running, {now.left} left, " if now else "not begun, "
    return counts + ("hours unknown" if math.isnan(work.seconds) else f"{work.seconds / 3600:.1f} hours of a core left")


def standing(ids: Sequence[str] | None, profile: str, processes: int) -> list[str]:
    """How far the campaign is: what is ready, each notebook's runs done, running and left, and the hours that are left."""
    ids = [exhibit.id for exhibit in exhibits.everything()] if ids is None else ids
    left = waiting(ids, profile)
    known = [work.seconds for work in left if not math.isnan(work.seconds)]
    unknown = f", and {len(left) - len(known)} of unknown cost" if len(known) < len(left) else ""
    return [
        f"ready to publish: {', '.join(ready(ids, profile)) or 'none'}",
        *(f"{work.notebook}: {_figures(work)}" for work in left),
        f"left in all: {len(left)}, about {sum(known) / 3600 / processes:.1f} hours on {processes} cores{unknown}",
    ]


def workflow(options: Sequence[str]) -> Engine:
    """The engine: Snakemake with `options`, such as ``--executor slurm --jobs 20`` (default: on this machine's cores)."""

    def engine(notebooks: Sequence[str], profile: str, processes: int, until: float) -> dict[str, str]:
        shutil.rmtree(paths.project() / "runs" / "shares", ignore_errors=True)
        where = options or ["--cores", str(processes)]
        command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", *where, "--keep-going", "--nolock"]
        command += ["--rerun-incomplete", "--notemp", "--quiet", "rules", "progress", "--config", f"profile={profile}"]
        command += [f"shares={processes}", f"campaign={' '.join(notebooks)}", "--", "campaign"]
        environment = os.environ | {"MTLREPRO_UNTIL": str(until), "MTLREPRO_JOBS": "1"}
        with subprocess.Popen(command, cwd=paths.project(), env=environment) as process:
            try:
                process.wait(timeout=max(0.0, until - time.time()))
            except subprocess.TimeoutExpired:
                process.terminate()  # it starts nothing more; what runs ends by itself
        files = sorted((paths.project() / "runs" / "shares").rglob("*.status.json"))
        ended = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        return {each["notebook"]: each["error"] for each in ended if each["state"] == "failed"}

    return engine
