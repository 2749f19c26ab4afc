"""What a page shows: figures and tables drawn from the recorded run, or from the run just made, each saying which.

In the book the recorded run of the largest profile comes first (``show="recorded"``); a person who runs a notebook sees the
own run (``show="live"``). `Shown` carries that choice, so that a notebook says it once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import exhibits, paths, plots
from mtlrepro.files import replacing
from mtlrepro.parameters import Params
from mtlrepro.results.judgement import JudgedEffect, Judgement
from mtlrepro.results.store import Recorded, available, latest, load, variant
from mtlrepro.results.tables import html_table, unsigned_zeros
from mtlrepro.results.verdict_box import numbers, verdict_box

# The key under which a notebook's output says what it is to the page that is made of it.
METADATA = "mtlrepro"


@dataclass(frozen=True)
class Shown:
    """The run that a page shows. run: recorded or live. live: the run just made; variant: what its files are named by."""

    run: Literal["recorded", "live"]
    body: Recorded
    live: Recorded
    variant: str

    @property
    def rows(self) -> pd.DataFrame:
        """The rows that figures and tables are drawn from."""
        return self.body.rows

    def figure(self, draw: Callable[[pd.DataFrame], Figure] | Figure, caption: str, alt: str = "") -> None:
        """Show ``draw(rows)`` with its caption. That of a live run is written to a file too, see `figure_files`.

        caption: markdown. alt: what is seen, for those who cannot see it; by default the caption, the axes and what is drawn.
        """
        figure = draw if isinstance(draw, Figure) else draw(self.rows)
        note = {"kind": "figure", "run": self.run, "caption": caption, "alt": alt or plots.described(figure, caption)}
        shown = _display(figure, {METADATA: note})
        if self.run == "live":
            written = figure_files(self.live.exhibit, self.variant)
            target = _figures() / f"{self.live.exhibit}.{self.variant}-{len(written) + 1}.svg"
            with replacing(target) as part:
                figure.savefig(part, format="svg", metadata={"Date": None})
            if not shown:
                print(target)
        plt.close(figure)

    def table(self, make: Callable[[pd.DataFrame], pd.DataFrame] | pd.DataFrame, caption: str = "", digits: int = 3) -> None:
        """Show ``make(rows)`` as the book's tables are: see `html_table`.

        Where the recorded run has no rows of the table, that of the run just made, which says so.
        """
        frame = make if isinstance(make, pd.DataFrame) else make(self.rows)
        if frame.empty and self.run == "recorded" and not isinstance(make, pd.DataFrame):
            words = f"{caption.rstrip('.')}. Of this page's own {self.live.profile} run: the recorded one has no such rows."
            return replace(self, run="live", body=self.live).table(make, words, digits)
        table = html_table(frame, caption, digits=digits, run=self.run)
        _display({"text/html": table}, {METADATA: {"kind": "table", "run": self.run}})

    def live_table(self, frame: pd.DataFrame, caption: str = "") -> None:
        """Show a table of what is on this machine, such as its data, whichever run the page shows."""
        replace(self, run="live").table(frame, caption)

    def text(self, write: Callable[[pd.DataFrame], str]) -> None:
        """Show ``write(rows)``, markdown whose numbers are computed from the rows shown."""
        _display({"text/markdown": unsigned_zeros(write(self.rows))}, {METADATA: {"kind": "text", "run": self.run}})

    def verdict(self) -> None:
        """Show the verdict box of the run shown."""
        _display({"text/html": verdict_box(self.body.judgement, self.run)}, {METADATA: {"kind": "verdict", "run": self.run}})

    def this_run(self) -> None:
        """Show, folded, what the run just made says of each claim, beside the recorded one where there is one."""
        if not self.live.judgement.claims:
            return
        title = f"{_several(self.live.exhibit)}This run, profile {self.live.profile}"
        if self.run == "recorded":
            title += f": {agreement(self.live.judgement, self.body.judgement)}"
        table = html_table(
            claims_beside(self.live.judgement, self.body.judgement if self.run == "recorded" else None), run="live"
        )
        html = f'<details class="fold"><summary>{escape(title)}</summary>{table}</details>'
        _display({"text/html": html}, {METADATA: {"kind": "this run", "run": "live"}})


def shown(p: Params, exhibit: str = "") -> Shown:
    """What the page of `exhibit` (default: the notebook's own) shows, after its run was recorded, in the book's style.

    With ``p.show == "recorded"`` the recorded run of the largest profile, where one was published; else the run just made.
    Raises DataMissing where nothing was recorded yet.
    """
    plots.use()
    exhibit = exhibit or p.exhibit
    live = latest(exhibit, p)
    for old in figure_files(exhibit, variant(p)):
        old.unlink()
    if p.show == "recorded":
        committed = [profile for profile in available(exhibit, committed=True) if profile != "quick" or p.profile == "quick"]
        if committed:
            return Shown("recorded", load(exhibit, committed[-1], committed=True), live, variant(p))
    return Shown("live", live, live, variant(p))


def _several(exhibit: str) -> str:
    """What the paper calls the exhibit, with a colon, where its page shows others too."""
    own = exhibits.get(exhibit)
    shared = sum(other.notebook == own.notebook for other in exhibits.everything(own.paper)) > 1
    return f"{own.label}: " if shared else ""


def _figures() -> Path:
    return paths.runs() / "figures"


def figure_files(exhibit: str, variant: str) -> list[Path]:
    """The figures that the last live run of `exhibit` on this machine drew: ``runs/figures/<exhibit>.<variant>-<number>.svg``.

    variant: as of `store.variant`.
    """
    files = (_figures() / exhibit).parent.glob(f"{exhibit.rpartition('/')[2]}.{variant}-*.svg")
    numbered = [(file.stem.removeprefix(f"{exhibit.rpartition('/')[2]}.{variant}-"), file) for file in files]
    return [file for number, file in sorted((int(number), file) for number, file in numbered if number.isdigit())]


def agreement(live: Judgement, recorded: Judgement) -> str:
    """In words, on how many primary claims two runs come to the same outcome."""
    theirs = {judged.claim.id: judged.outcome for judged in recorded.claims if judged.claim.primary}
    ours = {judged.claim.id: judged.outcome for judged in live.claims if judged.claim.primary}
    if not theirs:
        return "no claim to compare"
    same = sum(ours.get(claim) == outcome for claim, outcome in theirs.items())
    return f"{same} of {len(theirs)} primary claims come out as in the recorded run"


def claims_beside(live: Judgement, recorded: Judgement | None) -> pd.DataFrame:
    """One line per claim: outcome and numbers of the live run, and the outcome of the recorded one where it is given."""
    outcomes = {judged.claim.id: judged.outcome for judged in recorded.claims} if recorded else {}
    lines: list[dict[str, Any]] = []
    for judged in live.claims:
        measured = numbers(judged) if isinstance(judged, JudgedEffect) else str(judged)
        line = {"claim": judged.claim.says, "this run": judged.outcome, "measured": measured}
        lines.append(line | ({"recorded run": outcomes[judged.claim.id]} if judged.claim.id in outcomes else {}))
    return pd.DataFrame(lines)


def _display(shown: Figure | dict[str, str], metadata: dict[str, Any]) -> bool:
    """Show a figure, or text by its MIME type, where there is a notebook; False elsewhere, as there is nobody to see it."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return False
    if get_ipython() is None:  # type: ignore[no-untyped-call]
        return False
    display(shown, metadata=metadata, raw=isinstance(shown, dict))  # type: ignore[no-untyped-call]
    return True
