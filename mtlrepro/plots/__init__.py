"""Figures: one style (`style`), boxes and arrows of diagrams (`boxes`), data maps and groups of tasks (`maps`)."""

from mtlrepro.plots.maps import data_maps
from mtlrepro.plots.style import COLORS, MARKERS, WIDTH, band, described, legend_below, log_sizes, use, zero_line

__all__ = ["COLORS", "MARKERS", "WIDTH", "band", "data_maps", "described", "legend_below", "log_sizes", "use", "zero_line"]
