"""Figures of the built site as drawn: no text over another or cut off, no legend over data, each line's colour in the legend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("site")]

# Matplotlib names the groups of what it draws, and says each text in a comment. Slanted labels are left out: their boxes overlap
# where they do not.
FAULTS = r"""() => {
  const box = (shape) => shape.getBoundingClientRect();
  const meet = (a, b, by) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > by
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > by;
  const says = (text) => [...text.childNodes].filter((node) => node.nodeType === 8).map((node) => node.data.trim()).join(" ");
  const slanted = (text) => [...text.querySelectorAll("[transform*=rotate]")]
    .some((part) => !/rotate\(-?(0|90)\b/.test(part.getAttribute("transform")));
  const texts = [...document.querySelectorAll("[id^=text_]")].filter((text) => box(text).width && !slanted(text));
  const frame = box(document.querySelector("svg")), faults = [];
  texts.forEach((text, i) => texts.slice(i + 1).forEach((other) => {
    if (meet(box(text), box(other), 1.5)) faults.push(["over one another", says(text), says(other)]);
  }));
  for (const text of texts) {
    const at = box(text);
    if (at.left < frame.left - 1 || at.right > frame.right + 1 || at.top < frame.top - 1 || at.bottom > frame.bottom + 1)
      faults.push(["cut off", says(text)]);
  }
  const points = (path) => {
    const length = path.getTotalLength(), to = path.getScreenCTM(), count = Math.min(2000, Math.ceil(length / 3) + 2);
    return Array.from({ length: count }, (_, i) => path.getPointAtLength((length * i) / (count - 1)).matrixTransform(to));
  };
  const data = [...document.querySelectorAll("[id^=axes_] > :is([id^=line2d_], [id^=PathCollection_])")];
  const marks = data.flatMap((drawn) => [...drawn.querySelectorAll("use")].map(box));
  const lines = data.flatMap((drawn) => [...drawn.querySelectorAll(":scope > path")].flatMap(points));
  for (const text of texts.filter((text) => text.closest("[id^=legend_]"))) {
    const at = box(text), inside = ({ x, y }) => x > at.left && x < at.right && y > at.top && y < at.bottom;
    if (marks.some((mark) => meet(at, mark, 1)) || lines.some(inside)) faults.push(["legend over data", says(text)]);
  }
  // Greys are reference lines, named in captions.
  const colour = (shape) => (getComputedStyle(shape).stroke.match(/\d+/g) || []).map(Number);
  const vivid = (rgb) => rgb.length === 3 && Math.max(...rgb) - Math.min(...rgb) > 40;
  const colours = (shapes) => new Set(shapes.map(colour).filter(vivid).map(String));
  const legends = [...document.querySelectorAll("[id^=legend_]")];
  const named = colours(legends.flatMap((legend) => [...legend.querySelectorAll("path, use")]));
  const drawn = colours([...document.querySelectorAll("[id^=axes_] > [id^=line2d_] > path")]);
  if (named.size) for (const one of drawn) if (!named.has(one)) faults.push(["not in the legend", one]);
  return faults;
}"""


def faults(browser: Browser, figures: dict[str, str]) -> dict[str, list[Any]]:
    """Name -> the faults of each of these figures, SVG as text, that has any."""
    page, found = browser.new_page(), {}
    for name, figure in figures.items():
        page.set_content(figure[figure.index("<svg") :])
        found[name] = page.evaluate(FAULTS)
    page.close()
    return {name: some for name, some in found.items() if some}


def test_no_figure_writes_over_itself(chromium: Browser, site: Path) -> None:
    figures = {file.name: file.read_text(encoding="utf-8") for file in (site / "_images").glob("*.svg")}
    assert faults(chromium, {name: figure for name, figure in figures.items() if 'id="figure_1"' in figure}) == {}


def test_no_figure_is_too_wide_for_a_phone(site: Path) -> None:
    """Law: at most 7.5 inches, so that letters of 11 points have at least 7 pixels on a screen of 390."""
    figures = [file for file in (site / "_images").glob("*.svg") if 'id="figure_1"' in file.read_text(encoding="utf-8")]
    widths = {file.name: float(file.read_text(encoding="utf-8").partition('width="')[2].partition("pt")[0]) for file in figures}
    assert {name: width for name, width in widths.items() if width > 540} == {}


def test_planted_faults_are_seen(chromium: Browser, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    from mtlrepro import plots

    plots.use()
    fig, ax = plt.subplots()
    ax.plot([0, 1], [0, 1], label="a line")
    ax.legend(loc="center")
    for x, words in ((0.3, "one"), (0.31, "other"), (0.9, "far beyond the edge of the figure")):
        fig.text(x, 0.8, words)
    fig.savefig(tmp_path / "fig.svg")
    plt.close(fig)
    (seen,) = faults(chromium, {"fig": (tmp_path / "fig.svg").read_text(encoding="utf-8")}).values()
    assert {fault[0] for fault in seen} == {"over one another", "cut off", "legend over data"}
