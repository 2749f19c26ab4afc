"""The box at the top of a page: the verdict, each primary claim on a small axis, the gates.

Colours are the page's own (currentColor) and those of the classes in the book's style sheet, so that it reads on a light and
on a dark ground. All text is escaped; a number that is not finite is never printed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
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
# When a statement holds, by its outcome.
_FORM = {
    "true as printed": "as printed", "true once corrected": "in its corrected form",
    "false": "in no form that was tried", "cannot tell": "not known from so few instances",
}  # fmt: skip


# Exponents and indices as formulas in plain text have them: X^(-1), 2^n, Q_r, Σ_{j>r}.
# An index follows one letter, or an index and one letter, so that words joined by underscores stay as they are.
_SCRIPT = re.compile(
    r"\^(?:\(([^()]+)\)|(-?\w+|[†*]))|(?<=\w)(?:_\{([^{}]+)\}|(?:(?<![a-zA-Z]{2})|(?<=_[a-z][a-zA-Z]))_(\w)(?![a-z]{2}))"
)
# The digits and the minus of an exponent, raised.
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def scripts(html: str) -> str:
    """HTML whose exponents are raised and indices lowered."""

    def placed(found: re.Match[str]) -> str:
        tag, text = ("sup", found[1] or found[2]) if found[0][0] == "^" else ("sub", found[3] or found[4])
        return f"<{tag}>{text.replace('-', '−')}</{tag}>"

    return _SCRIPT.sub(placed, html)


def three_digits(value: float, sign: bool = False, digits: int = 3) -> str:
    """A number with `digits` significant digits, as 1.23 × 10⁻⁵ outside 0.0001 to a million; raises ValueError if not finite."""
    if not math.isfinite(value):
        raise ValueError("only finite numbers are printed")
    rounded = float(f"{value:.{digits - 1}e}")
    mark = "+" if sign and rounded > 0 else ""
    size = abs(rounded)
    if size == 0:
        return "0"
    if not 1e-4 <= size < 1e6:
        mantissa, _, exponent = f"{rounded:.{digits - 1}e}".partition("e")
        return f"{mark}{mantissa} × 10{str(int(exponent)).translate(_RAISED)}"
    comma = "," if size >= 10_000 else ""
    return f"{mark}{rounded:{comma}.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"


def _without_exponents(text: str) -> str:
    """Numbers such as 4.41e+03 as `three_digits` writes them."""
    return re.sub(r"(?<![\w.])\d+(?:\.\d+)?e[-+]\d\d+\b", lambda number: three_digits(float(number[0])), text)


def verdict_box(judgement: Judgement, run: Literal["recorded", "live"] = "recorded") -> str:
    """HTML of the box: what was claimed, what was found and when it holds; folded, every claim and gate.

    run: whether the numbers are those of the recorded run or of this one, kept as ``data-run``.
    """
    word = _class(judgement.verdict)
    claims = [claim for claim in judgement.claims if claim.claim.primary]
    failed = ", ".join(gate_words(gate) for gate in judgement.gates if not gate.passed)
    parts = [
        f'<p><span class="verdict {word}">{escape(judgement.verdict)}</span>'
        + (f' <span class="tier">failed: {escape(failed)}</span></p>' if failed else "</p>"),
        _in_short(judgement) if claims else f'<p class="reason">{scripts(escape(judgement.reason))}</p>',
        "<p>The largest recorded run is the quick one.</p>" if run == "recorded" and judgement.profile == "quick" else "",
        _folded(
            "Every claim and gate",
            _claims(claims)
            + _gates(judgement.gates)
            + _folded("Claims shown, not counted", _claims([claim for claim in judgement.claims if not claim.claim.primary])),
        )
        if claims
        else "",
    ]
    return f'<div class="verdict-box {word}" data-run="{run}">{"".join(parts)}</div>'


def _in_short(judgement: Judgement) -> str:
    """Claimed, found, holds when: at most 60 words."""
    first = next(claim for claim in judgement.claims if claim.claim.primary)
    size, axis = "", ""
    if isinstance(first, JudgedEffect):
        size = _printed(first) if first.claim.paper_effect is not None else ""
        axis = _axis(first) if first.n else ""
    lines = {
        "Claimed": scripts(escape(first.claim.says)) + (f' <span class="measured">({escape(size)})</span>' if size else ""),
        "Found": found(judgement) + axis,
        "Holds when": escape(_conditions(judgement, first)),
    }
    return '<dl class="in-short">' + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines.items()) + "</dl>"


def found(judgement: Judgement, short: bool = False) -> str:
    """HTML of what was measured of the first primary claim, and how the others came out; empty where nothing is claimed.

    short: an effect without its interval.
    """
    claims = [claim for claim in judgement.claims if claim.claim.primary]
    if not claims:
        return ""
    others = Counter(marked(claim.outcome) for claim in claims[1:])
    more = "; " + ", ".join(f"{count} more {mark}" for mark, count in others.items()) if others else ""
    first = claims[0]
    measured = _broken(first) if isinstance(first, JudgedStatement) else _size(first) if short else _ours(first, level=False)
    word = f'<span class="outcome {_class(first.outcome)}">{marked(first.outcome)}</span>'
    return f'{word} <span class="measured">{escape(measured + more)}</span> '


def _conditions(judgement: Judgement, first: JudgedEffect | JudgedStatement) -> str:
    failed = sum(not gate.passed for gate in judgement.gates)
    if failed:
        return f"not judged ({failed} gate{'s' if failed > 1 else ''} failed), {_ground(judgement)}"
    if isinstance(first, JudgedStatement):
        return _FORM[first.outcome]
    return _ground(judgement) + (f", all {len(judgement.gates)} gates passed" if judgement.gates else "")


def marked(outcome: str) -> str:
    """The outcome with its sign, so that it is never told by colour alone."""
    return f"{_MARK[outcome]} {outcome}"


def _ground(judgement: Judgement) -> str:
    return judgement.scope + (", synthetic" if judgement.tier == "synthetic" else "")


def _class(word: str) -> str:
    return escape(word.replace(" ", "-"), quote=True)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>{body}</details>" if body else ""


def _claims(claims: list[JudgedEffect | JudgedStatement]) -> str:
    lines = "".join(_effect(claim) if isinstance(claim, JudgedEffect) else _statement(claim) for claim in claims)
    return f'<ul class="claim-lines">{lines}</ul>' if lines else ""


def _line(claim: JudgedEffect | JudgedStatement, axis: str, measured: str) -> str:
    word = f'<span class="outcome {_class(claim.outcome)}">{marked(claim.outcome)}</span>'
    says = f'<span class="says">{scripts(escape(claim.claim.says))}</span>'
    return f'<li class="claim-line">{says} {axis}{word} <span class="measured">{escape(measured)}</span></li>'


def _effect(judged: JudgedEffect) -> str:
    note = f"; {judged.note}" if judged.note else ""
    axis = _axis(judged) if judged.n else ""
    return _line(judged, axis, f"{numbers(judged)}{note}")


def numbers(judged: JudgedEffect) -> str:
    """Ours with its interval, n, the paper's size and the unit, in one phrase; what is not known is left out."""
    ours = "ours " if math.isfinite(judged.effect) else ""
    return f"{ours}{_ours(judged)}; {_printed(judged)}"


def _printed(judged: JudgedEffect) -> str:
    paper = judged.claim.paper_effect
    return "no size printed" if paper is None else f"paper {three_digits(paper, sign=True)}"


def _size(judged: JudgedEffect) -> str:
    if not math.isfinite(judged.effect):
        return "no value" if judged.n else "not measured"
    return f"{three_digits(judged.effect, sign=True)} {judged.claim.unit}"


def _ours(judged: JudgedEffect, level: bool = True) -> str:
    """The effect with its interval and n. level: with the level of the interval."""
    ours, seeds = _size(judged), f"n = {judged.n}"
    if not math.isfinite(judged.effect):
        return f"{ours}, {seeds}" if judged.n else ours
    if judged.n >= FEWEST and judged.low == judged.high:
        return f"{ours} in every seed, {seeds}"
    if not (math.isfinite(judged.low) and math.isfinite(judged.high)):
        return f"{ours}, no interval, {seeds}"
    span = f"{three_digits(judged.low, sign=True)} to {three_digits(judged.high, sign=True)}"
    return f"{ours} ({span}{f' at {100 * judged.level:.3g}%' if level else ''}), {seeds}"


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


def _broken(judged: JudgedStatement) -> str:
    if judged.tried is None:
        return "not tried"
    printed, corrected = judged.tried.printed, judged.tried.corrected
    words = f"broken as printed by {printed.violations:,} of {printed.n:,} instances"
    return words + (f", corrected by {corrected.violations:,}" if corrected else "")


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


def gate_words(gate: Gate) -> str:
    """A gate's name as a page has it."""
    return gate.name.replace("-", " ")


def _gates(gates: tuple[Gate, ...]) -> str:
    if not gates:
        return ""
    passed = sum(gate.passed for gate in gates)
    failed = [gate for gate in gates if not gate.passed]
    line = f"Gates passed: {passed} of {len(gates)}" + (f"; failed: {', '.join(map(gate_words, failed))}" if failed else "")
    return f'<div class="gates"><p>{escape(line)}</p>{_gate_lines(gates)}</div>'


def _gate_lines(gates: tuple[Gate, ...]) -> str:
    lines = []
    for gate in gates:
        cost = "" if gate.passed else f" Cost of passing it: {gate.cost or 'not estimated'}."
        value = _without_exponents(shown(gate.value))
        text = f"{'✓' if gate.passed else '✗'} {gate_words(gate)}: {value}; needs {gate.needs}.{cost}"
        lines.append(f'<li class="{"passed" if gate.passed else "failed"}">{scripts(escape(text))}</li>')
    return f'<ul class="gate-lines">{"".join(lines)}</ul>'
