"""Laws of outcomes: every interval has one, Holm's procedure is Holm's, and the number of seeds asked for is about enough."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mtlrepro.errors import BadValue
from mtlrepro.results.outcomes import (
    Outcome,
    StatementOutcome,
    Trials,
    holm_levels,
    outcome_of,
    seeds_needed,
    statement_outcome,
    verdict_of_effects,
    verdict_of_statements,
)

# Every order of low <= high among these edges, with values on the edges and between them; smallest 1, target 3.
PLACES = [-4.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0]
INTERVALS = [(low, high) for low, high in itertools.product(PLACES, PLACES) if low <= high]


def outcome(low, high, direction="positive", target=None):
    return outcome_of(low, high, direction=direction, target=target, smallest=1.0)


def test_the_table_of_a_claim_with_a_size():
    for low, high in INTERVALS:
        rules = {
            "contrary": high < 0,
            "absent": low <= 0 <= high and high < 3,
            "cannot tell": low <= 0 <= high and high >= 3,
            "smaller": low > 0 and high < 3,
            "holds": low > 0 and high >= 3,
        }
        assert [word for word, rule in rules.items() if rule] == [outcome(low, high, target=3.0)]


def test_the_table_of_a_claim_without_a_size():
    for low, high in INTERVALS:
        inside = low > -1 and high < 1
        rules = {
            "absent": inside,
            "contrary": not inside and high < 0,
            "cannot tell": not inside and low <= 0 <= high,
            "holds": not inside and low > 0,
        }
        assert [word for word, rule in rules.items() if rule] == [outcome(low, high)]


def test_the_table_of_a_claim_of_equality():
    for low, high in INTERVALS:
        inside, outside = low > -1 and high < 1, low >= 1 or high <= -1
        rules = {"holds": inside, "contrary": outside, "cannot tell": not inside and not outside}
        assert [word for word, rule in rules.items() if rule] == [outcome(low, high, direction="equal")]


@pytest.mark.parametrize("target", [None, 3.0])
@pytest.mark.parametrize("direction", ["positive", "equal"])
def test_an_interval_without_bounds_cannot_tell(direction, target):
    assert outcome(-np.inf, np.inf, direction, target) == "cannot tell"


def adjusted(p):
    """Holm's adjusted p-values by their definition: running maximum of (m - rank + 1) p over the sorted p."""
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    result = np.empty(len(p))
    result[order] = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p)[order]))
    return result


def test_the_reference_for_holm_is_that_of_statsmodels():
    """Values of statsmodels 0.15 multipletests(p, method="holm")."""
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])


p_values = st.lists(st.integers(1, 1200).map(lambda p: p / 10_000), min_size=1, max_size=5)


@given(p_values, st.randoms(use_true_random=False))
def test_an_interval_at_holms_level_rejects_exactly_when_holm_does(p, random):
    """Whatever is given as the claims' strength."""
    levels = holm_levels(lambda i, level: p[i] < 1 - level, random.sample(p, len(p)))
    rejected = [value < 1 - level for value, level in zip(p, levels, strict=True)]
    # Products like 3 * 0.05 / 3 are not exact; a p-value on the threshold is decided by its last bit.
    clear_cut = np.abs(np.subtract.outer(np.array(p), 0.05 / np.arange(1, 6))).min() > 1e-12
    assert not clear_cut or rejected == list(adjusted(p) < 0.05)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=2), st.integers(0, 3000), st.data())
def test_another_claim_never_narrows_an_interval(p, another, data):
    """Strength need not order claims as p does."""
    strength = [data.draw(st.floats(0, 1)) for _ in range(len(p) + 1)]
    p = [*p, another]

    def clear(i, level):
        return p[i] / 20_000 < 1 - level

    with_it, without = holm_levels(clear, strength), holm_levels(clear, strength[:-1])
    assert all(more >= fewer - 1e-12 for more, fewer in zip(with_it, without, strict=False))


def test_holms_levels_by_hand():
    def levels(p):
        return holm_levels(lambda i, level: p[i] < 1 - level, p)

    assert levels([0.04]) == pytest.approx([0.95])
    assert levels([0.04, 0.001]) == pytest.approx([0.95, 0.975])
    assert levels([0.04, 0.03]) == pytest.approx([0.975, 0.975])
    assert levels([0.001, 0.02, 0.2]) == pytest.approx([1 - 0.05 / 3, 0.975, 0.95])
    assert levels([0.001, 0.03, 0.03]) == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])


@pytest.mark.parametrize(
    ("direction", "target", "truths"),
    [("positive", 1.0, (0.0, 1.0)), ("positive", None, (0.0, 0.5)), ("equal", None, (0.0,))],
)
def test_the_number_of_seeds_asked_for_tells_at_both_ends_of_the_gap(direction, target, truths):
    """Seeds drawn anew, as many as asked for, tell in about 95% of experiments; a quarter of them do so clearly less often."""
    rng = np.random.default_rng(0)
    pilot = rng.normal(size=30)
    pilot = (pilot - pilot.mean()) / pilot.std(ddof=1)
    n = seeds_needed(pilot, direction=direction, target=target, smallest=0.5)

    def in_words(n, truth):
        x = rng.normal(truth, 1, (2000, n))
        half = stats.t.ppf(0.975, n - 1) * stats.sem(x, axis=1)
        words = [
            outcome_of(m - h, m + h, direction=direction, target=target, smallest=0.5)
            for m, h in zip(x.mean(1), half, strict=True)
        ]
        return np.mean([word != "cannot tell" for word in words])

    for truth in truths:
        assert in_words(n, truth) >= 0.93
        assert in_words(n // 4, truth) < 0.80


@given(st.integers(2, 12), st.floats(0.1, 10))
def test_more_spread_never_asks_for_fewer_seeds(n, factor):
    x = np.random.default_rng(n).normal(size=n)
    few, many = sorted(
        seeds_needed(x * spread, direction="positive", target=0.2, smallest=0.1) for spread in (1.0, max(1.0, factor))
    )
    assert 3 <= few <= many
    assert many == seeds_needed(x * max(1.0, factor), direction="positive", target=0.2, smallest=0.1)


def test_no_number_of_seeds_is_given_where_none_can_be():
    for values in ([], [1.0], [1.0, np.nan, 2.0], [-1e6, 1e6, 0.0]):
        assert seeds_needed(values, direction="positive", target=1.0, smallest=0.5) is None


def test_at_the_margin_of_equality_the_distance_to_it_counts():
    """Short intervals across the margin: the nearer the mean, the more seeds; on it no number will do."""
    shape = np.tile([-0.1, 0.1], 20)
    near, far = (seeds_needed(mean + shape, direction="equal", target=None, smallest=1.0) for mean in (0.999, 0.98))
    assert near > far > 40
    assert seeds_needed(1.0 + shape - shape.mean(), direction="equal", target=None, smallest=1.0) is None


def test_bounds_of_trials_are_clopper_pearsons():
    exact = stats.binomtest(3, 50, alternative="two-sided").proportion_ci(0.90, method="exact")
    trials = Trials(50, 3)
    assert (trials.low, trials.high) == pytest.approx((exact.low, exact.high))
    assert Trials(100, 0).high == pytest.approx(1 - 0.05 ** (1 / 100))
    assert (Trials(100, 0).low, Trials(100, 100).high) == (0, 1)
    assert Trials(100, 100).low == pytest.approx(0.05 ** (1 / 100))


def test_a_statement_that_allows_violations_is_broken_only_by_clearly_more():
    assert Trials(1000, 10, allowed=0.05).kept is True
    assert Trials(1000, 50, allowed=0.05).kept is None
    assert Trials(1000, 100, allowed=0.05).kept is False
    assert Trials(10, 0, allowed=0.05).kept is None
    assert Trials(10, 0).kept is True
    assert Trials(10_000, 1).kept is False


@pytest.mark.parametrize(("n", "violations", "allowed"), [(0, 0, 0), (5, 6, 0), (5, -1, 0), (5, 0, 1.0)])
def test_impossible_trials_are_refused(n, violations, allowed):
    with pytest.raises(BadValue):
        Trials(n, violations, allowed=allowed)


def test_the_outcome_of_a_statement():
    kept, broken, open_ = Trials(10, 0), Trials(10, 2), Trials(10, 0, allowed=0.05)
    table = {
        (kept, None): "true as printed", (kept, broken): "true as printed", (broken, kept): "true once corrected",
        (broken, None): "false", (broken, broken): "false", (broken, open_): "cannot tell", (open_, kept): "cannot tell",
        (None, None): "cannot tell",
    }  # fmt: skip
    assert {forms: statement_outcome(*forms) for forms in table} == table


DECIDED = [word for word in get_args(Outcome) if word != "cannot tell"]


@pytest.mark.parametrize("scope", ["on the paper's data", "on a stand-in"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_verdict_is_cannot_tell_only_where_open_claims_could_change_it(scope, n):
    for outcomes in itertools.product(get_args(Outcome), repeat=n):
        ways = [DECIDED if word == "cannot tell" else [word] for word in outcomes]
        verdicts = {verdict_of_effects(way, scope) for way in itertools.product(*ways)}
        found = verdict_of_effects(outcomes, scope)
        assert found == (verdicts.pop() if len(verdicts) == 1 else "cannot tell")


def test_verdicts_of_decided_claims():
    table = {
        ("holds", "holds"): "reproduced", ("holds", "smaller"): "smaller than claimed", ("smaller",): "smaller than claimed",
        ("holds", "absent"): "mixed", ("smaller", "contrary"): "mixed", ("absent", "contrary"): "not reproduced",
        ("contrary",): "not reproduced",
    }  # fmt: skip
    assert {words: verdict_of_effects(words, "on the paper's data") for words in table} == table


def test_a_stand_in_never_says_not_reproduced():
    for n in (1, 2, 3):
        for outcomes in itertools.product(get_args(Outcome), repeat=n):
            here, there = (verdict_of_effects(outcomes, scope) for scope in ("on a stand-in", "on the paper's data"))
            assert here == ("not seen on a stand-in" if there == "not reproduced" else there)


def test_the_verdict_on_statements_is_that_of_the_worst():
    order = ["true as printed", "true once corrected", "cannot tell", "false"]
    for words in itertools.product(get_args(StatementOutcome), repeat=2):
        assert verdict_of_statements(words) == max(words, key=order.index)
    assert verdict_of_statements([]) == "cannot tell"
