"""Laws of the counts on CO-TASK's mappings and sign patterns."""

from __future__ import annotations

import math

import pytest

from mtlrepro.papers.cotask import fig3_possible_mappings
from mtlrepro.papers.cotask.fig3_possible_mappings_report import bell, smaller_class


def test_counts_reach_the_closed_form_and_ways_are_equally_likely():
    found = fig3_possible_mappings.count(seed=5, tasks=3, classes=3, per_task=12)
    assert (found["distinct"], found["closed"], found["draws"]) == (18, 18, 12 * 18)
    assert found["p"] > 1e-3


def test_the_fourth_pattern_is_never_made_and_isolates_both():
    """Laws: three of four patterns; the smaller class of "not a or not b" is p q, of "a or not b" it is (1 - p) q."""
    made = {row["pattern"]: row["made"] for row in fig3_possible_mappings.pattern(seed=0, labels=4, seeds=20)}
    assert made.pop("not a or not b") == 0
    assert min(made.values()) > 0
    found = smaller_class({"a": 0.2, "b": 0.1}).set_index("pattern")["smaller"]
    assert found["not a or not b"] == pytest.approx(0.02)
    assert found["a or not b"] == pytest.approx(0.08)
    assert found["a or b"] == pytest.approx(0.28)


def test_bell_numbers():
    """Pinned values, and B_{n+1} = sum over k of (n choose k) B_k."""
    assert [bell(n) for n in range(8)] == [1, 1, 2, 5, 15, 52, 203, 877]
    assert bell(21) == sum(math.comb(20, k) * bell(k) for k in range(21))
