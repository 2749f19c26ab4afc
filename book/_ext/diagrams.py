"""The diagrams of the paper pages, drawn by code as inline SVG.

They use the page's own colours (style sheet: classes ``d-*``), so they follow light and dark mode; shape and line style
carry every distinction beside colour.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np

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


def transfer() -> str:
    """Shared module with task modules; two tasks whose data are aligned, and two whose data are not."""
    parts = []
    for number, y in enumerate((30, 100, 170), 1):
        name = "k" if number == 3 else str(number)
        parts += [
            box(20, y, 92, 44, [f"*X*_{name}", "task data"], "d-a" if number == 1 else "d-b"),
            arrow(112, y + 22, 166, 100 + 22 + (number - 2) * 18),
            arrow(276, 100 + 22 + (number - 2) * 18, 330, y + 22),
            box(332, y, 60, 44, f"*A*_{name}", "d-a" if number == 1 else "d-b"),
        ]
    parts += [box(168, 62, 108, 120, ["*B*", "shared module", "*r* columns"], "d-main")]
    parts += [text(214, 238, "one shared module, one small module a task", "d-small")]
    for x, degrees, label, note in ((490, 25, "aligned data", "source helps"), (660, 115, "misaligned data", "source may hurt")):
        parts += [
            ellipse(x, 118, 74, 22, 25, "d-ellipse-a"),
            ellipse(x, 118, 66, 15, degrees, "d-ellipse-b"),
            text(x, 28, label),
            text(x, 238, note, "d-small"),
        ]
    parts += [text(575, 208, "solid: target, dashed: source", "d-small")]
    return picture(256, "Task data pass a shared module B and task modules A; data covariances may agree or differ", parts)


def hydalearn() -> str:
    """Two fake updates, measured gains, one weighted real update."""
    parts = [
        box(16, 92, 116, 60, ["*θ*_s", "shared parameters"], "d-main"),
        curve("M132 108 C 170 60, 180 52, 226 52", "d-dash"),
        curve("M132 136 C 170 188, 180 194, 226 194", "d-dash"),
        box(228, 26, 146, 52, ["fake step: main", "along the main gradient"], "d-a"),
        box(228, 168, 146, 52, ["fake step: auxiliary", "along the other one"], "d-b"),
        arrow(374, 52, 428, 52),
        arrow(374, 194, 428, 194),
        box(430, 26, 126, 52, ["gain *δ*_m", "on validation data"], "d-plain"),
        box(430, 168, 126, 52, ["gain *δ*_a", "on validation data"], "d-plain"),
        curve("M556 56 C 590 62, 594 84, 610 98"),
        curve("M556 190 C 590 184, 594 162, 610 148"),
        box(606, 98, 140, 50, ["*w*_m : *w*_a", "= *δ*_m : *δ*_a"], "d-main"),
        arrow(604, 123, 136, 123, "d-bold"),
        text(366, 114, "one real step with these weights"),
    ]
    return picture(
        246, "From the shared parameters two fake steps are tried, their gains set the weights of one real step", parts
    )


def cotask() -> str:
    """Classes of two tasks are merged at random into the classes of a new task."""
    trees, flowers = ("maple", "oak", "palm", "pine", "willow"), ("orchid", "poppy", "rose", "sunflower", "tulip")
    from_tree, from_flower = (3, 0, 4, 2, 1), (1, 4, 0, 2, 3)
    parts = [text(100, 24, "task *i*: trees"), text(380, 24, "a new task, no new labels"), text(660, 24, "task *j*: flowers")]
    for number in range(5):
        y = 40 + 38 * number
        tree, flower = 54 + 38 * from_tree[number], 54 + 38 * from_flower[number]
        parts += [
            box(40, y, 120, 28, trees[number], "d-a"),
            box(600, y, 120, 28, flowers[number], "d-b"),
            curve(f"M160 {y + 14} C 230 {y + 14}, 240 {tree}, 311 {tree}", "d-thin"),
            curve(f"M600 {y + 14} C 530 {y + 14}, 520 {flower}, 449 {flower}", "d-thin d-dash"),
        ]
    for number in range(5):
        names = f"{trees[from_tree.index(number)]} or {flowers[from_flower.index(number)]}"
        parts.append(box(312, 40 + 38 * number, 136, 28, names, "d-main"))
    parts.append(text(380, 252, "trained beside the old tasks, with a head of its own", "d-small"))
    return picture(264, "Five tree classes and five flower classes are joined at random into five new classes", parts)


def stgmtl() -> str:
    """Train once; a data map a task; group tasks whose maps are alike; train one model a group."""
    rng = np.random.default_rng(3)
    parts = [box(12, 92, 118, 62, ["one training", "of all tasks"], "d-main"), arrow(130, 123, 164, 123)]
    shapes = ((0.75, 0.12), (0.72, 0.13), (0.35, 0.32))
    for number, (level, spread) in enumerate(shapes):
        x, y = 168, 14 + 76 * number
        confidence = np.clip(rng.normal(level, 0.16, 46), 0.04, 0.98)
        deviation = np.clip(spread * 2 * confidence * (1 - confidence) * 2 + rng.normal(0, 0.02, 46), 0.01, 0.45)
        parts.append(f'<rect x="{x}" y="{y}" width="126" height="62" rx="4" class="d-box d-plain"/>')
        kind = "d-dot-a" if number < 2 else "d-dot-b"
        for c, d in zip(confidence, deviation, strict=True):
            px, py = x + 8 + 110 * d / 0.46, y + 56 - 50 * c
            if number < 2:
                parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2" class="{kind}"/>')
            else:
                parts.append(f'<path d="M{px - 2:.1f} {py - 2:.1f}l4 4m0 -4l-4 4" class="{kind}"/>')
        parts.append(curve(f"M294 {y + 31} C 320 {y + 31}, 326 {y + 31}, 352 {88 if number < 2 else 186}"))
    parts.append(text(231, 250, "a data map a task: confidence, variability", "d-small"))
    for x, y, label, kind, shares in (
        (354, 58, "group 1", "d-a", (0.9, 0.85, 0.2)),
        (354, 156, "group 2", "d-b", (0.1, 0.15, 0.8)),
    ):
        parts.append(box(x, y, 150, 62, (), kind))
        parts.append(text(x + 42, y + 36, label))
        for number, share in enumerate(shares):
            parts.append(
                f'<rect x="{x + 88 + 19 * number}" y="{y + 52 - 40 * share:.1f}" '
                f'width="13" height="{40 * share:.1f}" class="d-bar"/>'
            )
        parts.append(arrow(504, y + 31, 548, y + 31))
        parts.append(box(550, y, 108, 62, [f"model {label[-1]}", "losses weighted"], kind))
        parts.append(curve(f"M658 {y + 31} C 676 {y + 31}, 676 138, 690 138"))
    parts += [box(692, 112, 58, 52, ["output"], "d-main"), text(575, 250, "bars: memberships *u*_t of the tasks", "d-small")]
    return picture(264, "One training gives a data map a task; alike maps form groups; each group trains a weighted model", parts)


def classweights() -> str:
    """Shared encoder, two decoders, the auxiliary loss split by class, weights fed back from the main loss."""
    parts = [
        box(14, 92, 80, 60, ["image", "256 × 256"], "d-plain"),
        arrow(94, 122, 124, 122),
        box(126, 80, 112, 84, ["encoder", "shared"], "d-main"),
        curve("M238 108 C 262 100, 262 56, 284 56"),
        curve("M238 136 C 262 144, 262 190, 284 190"),
        box(286, 28, 116, 56, ["decoder", "main task"], "d-a"),
        box(286, 162, 116, 56, ["decoder", "auxiliary task"], "d-b"),
        arrow(402, 56, 470, 56),
        arrow(402, 190, 440, 190),
        box(472, 28, 112, 56, ["main loss", "*L*_m"], "d-a"),
        box(442, 128, 190, 112, (), "d-b"),
        text(537, 232, "auxiliary loss, class by class", "d-small"),
    ]
    for number, (name, share) in enumerate((("sky", 0.25), ("road", 0.9), ("tree", 0.1), ("car", 1.0), ("pole", 0.55))):
        x = 455 + 34 * number
        parts.append(f'<rect x="{x}" y="{206 - 56 * share:.1f}" width="22" height="{56 * share:.1f}" class="d-bar"/>')
        parts.append(text(x + 11, 219, name, "d-tiny"))
    parts += [
        text(537, 145, "weights *w*_c", "d-small"),
        curve("M584 56 C 700 56, 720 150, 636 176", "d-bold"),
        text(668, 44, "does class *c*", "d-small"),
        text(684, 60, "help the main loss?", "d-small"),
    ]
    return picture(256, "Two decoders on one encoder; the auxiliary loss has one weight a class, set by the main loss", parts)
