"""Laws of CIFAR-MTL's tables: differences are those put into the rows, each with the budget it belongs to."""

from __future__ import annotations

import pandas as pd
import pytest

from mtlrepro.papers.cotask import tab3_cifar_mtl_report as tables

GAIN = {"equal": -0.1, "paper": 0.05}


def _rows():
    """Multi-task at 0.5, single-task at 0.4; CO-TASK gains GAIN of its rule, and 0.1 a unit of noise besides."""
    lines = []

    def add(method, rule, accuracy, baseline="multi", noise=0.0, auxiliary=0, own=None):
        for seed in range(12):
            for number, task in enumerate(("Fish", "Tree")):
                value = accuracy + 0.01 * number + 0.001 * seed
                line = {"method": method, "rule": rule, "baseline": baseline, "noise": noise, "auxiliary": auxiliary, "steps": 10}
                measured = {"accuracy": value, "own": None if own is None else value + own}
                lines.append(line | {"seed": seed, "task": task} | measured)

    add("single", "equal", 0.4, own=0.0)
    add("multi", "equal", 0.5, own=0.1)
    add("multi", "as long", 0.55, auxiliary=5, own=0.1)
    for rule, gain in GAIN.items():
        add("cotask", rule, 0.5 + gain, auxiliary=5, own=0.1)
        for count, share in ((2, 0.4), (50, 1.2)):
            add("cotask", rule, 0.5 + gain * share, auxiliary=count)
        for noise in (0.3, 0.5):
            add("cotask", rule, 0.5 + gain + 0.1 * noise, noise=noise, auxiliary=5)
        add("cotask", rule, 0.5 + gain, baseline="trl", auxiliary=5)
    for noise in (0.3, 0.5):
        add("multi", "equal", 0.5, noise=noise)
        add("single", "equal", 0.4, noise=noise)
    add("multi", "equal", 0.5, baseline="trl")
    return pd.DataFrame(lines)


def test_differences_are_by_rule_and_with_either_statistics():
    found = tables.differences(_rows())
    assert found.points["CO-TASK above multi-task, equal steps"].startswith("-10.00")
    assert found.points["CO-TASK by the paper above multi-task as long"].startswith(("+0.00", "-0.00"))
    assert found.points["multi-task above single-task"].startswith("+10.00")
    assert found["with the task's own statistics"]["multi-task above single-task"].startswith("+20.00")


def test_every_noise_and_method_has_both_budgets():
    found = tables.with_and_without(_rows())
    assert list(found.index) == ["multi-task", "task routing", "noise 0", "noise 0.3", "noise 0.5"]
    assert found.loc["noise 0.5", "points"].startswith("-5.00")
    assert found.loc["noise 0.5", "points, by the paper"].startswith("+10.00")
    assert found.loc["task routing", "single"] == ""


@pytest.mark.parametrize(
    ("exhibit", "held"), [("cotask/tab5", [False, False, True, True]), ("cotask/fig5", [True, True, False, False])]
)
def test_claims_hold_by_the_rule_that_made_the_gain(exhibit, held):
    parts = tables.claims(_rows())[exhibit]
    assert [part.effect > 0 for part in parts] == held


def test_the_number_of_auxiliary_tasks_is_read_by_rule():
    counts = tables.counts_of(_rows(), "paper").mean()
    assert counts.to_dict() == pytest.approx({0: 0.5105, 2: 0.5305, 5: 0.5605, 50: 0.5705})
