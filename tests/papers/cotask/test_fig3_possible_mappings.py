"""Laws of the counts on CO-TASK's mappings, and that a broken generator would be noticed."""

from __future__ import annotations

import dataclasses
import math

import pytest

from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.papers.cotask import fig3_possible_mappings, fig3_possible_mappings_report
from mtlrepro.papers.cotask.data.cifar_mtl import digits_mtl


def test_laws_hold_on_digits_and_each_broken_one_is_noticed(monkeypatch):
    """Laws: no violation by the generator; a swapped mapping, a record too few and a foreign record are each counted."""
    tasks = digits_mtl(0).tasks
    assert fig3_possible_mappings.violations(tasks, 1) == {"n": 1, "mapping": 0, "labels": 0, "size": 0, "own": 0}
    made = combine_tasks(tasks, 1, 1)[0]
    rows, labels = made.parts["train"]
    foreign = rows.copy()
    foreign[0] = made.parts["test"].rows[0]
    broken = {
        "mapping": dataclasses.replace(made, mapping=made.mapping * 0),
        "labels": dataclasses.replace(made, mapping=made.mapping[::-1]),
        "size": dataclasses.replace(
            made,
            parts=dict(made.parts) | {"train": type(made.parts["train"])(rows[1:], labels[1:])},
            origin=dict(made.origin) | {"train": made.origin["train"][1:]},
        ),
    }
    for law, wrong in broken.items():
        monkeypatch.setattr(fig3_possible_mappings, "combine_tasks", lambda *_, wrong=wrong: [wrong])
        assert fig3_possible_mappings.violations(tasks, 1)[law] == 1


def test_counts_reach_the_closed_form_and_ways_are_equally_likely():
    found = fig3_possible_mappings.count(seed=5, tasks=3, classes=3, per_task=12)
    assert (found["distinct"], found["closed"], found["draws"]) == (18, 18, 12 * 18)
    assert found["p"] > 1e-3


def test_the_fourth_pattern_is_never_made_and_isolates_both():
    """Laws: three of four patterns; the smaller class of "not a or not b" is p q, of "a or not b" it is (1 - p) q."""
    made = {row["pattern"]: row["made"] for row in fig3_possible_mappings.pattern(seed=0, labels=4, seeds=20)}
    assert made.pop("not a or not b") == 0
    assert min(made.values()) > 0
    found = fig3_possible_mappings_report.smaller_class({"a": 0.2, "b": 0.1}).set_index("pattern")["smaller"]
    assert found["not a or not b"] == pytest.approx(0.02)
    assert found["a or not b"] == pytest.approx(0.08)
    assert found["a or b"] == pytest.approx(0.28)


def test_bell_numbers():
    """Pinned values, and B_{n+1} = sum over k of (n choose k) B_k."""
    assert [fig3_possible_mappings_report.bell(n) for n in range(8)] == [1, 1, 2, 5, 15, 52, 203, 877]
    assert fig3_possible_mappings_report.bell(21) == sum(
        math.comb(20, k) * fig3_possible_mappings_report.bell(k) for k in range(21)
    )
