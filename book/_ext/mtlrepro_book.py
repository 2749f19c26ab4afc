"""Sphinx extension of this book: pages that read the registry, the recorded results, the data manifests and the errata.

Directives: ``scoreboard`` (all exhibits, or ``:summary:``), ``findings``, ``exhibits PAPER``, ``data-sets``, ``errata``,
``licences``, ``papers``, ``lessons``, ``quiz PAPER``, ``exercises PAPER``, ``exhibit-header NOTEBOOK``, ``diagram PAPER``,
``touch PAPER/FIGURE``, ``notation``, ``jobs``. No number that they show is typed by hand. It also makes the site self-contained:
MathJax is copied into it, and scripts that would ask a server for something are left out.
"""

from __future__ import annotations

import gzip
import importlib.util
import math
import os
import re
import runpy
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Literal, get_args

import touch
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mtlrepro import exhibits, paths, results
from mtlrepro.book import errata, exercises, findings, lessons, licences, pages
from mtlrepro.data import schema
from mtlrepro.errors import DataMissing
from mtlrepro.files import read_yaml
from mtlrepro.results import Judgement, Recorded, cost, outcomes, verdict_box
from mtlrepro.results.digest import git
from mtlrepro.results.judgement import JudgedEffect, JudgedStatement

MATHJAX = "es5/tex-chtml-full.js"
VERDICTS = (*get_args(outcomes.Verdict), "run failed", "not run yet", "planned")
_ACCESS = {
    "open": "free download",
    "ask": "free, ask or register first",
    "gated": "a person must sign for it",
    "embedded": "part of the package",
}


@dataclass(frozen=True)
class Standing:
    """Where an exhibit stands: its verdict in words, the judgement of its largest recorded run if there is one, and whether its
    notebook failed in the run that this book is built from."""

    exhibit: exhibits.Exhibit
    verdict: str
    recorded: Recorded | None
    failed: bool = False


@cache
def failed_notebooks() -> frozenset[str]:
    return frozenset(page.name for page in pages.find() if page.state != "ok")


def standing(exhibit: exhibits.Exhibit) -> Standing:
    committed = results.available(exhibit.id, committed=True)
    profiles = committed or results.available(exhibit.id)
    failed = exhibit.notebook in failed_notebooks()
    if profiles:
        recorded = results.load(exhibit.id, profiles[-1], committed=bool(committed))
        return Standing(exhibit, recorded.judgement.verdict, recorded, failed)
    return Standing(exhibit, "planned" if exhibit.planned else "run failed" if failed else "not run yet", None, failed)


def badge(status: str, count: int | None = None) -> str:
    """The verdict as a word; the style sheet puts a sign before it, so that it never depends on colour."""
    text = status if count is None else f"{count} {status}"
    return f'<span class="verdict {status.replace(" ", "-")}">{text}</span>'


def claim_lines(judgement: Judgement) -> str:
    """Each primary claim with its outcome and numbers."""
    lines = [
        f'<li><span class="claim">{subscripts(judged.claim.says)}</span> {outcome(judged.outcome)} '
        f'<span class="measured">{escape(measured_in_words(judged))}</span></li>'
        for judged in judgement.claims
        if judged.claim.primary
    ]
    return f'<ul class="claims">{"".join(lines)}</ul>' if lines else f'<span class="measured">{escape(judgement.reason)}</span>'


def outcome(word: str) -> str:
    """The outcome of a claim as a word with its sign."""
    return f'<span class="outcome {word.replace(" ", "-")}">{verdict_box.marked(word)}</span>'


def measured_in_words(judged: JudgedEffect | JudgedStatement) -> str:
    return verdict_box.numbers(judged) if isinstance(judged, JudgedEffect) else str(judged).partition(", ")[2]


def subscripts(text: str) -> str:
    """Plain text as HTML, with a symbol such as A_i set properly."""
    return verdict_box.scripts(escape(text.replace("$", "").replace("\\varepsilon", "ε")))


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], label: str, kind: str = "") -> str:
    """A table in a box that scrolls where the screen is narrow. Cells are HTML; a mapping among them gives the row's marks."""
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        f"<tr{_marks(row)}>" + "".join(f"<td>{cell}</td>" for cell in row if isinstance(cell, str)) + "</tr>" for row in rows
    )
    return (
        f'<div class="table-scroll" role="region" tabindex="0" aria-label="{escape(label, quote=True)}">'
        f'<table class="book-table {kind}"><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _marks(row: Sequence[Any]) -> str:
    pairs = [pair for cell in row if not isinstance(cell, str) for pair in cell.items()]
    return "".join(f' data-{name}="{escape(value, quote=True)}"' for name, value in pairs)


class BookDirective(SphinxDirective):
    """Base: remembers the page, so that it is read again in every build, and resolves links."""

    def note(self) -> None:
        used: set[str] = getattr(self.env, "mtlrepro_pages", set())
        used.add(self.env.docname)
        self.env.mtlrepro_pages = used  # type: ignore[attr-defined]

    def link(self, page: str, text: str, anchor: str = "") -> str:
        """A link to another page of the book, or to a place in it; the text alone where that page does not exist."""
        if page not in self.env.found_docs:
            return text
        place = f"#{anchor}" if anchor else ""
        return f'<a href="{self.env.app.builder.get_relative_uri(self.env.docname, page)}{place}">{text}</a>'

    def exhibit_link(self, exhibit: exhibits.Exhibit) -> str:
        return self.link(f"exhibits/{exhibit.notebook}", escape(exhibit.title))

    def html(self, text: str) -> list[nodes.Node]:
        self.note()
        return [nodes.raw("", text, format="html")]

    def markdown(self, lines: Sequence[str]) -> list[nodes.Node]:
        self.note()
        box = nodes.container()
        self.state.nested_parse(StringList(list(lines), self.env.docname), self.content_offset, box)
        return box.children


class Scoreboard(BookDirective):
    """Every exhibit of every paper; with ``:summary:`` the counts by paper and status."""

    option_spec = {"summary": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        if "summary" in self.options:
            return self.html(self.summary())
        found: list[nodes.Node] = []
        for key in exhibits.papers():
            section = nodes.section(ids=[f"scoreboard-{key}"])
            section += nodes.title("", paper_name(key))
            section += self.html(exhibit_table(self, key))[0]
            found.append(section)
        return found

    def summary(self) -> str:
        rows = []
        total: Counter[str] = Counter()
        for key in exhibits.papers():
            count = Counter(standing(exhibit).verdict for exhibit in exhibits.everything(key))
            total += count
            name = escape(paper_name(key))
            rows.append([self.link(f"papers/{key}/index", name), _counts(count), str(count.total())])
        rows.append(["all papers", _counts(total), str(total.total())])
        return table(["paper", "verdicts", "exhibits"], rows, "Verdicts by paper", "summary")


def _counts(count: Counter[str]) -> str:
    return " ".join(badge(status, count[status]) for status in VERDICTS if count[status])


def paper_name(key: str) -> str:
    """What the book calls a paper."""
    return exhibits.papers()[key].name


def short_title(paper: exhibits.Paper) -> str:
    """The title up to its first colon or dash."""
    return paper.title.split(": ")[0].split(" - ")[0]


def exhibit_table(directive: BookDirective, paper: str) -> str:
    table_rows = []
    for exhibit in exhibits.everything(paper):
        now = standing(exhibit)
        name = f'<span class="title">{directive.exhibit_link(exhibit)}</span>'
        name += f'<span class="where">{escape(exhibit.where)}; {exhibit.kind}</span><code class="id">{exhibit.id}</code>'
        root = "../" * directive.env.docname.count("/")
        rows = rows_link(now.recorded, root) if now.recorded else ""
        notebook = f'<a href="{root}{_NOTEBOOKS}/{exhibit.notebook}.ipynb" download>notebook</a>' if exhibit.notebook else ""
        name += f'<span class="where">{", ".join(filter(None, (notebook, rows)))}</span>'
        words = ["its last run failed"] if now.failed and now.recorded else []
        lines = "".join(f"<li>{subscripts(claim.says)}</li>" for claim in exhibit.claims if claim.primary)
        measured = f'<ul class="claims">{lines}</ul>' if lines else ""
        if now.recorded:
            judgement = now.recorded.judgement
            words = [judgement.scope] * (judgement.scope != "no data") + [f"profile {judgement.profile}"] + words
            measured = claim_lines(judgement)
        judged = now.recorded.judgement if now.recorded else None
        failed = [gate.name for gate in judged.gates if not gate.passed] if judged else []
        marks = {
            "paper": paper,
            "verdict": now.verdict,
            "scope": judged.scope if judged else "",
            "gates": "failed" if failed else "passed",
        }
        table_rows.append([name, f'{badge(now.verdict)}<span class="run">{", ".join(words)}</span>', measured, marks])
    head = ["exhibit", "verdict, data, profile", "what the paper claims, and what we measured"]
    return table(head, table_rows, f"Exhibits of {exhibits.papers()[paper].title}", "exhibits")


class Papers(BookDirective):
    """Every paper with the question that it asks."""

    def run(self) -> list[nodes.Node]:
        rows = [
            f"* - [{paper.name}](/papers/{key}/index) ({paper.year})\n  - {paper.question}"
            for key, paper in exhibits.papers().items()
        ]
        text = ["```{list-table}", ":header-rows: 1", "", "* - Paper", "  - Its question", *"\n".join(rows).splitlines(), "```"]
        return self.markdown(text)


class Lessons(BookDirective):
    """The lessons, paper by paper, with the exercises of each."""

    def run(self) -> list[nodes.Node]:
        rows = [["lesson", "exercises in code"]]
        for key, paper in exhibits.papers().items():
            minutes = ", ".join(str(exercise.minutes) for exercise in exercises.of_paper(key))
            rows.append([f"[{paper.name}](/papers/{key}/lesson): {paper.question}", f"{minutes} minutes"])
        table = [line for first, second in rows for line in (f"* - {first}", f"  - {second}")]
        return self.markdown(["```{list-table}", ":header-rows: 1", "", *table, "```"])


class Quiz(BookDirective):
    """A paper's quiz, each answer folded."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.markdown(lessons.folded_quiz(self.arguments[0]))


class Exercises(BookDirective):
    """A paper's exercises in code, with links to the notebooks."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.markdown(lessons.exercise_list(self.arguments[0], self.download))

    def download(self, file: Path, text: str) -> str:
        place = Path(os.path.relpath(file, Path(self.env.doc2path(self.env.docname)).parent)).as_posix()
        return f"{{download}}`{text} <{place}>`"


def without_unknown_links(app: Sphinx, page: str, source: list[str]) -> None:
    """In a lesson, a link to a page that was not run becomes text alone."""
    if page.endswith("/lesson"):
        known = app.env.found_docs
        source[0] = re.sub(r"\[([^\]]+)\]\(/(exhibits/[^)]+)\)", lambda link: link[0] if link[2] in known else link[1], source[0])


@cache
def glossary() -> tuple[str, ...]:
    """The terms of the glossary."""
    return tuple(re.findall(r"^(\w[\w -]*)\n  \w", (paths.book() / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE))


def link_terms(app: Sphinx, page: nodes.document) -> None:
    """On every page but the glossary, the first use of each of its terms in running text leads there."""
    rest = set(glossary()) if app.env.docname != "glossary" else set()
    rest -= {node["reftarget"] for node in page.findall(addnodes.pending_xref) if node["reftype"] == "term"}
    word = re.compile(rf"\b({'|'.join(sorted(glossary(), key=len, reverse=True))})s?\b", re.IGNORECASE)
    for text in list(page.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.paragraph) or isinstance(text.parent.parent, nodes.entry):
            continue
        parts: list[nodes.Node] = []
        said, at = str(text), 0
        for match in word.finditer(said):
            if (term := match[1].lower()) in rest:
                rest.remove(term)
                link = addnodes.pending_xref("", nodes.inline("", match[0], classes=["std", "std-term"]))
                link.attributes |= {"refdomain": "std", "reftype": "term", "reftarget": term, "refexplicit": True}
                link.attributes |= {"refdoc": app.env.docname, "refwarn": True}
                parts += [nodes.Text(said[at : match.start()]), link]
                at = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(said[at:])])


class Exhibits(BookDirective):
    """The exhibits of one paper, and when their claims were written and changed."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        paper = self.arguments[0]
        return self.html(exhibit_table(self, paper) + claims_history(paper))


def claims_history(paper: str) -> str:
    """The commits that wrote or changed the claims of a paper, folded, newest first."""
    file = (paths.paper(paper) / "exhibits.yaml").relative_to(paths.project())
    log = git(paths.project(), "log", "--format=%as%x09%h%x09%s", "--", str(file)) or ""
    rows = [[escape(cell) for cell in entry.split("\t", 2)] for entry in log.splitlines()]
    shown = (
        table(["date", "commit", "what changed"], rows, "History of the claims") if rows else "<p>No history came with it.</p>"
    )
    words = f"History of these claims: <code>{file.as_posix()}</code>"
    return f'<details id="history-of-claims" class="fold"><summary>{words}</summary>{shown}</details>'


class Findings(BookDirective):
    """The first ten findings that a recorded run could judge; folded, the others, and what the runs of the rest still lack, which
    ``:ten:`` leaves out."""

    option_spec = {"ten": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        every = findings.judged_findings()
        judged = [self.item(one) for one in every if one.sentence]
        waiting = [self.item(one) for one in every if not one.sentence]
        folds = "".join(
            f'<details class="fold"><summary>{title}</summary><ul class="findings">{"".join(items)}</ul></details>'
            for title, items in (("More findings", judged[10:]), ("Asked, and not judged by any run so far", waiting))
            if items and "ten" not in self.options
        )
        return self.html(f'<ol class="findings">{"".join(judged[:10])}</ol>{folds}')

    def item(self, one: findings.JudgedFinding) -> str:
        exhibit, judgement = one.finding.exhibit, one.judgement
        page = self.link(f"exhibits/{exhibit.notebook}", escape(f"{paper_name(exhibit.paper)}, {exhibit.label}"))
        source = f'<span class="run">{page}{", on a stand-in" if judgement.scope == "on a stand-in" else ""}</span>'
        if one.sentence:
            return f"<li>{outcome(one.judged.outcome)} {subscripts(one.sentence)} {source}</li>"
        failed = [verdict_box.gate_words(gate) for gate in judgement.gates if not gate.passed]
        lacks = f"gates failed: {', '.join(failed)}" if failed else str(one.judged)
        return f'<li>{subscripts(one.finding.claim.says)} {source} <span class="measured">{escape(lacks)}</span></li>'


def verdict_lines(exhibit: exhibits.Exhibit, root: str, history: str = "") -> str:
    """The verdict box of the largest recorded run, or the word for why there is none. root: from the page to the site's top.
    history: a link to the history of the exhibit's claims."""
    now = standing(exhibit)
    if not now.recorded:
        return f"<p>{badge(now.verdict)}</p>"
    run: Literal["recorded", "live"] = "recorded" if now.recorded.origin == "recorded" else "live"
    return verdict_box.verdict_box(now.recorded.judgement, run) + provenance_line(
        now.recorded, rows_link(now.recorded, root), history
    )


def rows_link(recorded: Recorded, root: str) -> str:
    """A link to the rows of a recorded run, empty where there are none. root: from the page to the site's top."""
    rows = rows_file(recorded.exhibit, recorded.profile) if recorded.origin == "recorded" else ""
    kind = "gzipped CSV" if rows.endswith(".gz") else "CSV"
    return f'<a href="{root}{_ROWS}/{rows}" download>rows as {kind}</a>' if rows else ""


def provenance_line(recorded: Recorded, *links: str) -> str:
    """Where the numbers of a box are from: profile, seeds, computing time, commit, day, machine, and links such as that to the
    rows."""
    came = recorded.provenance
    seconds, seeds, torch = came.get("seconds"), recorded.parameters.get("seeds"), came.get("versions", {}).get("torch")
    words = [
        f"profile {recorded.profile}",
        f"{seeds} seeds" if isinstance(seeds, int) and seeds > 1 else "",
        f"{duration(seconds)} of computing" if seconds is not None else "",
        f"commit {str(came.get('commit', ''))[:7]}",
        str(came.get("finished", ""))[:10],
        str(came.get("device", "")),
        f"torch {torch}" if torch else "",
    ]
    text = escape(", ".join(word for word in words if word))
    return f'<p class="provenance">{"; ".join(filter(None, (text, *links)))}</p>'


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "under a second"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class ExhibitHeader(BookDirective):
    """Top of an exhibit's page: for each exhibit its place in the paper, its verdict box and its errata."""

    required_arguments = 1
    option_spec = {"profile": directives.unchanged, "state": directives.unchanged, "seconds": float}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        served = [exhibit for exhibit in exhibits.everything() if exhibit.notebook == self.arguments[0]]
        if len(served) == 1:
            return self.html(f'<div class="exhibit-box">{self.box(served[0])}</div>')
        folds = (f"<details>{line(exhibit)}{self.box(exhibit, escape(exhibit.title) + ', ')}</details>" for exhibit in served)
        return self.html(f'<div class="exhibit-box">{"".join(folds)}</div>')

    def box(self, exhibit: exhibits.Exhibit, name: str = "") -> str:
        paper = self.link(f"papers/{exhibit.paper}/index", escape(short_title(exhibits.papers()[exhibit.paper])))
        place = f'<p class="place">{name}{escape(exhibit.where)} of <cite>{paper}</cite> <code class="id">{exhibit.id}</code></p>'
        mistakes = [entry for entry in errata.entries(exhibit.paper) if entry.verified_by == exhibit.id]
        links = ", ".join(f'<a href="#{entry.evidence.anchor}">{subscripts(entry.place)}</a>' for entry in mistakes)
        note = f'<p class="errata-links">{self.link("errata", "Errata")} shown here: {links}.</p>' if mistakes else ""
        own = [name for name in touchable(exhibit.paper) if name.partition("-")[0] == exhibit.id.partition("/")[2]]
        words = ("A figure to move", *("another",) * len(own))
        moved = [self.link(f"papers/{exhibit.paper}/index", word, f"touch-{one}") for word, one in zip(words, own, strict=False)]
        place += f'<p class="errata-links">{", ".join(moved)}.</p>' if moved else ""
        history = self.link(f"papers/{exhibit.paper}/index", "history of these claims", anchor="history-of-claims")
        return place + verdict_lines(exhibit, "../" * self.env.docname.count("/"), history) + note


def line(exhibit: exhibits.Exhibit) -> str:
    """An exhibit in one line, as the summary of its fold: what it is, its verdict, what was found."""
    now = standing(exhibit)
    found = verdict_box.found(now.recorded.judgement, short=True) if now.recorded else ""
    found += "(quick run) " if now.recorded and now.recorded.judgement.claims and now.recorded.profile == "quick" else ""
    return f'<summary><b>{escape(exhibit.label)}</b> {badge(now.verdict)} <span class="found">{found}</span></summary>'


class DataSets(BookDirective):
    """Every data set that has a manifest: a table, then how to get each one."""

    def run(self) -> list[nodes.Node]:
        found = schema.manifests()
        rows = [
            [
                f'<a href="#data-{name}">{escape(entry.title)}</a><code class="id">{name}</code>',
                _ACCESS[entry.access], entry.tier, size_of(entry), used_by(entry),
            ]
            for name, entry in found.items()
        ]  # fmt: skip
        text = table(["data set", "access", "tier", "download", "used by"], rows, "Data sets", "data")
        return self.html(text + "".join(data_card(name, entry) for name, entry in found.items()))


class Jobs(BookDirective):
    """The jobs of a full run: what each asks of a cluster, and what it took."""

    def run(self) -> list[nodes.Node]:
        return self.html(job_table(lambda notebook, text: self.link(f"exhibits/{notebook}", text)))


def job_table(link: Callable[[str, str], str]) -> str:
    """Every notebook with the exhibits that it serves, folded. link: notebook, text -> a link to its page."""
    served: dict[str, list[str]] = {}
    for exhibit in exhibits.everything():
        if exhibit.notebook:
            served.setdefault(exhibit.notebook, []).append(exhibit.id)
    rows, known = [], []
    for notebook, names in served.items():
        asked, took = cost.resources(notebook, "full"), "not recorded"
        hours = [cost.recorded_hours(name, "full", committed=True) for name in names]
        if not any(map(math.isnan, hours)):
            known.append(max(hours))
            took = f"{60 * max(hours):.1f}"
        rows.append([link(notebook, escape(", ".join(names))), f"{asked['mem_mb']:,}", f"{asked['runtime']:,}", took])
    words = f"The {len(rows)} jobs of a full run; the {len(known)} that are recorded took {sum(known):.1f} hours of a core"
    head = ["exhibits", "asks for MB", "asks for minutes", "took minutes"]
    return f'<details class="fold"><summary>{words}</summary>{table(head, rows, "Jobs of a full run")}</details>'


class Licences(BookDirective):
    """What is installed to build this book, by licence: a folded table."""

    def run(self) -> list[nodes.Node]:
        found: dict[str, list[str]] = {}
        for package in licences.installed():
            found.setdefault(package.licence, []).append(f"{package.name} {package.version}")
        rows = [[escape(licence), escape(", ".join(found[licence]))] for licence in sorted(found, key=str.lower)]
        text = table(["licence", "packages"], rows, "Licences")
        return self.html(f'<details class="fold"><summary>{sum(map(len, found.values()))} packages</summary>{text}</details>')


def used_by(entry: schema.Manifest) -> str:
    """The exhibits that use a data set, by paper: ``transfer: tab1, fig5b``."""
    found: dict[str, list[str]] = {}
    for user in entry.used_by:
        paper, _, name = user.partition("/")
        found.setdefault(paper, []).append(name or "all")
    return "<br>".join(f"{escape(paper)}: {escape(', '.join(names))}" for paper, names in found.items())


def size_of(entry: schema.Manifest) -> str:
    known = [source.size for source in entry.sources if source.size]
    if not known:
        return ""
    total = float(sum(known))
    for unit in ("B", "kB", "MB", "GB"):
        if total < 1000 or unit == "GB":
            return f"{total:.0f} {unit}" if total >= 10 or unit == "B" else f"{total:.1f} {unit}"
        total /= 1000
    return ""


def data_card(name: str, entry: schema.Manifest) -> str:
    lines = [("Made by", entry.authors), ("Cite", entry.citation), ("Terms", entry.terms)]
    items = "".join(f"<dt>{label}</dt><dd>{escape(text)}</dd>" for label, text in lines)
    if entry.home:
        items += f'<dt>Home</dt><dd><a href="{escape(entry.home, quote=True)}">{escape(entry.home)}</a></dd>'
    if entry.steps:
        steps = "".join(f"<li>{escape(step)}</li>" for step in entry.steps)
        items += f"<dt>How to get it</dt><dd><ol>{steps}</ol></dd>"
    else:
        items += f"<dt>How to get it</dt><dd><code>mtlrepro data fetch {name}</code></dd>"
    if entry.stand_in:
        items += f"<dt>Without it</dt><dd>{escape(entry.stand_in)}</dd>"
    if entry.notes:
        items += f"<dt>Good to know</dt><dd><ul>{''.join(f'<li>{escape(note)}</li>' for note in entry.notes)}</ul></dd>"
    return (
        f'<details class="data-set" id="data-{name}"><summary>{escape(entry.title)} '
        f'<code class="id">{name}</code></summary><dl>{items}</dl></details>'
    )


class Errata(BookDirective):
    """Every entry of the errata, by paper."""

    def run(self) -> list[nodes.Node]:
        found = errata.entries()
        parts: list[nodes.Node] = []
        for key in exhibits.papers():
            mine = [entry for entry in found if entry.paper == key]
            if mine:
                section = nodes.section(ids=[f"errata-{key}"])
                section += nodes.title("", paper_name(key))
                section.extend(self.markdown([line for entry in mine for line in self.card(entry)]))
                parts.append(section)
        return parts or self.markdown(["No entry yet."])

    def card(self, entry: errata.Entry) -> list[str]:
        lines = [f":::::{{card}} {entry.place}", ":class-card: erratum", ""]
        for label, text in (("Printed", entry.printed), ("Correction", entry.correction), ("What follows", entry.consequence)):
            if text:
                lines += [f"**{label}.** {' '.join(text.split())}", ""]
        if entry.conclusion_changes:
            lines += ["**This changes a conclusion of the paper.**", ""]
        exhibit = exhibits.get(entry.verified_by)
        if f"exhibits/{entry.evidence.notebook}" in self.env.found_docs:
            lines += [f"**Evidence.** [{exhibit.title}](#{entry.evidence.anchor}) (`{exhibit.id}`)", ""]
        else:
            lines += [f"**Evidence.** {exhibit.title} (`{exhibit.id}`), not run in this build", ""]
        return [*lines, ":::::", ""]


class Diagram(Directive):
    """A paper's diagram, drawn by ``draw`` in its ``book/papers/<paper>/diagram.py``."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        draw: Callable[[], str] = runpy.run_path(str(paths.book() / "papers" / self.arguments[0] / "diagram.py"))["draw"]
        picture = f'<div class="diagram table-scroll" role="region" tabindex="0" aria-label="Diagram">{draw()}</div>'
        figure = nodes.container(classes=["diagram-figure"])
        figure += nodes.raw("", picture, format="html")
        caption = nodes.container(classes=["caption"])
        self.state.nested_parse(self.content, self.content_offset, caption)
        figure += caption
        return [figure]


@cache
def touchable(paper: str) -> dict[str, Callable[[], touch.Touchable]]:
    """The figures of ``book/papers/<paper>/touch.py``, {} where there is none; without a paper, those of ``book/touch.py``."""
    file = (paths.book() / "papers" / paper if paper else paths.book()) / "touch.py"
    figures: dict[str, Callable[[], touch.Touchable]] = runpy.run_path(str(file))["FIGURES"] if file.exists() else {}
    return figures


class Touch(BookDirective):
    """A figure that a reader moves, with its caption; where its run is not recorded, that instead."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        paper, _, name = self.arguments[0].rpartition("/")
        if paper and paper not in exhibits.papers():
            return []  # a page of the book may show a figure of a paper that was deleted
        try:
            figure = self.html(touch.html(name, touchable(paper)[name]()))
        except DataMissing as missing:
            return self.markdown([str(missing)])
        caption = nodes.container(classes=["caption", "touch-caption"])
        self.state.nested_parse(self.content, self.content_offset, caption)
        return [*figure, caption]


def outdated(app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]) -> set[str]:
    """Pages that show results are read again in every build: results are no source files that Sphinx knows of."""
    return set(getattr(env, "mtlrepro_pages", set())) & set(env.found_docs)


@cache
def book_bibtex() -> str:
    """The book's BibTeX entry, from CITATION.cff."""
    cited = read_yaml(paths.project() / "CITATION.cff")
    fields = {
        "title": f"{{{cited['title']}}}", "author": " and ".join(f"{{{author['name']}}}" for author in cited["authors"]),
        "year": str(cited["date-released"])[:4], "version": str(cited["version"]),
    }  # fmt: skip
    return "@software{mtlrepro,\n" + ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items()) + "\n}"


@cache
def paper_bibtex(paper: str) -> str:
    """The paper's own BibTeX entry, the first of its bibliography."""
    entry = re.match(r"@.*?\n}", (paths.book() / "papers" / paper / "references.bib").read_text(encoding="utf-8"), re.DOTALL)
    return entry[0] if entry else ""


def add_citation(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Under every page, folded: how to cite the book and, on a paper's pages, the paper."""
    if doctree is None:
        return
    kind, _, rest = page.partition("/")
    paper = rest.partition("/")[0] if kind in ("papers", "exhibits") else ""
    entries = [book_bibtex(), *([paper_bibtex(paper)] if paper in exhibits.papers() else [])]
    text = "".join(f'<pre class="bibtex">{escape(entry)}</pre>' for entry in entries)
    context["body"] += f'<details class="fold citation"><summary>How to cite this page</summary>{text}</details>'


class Notation(BookDirective):
    """What the papers call the same things. Content: a line for each, ``thing: our symbol``; a paper's symbols are in its
    ``notation.yaml``, by the same things."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        files = {key: paths.book() / "papers" / key / "notation.yaml" for key in exhibits.papers()}
        theirs = {key: read_yaml(file) for key, file in files.items() if file.exists()}
        ours = {thing.strip(): symbol.strip() for thing, _, symbol in (line.partition(":") for line in self.content)}
        for key, symbols in theirs.items():
            if not set(symbols) <= set(ours):
                raise self.error(f"notation.yaml of {key} names what the table lacks: {sorted(set(symbols) - set(ours))}")
        head = ["what", "here", *(paper_name(key) for key in theirs)]
        rows = [head, *([thing, symbol, *(own.get(thing, "") for own in theirs.values())] for thing, symbol in ours.items())]
        lines = [f"{'* -' if i == 0 else '  -'} {cell}".rstrip() for row in rows for i, cell in enumerate(row)]
        return self.markdown(["```{list-table}", ":header-rows: 1", "", *lines, "```"])


def trim_page(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out Thebe's files, which would ask a server for a kernel, and let the download button give the source notebook.

    The theme would offer the page's own source, a notebook without its parameters that does not run.
    """
    notebook = page.removeprefix("exhibits/")
    runs = page.startswith("exhibits/") and (paths.notebooks() / f"{notebook}.ipynb").exists()
    for group in context.get("header_buttons", []):
        buttons = [button for button in group.get("buttons", []) if button.get("label") not in _SOURCE_BUTTONS]
        if runs and group.get("label") == "download-buttons":
            root = context["pathto"](_NOTEBOOKS, 1)
            buttons[:0] = [
                {"type": "link", "url": f"{root}/{notebook}{suffix}", "text": suffix, "tooltip": f"Download the {kind}",
                 "icon": icon, "label": f"download-{suffix[1:]}-button"}
                for suffix, kind, icon in ((".ipynb", "notebook", "fas fa-code"), (".py", "script", "fas fa-file"))
            ]  # fmt: skip
        if "buttons" in group:
            group["buttons"] = buttons
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if "thebe" not in str(getattr(file, "filename", file)).lower()]


# Where the source notebooks lie in the site, and the theme's buttons that they replace.
_NOTEBOOKS = "_downloads/notebooks"
_ROWS = "_downloads/rows"
_LONG_TABLE = 40_000  # bytes
_SOURCE_BUTTONS = {"download-notebook-button", "download-source-button"}

# What is left of Thebe, and font preloads, which browsers refuse on file://.
_LEFTOVERS = re.compile(
    r'[ \t]*<link rel="preload" as="font"[^>]*>\n?'
    r"|[ \t]*<script>const THEBE_JS_URL.*?</script>\n?"
    r'|[ \t]*<script type="text/x-thebe-config">.*?</script>\n?'
    r"|[ \t]*<script>kernelName = .*?</script>\n?",
    re.DOTALL,
)
# Marks of the theme that a screen reader trips over: arrows without a name, a list that says its items are no items.
_BETTER = {
    '<summary><span class="toctree-toggle"': '<summary aria-label="Show or hide the pages below"><span class="toctree-toggle"',
    '<div role="list" class="citation-list">': '<div class="citation-list">',
}


def marked_run(text: str) -> str:
    """Figures say which run they are from, as tables do."""
    return re.sub(r'<figure class="([^"]*\brun-(recorded|live)\b[^"]*)"', r'<figure data-run="\2" class="\1"', text)


def tidy_site(app: Sphinx, error: Exception | None) -> None:
    """Mend in the written pages what the theme gives no option for."""
    if error is not None or app.builder.format != "html":
        return
    # Maps for those who debug the theme, a second format of fonts that every browser of today reads in the first, and what the
    # theme would say in other languages.
    for left_over in ("*.map", "fontawesome/**/*.ttf", "locales/**/*.[mp]o"):
        for file in Path(app.outdir, "_static").rglob(left_over):
            file.unlink()
    for file in Path(app.outdir).rglob("*.html"):
        text = marked_run(_LEFTOVERS.sub("", file.read_text(encoding="utf-8")))
        for before, after in _BETTER.items():
            text = text.replace(before, after)
        file.write_text(text, encoding="utf-8")


def rows_file(exhibit: str, profile: str) -> str:
    """Where the rows of a recorded run lie in the site, from `_ROWS`: long tables are packed; empty where there are none."""
    size = (paths.recorded() / f"{exhibit}.{profile}.csv").stat().st_size
    return "" if size <= 1 else f"{exhibit}.{profile}.csv{'.gz' if size > _LONG_TABLE else ''}"


def copy_sources(app: Sphinx, error: Exception | None) -> None:
    """Put the source notebooks, the rows that verdict boxes and the comparison link to into the site; take the pages' own out."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    shutil.rmtree(site / "_sources", ignore_errors=True)
    notebooks = [file for suffix in ("ipynb", "py") for file in paths.notebooks().glob(f"*/*.{suffix}")]
    wanted = [(file, site / _NOTEBOOKS / file.relative_to(paths.notebooks())) for file in notebooks]
    wanted.append((paths.book() / "comparison/rows.csv", site / _ROWS / "comparison.csv.gz"))
    for exhibit in exhibits.everything():
        profiles = results.available(exhibit.id, committed=True)
        name = rows_file(exhibit.id, profiles[-1]) if profiles else ""
        if name:
            wanted.append((paths.recorded() / name.removesuffix(".gz"), site / _ROWS / name))
    for source, target in wanted:
        target.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        target.write_bytes(gzip.compress(content, mtime=0) if target.suffix == ".gz" else content)


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax (Apache 2.0) into the site: one script, its fonts and its licence."""
    if error is not None or app.builder.format != "html":
        return
    spec = importlib.util.find_spec("mathjax")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("MathJax is missing: install the book's packages again (django-static-mathjax).")
    source = Path(spec.submodule_search_locations[0]) / "static" / "mathjax"
    target = Path(app.outdir) / "mathjax"
    fonts = "es5/output/chtml/fonts/woff-v2"
    shutil.copytree(source / fonts, target / fonts, dirs_exist_ok=True)
    (target / MATHJAX).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / MATHJAX, target / MATHJAX)
    shutil.copyfile(source / "LICENSE", target / "LICENSE")


def setup(app: Sphinx) -> dict[str, Any]:
    for name, directive in {
        "scoreboard": Scoreboard, "findings": Findings, "papers": Papers, "lessons": Lessons, "quiz": Quiz,
        "exercises": Exercises, "exhibits": Exhibits, "exhibit-header": ExhibitHeader, "data-sets": DataSets,
        "licences": Licences, "errata": Errata, "diagram": Diagram, "touch": Touch, "notation": Notation,
        "jobs": Jobs,
    }.items():  # fmt: skip
        app.add_directive(name, directive)
    app.connect("env-get-outdated", outdated)
    app.connect("source-read", without_unknown_links)
    app.connect("doctree-read", link_terms)
    app.connect("html-page-context", trim_page, priority=900)
    app.connect("html-page-context", add_citation)
    app.connect("build-finished", tidy_site)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", copy_sources)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
