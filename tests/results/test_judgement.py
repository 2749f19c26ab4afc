"""Laws of judging: planted effects give each outcome, gates win, stand-ins accuse nobody, what is stored is what was measured."""

from __future__ import annotations

import json
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.registered_claims import EffectClaim, registered
from mtlrepro.results.gates import Gate
from mtlrepro.results.judgement import Measured, StatementTrials, judge, judged_effects
from mtlrepro.results.outcomes import Outcome, Trials, Verdict

CLAIM = {
    "id": "gain", "says": "s", "where": "Table 1", "quote": "q", "primary": True, "estimand": "e", "protocol": "p",
    "direction": "positive", "effect": 0.2, "from": "0.5 - 0.3", "effect_error": 0.01, "unit": "points", "smallest": 0.05,
}  # fmt: skip
NO_SIZE = {"effect": None, "effect_error": None, "reading": "not in text"}
EQUAL = {"direction": "equal", "effect": 0.0, "effect_error": 0.0}


def claim(**changes):
    return EffectClaim(**(CLAIM | changes))


def entry(*claims, gates=()):
    content = {
        "kind": "table", "verdict": "claims", "claims": [CLAIM | change for change in claims],
        "gates": [{"name": name, "needs": f"{name} is needed"} for name in gates], "ours": [], "stand_in_ok": "any",
    }  # fmt: skip
    return registered({"tab1": content}, "p.yaml")["tab1"]


def statements(*claims):
    whole = [
        {
            "id": name,
            "says": "s",
            "where": "w",
            "quote": "q",
            "primary": primary,
            "printed": "p",
            "corrected": "c",
            "checked_by": "x",
        }
        for name, primary in claims
    ]
    return registered({"thm1": {"kind": "theorem", "verdict": "statement", "claims": whole, "ours": []}}, "p.yaml")["thm1"]


def seeds(mean, spread, n=12):
    """Values with exactly this mean and standard deviation, of a normal shape."""
    x = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return tuple(mean + spread * (x - x.mean()) / x.std(ddof=1))


def judged(one, values, **more):
    return judged_effects([one], {one.id: values}, **more)[0]


def student(values, level):
    x = np.asarray(values)
    half = stats.t.ppf((1 + level) / 2, x.size - 1) * stats.sem(x)
    return x.mean(), x.mean() - half, x.mean() + half


PLANTED = [
    ({}, 0.21, 0.02, "holds"), ({}, 0.17, 0.1, "holds"), ({}, 0.10, 0.02, "smaller"), ({}, 0.02, 0.02, "smaller"),
    ({}, 0.0, 0.02, "absent"), ({}, 0.05, 0.15, "absent"), ({}, -0.1, 0.02, "contrary"), ({}, 0.1, 0.4, "cannot tell"),
    (NO_SIZE, 0.2, 0.02, "holds"), (NO_SIZE, 0.02, 0.01, "absent"), (NO_SIZE, 0.0, 0.02, "absent"),
    (NO_SIZE, -0.2, 0.02, "contrary"), (NO_SIZE, 0.0, 0.4, "cannot tell"),
    (EQUAL, 0.01, 0.02, "holds"), (EQUAL, 0.2, 0.02, "contrary"), (EQUAL, -0.2, 0.02, "contrary"),
    (EQUAL, 0.05, 0.02, "cannot tell"),
    ({"effect": -0.2}, 0.2, 0.02, "holds"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "mean", "spread", "expected"), PLANTED)
def test_a_planted_effect_gives_its_outcome(change, mean, spread, expected):
    assert judged(claim(**change), seeds(mean, spread)).outcome == expected


@pytest.mark.parametrize(("change", "mean", "spread", "expected"), [case for case in PLANTED if case[0] in ({}, NO_SIZE)])
def test_positive_means_for_the_papers_claim(change, mean, spread, expected):
    """A claim of a negative effect, with all values turned around, is judged as its mirror image."""
    turned = {"direction": "negative"} | change | ({} if change else {"effect": -0.2})
    up, down = judged(claim(**change), seeds(mean, spread)), judged(claim(**turned), [-v for v in seeds(mean, spread)])
    assert (up.effect, up.low, up.high, up.outcome) == (down.effect, down.low, down.high, down.outcome)
    assert up.claim.paper_effect == down.claim.paper_effect


def test_planted_noise_is_rarely_called_an_effect():
    """Without any effect in three primary claims, one of them is called clear of zero in about 5% of experiments, not 14%."""
    rng = np.random.default_rng(0)
    claims = [claim(id=name) for name in ("a", "b", "c")]
    wrong = 0
    for _ in range(400):
        effects = {one.id: rng.normal(0, 1, 8) for one in claims}
        wrong += any(found.low > 0 or found.high < 0 for found in judged_effects(claims, effects, student))
    assert 0.02 <= wrong / 400 <= 0.08


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_intervals_clear_of_zero_are_the_rejections_of_holm(seed, m):
    """With Student's interval, p-values are those of the t test; Holm's adjusted p by their definition."""
    rng = np.random.default_rng(seed)
    claims = [claim(id=f"c{i}") for i in range(m)]
    effects = {one.id: rng.normal(rng.choice([0, 0.5, 1, 1.5]), 1, 8) for one in claims}
    p = np.array([stats.ttest_1samp(values, 0).pvalue for values in effects.values()])
    order = np.argsort(p)
    holm = np.empty(m)
    holm[order] = np.maximum.accumulate((m - np.arange(m)) * p[order])
    found = judged_effects(claims, effects, student)
    assert [one.low > 0 or one.high < 0 for one in found] == list(holm < 0.05)


values_of_seeds = st.lists(st.floats(-1, 1).map(lambda v: round(v, 2)), min_size=3, max_size=7)


@settings(max_examples=30)
@given(st.lists(values_of_seeds, min_size=2, max_size=3), st.sampled_from([{}, NO_SIZE, EQUAL]))
def test_another_primary_claim_never_makes_one_more_certain(values, change):
    """Every interval among fewer claims lies in the one among more."""
    claims = [claim(id=f"c{i}", **change) for i in range(len(values))]
    effects = {one.id: v for one, v in zip(claims, values, strict=True)}
    for fewer, more in zip(judged_effects(claims[:-1], effects), judged_effects(claims, effects), strict=False):
        assert more.low <= fewer.low + 1e-12
        assert more.high >= fewer.high - 1e-12
        assert more.level >= fewer.level


@settings(max_examples=30)
@given(values_of_seeds, st.sampled_from([{}, NO_SIZE]))
def test_turning_the_effect_around_turns_a_sign_around(values, change):
    """What holds or is smaller becomes contrary; absent without a printed size stays absent."""
    up, down = judged(claim(**change), values), judged(claim(**change), [-v for v in values])
    assert (up.low, up.high) == pytest.approx((-down.high, -down.low))
    if up.outcome in ("holds", "smaller"):
        assert down.outcome == "contrary"
    if change and up.outcome in ("absent", "cannot tell"):
        assert down.outcome == up.outcome


@settings(max_examples=30)
@given(values_of_seeds, st.sampled_from([{}, NO_SIZE, EQUAL]), st.sampled_from([2.0**-10, 0.5, 4.0, 2.0**12]))
def test_the_unit_does_not_matter(values, change, factor):
    sizes = CLAIM | change
    scaled = {key: sizes[key] if sizes[key] is None else sizes[key] * factor for key in ("effect", "effect_error", "smallest")}
    here, there = judged(claim(**change), values), judged(claim(**(change | scaled)), [factor * v for v in values])
    assert (here.outcome, here.seeds_needed) == (there.outcome, there.seeds_needed)
    assert (there.low, there.high) == pytest.approx((factor * here.low, factor * here.high))


@pytest.mark.parametrize(("change", "expected"), [({}, "absent"), (NO_SIZE, "absent"), (EQUAL, "holds")])
def test_exact_zeros_are_exact(change, expected):
    found = judged(claim(**change), [0.0, -0.0, 0.0])
    assert (found.low, found.high, found.outcome) == (0, 0, expected)


@pytest.mark.parametrize(("value", "expected"), [(0.1, "smaller"), (0.19, "holds"), (-0.1, "contrary")])
def test_seeds_that_agree_exactly_are_exact(value, expected):
    found = judged(claim(), [value] * 5)
    assert (found.low, found.high, found.outcome) == (value, value, expected)


@pytest.mark.parametrize("change", [{}, NO_SIZE, EQUAL])
@pytest.mark.parametrize(
    "values", [[], [0.0], [5.0], [0.0, 0.0], [5.0, 5.0], [0.3, 0.31], [1.0, 1.0, math.nan], [1.0, 1.0, math.inf]]
)
def test_fewer_than_three_seeds_or_a_diverged_one_cannot_tell(change, values):
    found = judged(claim(**change), values)
    assert found.outcome == "cannot tell"
    assert found.note


def test_cannot_tell_says_how_many_seeds_would():
    found = judged(claim(), seeds(0.1, 0.4))
    half = stats.t.ppf(0.975, found.seeds_needed - 1) * 0.4 / found.seeds_needed**0.5
    before = stats.t.ppf(0.975, found.seeds_needed - 2) * 0.4 / (found.seeds_needed - 1) ** 0.5
    assert half <= 0.19 / 2 < before
    assert found.note == f"about {found.seeds_needed} seeds would tell"


def test_an_effect_below_what_matters_is_marked():
    assert judged(claim(), seeds(0.01, 0.002)).note == "less than the smallest effect of interest"
    assert judged(claim(), seeds(0.1, 0.002)).note == ""


def test_secondary_claims_are_shown_at_95_percent_and_do_not_count():
    exhibit = entry({"id": "a"}, {"id": "b", "primary": False})
    effects = {"a": seeds(0.21, 0.02), "b": seeds(-0.21, 0.02)}
    found = judge("p/tab1", exhibit, Measured(effects), profile="full", tier="paper's data")
    assert found.verdict == "reproduced"
    assert [one.outcome for one in found.claims] == ["holds", "contrary"]
    assert [one.level for one in found.claims] == [0.95, 0.95]


def test_a_primary_claim_that_was_not_measured_cannot_tell():
    exhibit = entry({"id": "a"}, {"id": "b"})
    found = judge("p/tab1", exhibit, Measured({"a": seeds(0.21, 0.02)}), profile="full", tier="paper's data")
    assert found.verdict == "cannot tell"
    assert (found.claims[1].n, found.claims[1].note) == (0, "not measured")


GATES = [
    (Gate("control", False, 0.4, cost="2 core hours"),),
    (),
    (Gate("control", True, math.nan),),
    (Gate.within("control", math.nan, least=-10),),
    (Gate.within("control", 0.4, least=0.5),),
    (Gate.within("control", 0.6, most=0.5),),
]


@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("tier", ["paper's data", "public stand-in"])
@pytest.mark.parametrize("mean", [-0.2, 0.0, 0.1, 0.2])
def test_a_failing_gate_always_wins(gates, tier, mean):
    measured = Measured({"gain": seeds(mean, 0.02)}, gates=(Gate("converged", True, 0.01), *gates))
    found = judge("p/tab1", entry({}, gates=("converged", "control")), measured, profile="full", tier=tier)
    assert found.verdict == "too small to judge"
    assert found.reason.startswith("control: ")
    assert [gate.passed for gate in found.gates] == [True, False]
    assert ("2 core hours" in found.reason) == any(gate.cost for gate in gates)


def test_gates_that_pass_leave_the_verdict_alone():
    gates = (Gate.within("control", 0.5, least=0.5, most=0.5), Gate.every("converged", [Gate.within("slope", 0.001, most=0.01)]))
    measured = Measured({"gain": seeds(0.2, 0.02)}, gates=gates)
    found = judge("p/tab1", entry({}, gates=("converged", "control")), measured, profile="full", tier="paper's data")
    assert (found.verdict, found.reason) == ("reproduced", "")
    assert [(gate.name, gate.needs) for gate in found.gates] == [
        ("converged", "converged is needed"), ("control", "control is needed"),
    ]  # fmt: skip


def test_a_gate_on_an_effect_passes_where_its_interval_lies_above_zero_and_its_mean_is_large_enough():
    clear = [0.4, 0.5, 0.6]
    assert Gate.clear_of_zero("control", clear).passed
    assert not Gate.clear_of_zero("control", clear, least=0.51).passed
    assert not Gate.clear_of_zero("control", [-0.5, 0.5, 0.6]).passed
    assert not Gate.clear_of_zero("control", [-value for value in clear]).passed
    assert Gate.clear_of_zero("control", [0.5]) == Gate("control", False, "fewer than two values")
    assert Gate.clear_of_zero("control", clear, said="in words").value == "in words"


def test_a_gate_of_several_measurements_passes_where_all_do():
    good, bad = Gate.within("car IoU", 0.7123, least=0.6), Gate.within("depth error", 0.9, most=0.5)
    assert Gate.every("level", [good]).passed
    both = Gate.every("level", [good, bad], cost="c")
    assert not both.passed
    assert both.value == "car IoU 0.712, depth error 0.9 (fails)"
    with pytest.raises(BadValue, match="needs at least one"):
        Gate.every("level", [])


@pytest.mark.parametrize("tier", ["public stand-in", "synthetic"])
def test_a_stand_in_says_not_seen(tier):
    found = judge("p/tab1", entry({}), Measured({"gain": seeds(-0.2, 0.02)}), profile="full", tier=tier)
    assert (found.scope, found.verdict) == ("on a stand-in", "not seen on a stand-in")


def test_a_paper_that_draws_its_own_data_is_judged_on_them():
    measured = Measured({"gain": seeds(-0.2, 0.02)})
    found = judge("p/tab1", entry({}), measured, profile="full", tier="synthetic", scope="on the paper's data")
    assert found.verdict == "not reproduced"


def test_statements_are_judged_from_their_trials():
    exhibit = statements(("a", True), ("b", True), ("c", False))
    kept, broken = Trials(1000, 0, worst=1e-12, tolerance=1e-9), Trials(1000, 3, worst=0.2)

    def verdict(a, b):
        measured = Measured(statements={"a": a, "b": b, "c": StatementTrials(broken)})
        return judge("p/thm1", exhibit, measured, profile="full", tier="no data").verdict

    assert verdict(StatementTrials(kept), StatementTrials(kept)) == "true as printed"
    assert verdict(StatementTrials(kept), StatementTrials(broken, kept)) == "true once corrected"
    assert verdict(StatementTrials(broken), StatementTrials(broken, kept)) == "false"
    only_one = Measured(statements={"a": StatementTrials(kept)})
    assert judge("p/thm1", exhibit, only_one, profile="full", tier="no data").verdict == "cannot tell"


def test_a_diagram_has_no_claim_and_takes_no_measurement():
    nothing = registered({"fig1": {"kind": "diagram", "verdict": "none", "why": "overview"}}, "p.yaml")["fig1"]
    found = judge("p/fig1", nothing, Measured(), profile="quick", tier="no data")
    assert (found.verdict, found.reason, found.claims) == ("no claim", "overview", ())
    with pytest.raises(UnknownName):
        judge("p/fig1", nothing, Measured({"gain": [1.0]}), profile="quick", tier="no data")
    with pytest.raises(UnknownName):
        judge("p/fig1", nothing, Measured(gates=[Gate("control", True, 1)]), profile="quick", tier="no data")


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        (Measured({"gian": [1.0]}), "unknown claim among the effects 'gian', did you mean 'gain'?"),
        (Measured(statements={"gain": StatementTrials(Trials(1, 0))}), "unknown claim among the statements 'gain'"),
        (Measured(gates=[Gate("contrl", True, 1)]), "unknown gate 'contrl', did you mean 'control'?"),
    ],
)
def test_what_is_not_registered_is_refused(measured, message):
    with pytest.raises(UnknownName, match=message.replace("?", r"\?")):
        judge("p/tab1", entry({}, gates=["control"]), measured, profile="full", tier="paper's data")


def test_a_gate_computed_twice_and_an_unknown_scope_are_refused():
    twice = Measured(gates=[Gate("control", True, 1), Gate("control", False, 1)])
    with pytest.raises(BadValue, match="twice"):
        judge("p/tab1", entry({}, gates=["control"]), twice, profile="full", tier="paper's data")
    with pytest.raises(BadValue, match="scope must be one of"):
        judge("p/tab1", entry({}), Measured(), profile="full", tier="paper's data", scope="elsewhere")


stored_values = st.lists(st.one_of(st.floats(-10, 10), st.just(math.nan), st.just(math.inf)), max_size=6)


@settings(max_examples=25)
@given(stored_values, st.booleans(), st.floats(allow_nan=True))
def test_a_stored_run_is_judged_again_as_it_was(values, passed, value):
    """Through JSON without NaN or infinity; what is stored has no outcome in it, so none can be edited."""
    measured = Measured({"gain": np.array(values)}, {}, (Gate("control", np.bool_(passed), np.float64(value), cost="c"),))
    text = json.dumps(measured.as_dict(), allow_nan=False)
    assert not any(f'"{word}"' in text for word in get_args(Outcome) + get_args(Verdict))
    exhibit = entry({}, gates=["control"])
    before, after = (
        judge("p/tab1", exhibit, found, profile="full", tier="paper's data").record()
        for found in (measured, Measured.from_dict(json.loads(text)))
    )
    assert json.dumps(before, allow_nan=False) == json.dumps(after, allow_nan=False)


def test_stored_trials_come_back_equal():
    measured = Measured(
        statements={"a": StatementTrials(Trials(9, 1, 0.2, 1e-9), Trials(9, 0, allowed=0.1)), "b": StatementTrials(Trials(3, 0))}
    )
    assert Measured.from_dict(json.loads(json.dumps(measured.as_dict()))) == measured


@pytest.mark.parametrize(
    "damage",
    [
        {"effects": {"a": 3}},
        {"effects": {"a": ["x"]}},
        {"statements": {"a": {"printed": {"n": 0, "violations": 0}, "corrected": None}}},
        {"gates": [{"title": "control"}]},
        {"gates": None},
    ],
)
def test_a_damaged_record_is_named_as_such(damage):
    whole = Measured().as_dict()
    assert Measured.from_dict(whole) == Measured()
    for record in (whole | damage, {}):
        with pytest.raises(DataCorrupt, match="damaged"):
            Measured.from_dict(record)


def test_the_record_has_what_outside_checks_rely_on():
    measured = Measured({"gain": seeds(0.2, 0.02)}, gates=[Gate("control", True, 0.5)])
    found = judge("p/tab1", entry({}, gates=["control"]), measured, profile="full", tier="paper's data").record()
    assert {"exhibit", "profile", "scope", "tier", "verdict", "claims", "gates"} <= set(found)
    assert {"id", "primary", "says", "paper_effect", "effect", "low", "high", "n", "outcome"} <= set(found["claims"][0])
    assert {"name", "passed", "value", "needs"} <= set(found["gates"][0])
    assert (found["claims"][0]["paper_effect"], found["claims"][0]["n"], found["verdict"]) == (0.2, 12, "reproduced")
    assert found["gates"][0]["needs"] == "control is needed"


def test_a_bound_that_one_seed_cannot_give_is_none():
    found = judge("p/tab1", entry({}), Measured({"gain": [0.2]}), profile="quick", tier="paper's data").record()["claims"][0]
    assert (found["effect"], found["low"], found["high"], found["outcome"]) == (0.2, None, None, "cannot tell")
