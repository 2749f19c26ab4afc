"""Figures that a reader moves: controls, and a picture for every combination of their values, all drawn when the book is built.

A paper's figures are in ``book/papers/<paper>/touch.py``: ``FIGURES`` maps a name, an exhibit's or one that begins with it
(``alg1-weights``), to a function that gives a `Touchable`, whose `draw` calls the package's code or reads recorded rows. The page
holds what differs between the pictures as JSON; book/_static/touch.js puts the chosen picture's values in place and computes
nothing, so what is seen is what the package computed. A plotting library in the browser would bring 800 KB of script for the
same. Without a script the first picture stands there, with its numbers.

Pictures use the page's own colours (style sheet: classes ``d-*``); shape and line style carry every distinction beside colour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mtlrepro import results

WIDTH = 440


@dataclass(frozen=True)
class Shape:
    """An SVG element: its tag, attributes, and text if it has any."""

    tag: str
    attributes: Mapping[str, str]
    text: str = ""


@dataclass(frozen=True)
class Picture:
    """What stands on the screen: shapes, as many in every picture of a figure, and numbers under them, by their names (HTML)."""

    shapes: Sequence[Shape]
    numbers: Mapping[str, str]


@dataclass(frozen=True)
class Control:
    """A slider, or with `choice` a list. label: HTML. start: the value of the first picture. shown: value -> words."""

    label: str
    values: Sequence[Any]
    start: Any
    shown: Callable[[Any], str] = str
    choice: bool = False


@dataclass(frozen=True)
class Touchable:
    """A figure. background: what is in every picture. draw: one argument for each control. run: recorded, or live where the
    build computes it."""

    title: str
    controls: Sequence[Control]
    background: Sequence[Shape]
    draw: Callable[..., Picture]
    height: int = 300
    run: str = "live"


def recorded(exhibit: str) -> pd.DataFrame:
    """The rows of the largest recorded run. Raises DataMissing where there is none."""
    profiles = results.available(exhibit, committed=True) or ["full"]
    return results.load(exhibit, profiles[-1], committed=True).rows


def number(value: float) -> str:
    """Three significant digits, with a true minus; no -0."""
    return f"{value + 0.0:.3g}".replace("-", "−")


def shape(tag: str, text: str = "", **attributes: float | str) -> Shape:
    """Coordinates are rounded to a tenth of a pixel; ``kind`` is the class, ``_`` in a name stands for ``-``."""
    named = {"class" if key == "kind" else key.replace("_", "-"): value for key, value in attributes.items()}
    return Shape(tag, {key: value if isinstance(value, str) else f"{value + 0.0:.1f}" for key, value in named.items()}, text)


def label(x: float, y: float, text: str, anchor: str = "start", kind: str = "d-small") -> Shape:
    return shape("text", text, x=x, y=y, text_anchor=anchor, kind=f"d-text {kind}")


@dataclass(frozen=True)
class Axes:
    """A plot area from data to pixels. x, y: the ranges shown. box: left, top, right, bottom in pixels. log: of the x axis.
    ticks: of the x axis, with their words; by default round numbers."""

    x: tuple[float, float]
    y: tuple[float, float]
    box: tuple[float, float, float, float] = (54, 30, WIDTH - 22, 250)
    log: bool = False
    ticks: Mapping[float, str] = field(default_factory=dict)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point; what lies outside is put on the edge."""
        left, top, right, bottom = self.box
        scale = np.log if self.log else float
        across = (scale(x) - scale(self.x[0])) / (scale(self.x[1]) - scale(self.x[0]))
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        across, up = np.clip([across, up], 0, 1)
        return float(left + across * (right - left)), float(bottom - up * (bottom - top))

    def frame(self, xlabel: str, ylabel: str, zero: bool = False) -> list[Shape]:
        """Axes with ticks and names; the name of the y axis stands above it."""
        left, top, right, bottom = self.box
        parts = [shape("path", d=f"M{left} {top}V{bottom}H{right}", kind="d-line d-thin")]
        for tick, words in (self.ticks or {tick: number(tick) for tick in _ticks(self.x)}).items():
            x = self.at(tick, self.y[0])[0]
            parts += [shape("path", d=f"M{x:.1f} {bottom}v4", kind="d-line d-thin")]
            parts += [label(x, bottom + 18, words, "middle")]
        for tick in _ticks(self.y):
            y = self.at(self.x[0], tick)[1]
            parts += [shape("path", d=f"M{left} {y:.1f}h-4", kind="d-line d-thin")]
            parts += [label(left - 7, y + 4, number(tick), "end")]
        if zero:
            parts += [shape("path", d=f"M{left} {self.at(self.x[0], 0)[1]:.1f}H{right}", kind="d-line d-thin d-dash")]
        return [*parts, label((left + right) / 2, bottom + 36, xlabel, "middle"), label(left - 50, top - 14, ylabel)]

    def line(self, x: Iterable[float], y: Iterable[float], kind: str = "") -> Shape:
        """A line through points; one that is not finite is left out."""
        points = [self.at(a, b) for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b)]
        return shape("path", d="M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) if points else "", kind=f"d-line {kind}")

    def band(self, x: Sequence[float], low: Sequence[float], high: Sequence[float], kind: str) -> Shape:
        """The area between two lines."""
        points = [self.at(a, b) for a, b in [*zip(x, low, strict=True), *reversed(list(zip(x, high, strict=True)))]]
        return shape("path", d="M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) + "Z", kind=kind)

    def bar(self, x: float, y: float, width: float, kind: str) -> Shape:
        """A bar from 0 to y around x, `width` pixels wide."""
        across, end = self.at(x, y)
        start = self.at(x, 0)[1]
        return shape("rect", x=across - width / 2, y=min(start, end), width=width, height=abs(start - end), kind=kind)

    def dot(self, x: float, y: float, kind: str, r: float = 4.5) -> Shape:
        across, up = self.at(x, y)
        return shape("circle", cx=across, cy=up, r=r, kind=kind)


def _ticks(span: tuple[float, float]) -> list[float]:
    low, high = span
    return [float(t) for t in MaxNLocator(5).tick_values(low, high) if low - 1e-9 <= t <= high + 1e-9]


def html(name: str, figure: Touchable) -> str:
    """The figure as it stands on a page, with id ``touch-<name>``."""
    sizes = [len(control.values) for control in figure.controls]
    first = [list(control.values).index(control.start) for control in figure.controls]
    pictures = [figure.draw(*chosen) for chosen in product(*(control.values for control in figure.controls))]
    start = pictures[int(np.ravel_multi_index(first, sizes))]
    alike = {(tuple(s.tag for s in picture.shapes), tuple(picture.numbers)) for picture in pictures}
    if len(alike) > 1:
        raise ValueError(f"{name}: its pictures differ in their shapes or in the names of their numbers.")
    parts: list[str] = []
    changes: list[Any] = []

    def part(attributes: Mapping[str, Sequence[str]], text: Sequence[str] | None = None) -> str:
        """The attributes of one element in the first picture. Values: one a picture. What changes is noted."""
        given = [*attributes.items(), *([("", text)] if text else [])]
        varying = [(key, *_varying(values, sizes)) for key, values in given if len(set(values)) > 1]
        if varying:
            parts.append("")
            changes.extend([len(parts) - 1, key, axes, values] for key, axes, values in varying)
        shown = {key: values[int(np.ravel_multi_index(first, sizes))] for key, values in attributes.items()}
        return _words(shown) + (" data-part" if varying else "")

    drawn = [_element(piece) for piece in figure.background]
    for i, piece in enumerate(start.shapes):
        every = [picture.shapes[i] for picture in pictures]
        words = part({key: [other.attributes[key] for other in every] for key in piece.attributes}, [s.text for s in every])
        drawn.append(_element(piece, words))
    said = "".join(
        f"<div><dt>{key}</dt><dd{part({}, [picture.numbers[key] for picture in pictures])}>{escape(value)}</dd></div>"
        for key, value in start.numbers.items()
    )
    controls = "".join(_control(name, i, control, first[i]) for i, control in enumerate(figure.controls))
    data = json.dumps({"sizes": sizes, "changes": changes}, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    title = escape(figure.title, quote=True)
    return (
        f'<div class="touch" id="touch-{name}" role="group" aria-label="{title}" data-run="{figure.run}">'
        f'<p class="touch-title">{title}</p><div class="touch-controls">{controls}</div>'
        f'<svg viewBox="0 0 {WIDTH} {figure.height}" role="img" aria-label="{title}; its numbers stand below">'
        f"{''.join(drawn)}</svg>"
        f'<dl class="touch-numbers" aria-live="polite">{said}</dl><script type="application/json">{data}</script></div>'
    )


def _words(attributes: Mapping[str, str]) -> str:
    return "".join(f' {key}="{escape(value, quote=True)}"' for key, value in attributes.items())


def _element(piece: Shape, words: str | None = None) -> str:
    words = _words(piece.attributes) if words is None else words
    return f"<{piece.tag}{words}>{escape(piece.text)}</{piece.tag}>"


def _varying(values: Sequence[str], sizes: Sequence[int]) -> tuple[list[int], list[str]]:
    """The controls that values, one a picture, depend on, and the values over those controls alone."""
    grid = np.array(values, dtype=object).reshape(sizes)
    axes = [axis for axis in range(len(sizes)) if (grid != grid.take([0], axis=axis)).any()]
    for axis in set(range(len(sizes))) - set(axes):
        grid = grid.take([0], axis=axis)
    return axes, grid.ravel().tolist()


def _control(figure: str, i: int, control: Control, start: int) -> str:
    words = [control.shown(value) for value in control.values]
    name = f"touch-{figure}-{i}"
    if control.choice:
        options = "".join(
            f'<option value="{j}"{" selected" * (j == start)}>{escape(word)}</option>' for j, word in enumerate(words)
        )
        return f'<label for="{name}">{control.label}</label><select id="{name}">{options}</select>'
    said = escape(json.dumps(words, ensure_ascii=False), quote=True)
    return (
        f'<label for="{name}">{control.label}</label><span class="touch-slider"><input id="{name}" type="range" min="0" '
        f'max="{len(words) - 1}" value="{start}" aria-valuetext="{escape(words[start], quote=True)}" data-words="{said}">'
        f'<output for="{name}">{escape(words[start])}</output></span>'
    )
