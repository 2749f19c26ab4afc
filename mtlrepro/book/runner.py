"""Run notebooks through papermill, and keep what ran when one fails.

``python -m mtlrepro.book.runner NOTEBOOK --profile quick --out OUT.ipynb`` is one job of the workflow: it always leaves the
executed notebook and, beside it, OUT.status.json, and exits 0 even where the notebook failed, so that one failure does
not stop the others, and 1 where the disk has no place for the two; ``--report STATUS...`` then names the failed ones and exits 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtlrepro import exhibits, parameters, paths
from mtlrepro.errors import BadValue, MtlreproError, Unfinished, exit_code, in_one_line, print_anywhere
from mtlrepro.files import write_text
from mtlrepro.results import store

KERNEL = "python3"
_INSTALL = "python -m ipykernel install --sys-prefix installs the kernel of this Python"
# What a failure of a known kind is followed by.
_HINTS = {
    "DeadKernel": "out of memory or killed? finished runs are kept: give the same command to go on",
    "NoSuchKernel": _INSTALL,
    "No module named 'mtlrepro'": f"the kernel is another Python's: {_INSTALL}",
}


def prefer_own_kernel() -> None:
    """Of several kernels of one name, let Jupyter start this environment's, not the user's."""
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")


class NotebookFailed(MtlreproError):
    """A notebook that raised; its partly executed copy is kept."""


@dataclass(frozen=True)
class Status:
    """How a notebook's run ended. state: ok, failed, or unfinished (in a campaign). error: one line."""

    notebook: str
    state: str
    profile: str
    seconds: float
    error: str = ""


def status_file(out: Path) -> Path:
    return out.with_suffix(".status.json")


def executed(notebook: str, p: parameters.Params) -> Path:
    """Where `mtlrepro run` leaves a notebook executed with the parameters `p`."""
    return paths.runs() / "notebooks" / store.variant(p) / f"{notebook}.ipynb"


def check(notebook: Path, exhibit: str, profile: str, given: Mapping[str, Any]) -> parameters.Params:
    """The parameters of a run, before a kernel is started; raises as `parameters.check` does, and BadValue for a profile."""
    if "profile" in given:
        raise BadValue(f"{exhibit}: give the profile as --profile {given['profile']}, not as a parameter.")
    return parameters.check(exhibit, parameters.declared_in(notebook), {"profile": profile, **given}, positive=("seeds",))


def parameters_of(exhibit: exhibits.Exhibit, profile: str, given: Mapping[str, Any]) -> parameters.Params:
    """`check` for the notebook of an exhibit."""
    return check(exhibit.source(), exhibits.owner(exhibit).id, profile, given)


def run(notebook: Path, out: Path, profile: str, given: Mapping[str, Any] | None = None, show_progress: bool = False) -> Status:
    """Execute `notebook` (.ipynb) into `out` with papermill and write the status beside it.

    Never raises for what a notebook does: a failure is a Status with state "failed" and the error in one line. In a campaign
    (MTLREPRO_UNTIL) it is stopped when the time is up.
    """
    prefer_own_kernel()
    import papermill
    from nbclient.exceptions import CellTimeoutError

    name = notebook.with_suffix("").relative_to(paths.notebooks()).as_posix()
    out.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    until = float(os.environ.get("MTLREPRO_UNTIL", "inf"))
    state, error = "ok", ""
    try:
        papermill.execute_notebook(
            notebook,
            out,
            parameters={"profile": profile, **(given or {})},
            cwd=paths.project(),
            kernel_name=KERNEL,
            language="python",
            progress_bar=False,
            execution_timeout=None if math.isinf(until) else max(1, math.ceil(until - time.time())),
            stderr_file=sys.stderr if show_progress else None,
            # The kernel listens on this machine alone; its warning about that would be the only noise of a good run.
            extra_arguments=["--log-level=ERROR"],
        )
    except papermill.exceptions.PapermillExecutionError as failure:
        state = "unfinished" if failure.ename == Unfinished.__name__ else "failed"
        error = _one_line(failure.ename, failure.evalue)
    except CellTimeoutError:
        state, error = "unfinished", "the time was up during a run; finished runs and checkpoints are kept."
    except Exception as failure:  # a kernel that died or never started, an unreadable notebook: reported, not hidden
        state, error = "failed", _one_line(type(failure).__name__, str(failure))
    if hint := next((hint for sign, hint in _HINTS.items() if sign in error), ""):
        error += f" ({hint})"
    status = Status(name, state, profile, round(time.perf_counter() - start, 1), error)
    write_text(status_file(out), json.dumps(asdict(status), indent=1) + "\n")
    return status


def _one_line(kind: str, message: str) -> str:
    kind = "" if kind in {c.__name__ for c in _family(MtlreproError)} else f"{kind}: "
    return (kind + in_one_line(message))[:500]


def _family(base: type[MtlreproError]) -> list[type[MtlreproError]]:
    return [base, *(member for child in base.__subclasses__() for member in _family(child))]


def run_exhibits(
    ids: Sequence[str], profile: str, given: Mapping[str, Any], fresh: bool = False, jobs: int | None = None
) -> list[str]:
    """Run the notebooks of `ids` and return one verdict line an exhibit.

    Everything is checked before the first notebook starts. Raises UnknownName, BadValue, or, after all notebooks ran,
    NotebookFailed naming those that failed, and exhibits that are not among what their notebook made.
    """
    from mtlrepro.results import Runs

    chosen = [exhibits.get(name) for name in ids]
    checked = {str(exhibit.notebook): parameters_of(exhibit, profile, given) for exhibit in chosen}
    for exhibit in chosen:
        if profile not in exhibit.profiles and "source" not in given:
            raise BadValue(
                f"{exhibit.id}: the {profile} profile alone does not make it: give -p source=, see its page, or --profile "
                f"{' or '.join(exhibit.profiles)}."
            )
    if jobs is not None:
        os.environ["MTLREPRO_JOBS"] = str(jobs)
    lines: list[str] = []
    failed: list[str] = []
    by_notebook = {exhibit.notebook: exhibit for exhibit in chosen if exhibit.notebook}
    statuses = {}
    for notebook, exhibit in by_notebook.items():
        if fresh:
            Runs(parameters.Params(exhibits.owner(exhibit).id, profile)).forget()
        out = executed(notebook, checked[notebook])
        statuses[notebook] = run(exhibit.source(), out, profile, given, show_progress=sys.stderr.isatty())
        if statuses[notebook].state == "failed":
            failed.append(f"{notebook}: {statuses[notebook].error} (what ran is kept in {out})")
    for exhibit in chosen:
        if statuses[str(exhibit.notebook)].state != "ok":
            continue
        p = checked[str(exhibit.notebook)]
        if store.is_here(exhibit.id, p):
            lines.append(str(store.latest(exhibit.id, p).judgement))
        else:
            made = [one.id for one in exhibits.everything() if one.notebook == exhibit.notebook and store.is_here(one.id, p)]
            failed.append(f"{exhibit.id}: with these parameters its notebook makes {', '.join(made) or 'nothing'}")
    if failed:
        for line in lines:
            print(line)
        raise NotebookFailed("; ".join(failed))
    return lines


def written(ids: Sequence[str], profile: str, given: Mapping[str, Any]) -> list[str]:
    """What the last such runs of `ids` on this machine have left: the executed notebook, the rows, the figures; a line each."""
    from mtlrepro.results.page import figure_files

    files: list[tuple[str, Path]] = []
    for exhibit in map(exhibits.get, ids):
        p = parameters_of(exhibit, profile, given)
        files += [("notebook", executed(str(exhibit.notebook), p)), ("rows", store.latest(exhibit.id, p).table)]
        files += [("figure", file) for file in figure_files(exhibit.id, store.variant(p))]
    return list(dict.fromkeys(f"  {what}: {file}" for what, file in files))


def report(statuses: Sequence[Path]) -> int:
    """Print each failed notebook in one line and remove its status, so that the next build runs it again."""
    failures = 0
    for file in statuses:
        status = Status(**json.loads(file.read_text(encoding="utf-8")))
        if status.state == "failed":
            failures += 1
            print(f"FAILED {status.notebook}: {status.error}", file=sys.stderr)
            file.unlink()
    if failures:
        print(f"{failures} of {len(statuses)} notebooks failed; their pages in the book show what ran.", file=sys.stderr)
    return 1 if failures else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m mtlrepro.book.runner")
    parser.add_argument("notebook", nargs="?", type=Path)
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", nargs="+", type=Path, metavar="STATUS")
    options = parser.parse_args(arguments)
    if options.report:
        return report(options.report)
    if options.notebook is None or options.out is None:
        parser.error("give a notebook and --out, or --report")
    notebook = options.notebook.resolve()
    # A page of the book shows the recorded run first.
    given = {"show": "recorded"} if "show" in parameters.declared_in(notebook) else {}

    def work() -> int:
        status = run(notebook, options.out, options.profile, given)
        print(f"{status.state:10} {status.notebook} {status.seconds:.0f} s {status.error}")
        return 0

    return exit_code(work)


if __name__ == "__main__":
    print_anywhere()
    raise SystemExit(main(sys.argv[1:]))
