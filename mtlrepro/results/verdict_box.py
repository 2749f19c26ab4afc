"""The box at the top of a page: the verdict, each primary claim on a small axis, the gates.

Colours are the page's own (currentColor) and those of the classes in the book's style sheet, so that it reads on a light and
on a dark ground. All text is escaped; a number that is not finite is never printed.
"""

from __future__ import annotations

import math
from html import escape
from typing import Literal

from mtlrepro.results.gates import Gate, shown
from mtlrepro.results.judgement import JudgedEffect, JudgedStatement, Judgement
from mtlrepro.results.outcomes import FEWEST

_WIDTH, _HEIGHT, _MARGIN = 240, 30, 12
_MARK = {
    "holds": "✓", "smaller": "◐", "absent": "✗", "contrary": "⇄", "cannot tell": "?",
    "true as printed": "✓", "true once corrected": "◐", "false": "✗",
}  # fmt: skip


def three_digits(value: float, sign: bool = False, digits: int = 3) -> str:
    """A number with `digits` significant digits, without exponent from 0.0001 to a million; raises ValueError if not finite."""
    if not math.isfinite(value):
        raise ValueError("only finite numbers are printed")
    rounded = float(f"{value:.{digits - 1}e}")
    mark = "+" if sign and rounded > 0 else ""
    size = abs(rounded)
    if size == 0:
        return "0"
    if not 1e-4 <= size < 1e6:
        return f"{mark}{rounded:.{digits - 1}e}"
    return f"{mark}{rounded:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"


def verdict_box(judgement: Judgement, run: Literal["recorded", "live"] = "recorded") -> str:
    """HTML of the box. run: whether the numbers are those of the recorded run or of this one, kept as ``data-run``."""
    word = _class(judgement.verdict)
    head = (
        f'<span class="verdict {word}">{escape(judgement.verdict)}</span> <span class="tier">{escape(_ground(judgement))}</span>'
    )
    reason = judgement.reason if judgement.verdict in ("no claim", "too small to judge") else ""
    parts = [
        f"<p>{head}</p>",
        f'<p class="reason">{escape(reason)}</p>' if reason else "",
        "<p>The largest recorded run is the quick one.</p>" if run == "recorded" and judgement.profile == "quick" else "",
        '<p class="unjudged">Measured, but not judged:</p>' if judgement.verdict == "too small to judge" else "",
        _claims([claim for claim in judgement.claims if claim.claim.primary]),
        _gates(judgement.gates),
        _folded("Claims shown, not counted", _claims([claim for claim in judgement.claims if not claim.claim.primary])),
    ]
    return f'<div class="verdict-box {word}" data-run="{run}">{"".join(parts)}</div>'


def _ground(judgement: Judgement) -> str:
    tier = "" if judgement.tier in ("paper's data", judgement.scope) else f"{judgement.tier}, "
    return f"{judgement.scope}, {tier}profile {judgement.profile}"


def _class(word: str) -> str:
    return escape(word.replace(" ", "-"), quote=True)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>{body}</details>" if body else ""


def _claims(claims: list[JudgedEffect | JudgedStatement]) -> str:
    lines = "".join(_effect(claim) if isinstance(claim, JudgedEffect) else _statement(claim) for claim in claims)
    return f'<ul class="claim-lines">{lines}</ul>' if lines else ""


def _line(claim: JudgedEffect | JudgedStatement, axis: str, measured: str) -> str:
    word = f'<span class="outcome {_class(claim.outcome)}">{_MARK[claim.outcome]} {claim.outcome}</span>'
    says = f'<span class="says">{escape(claim.claim.says)}</span>'
    return f'<li class="claim-line">{says} {axis}{word} <span class="measured">{escape(measured)}</span></li>'


def _effect(judged: JudgedEffect) -> str:
    note = f"; {judged.note}" if judged.note else ""
    axis = _axis(judged) if judged.n else ""
    return _line(judged, axis, f"{numbers(judged)}{note}")


def numbers(judged: JudgedEffect) -> str:
    """Ours with its interval, n, the paper's size and the unit, in one phrase; what is not known is left out."""
    seeds = f"n = {judged.n}"
    paper = judged.claim.paper_effect
    printed = "the paper prints no size" if paper is None else f"paper {three_digits(paper, sign=True)}"
    if not math.isfinite(judged.effect):
        return f"no value, {seeds}; {printed}"
    ours = f"ours {three_digits(judged.effect, sign=True)} {judged.claim.unit}"
    if judged.n >= FEWEST and judged.low == judged.high:
        return f"{ours} in every seed, {seeds}; {printed}"
    if not (math.isfinite(judged.low) and math.isfinite(judged.high)):
        return f"{ours}, no interval, {seeds}; {printed}"
    span = f"{three_digits(judged.low, sign=True)} to {three_digits(judged.high, sign=True)}"
    return f"{ours} ({span} at {100 * judged.level:.3g}%), {seeds}; {printed}"


def _statement(judged: JudgedStatement) -> str:
    if judged.tried is None:
        return _line(judged, "", "not tried")
    forms = {"as printed": judged.tried.printed, "corrected": judged.tried.corrected}
    phrases = [
        f"{form}: {trials.violations:,} of {trials.n:,} instances break it (rate at most {three_digits(trials.high)})"
        for form, trials in forms.items()
        if trials is not None
    ]
    return _line(judged, "", "; ".join(phrases))


def _shape(tag: str, part: str, **attributes: float | str) -> str:
    """An element of the axis, drawn in the page's own colour."""
    given = "" if tag == "rect" else ' stroke="currentColor"'
    text = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<{tag} class="claim-axis-{part}"{given} {text}/>'


def _axis(judged: JudgedEffect) -> str:
    """An axis with zero, the band of effects too small to care about, the paper's size (hollow) and ours with its interval."""
    paper, smallest = judged.claim.paper_effect, judged.claim.smallest
    drawn = [value for value in (judged.effect, judged.low, judged.high, paper) if value is not None and math.isfinite(value)]
    least, most = min([*drawn, -smallest]), max([*drawn, smallest])
    # Divided first: the difference of two huge numbers is not finite.
    scale = max(abs(least), abs(most))
    width = most / scale - least / scale

    def x(value: float) -> str:
        return f"{_MARGIN + (_WIDTH - 2 * _MARGIN) * (value / scale - least / scale) / width:.1f}"

    middle, left, right = _HEIGHT / 2, _MARGIN / 2, _WIDTH - _MARGIN / 2
    band = (_WIDTH - 2 * _MARGIN) * 2 * smallest / scale / width
    shapes = [
        _shape(
            "rect", "band", x=x(-smallest), y=5, width=f"{band:.1f}", height=_HEIGHT - 10, fill="currentColor", fill_opacity=0.1
        ),
        _shape("line", "line", x1=left, x2=right, y1=middle, y2=middle, stroke_opacity=0.3),
        _shape("line", "zero", x1=x(0), x2=x(0), y1=2, y2=_HEIGHT - 2),
    ]
    if math.isfinite(judged.effect):
        if math.isfinite(judged.low) and math.isfinite(judged.high):
            low, high = x(judged.low), x(judged.high)
            shapes.append(_shape("line", "ours", x1=low, x2=high, y1=middle, y2=middle, stroke_width=5, stroke_opacity=0.65))
        mean = x(judged.effect)
        shapes.append(_shape("line", "mean", x1=mean, x2=mean, y1=8, y2=_HEIGHT - 8, stroke_width=3))
    if paper is not None:
        shapes.append(_shape("circle", "paper", cx=x(paper), cy=middle, r=6, fill="none", stroke_width=1.8))
    label = escape(f"Axis with zero. {numbers(judged)}. Outcome: {judged.outcome}.", quote=True)
    return (
        f'<svg class="claim-axis" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}">{"".join(shapes)}</svg> '
    )


def _gates(gates: tuple[Gate, ...]) -> str:
    if not gates:
        return ""
    passed = sum(gate.passed for gate in gates)
    failed = [gate for gate in gates if not gate.passed]
    line = f"Gates passed: {passed} of {len(gates)}" + (f"; failed: {', '.join(gate.name for gate in failed)}" if failed else "")
    return f'<div class="gates"><p>{escape(line)}</p>{_folded("What each gate needs", _gate_lines(gates))}</div>'


def _gate_lines(gates: tuple[Gate, ...]) -> str:
    lines = []
    for gate in gates:
        cost = "" if gate.passed else f" Cost of passing it: {gate.cost or 'not estimated'}."
        text = f"{'✓' if gate.passed else '✗'} {gate.name}: {shown(gate.value)}; needs {gate.needs}.{cost}"
        lines.append(f'<li class="{"passed" if gate.passed else "failed"}">{escape(text)}</li>')
    return f'<ul class="gate-lines">{"".join(lines)}</ul>'
