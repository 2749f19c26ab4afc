"""The figure to move on the scoreboard: every effect against the paper's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from touch import WIDTH, Axes, Control, Picture, Shape, Touchable, label, shape

from mtlrepro import exhibits, results
from mtlrepro.results.judgement import JudgedEffect

_ROW = 15
_ALL = "all"
_LOOKS = {"holds": "d-dot-a", "smaller": "d-dot-a", "cannot tell": "d-dot-b", "absent": "d-dot-b", "contrary": "d-dot-b"}


@dataclass(frozen=True)
class Measure:
    """A primary claim whose paper prints a size, as the largest recorded run found it."""

    exhibit: exhibits.Exhibit
    judged: JudgedEffect
    scope: str
    passed: bool

    def share(self, value: float) -> float:
        """`value` as a multiple of the paper's own size."""
        return value / float(self.judged.claim.paper_effect or math.nan)


def measures() -> Iterator[Measure]:
    """Those that a run larger than quick has measured."""
    for exhibit in exhibits.everything():
        profiles = [profile for profile in results.available(exhibit.id, committed=True) if profile != "quick"]
        judgement = results.load(exhibit.id, profiles[-1], committed=True).judgement if profiles else None
        for judged in judgement.claims if judgement else ():
            known = isinstance(judged, JudgedEffect) and judged.claim.primary and judged.claim.target is not None
            if judgement and isinstance(judged, JudgedEffect) and known and math.isfinite(judged.low):
                yield Measure(exhibit, judged, judgement.scope, not [gate for gate in judgement.gates if not gate.passed])


def scoreboard() -> Touchable:
    everything = sorted(measures(), key=lambda one: one.share(one.judged.effect))
    bottom = 34 + _ROW * len(everything)
    axes = Axes((-1.5, 2), (0, 1), box=(250, 30, WIDTH - 12, bottom))
    background = [
        axes.line([-1.5, 2], [0, 0], "d-thin"), axes.line([0, 0], [0, 1], "d-thin"), axes.line([1, 1], [0, 1], "d-thin d-dash"),
        *(label(axes.at(x, 0)[0], bottom + 18, words, "middle") for x, words in ((-1, "−1"), (0, "0"), (1, "1"), (2, "2"))),
        label(WIDTH - 12, bottom + 36, "effect, as a multiple of the paper's", "end"),
        label(axes.at(1, 0)[0], 20, "the paper's size", "middle"),
    ]  # fmt: skip

    def draw(paper: str, scope: str, gates: str) -> Picture:
        parts: list[Shape] = []
        row = 0
        reached = 0
        for one in everything:
            chosen = paper in (_ALL, one.exhibit.paper) and scope in (_ALL, one.scope) and (gates == _ALL or one.passed)
            y = 40.0 + _ROW * row
            row += chosen
            reached += chosen and one.judged.outcome == "holds"
            look, hidden = _LOOKS[one.judged.outcome], "visible" if chosen else "hidden"
            low, middle, high = (axes.at(one.share(v), 0)[0] for v in (one.judged.low, one.judged.effect, one.judged.high))
            name = f"{one.exhibit.id.replace('/', ' ')}: {one.judged.claim.id.replace('-', ' ')}"
            name = name if len(name) < 39 else f"{name[:37].rstrip()}…"
            parts += [
                shape("text", name, x=244, y=y + 4, text_anchor="end", kind="d-text d-tiny", visibility=hidden),
                shape("path", d=f"M{low:.1f} {y}H{high:.1f}", kind="d-line d-thin", visibility=hidden),
                shape("circle", cx=middle, cy=y, r=4, kind=look, visibility=hidden),
            ]
        return Picture(parts, {"effects shown": str(row), "that reach the paper's size": str(reached)})

    papers = {_ALL: "all", **{key: paper.name for key, paper in exhibits.papers().items()}}
    scopes = [_ALL, *dict.fromkeys(one.scope for one in everything)]
    controls = [
        Control("Paper", list(papers), _ALL, papers.__getitem__, choice=True),
        Control("Scope", scopes, _ALL, choice=True),
        Control("Gates", [_ALL, "passed"], _ALL, choice=True),
    ]
    title = "Every effect that a paper gives a size, against that size"
    return Touchable(title, controls, background, draw, bottom + 46, "recorded")


FIGURES = {"scoreboard": scoreboard}
