"""Figures to move on the paper's page: Figure 3's curves, equation 6, Theorem 2."""

from __future__ import annotations

import math
from functools import cache

import pandas as pd
import torch
from touch import WIDTH, Axes, Control, Picture, Shape, Touchable, label, number, recorded, shape

from mtlrepro.methods import covariance_similarity

# --- Figure 3 ---------------------------------------------------------------------------------------------------------

_BASELINES = {"single": "plain least squares", "tuned": "tuned ridge"}
_SOURCES = {"same": "a", "different": "b"}
_CHANGED = {
    "our reading": "nothing: 50 target samples, noise 20, κ = 100",
    "literal": "the paper's text: 9,000 target samples, no noise",
    "condition (kappa)": "condition number κ", "label noise (sd)": "label noise, sd", "target samples": "target samples",
    "form of X": "form of X",
}  # fmt: skip


def _setting(name: str) -> str:
    changed, _, value = name.partition(" = ")
    return f"{_CHANGED[changed]} {value}".rstrip()


@cache
def _gains(setting: str, baseline: str) -> dict[str, pd.DataFrame]:
    """Source -> mean gain over seeds and the middle half of the seeds, by source samples."""
    rows = recorded("transfer/fig3")
    own = rows[(rows.setting == setting) & rows.solver.isin(["exact", "sensitivity"])]
    gains = {source: (own[source] - own[baseline]).groupby(own["size"]) for source in _SOURCES}
    return {
        source: pd.DataFrame({"mean": gain.mean(), "low": gain.quantile(0.25), "high": gain.quantile(0.75)})
        for source, gain in gains.items()
    }


def fig3() -> Touchable:
    rows = recorded("transfer/fig3")
    sizes = sorted(rows[rows.solver == "sensitivity"]["size"].unique())
    settings = ["our reading", "literal", *rows[rows.solver == "sensitivity"].setting.unique()]
    tables = [table for setting in settings for name in _BASELINES for table in _gains(setting, name).values()]
    low, high = min(table["low"].min() for table in tables), max(table["high"].max() for table in tables)
    axes = Axes((sizes[0], sizes[-1]), (min(low, -0.1), high), log=True, ticks={size: f"{size:,.0f}" for size in sizes})
    frame = axes.frame("samples of the source", "multi-task minus single-task (Spearman)", zero=True)

    def draw(setting: str, baseline: str, size: float) -> Picture:
        parts: list[Shape] = []
        gains = _gains(setting, baseline)
        for source, kind in _SOURCES.items():
            table = gains[source]
            parts += [axes.band(table.index, table["low"], table["high"], f"d-band-{kind}")]
            parts += [axes.line(table.index, table["mean"], f"d-{kind}")]
            parts += [axes.dot(size, table["mean"][size], f"d-dot-{kind}")]
        numbers = {f"{source} covariance": number(gains[source]["mean"][size]) for source in _SOURCES}
        return Picture(parts, numbers)

    controls = [
        Control("What is changed", settings, "our reading", _setting, choice=True),
        Control("Compared with", list(_BASELINES), "single", _BASELINES.__getitem__, choice=True),
        Control("Samples of the source", sizes, sizes[0], "{:,.0f}".format),
    ]
    return Touchable(
        "Figure 3: what a source adds to the target",
        controls,
        [*frame, *_key("same covariance", "different covariance")],
        draw,
        315,
        "recorded",
    )


def _key(a: str, b: str, y: float = 308) -> list[Shape]:
    return [
        shape("path", d=f"M60 {y - 4}h26", kind="d-line d-a"), label(92, y, a),
        shape("path", d=f"M240 {y - 4}h26", kind="d-line d-b"), label(272, y, b),
    ]  # fmt: skip


# --- equation 6 -------------------------------------------------------------------------------------------------------

_ANGLES = list(range(0, 91, 5))
_STRETCHES = [1.0, 2.0, 4.0, 10.0]


def inputs(stretch: float, degrees: float) -> torch.Tensor:
    """Two samples whose second moments are an ellipse of half-axes `stretch` and 1, turned by `degrees`: (2, 2)."""
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    return torch.diag(torch.tensor([stretch, 1.0], dtype=torch.float64)) @ turn


def eq6() -> Touchable:
    axes = Axes((0, 90), (0, 1), box=(250, 30, WIDTH - 12, 190), ticks={angle: f"{angle}°" for angle in (0, 45, 90)})

    @cache
    def score(angle: float, first: float, second: float) -> float:
        return float(covariance_similarity(inputs(first, 0), inputs(second, angle)))

    def draw(angle: float, first: float, second: float) -> Picture:
        now = score(angle, first, second)
        parts = [
            shape("ellipse", cx=100.0, cy=115.0, rx=85.0, ry=85 / first, kind="d-ellipse-a"),
            shape(
                "ellipse", cx=100.0, cy=115.0, rx=85.0, ry=85 / second, kind="d-ellipse-b",
                transform=f"rotate({-angle} 100 115)",
            ),
            axes.line(_ANGLES, [score(a, first, second) for a in _ANGLES], "d-a"),
            axes.dot(angle, now, "d-dot-a"),
        ]  # fmt: skip
        itself = score(0, first, first)
        return Picture(parts, {"score": number(now), "first with itself": number(itself), "of that": number(now / itself)})

    controls = [
        Control("Angle between the long axes", _ANGLES, 45, "{}°".format),
        Control("First, long over short axis", _STRETCHES, 4.0, "{:g}".format),
        Control("Second, long over short axis", _STRETCHES, 4.0, "{:g}".format),
    ]
    return Touchable("Equation 6: how alike two tasks' inputs are", controls, axes.frame("angle", "score"), draw, 240)


# --- Theorem 2 --------------------------------------------------------------------------------------------------------


def _multiple(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 1 else f"1/{1 / factor:,.0f}"


def thm2() -> Touchable:
    rows = recorded("transfer/thm2")
    curve = rows[rows.kind == "curve"]
    factors = sorted(curve.factor.unique())
    names = list(curve.name.unique())
    axes = Axes((factors[0], factors[-1]), (0, 1.6), log=True, ticks={factor: _multiple(factor) for factor in factors})

    @cache
    def table(name: str) -> pd.DataFrame:
        own = curve[curve.name == name].groupby("factor")
        spread = {f"q{int(100 * q)}": own.error.quantile(q) for q in (0.05, 0.5, 0.95)}
        return pd.DataFrame(spread | {"bound": own.theorem.median(), "m1": own.m1.median(), "broken": own.theorem_failed.mean()})

    frame = axes.frame(
        "samples of the source, as a multiple of what the theorem asks for", "error of the target's model, relative"
    )

    def draw(name: str, factor: float) -> Picture:
        own = table(name)
        parts = [
            axes.band(own.index, own.q5, own.q95, "d-band-a"), axes.line(own.index, own.q50, "d-a"),
            axes.line(own.index, own.bound, "d-b"), axes.dot(factor, own.q50[factor], "d-dot-a"),
            axes.dot(factor, own.bound[factor], "d-dot-b"),
        ]  # fmt: skip
        here = own.loc[factor]
        numbers = {
            "m<sub>1</sub>": f"{here.m1:,.0f}" if here.m1 < 1e7 else f"{here.m1:.1e}", "median error": number(here.q50),
            "bound": number(here.bound), "error above the bound": f"{100 * here.broken:.0f}% of draws",
        }  # fmt: skip
        return Picture(parts, numbers)

    controls = [
        Control("Data", names, names[0], choice=True),
        Control("Samples, of those asked for", factors, factors[0], _multiple),
    ]
    return Touchable(
        "Theorem 2: the bound against the source's size and noise",
        controls,
        [*frame, *_key("measured, 90% within", "the theorem's bound")],
        draw,
        315,
        "recorded",
    )


FIGURES = {"fig3": fig3, "eq6": eq6, "thm2": thm2}
