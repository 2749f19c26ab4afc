"""Laws of HydaLearn's Theorem 1 and Algorithm 1: first order, the circle of eq. 9, what the rule maximises, a second step."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlrepro.errors import UnknownName
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.papers.hydalearn import alg1_hydalearn, thm1_weight_ratio
from mtlrepro.papers.hydalearn.theory import algorithm1, theorem1
from mtlrepro.training.loop import train_step

positive = st.floats(0.05, 20.0)


def test_the_error_of_a_first_order_gain_is_of_second_order():
    """Law: slope 2 on a log-log plot for a smooth metric, and slope 1 for the relative error of the ratio (eq. 8)."""
    rows = theorem1.taylor("squared error", 60, 0)
    assert rows[0]["order_low"] > 1.9
    assert rows[0]["order_median"] == pytest.approx(2, abs=1e-3)
    slope = math.log(rows[0]["ratio_error"] / rows[-1]["ratio_error"]) / math.log(rows[0]["alpha"] / rows[-1]["alpha"])
    assert slope == pytest.approx(1, abs=0.05)


def test_short_steps_do_not_change_auroc():
    """AUROC is a step function: the shorter the step, the more gains are exactly zero."""
    rows = theorem1.taylor("AUROC", 60, 0)
    assert rows[-1]["zero"] > rows[0]["zero"] > 0.5
    assert rows[-1]["zero"] > 0.98


def test_an_unknown_metric_is_named():
    with pytest.raises(UnknownName, match="accuracy"):
        theorem1.random_instances([0], "accuracy")


@given(positive)
@settings(max_examples=5)
def test_equation_9_returns_the_weights_it_is_given_and_equation_10_divides_them_by_q(ratio):
    """Law at first order: kept, the factor undoes the ratio of gains; dropped, the ratio comes back as ratio / q."""
    found = theorem1.random_instances(range(5))
    slopes = found.products()
    q = slopes[:, 1] / slopes[:, 0]
    gains = found.measured(torch.tensor([ratio, 1.0], dtype=torch.float64).expand(5, 2), 1e-7)
    dropped = gains[:, 0] / gains[:, 1]
    torch.testing.assert_close(dropped * q, torch.full((5,), ratio, dtype=torch.float64), rtol=1e-3, atol=0)
    assert (dropped / ratio - 1).abs().max() > 0.5, "the factor should matter"


@given(st.floats(0.01, 1.0), st.floats(0.2, 8.0))
def test_the_rule_gains_a_known_share_of_the_best(ratio, beta):
    """Law: (1 + r^(beta + 1)) / (1 + r^beta) of all weight on the larger gain, at least 2 (sqrt 2 - 1) of it for beta = 1."""
    value = float(theorem1.first_order_value(torch.tensor([1.0, ratio], dtype=torch.float64), beta))
    assert value == pytest.approx((1 + ratio ** (beta + 1)) / (1 + ratio**beta), rel=1e-9)
    if beta >= 1:
        assert value >= 2 * (math.sqrt(2) - 1) - 1e-9


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_no_weights_of_the_same_p_norm_gain_more(beta):
    """Hölder with p = 1 + 1/beta; and under the same sum some do."""
    row = theorem1.best(beta, 300, 1, trials=100)
    assert row["norm_broken"] == 0
    assert row["below"] > 100


def test_beaten_weights_are_counted(monkeypatch):
    """Equal weights in place of the rule are beaten: the count is not constant 0."""
    equal = lambda gains, total, *_, **__: torch.full_like(gains, total / 2)
    monkeypatch.setattr(theorem1, "gain_weights", equal)
    assert theorem1.best(1.0, 100, 1, trials=50)["norm_broken"] > 10


@given(positive, positive, st.floats(0.2, 6.0))
def test_of_two_negative_gains_the_printed_rule_does_more_harm_than_equal_weights_and_the_inverted_less(main, aux, beta):
    gains = -torch.tensor([main, aux], dtype=torch.float64)
    printed, inverted = (float(theorem1.first_order_value(gains, beta, invert)) for invert in (False, True))
    assert printed <= float(gains.mean()) + 1e-9 <= inverted + 2e-9


def test_equation_4_leaves_between_a_half_and_all():
    row = algorithm1.negative(3.0, 500, 0)
    assert (row["outside"], row["wrong"], row["worse_than_equal"]) == (0, 500, 500)
    assert row["factor_low"] < 0.51
    assert row["factor_high"] > 0.99


def test_random_directions_lose_their_alignment_with_dimension():
    """Law: |q| of a direction drawn at random falls like one over the root of the dimension."""
    small, large = (theorem1.directions(d, 1000, 0)["size"] for d in (25, 625))
    assert small / large == pytest.approx(5, rel=0.15)


@pytest.mark.parametrize("name", algorithm1.SWITCHES)
def test_the_code_makes_the_steps_of_the_algorithm_written_out(name):
    """Law: weights of every step and parameters after the last one agree; off the carried reference, none is off."""
    row = algorithm1.algorithm(name, [2, 3], 6)
    assert row["worst"] < 1e-9
    assert row["off"] == (row["steps"] if "carried" in name else 0)


def test_a_wrong_step_is_noticed(monkeypatch):
    right = algorithm1.weights_by_hand
    monkeypatch.setattr(algorithm1, "weights_by_hand", lambda *given: tuple(1.001 * w for w in right(*given)))
    assert algorithm1.algorithm("without eq. 4", [2], 3)["worst"] > 1e-4


def test_a_tried_update_is_the_update_that_training_makes():
    """Law: the gain that `Tried` gives for a rule is the change of the metric when a model takes that rule's step."""
    for place, beta in ((0, 3.0), (2, 1.0)):
        found = theorem1.random_instances([0, 1, 2])
        step = found.step
        meter = thm1_weight_ratio.Tried(found.metric, found.metric, maximise=True, beta=beta)
        meter.rate = 0.05
        meter(step)
        heads = {name: p - 0.05 * step.head_gradients()[name] for name, p in step.heads.items()}
        with torch.no_grad():
            for name, p in step.heads.items():
                p.copy_(heads[name])
            before = found.metric(step.model)
        again = theorem1.random_instances([0, 1, 2])
        rule = HydaLearn(again.metric, beta=beta, rate=0.05)
        optimizer = torch.optim.SGD(again.step.model.parameters(), lr=0.05)
        again.step.model.shared_parameters = lambda model=again.step.model: list(model.bottom.parameters())
        train_step(again.step.model, again.step.batch, theorem1.SQUARED, optimizer, rule)
        change = again.metric(again.step.model) - before
        torch.testing.assert_close(meter.gains[:, 2 + place], change.detach(), rtol=1e-9, atol=1e-12)


def test_rows_of_a_training_are_shares_and_every_rule_is_tried():
    rows = thm1_weight_ratio.along_training(
        "Exp2", "softened", "as printed", [0, 1], 16, every=2, rate=0.1, beta=6.0, points=40, sizes=[16]
    )
    for row in rows:
        if row["kind"] == "factor":
            assert sum(row[name] for name in thm1_weight_ratio.BINS) == pytest.approx(1, abs=1e-2)
        if row["kind"] == "signs":
            assert sum(row[name] for name in thm1_weight_ratio.SIGNS) == pytest.approx(1, abs=1e-3)
    whole = [row for row in rows if row["kind"] == "update" and row["case"] == "all"]
    assert [row["steps"] for row in whole] == [8, 8]
    assert all(math.isfinite(row[rule]) for row in whole for rule in thm1_weight_ratio.RULES)


def test_scale_matched_gradients_have_one_factor():
    """Law: where all gradients have one norm, raw and unit-length factors agree in every bin."""
    rows = thm1_weight_ratio.along_training(
        "Exp2", "softened", "scale-matched", [0], 8, every=2, rate=0.1, beta=6.0, points=40, sizes=[16]
    )
    raw, unit = (next(r for r in rows if r.get("gradients") == g and r["kind"] == "factor") for g in thm1_weight_ratio.FACTOR)
    assert raw["size"] == pytest.approx(unit["size"], rel=1e-3)
    assert [raw[name] for name in thm1_weight_ratio.BINS] == [unit[name] for name in thm1_weight_ratio.BINS]


def test_the_second_window_of_weights_is_centred_on_itself():
    """A drift between windows does not count as agreement within them."""
    drift = torch.cat([torch.zeros(50), torch.ones(50)]).double()[:, None]
    noise = torch.randn(2, 100, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.1
    one, two = drift + noise[0], drift + noise[1]
    assert float(thm1_weight_ratio.correlation(one, two)) > 0.9
    within = thm1_weight_ratio.correlation(*(thm1_weight_ratio.centred(x, 2) for x in (one, two)))
    assert abs(float(within)) < 0.3


def test_three_tasks_share_the_weight():
    rows = alg1_hydalearn.several("HydaLearn", [0], 40)
    assert sum(rows[0][name] for name in ("main", "related", "shuffled")) == pytest.approx(1, abs=1e-5)
    single = alg1_hydalearn.several("single task", [0], 40)[0]
    assert (single["main"], single["related"], single["shuffled"]) == (1, 0, 0)
    with pytest.raises(UnknownName, match="two tasks"):
        alg1_hydalearn.several("two tasks", [0], 40)


def test_costs_are_relative_to_a_static_step():
    costs = alg1_hydalearn.costs(2, 50)
    assert len(costs) == 3
    assert all(cost > 0 for cost in costs.values())
