"""Tables 3 to 6 and Figure 5: effects are those put into the rows, each in the paper's protocol; gates see what they should."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from mtlrepro import results
from mtlrepro.papers.cotask import tab3_cifar_mtl as tab3
from mtlrepro.papers.cotask import tab3_cifar_mtl_report as report
from mtlrepro.parameters import Params, profile_values

TASKS = tuple(results.paper_values("cotask/tab4"))
GAIN = {"equal": -0.1, "paper": 0.05}


def _rows(**changes) -> pd.DataFrame:
    """Single-task at 0.4, multi-task at 0.5, CO-TASK above it by GAIN for every ten tasks; twelve seeds."""
    lines = []

    def add(method, rule, accuracy, auxiliary=0, baseline="multi", noise=0.0, variant="standard", seeds=12, own=0.0):
        for seed in range(seeds):
            for number, task in enumerate(TASKS):
                value = accuracy + 0.001 * (number + seed)
                arm = {"method": method, "rule": rule, "baseline": baseline, "noise": noise, "auxiliary": auxiliary}
                row = {"seed": seed, "task": task, "accuracy": value, "own": value + own, "mixed": value}
                row |= {"images": 2e6, "major images": 1e6, "tested": 500}
                lines.append(arm | row | {"variant": variant, "spread": 1.2, "moved": 0.8})

    add("single", "equal", 0.4)
    add("multi", "equal", 0.5, own=0.1)
    add("multi", "as long", 0.55, 50)
    add("cotask", "equal", 0.5 + GAIN["equal"], 50)
    for count, share in ((10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0), (50, 5.0), (100, 5.5)):
        add("cotask", "paper", 0.5 + GAIN["paper"] * share, count)
    for baseline, level in (("dwa", 0.52), ("dtp", 0.51), ("trl", 0.53)):
        add("multi", "equal", level, baseline=baseline)
        add("cotask", "paper", level + 0.04, 40, baseline=baseline)
    for noise in (0.1, 0.3, 0.5, 0.7):
        add("single", "equal", 0.4 - 0.2 * noise, noise=noise)
        add("multi", "equal", 0.5 - 0.2 * noise, noise=noise)
        add("cotask", "paper", 0.7 - 0.1 * noise, 40, noise=noise)
    add("multi", "equal", 0.45, variant="half")
    add("single", "equal", 0.405, variant="double", seeds=1)
    add("multi", "equal", 0.505, variant="double", seeds=1)
    add("cotask", "paper", changes.get("doubled", 0.755), 50, variant="double", seeds=1)
    return pd.DataFrame(lines).assign(rate=0.1, decay=0.0005)


def _tried(rows: pd.DataFrame, rates=(0.03, 0.1, 0.3), decays=(0.0001, 0.0005, 0.002)) -> pd.DataFrame:
    """With a grid: rates at decay 0.0005, decays at rate 0.1."""
    points = [(rate, 0.0005) for rate in rates] + [(0.1, decay) for decay in decays]
    trials = [
        {"method": method, "rule": rule, "baseline": "multi", "noise": 0.0, "auxiliary": count, "variant": "grid", "seed": 0}
        | {"rate": rate, "decay": decay, "validation": 0.6 - abs(rate - 0.1) - 10 * abs(decay - 0.0005)}
        for method, rule, count in (("single", "equal", 0), ("multi", "equal", 0), ("cotask", "paper", 50))
        for rate, decay in points
    ]
    return pd.concat([rows, pd.DataFrame(trials)], ignore_index=True)


@pytest.fixture(scope="module")
def measured():
    return report.measured(_rows())


@pytest.mark.parametrize(
    ("exhibit", "claim", "effect"),
    [
        ("tab3", "cotask-over-multi", 0.25),
        ("tab3", "multi-over-single", 0.1),
        ("tab3", "cotask-over-single", 0.35),
        ("tab5", "adds-to-dwa", 0.04),
        ("tab5", "adds-to-multi", 0.2),
        ("tab5", "larger-than-other-methods", 0.17),
        ("tab5", "trl-boosts-cotask", -0.13),
        ("tab6", "difference-grows-with-noise", 0.1),
        ("tab6", "gain-under-noise", 0.24),
        ("tab6", "gain-at-half", 0.05),
        ("fig5", "rises-with-count", 0.25),
        ("fig5", "more-is-better", 0.05),
        ("fig5", "flattens", 0.005 - 0.05),
        ("fig5", "last-ten", 0.05),
    ],
)
def test_effects_are_those_of_the_papers_protocol(measured, exhibit, claim, effect):
    """Law: each seed's value is the planted one, by the paper's rule; 50 auxiliary tasks in Table 3, 40 in Tables 5 and 6."""
    values = measured[f"cotask/{exhibit}"].effects[claim]
    assert len(values) == 12
    assert values == pytest.approx([effect] * 12)


def test_delta_m_is_relative_to_single_task_learning_of_the_same_seed(measured):
    multi, cotask = (
        [100 * sum(gain / (0.4 + 0.001 * (n + seed)) for n in range(20)) / 20 for seed in range(12)] for gain in (0.1, 0.35)
    )
    effects = measured["cotask/tab3"].effects
    assert effects["delta-m-over-multi"] == pytest.approx([b - a for a, b in zip(multi, cotask, strict=True)])
    assert effects["doubled"] == pytest.approx([b - 2 * a for a, b in zip(multi, cotask, strict=True)])


def test_a_negative_gain_of_multi_task_learning_counts_as_none_when_doubled():
    rows = _rows()
    rows.loc[(rows.method == "multi") & (rows.baseline == "multi") & (rows.variant == "standard"), "accuracy"] -= 0.2
    effects = report.measured(rows)["cotask/tab3"].effects
    expected = effects["delta-m-over-multi"][0] + report.delta_m(rows, "multi").iloc[0]
    assert effects["doubled"][0] == pytest.approx(expected)


def test_ties_for_the_best_are_shared():
    rows = _rows()
    assert report.best_on_most(rows) == pytest.approx([0.5] * 12)
    single = (rows.method == "single") & (rows.noise == 0) & (rows.variant == "standard") & (rows.task == "Fish")
    rows.loc[single, "accuracy"] += 0.35
    assert report.best_on_most(rows.round(6)) == pytest.approx([0.475] * 12)


def _gate(measured, exhibit, name):
    return next(gate for gate in measured[f"cotask/{exhibit}"].gates if gate.name == name)


def test_gates_are_computed_from_the_rows(measured):
    """Laws: untrained networks, a missing grid fail; half of the images, doubled epochs, moving weights, draws and counts are
    seen."""
    assert not _gate(measured, "tab3", "baseline-level").passed
    assert not _gate(measured, "tab3", "grid-interior").passed
    for exhibit, name in (
        ("tab3", "control"), ("tab3", "converged"), ("tab4", "test-size"), ("tab5", "weights-move"), ("tab6", "noise-hurts"),
        ("tab6", "above-chance"), ("fig5", "range"), ("fig5", "draws"),
    ):  # fmt: skip
        assert _gate(measured, exhibit, name).passed, (exhibit, name)
    assert not _gate(report.measured(_rows(doubled=0.3)), "tab3", "converged").passed


def test_the_chosen_rate_and_decay_must_lie_inside_the_grid_and_a_grid_moves_no_effect():
    """Laws: inside passes, an edge of either fails and is named, fewer than three points are none; effects are as without."""
    rows = _rows()
    assert _gate(report.measured(_tried(rows)), "tab3", "grid-interior").passed
    for at_edge in ({"rates": (0.01, 0.03, 0.1)}, {"decays": (0.0005, 0.001, 0.002)}):
        gate = _gate(report.measured(_tried(rows, **at_edge)), "tab3", "grid-interior")
        assert not gate.passed
        assert "0.1 of 0.01 to 0.1" in str(gate.value) or "0.0005 of 0.0005 to 0.002" in str(gate.value)
    assert not _gate(report.measured(_tried(rows, rates=(0.1, 0.3))), "tab3", "grid-interior").passed
    with_grid = report.measured(_tried(rows))
    assert {exhibit: own.effects for exhibit, own in with_grid.items()} == {
        e: m.effects for e, m in report.measured(rows).items()
    }
    assert with_grid["cotask/tab6"].gates == report.measured(rows)["cotask/tab6"].gates
    table = report.grid_table(_tried(rows))
    assert table.loc[(0.1, 0.0005)].tolist() == [0.6] * 3
    assert len(table) == 5


def test_each_method_trains_with_the_point_that_validates_best():
    """Laws: rates are tried at the published decay, decays at each method's best rate; all arms of a method take both."""
    p = Params("cotask/tab3", "quick", profile_values("cotask/tab3", "quick"))
    first, tuned = tab3.grid_settings(p), {"single": 0.03, "multi": 0.1, "cotask": 0.3}
    tried = [(each["method"], each["training"]["rate"], each["training"].get("decay")) for each in first]
    assert tried == [(method, rate, None) for method in tuned for rate in p.rates]
    scores = pd.DataFrame(
        [{"method": method, "rate": rate, "validation": 1 - abs(rate - tuned[method])} for method, rate, _ in tried]
    )
    rates = tab3.best(scores.to_dict("records"), "rate")
    assert rates == tuned
    second = tab3.grid_settings(p, rates)
    assert {(each["method"], each["training"]["rate"]) for each in second} == set(tuned.items())
    assert {each["training"]["decay"] for each in second} == set(p.decays)
    decays = {"single": 0.0025, "multi": 0.0001, "cotask": 0.0005}
    for each in tab3.settings(p, rates, decays):
        assert each["training"]["rate"] == rates[each["method"]]
        assert each["training"]["decay"] == decays[each["method"]]
    assert tab3.grid_settings(Params("cotask/tab3", "paper", profile_values("cotask/tab3", "paper"))) == []


def test_differences_are_by_rule_and_statistics():
    table = report.differences(_rows())
    assert table["running averages"]["CO-TASK over multi-task, equal steps"].startswith("-10.00")
    assert table["running averages"]["CO-TASK over multi-task with as many steps"].startswith("+20.00")
    assert table["the task's own"]["multi-task over single-task"].startswith("+20.00")


def test_a_run_of_one_seed_and_three_arms_is_shown_without_what_it_lacks():
    """Law: every table and figure of a part of the rows can be made; what was not trained has no effect and no passed gate."""
    rows = _rows()
    three = rows[(rows.seed == 0) & (rows.noise == 0) & (rows.baseline == "multi") & (rows["variant"] == "standard")]
    three = three[three.rule.eq("equal") & three.method.ne("cotask") | three.rule.eq("paper") & three.auxiliary.eq(50)]
    for draw in (report.draw_counts, report.draw_budgets):
        plt.close(draw(three))
    assert list(report.overall(three).index) == ["single-task", "multi-task", "CO-TASK (50)"]
    assert list(report.differences(three)["running averages"]) == ["+10.00 (one seed)", "+25.00 (one seed)", "+35.00 (one seed)"]
    assert report.noise_table(three)["with CO-TASK, ours"].isna().all()
    assert "as many steps" not in report.findings(three)
    measured = report.measured(three)
    assert not measured["cotask/tab5"].effects
    assert set(measured["cotask/fig5"].effects) == {"rises-with-count"}
    assert not any(gate.passed for gate in measured["cotask/tab6"].gates)
