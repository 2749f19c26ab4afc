"""A figure to move on the paper's page: how F shares a task among groups."""

from __future__ import annotations

from functools import cache

import torch
from touch import Axes, Control, Picture, Touchable, label, number, shape

from mtlrepro.methods import fuzzy_memberships

CENTERS = [0.0, 4.0, 10.0]
_PLACES = [round(0.5 * i, 1) for i in range(21)]
_GRID = tuple(round(0.1 * i, 1) for i in range(101))
_KINDS = ("d-a", "d-b", "d-thin")


@cache
def memberships(places: tuple[float, ...], fuzziness: float) -> torch.Tensor:
    """(n, 3) memberships of tasks on a line in clusters with the centres CENTERS."""
    points, centers = (torch.tensor(values, dtype=torch.float64)[:, None] for values in (places, CENTERS))
    return fuzzy_memberships(points, centers, fuzziness)


def fuzziness() -> Touchable:
    axes = Axes((0, 10), (0, 1))
    background = axes.frame("place of the task; crosses mark the groups' centres", "membership")
    for i, (center, kind) in enumerate(zip(CENTERS, _KINDS, strict=True)):
        x, y = axes.at(center, 0)
        background += [shape("path", d=f"M{x - 5:.1f} {y - 5}l10 10m0 -10l-10 10", kind="d-line")]
        background += [
            shape("path", d=f"M{60 + 125 * i} 304h26", kind=f"d-line {kind}"),
            label(92 + 125 * i, 308, f"group {i + 1}"),
        ]

    def draw(f: float, place: float) -> Picture:
        curves, here = memberships(_GRID, f), memberships((place,), f)[0].tolist()
        parts = [axes.line(_GRID, curves[:, j].tolist(), kind) for j, kind in enumerate(_KINDS)]
        parts += [axes.dot(place, value, "d-dot-a") for value in here]
        return Picture(parts, {f"group {j + 1}": number(value) for j, value in enumerate(here)})

    controls = [
        Control("Fuzziness F", [1.05, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0], 2.0, "{:g}".format),
        Control("Place of the task", _PLACES, 2.5, "{:g}".format),
    ]
    return Touchable("Equation 3: one task among three groups", controls, background, draw, 315)


FIGURES = {"fig1-fuzziness": fuzziness}
