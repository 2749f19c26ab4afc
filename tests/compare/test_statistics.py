"""Each statistic against scipy, a closed form, or a case whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mtlrepro.compare import statistics
from mtlrepro.errors import BadValue

RNG = np.random.default_rng(0)
SCORES = pd.DataFrame(RNG.normal([0, 0, 1, 2, 0.5], size=(12, 5)), columns=list("abcde"))


def test_the_best_method_has_rank_one_and_ties_share_theirs():
    ranks = statistics.mean_ranks(pd.DataFrame({"a": [3.0, 2.0], "b": [1.0, 2.0], "c": [0.0, 0.0]}))
    assert ranks.to_dict() == {"a": 1.25, "b": 1.75, "c": 3.0}


def test_friedman_is_the_closed_form_of_the_mean_ranks():
    n, k = SCORES.shape
    ranks = statistics.mean_ranks(SCORES)
    closed = 12 * n / (k * (k + 1)) * ((ranks**2).sum() - k * (k + 1) ** 2 / 4)
    statistic, p = statistics.friedman(SCORES)
    assert statistic == pytest.approx(closed)
    assert p == pytest.approx(stats.chi2.sf(closed, k - 1))


def test_methods_that_are_equal_everywhere_are_not_told_apart():
    equal = pd.DataFrame(np.ones((5, 4)), columns=list("abcd"))
    assert statistics.friedman(equal) == (0.0, 1.0)
    assert not statistics.against(equal, "a")["clear"].any()


def test_friedman_needs_three_methods():
    with pytest.raises(BadValue, match="three methods"):
        statistics.friedman(SCORES[["a", "b"]])


def test_holm_rejects_what_the_step_down_procedure_rejects():
    found = statistics.against(SCORES, "a").sort_values("p")
    rejected = []
    for i, p in enumerate(found["p"]):
        rejected.append(p <= 0.05 / (len(found) - i) and all(rejected))
    assert found["clear"].tolist() == rejected
    assert 0 < sum(rejected) < len(rejected)


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_published_quantile(methods, q):
    """Demsar 2006, Table 5a."""
    assert statistics.critical_difference(methods, 30) == pytest.approx(q * math.sqrt(methods * (methods + 1) / 180), rel=1e-3)


def test_one_effect_beyond_the_region_has_a_closed_posterior():
    """Of one effect z with r < z < 2 r, "better" has the share w^2, w ~ Beta(1, 1/2): it wins with (1 - 1 / sqrt 2)^(1/2)."""
    found = statistics.bayesian_signed_rank([0.015], rope=0.01, strength=0.5, draws=40_000)
    assert found.better == pytest.approx(math.sqrt(1 - 1 / math.sqrt(2)), abs=0.01)
    assert found.same == pytest.approx(1 - found.better)
    assert found.worse == 0


def test_effects_of_zero_are_practically_the_same_and_large_ones_are_better():
    assert statistics.bayesian_signed_rank(np.zeros(10), 0.01) == (0, 1, 0)
    assert statistics.bayesian_signed_rank(np.full(10, 0.5), 0.01).better == pytest.approx(1, abs=1e-3)


def test_the_posterior_turns_round_with_the_signs_of_the_effects():
    effects = RNG.normal(0.01, 0.03, 9)
    one, other = (statistics.bayesian_signed_rank(sign * effects, 0.01) for sign in (1, -1))
    assert one.worse == pytest.approx(other.better)
    assert sum(one) == pytest.approx(1)


def test_variance_components_are_those_that_the_values_were_drawn_with():
    seed, rest = RNG.normal(0, 2, (400, 1)), RNG.normal(0, 1, (400, 6))
    found = statistics.variance_components(seed + rest + np.arange(6))
    assert found.seed == pytest.approx(4, rel=0.2)
    assert found.rest == pytest.approx(1, rel=0.1)


def test_a_ranking_that_one_problem_decides_changes_when_it_is_left_out():
    scores = pd.DataFrame({"a": [9.0, 1, 0], "b": [0.0, 2, 1], "c": [1.0, 0, 2]}, index=["x", "y", "z"])
    left_out = statistics.leave_one_out(scores)
    assert left_out["best"].to_dict() == {"x": "b", "y": "c", "z": "a"}


def test_a_ranking_that_every_problem_agrees_on_stays_without_any():
    left_out = statistics.leave_one_out(pd.DataFrame([[3.0, 1, 2]] * 4, columns=list("abc")))
    assert left_out["tau"].tolist() == [1] * 4
    assert set(left_out["best"]) == {"a"}


def test_bars_join_what_is_not_told_apart_and_no_bar_lies_in_another():
    ranks = pd.Series({"a": 1.0, "b": 1.5, "c": 2.2, "d": 4.0})
    assert statistics.alike(ranks, 1.0) == [(1.0, 1.5), (1.5, 2.2)]
