"""Figures: one style (`style`), boxes and arrows of diagrams (`boxes`)."""

from mtlrepro.plots.style import COLORS, MARKERS, WIDTH, band, described, log_sizes, use, zero_line

__all__ = ["COLORS", "MARKERS", "WIDTH", "band", "described", "log_sizes", "use", "zero_line"]
