"""Exhibits to test the core with, taken from the registry: its tests know no paper."""

from __future__ import annotations

from collections import Counter

from mtlrepro import exhibits, parameters
from mtlrepro.registered_claims import Claims

_EXHIBITS = exhibits.everything()
_SERVED = Counter(exhibit.notebook for exhibit in _EXHIBITS)

# Exhibits that a notebook serves alone.
ALONE = [exhibit for exhibit in _EXHIBITS if exhibit.notebook and _SERVED[exhibit.notebook] == 1]
EXHIBIT = ALONE[0]
PAPER = EXHIBIT.paper
# An exhibit that claims effects.
CLAIMING = next(exhibit for exhibit in _EXHIBITS if isinstance(exhibit.entry, Claims))
# An exhibit whose notebook takes a number of seeds.
SEEDED = next(exhibit for exhibit in ALONE if "seeds" in parameters.declared_in(exhibit.source()))


def misspelt(name: str) -> str:
    """`name` with its second letter from the end written twice: the name of nothing, and `name` is the nearest to it."""
    return f"{name[:-1]}{name[-2]}{name[-1]}"
