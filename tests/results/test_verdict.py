"""Laws of intervals, claims and verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mtlrepro.results import Part, check, combine, interval, paired, told
from mtlrepro.results.verdict import Verdict, counts_table, verdict_html

finite = st.floats(-1e3, 1e3, allow_nan=False).map(lambda v: round(v, 3))


@given(st.lists(finite, min_size=2, max_size=12))
def test_interval_contains_the_mean_and_does_not_depend_on_earlier_draws(values):
    mean, low, high = interval(values)
    assert low <= mean <= high
    assert mean == pytest.approx(np.mean(values))
    assert interval(values) == (mean, low, high)


@given(st.lists(finite, min_size=3, max_size=8, unique=True), st.floats(-50, 50).map(lambda v: round(v, 2)))
def test_interval_moves_with_the_data(values, shift):
    _, low, high = interval(values)
    _, moved_low, moved_high = interval(np.array(values) + shift)
    assert moved_low == pytest.approx(low + shift, abs=1e-6)
    assert moved_high == pytest.approx(high + shift, abs=1e-6)


@pytest.mark.parametrize(("n", "floor"), [(5, 0.90), (20, 0.88)])
def test_interval_covers_the_true_mean_about_as_often_as_it_says(n, floor):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        _, low, high = interval(rng.normal(0.3, 1, n))
        covered += low <= 0.3 <= high
    assert covered / 200 >= floor


def test_few_seeds_never_get_a_shorter_interval_than_students_t():
    values = np.random.default_rng(0).normal(size=5)
    _, low, high = interval(values)
    t = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert low <= t[0] + 1e-12
    assert high >= t[1] - 1e-12


def test_one_seed_decides_nothing():
    assert paired("claim", [5.0]).outcome == "unclear"


def test_a_diverged_seed_is_never_a_success():
    assert paired("claim", [1.0, 1.1, np.nan]).outcome == "unclear"


@given(st.lists(finite, min_size=2, max_size=10))
def test_turning_the_claim_around_turns_the_outcome_around(values):
    opposite = {"holds": "fails", "fails": "holds", "unclear": "unclear"}
    up = paired("claim", values, claim="positive").outcome
    assert paired("claim", values, claim="negative").outcome == opposite[up]


def test_outcome_follows_the_interval():
    assert paired("claim", [1.0, 1.2, 0.9, 1.1]).outcome == "holds"
    assert paired("claim", [-1.0, -1.2, -0.9, -1.1]).outcome == "fails"
    assert paired("claim", [-1.0, 1.2, -0.9, 1.1]).outcome == "unclear"


def test_a_single_violation_breaks_a_statement():
    assert check("law", worst=1e-12, n=100, violations=0, tolerance=1e-9).outcome == "holds"
    assert check("law", worst=0.2, n=100, violations=1, tolerance=1e-9).outcome == "fails"


def test_bound_on_violations_is_clopper_pearsons():
    part = check("law", worst=0.0, n=100, violations=0)
    assert part.high == pytest.approx(1 - 0.05 ** (1 / 100))


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["holds", "holds"], "reproduced"),
        (["holds", "fails"], "partly"),
        (["holds", "unclear"], "partly"),
        (["fails", "unclear"], "not reproduced"),
        (["unclear"], "inconclusive"),
        ([], "not testable here"),
    ],
)
def test_status_of_an_exhibit(outcomes, status):
    made = {"holds": [1.0, 1.1, 1.2], "fails": [-1.0, -1.1, -1.2], "unclear": [-1.0, 1.0, 0.1]}
    assert combine([paired("claim", made[outcome]) for outcome in outcomes]) == status


@given(st.lists(finite, min_size=2, max_size=8), st.sampled_from(["positive", "negative"]))
def test_a_stored_part_comes_back_equal(values, claim):
    part = paired("claim", values, claim=claim, setting="s", unit="u")
    assert Part.from_dict(part.as_dict()) == part


def test_a_stored_outcome_cannot_be_edited():
    record = paired("claim", [-1.0, -1.1, -0.9]).as_dict() | {"outcome": "holds", "low": 1.0}
    assert Part.from_dict(record).outcome == "fails"


def test_a_box_of_many_claims_counts_them_and_folds_the_settings():
    """Every claim's interval stays on the page; what meets the eye first is how often each claim holds."""
    parts = tuple(paired("gain", [1.0, 1.1, 1.2], setting=f"setting {i}") for i in range(15))
    parts += tuple(paired("loss", [-1.0, -1.1, -1.2], setting=f"setting {i}") for i in range(5))
    verdict = Verdict("transfer/fig3", "quick", "synthetic", "partly", parts)
    expected = {"claim": ["gain", "loss"], "✓ holds": [15, 0], "✗ fails": [0, 5], "? unclear": [0, 0]}
    assert counts_table(verdict).to_dict("list") == expected
    page = verdict_html(verdict)
    assert "All 20 claims" in page
    assert page.index("<details>") < page.index("setting 14") < page.index("</details>")
    assert "<details>" not in verdict_html(Verdict("transfer/fig3", "quick", "synthetic", "reproduced", parts[:3]))


def test_an_effect_is_told_with_its_interval():
    mean, low, high = interval([0.1, 0.2, 0.3])
    assert told([0.1, 0.2, 0.3]) == f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
    assert told([0.1, 0.2, 0.3], 3) == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
