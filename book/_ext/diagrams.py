"""Boxes, arrows and letters of the diagrams on the papers' pages (``book/papers/<paper>/diagram.py``), as inline SVG.

They use the page's own colours (style sheet: classes ``d-*``), so they follow light and dark mode; shape and line style
carry every distinction beside colour.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

WIDTH = 760


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "middle") -> str:
    """Text at (x, y); ``_i`` in the content becomes a subscript, ``*b*`` italic."""
    parts = []
    for number, piece in enumerate(content.split("*")):
        inner = ""
        rest = piece
        while "_" in rest:
            before, _, after = rest.partition("_")
            inner += escape(before) + f'<tspan class="d-sub" dy="4">{escape(after[0])}</tspan><tspan dy="-4">&#8203;</tspan>'
            rest = after[1:]
        inner += escape(rest)
        parts.append(f'<tspan font-style="italic">{inner}</tspan>' if number % 2 else inner)
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="d-text {kind}">{"".join(parts)}</text>'


def box(x: float, y: float, w: float, h: float, lines: str | Iterable[str] = (), kind: str = "d-plain") -> str:
    """A rounded box with centred lines of text; the first is the name, the others are small."""
    lines = [lines] if isinstance(lines, str) else list(lines)
    out = f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" class="d-box {kind}"/>'
    top = y + h / 2 + 5 - 8 * (len(lines) - 1)
    for number, line in enumerate(lines):
        out += text(x + w / 2, top + 16 * number, line, "" if number == 0 else "d-small")
    return out


def arrow(x1: float, y1: float, x2: float, y2: float, kind: str = "") -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="d-line {kind}" marker-end="url(#d-tip)"/>'


def curve(path: str, kind: str = "") -> str:
    return f'<path d="{path}" class="d-line {kind}" marker-end="url(#d-tip)"/>'


def ellipse(x: float, y: float, a: float, b: float, degrees: float, kind: str) -> str:
    return f'<ellipse cx="{x:g}" cy="{y:g}" rx="{a:g}" ry="{b:g}" transform="rotate({degrees:g} {x:g} {y:g})" class="{kind}"/>'


def picture(height: float, title: str, parts: Iterable[str]) -> str:
    tip = (
        '<marker id="d-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">'
        '<path d="M0 0 10 5 0 10z" class="d-tip"/></marker>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg"><defs>{tip}</defs>{"".join(parts)}</svg>'
    )
