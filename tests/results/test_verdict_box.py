"""Laws of the verdict box: well-formed, every number with three digits, nothing that is not finite, everything escaped."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlrepro import exhibits
from mtlrepro.registered_claims import EffectClaim, Statements, registered
from mtlrepro.results.gates import Gate
from mtlrepro.results.judgement import Judgement, Measured, StatementTrials, judge, judged_effects
from mtlrepro.results.outcomes import Trials
from mtlrepro.results.verdict_box import three_digits, verdict_box

CLAIM = {
    "id": "gain", "says": "<b>A & B</b> is \"above\" C", "where": "Table 1", "quote": "q", "primary": True, "estimand": "e",
    "protocol": "p", "direction": "positive", "effect": 0.2, "from": "0.5 - 0.3", "effect_error": 0.01, "unit": "points",
    "smallest": 0.05,
}  # fmt: skip
VOID = {"rect", "line", "circle"}


class Elements(HTMLParser):
    """Elements in order with their attributes and text; fails where the page is not well-formed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        ElementTree.fromstring(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.elements.append((tag, dict(attributes)))

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, word):
        return [attributes for _, attributes in self.elements if word in (attributes.get("class") or "").split()]


def exhibit(*changes, gates=()):
    content = {
        "kind": "table", "verdict": "claims", "claims": [CLAIM | change for change in changes], "ours": [], "stand_in_ok": "any",
        "gates": [{"name": name, "needs": "n < 1"} for name in gates],
    }  # fmt: skip
    return registered({"tab1": content}, "p.yaml")["tab1"]


def box(entry, measured, run="recorded", **more):
    page = verdict_box(judge("p/tab1", entry, measured, **({"profile": "full", "tier": "paper's data"} | more)), run)
    assert not re.search(r"\b(nan|inf|infinity)\b", page, re.IGNORECASE)
    return Elements(page)


numbers = st.one_of(st.floats(-1e300, 1e300), st.floats(-1, 1), st.sampled_from([math.nan, math.inf, 0.0, 5e-324]))


@settings(max_examples=40)
@given(st.lists(numbers, max_size=4), st.floats(1e-6, 1e6), st.sampled_from(["positive", "equal"]), st.booleans(), numbers)
def test_any_measurement_gives_well_formed_html_inside_its_axis(values, smallest, direction, sized, gate):
    size = {"effect": 1e9, "effect_error": 0.0} if sized else {"effect": None, "effect_error": None, "reading": "caption"}
    one = EffectClaim(**(CLAIM | size | {"smallest": smallest, "direction": direction}))
    # Wide enough an interval of huge values overflows: that is no finite value either.
    found = judged_effects(
        [one], {"gain": values}, lambda x, level: (x[0], -math.inf, math.inf) if len(x) < 3 else (x[0], min(x), max(x))
    )
    page = Elements(verdict_box(Judgement("p/tab1", "full", "t", "no data", "cannot tell", found, (Gate("g", True, gate, "n"),))))
    assert not re.search(r"\b(nan|inf)\b", " ".join(page.text), re.IGNORECASE)
    for _, attributes in page.elements:
        for key in ("x", "x1", "x2", "cx"):
            assert 0 <= float(attributes.get(key, 0)) <= 240


def test_marks_stand_where_their_numbers_are():
    """Zero, ours and the paper's size in the order of their values; the interval's ends around ours."""
    page = box(exhibit({}), Measured({"gain": [0.09, 0.10, 0.11, 0.1]}))
    zero, ours, mean, paper = (page.of(f"claim-axis-{name}")[0] for name in ("zero", "ours", "mean", "paper"))
    assert float(zero["x1"]) < float(ours["x1"]) < float(mean["x1"]) < float(ours["x2"]) < float(paper["cx"])
    assert paper["fill"] == "none"
    per_unit = (float(paper["cx"]) - float(zero["x1"])) / 0.2
    assert float(mean["x1"]) - float(zero["x1"]) == pytest.approx(0.1 * per_unit, abs=0.2)


def test_the_axis_tells_its_numbers_to_who_cannot_see_it():
    page = box(exhibit({}), Measured({"gain": [0.1, 0.1, 0.1]}))
    for axis in page.of("claim-axis"):
        assert axis["role"] == "img"
        assert axis["aria-label"] == "Axis with zero. ours +0.100 points in every seed, n = 3; paper +0.200. Outcome: smaller."


def test_colours_are_the_pages_own():
    page = box(exhibit({}), Measured({"gain": [0.09, 0.10, 0.11]}))
    colours = {attributes[key] for _, attributes in page.elements for key in ("fill", "stroke") if key in attributes}
    assert colours == {"currentColor", "none"}


def test_everything_written_by_people_is_escaped():
    evil = '<script>alert("1")</script>'
    entry = exhibit({"says": evil, "unit": evil}, gates=["control"])
    gates = [Gate("control", False, evil, cost=evil)]
    page = box(entry, Measured({"gain": [0.1, 0.1, 0.1]}, gates=gates), profile=evil, tier=evil)
    assert "script" not in {tag for tag, _ in page.elements}
    assert "".join(page.text).count(evil) >= 5


def test_primary_claims_come_first_and_others_are_folded():
    entry = exhibit({"id": "b", "primary": False, "says": "second"}, {"id": "a", "says": "first"})
    page = box(entry, Measured({"a": [0.1, 0.2, 0.3], "b": [0.1, 0.2, 0.3]}))
    text = "".join(page.text)
    assert text.index("first") < text.index("Claims shown, not counted") < text.index("second")
    assert [tag for tag, _ in page.elements].count("details") == 2


def test_a_failed_gate_is_named_with_what_it_needs_and_costs():
    measured = Measured({"gain": [0.1, 0.2, 0.3]}, gates=[Gate.within("control", 0.12345, most=0.1, cost="2 core hours")])
    text = "".join(box(exhibit({}, gates=["control", "converged"]), measured).text)
    assert "too small to judge" in text
    assert text.startswith("too small to judge failed: control, converged")
    assert "not judged (2 gates failed), on the paper's data" in text
    assert "Gates passed: 0 of 2; failed: control, converged" in text
    assert "✗ control: 0.123; needs n < 1. Cost of passing it: 2 core hours." in text
    assert "✗ converged: not computed; needs n < 1. Cost of passing it: not estimated." in text


def test_scope_and_the_run_are_on_the_box():
    page = box(exhibit({}), Measured({"gain": [0.1, 0.2, 0.3]}), profile="quick", tier="public stand-in")
    assert "on a stand-in" in "".join(page.text)
    assert "The largest recorded run is the quick one." in "".join(page.text)
    assert page.of("verdict-box")[0]["data-run"] == "recorded"
    live = box(exhibit({}), Measured({"gain": [0.1, 0.2, 0.3]}), "live", profile="quick")
    assert "The largest recorded run" not in "".join(live.text)
    assert live.of("verdict-box")[0]["data-run"] == "live"


def test_a_statement_shows_its_counts_and_bounds():
    whole = {
        "id": "a",
        "says": "s",
        "where": "w",
        "quote": "q",
        "primary": True,
        "printed": "p",
        "corrected": "c",
        "checked_by": "x",
    }
    entry = registered({"thm1": {"kind": "theorem", "verdict": "statement", "claims": [whole], "ours": []}}, "p.yaml")["thm1"]
    measured = Measured(statements={"a": StatementTrials(Trials(1000, 3), Trials(1000, 0))})
    text = "".join(box(entry, measured, tier="no data").text)
    assert "true once corrected" in text
    assert "as printed: 3 of 1,000 instances break it (rate at most 0.00774)" in text
    assert "corrected: 0 of 1,000 instances break it (rate at most 0.00299)" in text


@pytest.mark.parametrize("exhibit", [exhibit for exhibit in exhibits.everything() if exhibit.claims], ids=lambda one: one.id)
def test_claimed_found_and_holds_when_are_at_most_sixty_words(exhibit):
    """Whatever was measured: every gate failed, every gate passed, intervals with long numbers, statements in both forms."""
    tried = StatementTrials(Trials(99_999, 12_345), Trials(99_999, 0))
    statements = isinstance(exhibit.entry, Statements)
    effects = {} if statements else {claim.id: [-0.0123, -0.0456, -0.0789] for claim in exhibit.claims}
    passing = [Gate(gate.name, True, 1.0) for gate in exhibit.entry.gates]
    for gates in ((), passing):
        measured = Measured(effects, {claim.id: tried for claim in exhibit.claims} if statements else {}, gates)
        judgement = judge(exhibit.id, exhibit.entry, measured, profile="full", tier="public stand-in")
        text = " ".join(Elements(verdict_box(judgement)).text)
        _, claimed, rest = text.partition("Claimed")
        lines = re.split("Found|Holds when", rest.partition("Every claim and gate")[0])
        assert claimed
        assert len(lines) == 3
        assert sum(re.search(r"\w", word) is not None for line in lines for word in line.split()) <= 60


def test_a_diagram_says_why_it_has_no_claim():
    entry = registered({"fig1": {"kind": "diagram", "verdict": "none", "why": "an overview"}}, "p.yaml")["fig1"]
    assert "an overview" in "".join(box(entry, Measured(), tier="no data").text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.1, "0.100"), (0.12345, "0.123"), (-0.0012345, "-0.00123"), (9.999, "10.0"), (0.09996, "0.100"),
        (1234.5, "1230"), (52.4342, "52.4"), (1e-7, "1.00 × 10⁻⁷"), (2.5e9, "2.50 × 10⁹"), (-57195.5, "-57,200"),
    ],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value, text):
    assert three_digits(value) == text


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_a_printed_number_is_within_half_a_percent(value):
    plain = three_digits(value, sign=True).replace(",", "").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert float(plain.replace(" × 10", "e")) == pytest.approx(value, rel=0.00501, abs=0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_printed(value):
    with pytest.raises(ValueError, match="finite"):
        three_digits(value)
