"""Laws of a step on the plane: the ordinary step of Algorithm 1, the geometry as asked for, the paper's cases by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mtlrepro.errors import BadValue
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.papers.hydalearn import fig3_geometry


def _one(angles, lengths, condition=1.0, turn=0.0):
    values = ([angles], [lengths], [condition], [turn])
    return fig3_geometry.geometry(*(torch.tensor(value, dtype=torch.float64) for value in values))


def test_a_geometry_has_the_angles_lengths_and_condition_asked_for():
    here = _one([0.3, -2.0], [1.0, 4.0], 9.0, 0.7)
    ascent = here.ascent[0]
    assert fig3_geometry.alignment(here, -here.gradients[:, 0]).item() == pytest.approx(math.cos(0.3))
    assert fig3_geometry.alignment(here, -here.gradients[:, 1]).item() == pytest.approx(math.cos(2.0))
    assert (here.gradients[0].norm(dim=-1) / ascent.norm()).tolist() == pytest.approx([1, 4])
    assert torch.linalg.cond(here.hessian[0]).item() == pytest.approx(9)
    # A step along the metric's own gradient gains, and the optimum is all there is to gain.
    assert fig3_geometry.gain(here, here.best).item() == pytest.approx(1)
    assert fig3_geometry.gain(here, 1e-3 * here.ascent).item() > 0


def test_weights_are_the_ratio_of_the_gains_of_unit_steps_and_the_update_takes_raw_gradients():
    # Round metric, optimum at (1, 0): a step of length a at angle v gains 2 a cos v - a^2 of the whole way.
    rate, angles = 0.1, (0.5, -1.0)
    here = _one(list(angles), [1.0, 3.0])
    expected = [2 * rate * math.cos(v) - rate**2 for v in angles]
    weights, update = fig3_geometry.step(here, HydaLearn(), rate)
    assert (weights[0, 0] / weights[0, 1]).item() == pytest.approx(expected[0] / expected[1])
    assert weights.sum().item() == pytest.approx(2)
    torch.testing.assert_close(update[0], -rate * weights[0] @ here.gradients[0])


def test_scale_matching_makes_the_step_blind_to_the_length_of_the_auxiliary_gradient():
    short, long = (fig3_geometry.properties(_one([0.5, -1.0], [1.0, length]), 0.1, 1.0) for length in (1.0, 20.0))
    for name in ("hydalearn, matched", "cosine, matched"):
        torch.testing.assert_close(short[name]["gain"], long[name]["gain"])
    assert not torch.allclose(short["hydalearn"]["gain"], long["hydalearn"]["gain"])


def test_a_dominant_auxiliary_gradient_gets_less_weight_and_can_still_lead_the_step():
    here = _one([0.2, 1.0], [1.0, 10.0])
    assert fig3_geometry.groups(here, 0.01)["dominant auxiliary"].all()
    found = fig3_geometry.properties(here, 0.01, 1.0)
    assert found["hydalearn"]["more weight to main"].all()
    assert not found["hydalearn"]["main leads the step"].any()
    assert found["hydalearn, matched"]["main leads the step"].all()
    assert not found["cosine, matched"]["more weight to main"].any()


def test_a_harmful_main_gradient_is_followed_by_gradient_cosine_alone():
    here = _one([2.2, -0.3], [1.0, 1.0])
    assert fig3_geometry.groups(here, 0.05)["harmful main, helpful auxiliary"].all()
    found = fig3_geometry.properties(here, 0.05, 1.0)
    assert found["hydalearn"]["main not followed"].all()
    assert (found["hydalearn"]["gain"] > 0).all()
    assert (found["cosine"]["gain"] < 0).all()


def test_of_two_harmful_gradients_the_printed_ratio_favours_the_worse_and_the_inverted_one_the_other():
    here = fig3_geometry.random_geometry(500, 0)
    chosen = fig3_geometry.groups(here, 0.05)["both harmful"]
    found = fig3_geometry.properties(here, 0.05, 1.0)
    assert chosen.sum() > 50
    assert found["hydalearn"]["more weight to the worse"][chosen].all()
    assert not found["inverted"]["more weight to the worse"][chosen].any()


@pytest.mark.parametrize(("length", "condition"), [(-1.0, 2.0), (1.0, 0.5)])
def test_an_impossible_geometry_is_an_error(length, condition):
    with pytest.raises(BadValue, match="condition number"):
        _one([0.0, 0.0], [1.0, length], condition)


def test_states_met_in_training_are_counted_by_what_a_claim_says_of_them(monkeypatch):
    """Law: of planted visits, a claim counts those of its kind, and of these the ones in which it is so."""
    gains = {"main": -1.0, "auxiliary": 1.0, "HydaLearn": 2.0, "cosine": 1.0, "metric": 3.0, "equal, raw": 0.0, "main, raw": -1.0}
    bad = {"kind": "visit", "seed": 7, "same main": 1.0, "same auxiliary": 0.0, "cosine of": -0.5, "ratio of": 2.0} | gains
    good = bad | {"main": 1.0, "auxiliary": 0.5, "cosine of": 0.5, "HydaLearn": 0.0, "metric": 0.5}
    planted = [bad, bad | {"HydaLearn": 0.0}, good, {"kind": "seed", "seed": 7, "loss": 0.1}]
    monkeypatch.setattr(fig3_geometry.visited_states, "visit", lambda **_: planted)
    rows = fig3_geometry.met()
    counted = {row["claim"]: (row["states"], row["so"], row["metric gains more"]) for row in rows if row["kind"] == "met"}
    assert counted == {
        "dominant-auxiliary": (1, 0, 0),
        "bad-main-gradient": (2, 1, 2),
        "cosine-worsens-bad-step": (0, 0, 0),
        "cosine-blocks-help": (3, 2, 2),
    }
    assert [row for row in rows if row["kind"] == "visits"] == [
        {"kind": "visits", "seed": 7, "visits": 3, "same main": 1.0, "same auxiliary": 0.0}
    ]
    assert [row for row in rows if row["kind"] == "seed"] == [{"kind": "seed", "seed": 7, "loss": 0.1}]
