"""The command line: parsing and printing only."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from mtlrepro import __version__, exhibits
from mtlrepro.book import campaign, runner
from mtlrepro.errors import BadValue, MtlreproError, UnknownName, exit_code, print_anywhere
from mtlrepro.parameters import PROFILES

# The exit code of a command that Ctrl-C ended.
INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Five MTL papers, reproduced.")
data_app = typer.Typer(no_args_is_help=True, help="Data sets: where they are, how to get them, whether they are intact.")
app.add_typer(data_app, name="data")

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="data sets")]
Some = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="exhibits (default: all)")]


def _folder(given: Path | None) -> Path | None:
    if given is not None and not given.is_dir():
        raise BadValue(f"--mirror is {str(given)!r}, which is no folder: correct it or leave it out.")
    return given


Mirror = Annotated[Path | None, typer.Option(callback=_folder, help="a folder that holds data sets; overrides MTLREPRO_MIRROR")]


@app.command("list")
def list_exhibits(
    paper: Annotated[str | None, typer.Option(help="only this paper's exhibits")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
    long: Annotated[bool, typer.Option("--long", help="also what the paper profile takes")] = False,
) -> None:
    """Every exhibit: id, title, kind, notebook, data tier, verdict by recorded profile."""
    from mtlrepro import results
    from mtlrepro.results.cost import paper_cost

    entries: list[dict[str, Any]] = []
    for exhibit in exhibits.everything(paper):
        verdicts = {profile: results.judged(exhibit.id, profile).verdict for profile in results.available(exhibit.id)}
        notebook = f"notebooks/{exhibit.notebook}.ipynb" if exhibit.notebook else "planned"
        shown = {"id": exhibit.id, "title": exhibit.title, "kind": exhibit.kind, "tier": exhibit.tier}
        entries.append(shown | {"notebook": notebook, "verdicts": verdicts})
        if long:
            cost = paper_cost(exhibit.id)
            entries[-1]["paper profile"] = str(cost) if cost else ""
    if as_json:
        print(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    more = ["paper profile"] if long else []
    table = Table("id", "title", "kind", "tier", "verdict", *more, box=None, pad_edge=False)
    for entry in entries:
        status = "; ".join(f"{profile}: {word}" for profile, word in entry["verdicts"].items())
        table.add_row(
            entry["id"], entry["title"], entry["kind"], entry["tier"],
            status or ("planned" if entry["notebook"] == "planned" else "not run yet"), *(entry[name] for name in more),
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@app.command()
def run(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="exhibits, such as transfer/fig3")],
    profile: Annotated[str, typer.Option(help="quick, full or paper")] = "quick",
    p: Annotated[list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="a notebook parameter")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget finished runs and start again")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes for a notebook's grid (default: MTLREPRO_JOBS or 1)")] = None,
) -> None:
    """Run exhibits' notebooks through papermill and print one verdict line an exhibit, then where notebook, rows and figures are.

    Finished runs are kept: the same command after an interruption goes on where it stopped. Exits 0 when everything ran,
    whatever the verdicts.
    """
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    given: dict[str, Any] = {}
    for name, value in map(_parameter, p or []):
        if name in given:
            raise BadValue(f"-p {name} is given twice: leave one out.")
        given[name] = value
    for line in [*runner.run_exhibits(ids, profile, given, fresh, jobs), *runner.written(ids, profile, given)]:
        print(line)


def _parameter(text: str) -> tuple[str, Any]:
    """Name and value of ``-p NAME=VALUE``, read as ``papermill -p NAME VALUE`` does, and so each in a list or mapping (YAML)."""
    name, equals, value = text.partition("=")
    if not equals:
        raise BadValue(f"-p {text!r} is not NAME=VALUE, such as -p seeds=3.")
    try:
        if value.startswith(("[", "{")):
            return name.strip(), _Values(value).get_single_data()
        return name.strip(), _plain(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BadValue(f"-p {name}: {value[:80]!r} is not a value (YAML), such as [1, 2] or {{a: 1}}.") from None


def _plain(text: str) -> Any:
    from papermill.cli import _resolve_type  # imported late: it takes a second

    return _resolve_type(text)


class _Values(yaml.SafeLoader):
    """YAML with true, false and null but not its other words and numbers: no is false there, 010 is 8, 1:30 90 and 1e-3 text."""


_Values.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith(":null") or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _scalar(_: Any, node: Any) -> Any:
    return node.value if node.style else _plain(node.value)


_Values.add_constructor("tag:yaml.org,2002:str", _scalar)


@app.command()
def verdicts(ids: Some = None, as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False) -> None:
    """The verdict of every recorded run, with its claims: effect, interval, n, the paper's own size; and its gates."""
    from mtlrepro import results

    chosen = [exhibits.get(name) for name in ids or []] or exhibits.everything()
    judged = [results.judged(exhibit.id, profile) for exhibit in chosen for profile in results.available(exhibit.id)]
    if as_json:
        print(json.dumps([judgement.record() for judgement in judged], indent=1, ensure_ascii=False))
        return
    for judgement in judged:
        print(judgement)


@app.command()
def status(ids: Some = None, as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False) -> None:
    """Each recorded result: current, stale (since which change), or never recorded."""
    from mtlrepro.results.status import status as listed

    entries = listed(ids or None)
    if as_json:
        print(json.dumps([entry.as_dict() for entry in entries], indent=1, ensure_ascii=False))
        return
    for entry in entries:
        print(entry)


@app.command()
def publish(
    ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    profile: Annotated[str, typer.Option(help="quick, full or paper")] = "full",
) -> None:
    """Copy this machine's finished runs into book/results, where they are committed and shown to readers."""
    from mtlrepro import results

    for exhibit in ids:
        for file in results.publish(exhibit, profile):
            print(file)


@app.command("campaign")
def run_campaign(
    ids: Some = None,
    hours: Annotated[float, typer.Option(help="stop after so many")] = 8.0,
    profile: Annotated[str, typer.Option(help="quick, full or paper")] = "full",
    processes: Annotated[int | None, typer.Option(min=1, help="of one thread each (default: the machine's cores)")] = None,
    status: Annotated[bool, typer.Option("--status", help="only say what is done, running and left")] = False,
    engine: Annotated[str, typer.Option(help='options for Snakemake, such as "--executor slurm --jobs 20"')] = "",
) -> None:
    """Make all stale or unrecorded runs, those worth most an hour first; publish nothing.

    Any interruption, kill -9 too, loses what came after the last finished run or checkpoint alone: the same command goes on.
    """
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    count = processes or os.cpu_count() or 1
    lines = (
        campaign.standing(ids or None, profile, count)
        if status
        else campaign.run(ids or None, hours, profile, count, campaign.workflow(_words(engine)))
    )
    for line in lines:
        print(line)


def _words(engine: str) -> list[str]:
    try:
        return shlex.split(engine)
    except ValueError:
        raise BadValue(f"--engine {engine!r} has a quotation mark without its other.") from None


@app.command("classroom")
def run_classroom(
    paper: Annotated[str | None, typer.Argument(help="a paper, such as transfer")] = None,
    out: Annotated[Path | None, typer.Argument(help="a folder to write to")] = None,
    student: Annotated[str | None, typer.Option(help="run this student's part, by name or number, and write its CSV")] = None,
    gather: Annotated[Path | None, typer.Option("--collect", help="a folder of returned CSVs: picture and table of all")] = None,
) -> None:
    """What a class needs: exercises, solutions, key and data of a paper; a run for each student; all runs in one picture."""
    from mtlrepro.book import classroom

    if gather is not None and paper is None and student is None:
        lines = classroom.collect(gather)
    elif paper is None or out is None or gather is not None:
        raise BadValue("classroom takes PAPER OUT, with or without --student NAME; or --collect FOLDER alone.")
    elif student is None:
        lines = classroom.make(paper, out)
    else:
        lines, file = classroom.hand_in(paper, student, out)
        lines += [f"{student}: first_seed {classroom.first_seed(student)}, return {file}"]
    for line in lines:
        print(line)


@app.command()
def compare(
    problem: Annotated[list[str] | None, typer.Option(help="a file that ends in PROBLEM = Problem(...), or a paper's")] = None,
    methods: Annotated[str, typer.Option(help="names, separated by commas (default: all that serve the problem)")] = "",
    seeds: Annotated[int, typer.Option(min=2, help="splits, starts and orders of batches")] = 5,
    trials: Annotated[int, typer.Option(min=2, help="tuning trials of every method on every seed")] = 10,
    share: Annotated[float, typer.Option(min=0.01, help="of each problem's updates")] = 1.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="forget finished runs and start again")] = False,
    profile: Annotated[str, typer.Option(help="quick or full: run what the book's page shows, and write it there")] = "",
) -> None:
    """Every method on a problem under one protocol, tuned alike; prints effects against tuned static weights.

    Finished runs are kept: the same command after an interruption goes on where it stopped.
    """
    from mtlrepro.compare import page, running
    from mtlrepro.results.tables import shown_value

    if bool(profile) == bool(problem):
        raise BadValue("name problems with --problem, or a profile of the book's page with --profile.")
    for file in page.record(profile) if profile else []:
        print(file)
    wanted = [name.strip() for name in methods.split(",") if name.strip()]
    for title, frame in running.tables(problem or [], wanted, seeds, trials, share, fresh) if problem else []:
        table = Table(*frame.columns, title=title, title_justify="left", box=None, pad_edge=False)
        for line in frame.itertuples(index=False):
            table.add_row(*map(shown_value, line))
        Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command("doctor")
def examine() -> None:
    """Look over this machine: versions, device, disk, data, browser; says what to do about what is missing."""
    from mtlrepro import doctor  # imported late: it looks at what every other command can do without

    findings = doctor.examine()
    for finding in findings:
        print(f"{finding.state:4} {finding.what}: {finding.found}{' -> ' + finding.advice if finding.advice else ''}")
    if any(finding.state == "FAIL" for finding in findings):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@data_app.command("list")
def data_list(mirror: Mirror = None) -> None:
    """Every data set: access, and where it is now."""
    from mtlrepro.data import manifest

    table = Table("name", "title", "access", "here", "note", box=None, pad_edge=False)
    for row in manifest.statuses(mirror):
        where = f"{row.where}, in part" if row.partial else row.where
        table.add_row(row.name, row.title, row.access, where, row.note or "")
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@data_app.command("fetch")
def data_fetch(names: Names = None, mirror: Mirror = None) -> None:
    """Download from the official sources, sha256 checked; where a person must sign for a set, say what to do.

    Without names: every set that can be had without signing for it.
    """
    from mtlrepro.data import manifest, schema

    chosen = names or [name for name, entry in schema.manifests().items() if entry.sources]
    _each_data_set(chosen, lambda name: manifest.fetch(name, mirror).where)


@data_app.command("digest")
def data_digest(name: Annotated[str, typer.Argument(help="a data set that is here")], mirror: Mirror = None) -> None:
    """The sha256 that a manifest wants of each file of a data set that is here."""
    from mtlrepro.data import places
    from mtlrepro.files import sha256_of

    place = places.locate(name, mirror)
    for path in place.files:
        print(f"{sha256_of(place.folder / path)}  {path}")


@data_app.command("verify")
def data_verify(names: Names = None, mirror: Mirror = None) -> None:
    """Check every file against its sha256. Without names: every set that is here."""
    from mtlrepro.data import manifest

    def checked(name: str) -> str:
        found = manifest.verify(name, mirror)
        return f"{found.files} files intact ({found.hashed} with a known sha256), {found.where}"

    chosen = names or [row.name for row in manifest.statuses(mirror) if row.where != "missing"]
    _each_data_set(chosen, checked)


@data_app.command("path")
def data_path(names: Names = None, mirror: Mirror = None) -> None:
    """Print where data sets lie. Without names: every set that has a folder here."""
    from mtlrepro.data import manifest

    chosen = names or [row.name for row in manifest.statuses(mirror) if row.folder is not None]
    _each_data_set(chosen, lambda name: str(manifest.path(name, mirror)))


def _each_data_set(names: list[str], action: Callable[[str], str]) -> None:
    """Do `action` for every name, go on after a failure, and exit 1 if one failed."""
    failures = 0
    for name in names:
        try:
            print(f"{name}: {action(name)}")
        except MtlreproError as error:
            print(f"mtlrepro: {error}", file=sys.stderr)
            failures += 1
    if failures:
        raise typer.Exit(1)


def main() -> None:
    """Entry point: an error a user can act on is one line on stderr and exit code 1."""
    print_anywhere()
    try:
        raise SystemExit(exit_code(app, "mtlrepro: "))
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer ends so, in silence
            print("mtlrepro: interrupted; finished runs are kept, the same command goes on from there.", file=sys.stderr)
        raise
