"""Laws of steps tried from visited states: exact gains on a quadratic metric, what counts as a colour, planted effects."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.papers.hydalearn import alg1_hydalearn_report, fig1_flips_report, fig3_geometry, fig3_geometry_report
from mtlrepro.papers.hydalearn.fig3_geometry import Plane
from mtlrepro.papers.hydalearn.training import visited_states
from mtlrepro.training.weighting import Batch, Step

RATE, BEST = 0.1, torch.tensor([1.0, 2.0], dtype=torch.float64)
GRADIENTS = torch.tensor([[[-3.0, 0.0], [-1.0, -2.0]], [[0.0, 2.0], [-4.0, 3.0]]], dtype=torch.float64)  # two runs


def _step(gradients=GRADIENTS):
    """Losses g_i . theta at the origin: task i's gradient is g_i."""
    model = Plane(2)
    losses = lambda call, batch: call(batch.inputs)
    return Step(losses(model, Batch(gradients, None)), model, {"theta": model.theta}, Batch(gradients, None), losses)


def _metric(call):
    """|theta - best|^2 / 2 on both halves, smaller is better: a step u from the origin gains best . u - |u|^2 / 2."""
    error = (call(torch.eye(2, dtype=torch.float64).expand(2, 2, 2)) - BEST).square().sum(-1) / 2
    return torch.stack([error, error])


def _gain(update):
    return update @ BEST - update.square().sum(-1) / 2


@pytest.mark.parametrize("unit", [False, True])
def test_fake_gains_are_exact_on_a_quadratic(unit):
    gains = visited_states.fake_gains(_step(), RATE, _metric, unit)
    along = GRADIENTS / GRADIENTS.norm(dim=-1, keepdim=True) if unit else GRADIENTS
    for half in gains:
        torch.testing.assert_close(half.T, _gain(-RATE * along))


def test_another_batch_is_tried_from_the_same_state():
    other = visited_states.on_batch(_step(), Batch(2 * GRADIENTS, None))
    gains = visited_states.fake_gains(other, RATE, _metric, unit=False)[0]
    torch.testing.assert_close(gains.T, _gain(-2 * RATE * GRADIENTS))


def test_tried_steps_gain_what_a_hand_computation_says():
    weigh = HydaLearn(lambda call: _metric(call).mean(0), maximise=False, beta=1.0, rate=RATE, downscale=False)
    tried = visited_states.tried(_step(), RATE, weigh, _metric)
    main, auxiliary = GRADIENTS.unbind(1)
    w = 2 * tried["share"][:, None]
    cosine = main + (tried["cosine of"] > 0)[:, None] * auxiliary
    weighted, slope = w * main + (2 - w) * auxiliary, -BEST.expand(2, 2)
    directions = {"main": main, "auxiliary": auxiliary, "HydaLearn": weighted, "cosine": cosine, "metric": slope}
    for name, direction in directions.items():
        torch.testing.assert_close(tried[name], _gain(-RATE * direction / direction.norm(dim=-1, keepdim=True)), msg=name)
    for name, direction in {"HydaLearn, raw": weighted, "equal, raw": main + auxiliary, "main, raw": main}.items():
        torch.testing.assert_close(tried[name], _gain(-RATE * direction), msg=name)
    # First run: both unit steps gain, weights in the ratio of the gains. Second: the auxiliary alone may be followed or not.
    assert tried["share"][0].item() == pytest.approx((tried["main"] / (tried["main"] + tried["auxiliary"]))[0].item())
    torch.testing.assert_close(tried["seen main"], tried["main"])
    assert tried["ratio of"].tolist() == pytest.approx([math.sqrt(5) / 3, 5 / 2])


def test_colours_are_shares_of_batches():
    # Four batches, both halves, tasks, one run: the main step harms one in four, the auxiliary helps in one of four.
    main, auxiliary = torch.tensor([1.0, 1.0, -1.0, 1.0]), torch.tensor([-1.0, -1.0, 1.0, -3.0])
    gains = torch.stack([main, auxiliary], 1)[:, None, :, None].repeat(1, 2, 1, 1)
    gains[0, 0, 0] = -0.5  # the halves disagree, their mean stays positive
    got = {name: value.item() for name, value in visited_states.colours(gains).items()}
    assert (got["worse"], got["rarer"], got["same main"], got["same auxiliary"]) == (0.25, 0.25, 0.75, 1)
    q = torch.tensor([-0.8, -0.5, 0.5, -0.75])
    assert (got["q_mean"], got["q_variance"]) == (pytest.approx(q.mean().item()), pytest.approx(q.var().item()))
    assert [int(got["signs"]) // 4**i % 4 for i in range(4)] == [2, 2, 1, 2]


def test_rows_of_visits_and_the_training_is_that_of_no_visits():
    setting = {"problem": "Exp2", "seeds": [0, 1], "rate": 0.01, "trained_by": "HydaLearn", "training_rate": 0.1, "steps": 140}
    setting |= {"points": 20, "judging": 40, "epochs": 1, "batches": 3, "sizes": [4]}
    rows = pd.DataFrame(visited_states.visit(**setting, states=2, visits=3))
    # At the epoch's first state both lengths of the step and the other size as well.
    assert rows.groupby("kind").size().to_dict() == {"seed": 2, "state": 2 * (1 + 3), "visit": 2 * 3, "whole": 2 * 2}
    assert rows[rows.kind == "visit"].epoch.unique() == [1]
    alone = pd.DataFrame(visited_states.visit(**setting, states=0, visits=1))
    assert alone[alone.kind == "seed"].loss.tolist() == rows[rows.kind == "seed"].loss.tolist()


def _seeds(loss):
    rows = [{"kind": "seed", "seed": seed, "loss": loss, "selected": 100} for seed in (0, 1)]
    return rows + [{"kind": "baseline", "seed": seed, "loss": 0.5, "variance": 1.0} for seed in (0, 1)]


def test_boxes_are_judged_up_to_the_selected_state():
    state = {"kind": "state", "batch": 16, "unit": False, "same main": 0.9, "same auxiliary": 0.85}
    rows = _seeds(0.4)
    for seed in (0, 1):
        for epoch, step in ((1, 50), (1, 60), (2, 150)):
            late = step > 100
            drift = {50: -0.1, 60: 0.1, 150: 5.0}[step]
            rows.append(state | {"seed": seed, "epoch": epoch, "step": step, "worse": 0.9 if late else 0.3, "rarer": 0.2})
            rows[-1] |= {"q_mean": drift, "q_variance": 0.06}
            rows.append({"kind": "whole", "seed": seed, "step": step, "improves": 0.0 if late else 1.0})
    measured = fig1_flips_report.measured(pd.DataFrame(rows).assign(part="visited"))
    # Late states are in neither the figure nor the table.
    plt.close(figure := fig1_flips_report.draw_fixed(table := pd.DataFrame(rows).assign(part="visited", signs=228.0, batches=4)))
    assert len(figure.axes[0].patches) == 4
    assert fig1_flips_report.fixed_table(table)["main step does harm"].tolist() == pytest.approx([0.3])
    assert measured.effects["main-not-always-good"] == pytest.approx([0.25] * 2)
    assert measured.effects["auxiliary-flips"] == pytest.approx([0.15] * 2)
    # The batch mean's variance over the two states is 0.02.
    assert measured.effects["batch-over-drift"] == pytest.approx([0.06 / 0.08 - 0.5] * 2)
    assert {gate.name: (gate.passed, gate.value) for gate in measured.gates} == {
        "learned": (True, pytest.approx(0.8)),
        "gain-meter": (True, pytest.approx(0.85)),
        "control": (True, 1.0),
    }


def test_states_met_in_training_are_counted_in_the_kind_that_they_are_of(monkeypatch):
    visit = {"kind": "visit", "same main": 1.0, "same auxiliary": 1.0, "ratio of": 3.0, "cosine of": 0.5, "metric": 5.0}
    dominant = visit | {"main": 2.0, "auxiliary": 1.0, "HydaLearn": 2.0, "cosine": 1.0, "equal, raw": 1.0, "main, raw": 1.0}
    bad = dominant | {"main": -1.0, "cosine": 3.0, "equal, raw": -2.0, "main, raw": -1.0}
    rows = [row | {"seed": seed} for seed in (0, 1) for row in (dominant, dominant | {"HydaLearn": 0.5}, bad)]
    monkeypatch.setattr(fig3_geometry.visited_states, "visit", lambda **_: rows)
    counted = pd.DataFrame(fig3_geometry.met() + _seeds(0.6))
    measured = fig3_geometry_report.measured(counted)
    assert measured.effects["dominant-auxiliary"] == pytest.approx([0.0] * 2)
    assert measured.effects["bad-main-gradient"] == pytest.approx([-0.5] * 2)
    assert measured.effects["cosine-worsens-bad-step"] == pytest.approx([0.5] * 2)
    assert measured.effects["cosine-blocks-help"] == pytest.approx([-0.05] * 2)
    assert fig3_geometry_report.met_table(counted).states.tolist() == [4, 2, 2, 6]
    passed = {gate.name: gate.passed for gate in measured.gates}
    assert passed == {"enough-states": False, "learned": False, "gain-meter": True, "control": True}


def test_weights_are_ranked_against_gains_within_an_epoch():
    rows = []
    for problem, order in (("Exp1", (1, 2, 3)), ("Exp2", (1, 3, 2))):
        for share, main in zip((0.2, 0.5, 0.9), order, strict=True):
            row = {"kind": "visit", "problem": problem, "seed": 0, "epoch": 1, "share": share, "main": main, "auxiliary": -main}
            row |= {"seen main": 2 * main, "seen auxiliary": -main, "HydaLearn, raw": share, "equal, raw": 0.4}
            rows.append(row)
    rows += [{"kind": "copy", "share": 0.51, "seed": 0}, {"kind": "single", "problem": "Exp1", "role": "network", "loss": 0.3}]
    rows.append({"kind": "single", "problem": "Exp1", "role": "ridge", "loss": 0.4, "variance": 0.8})
    trained = [{"kind": "training", "batch": 16, "update": "as printed", "method": "stl", "inside": True, "rate": 0.1}]
    measured = alg1_hydalearn_report.measured(pd.DataFrame(rows + trained))
    assert measured.effects["weight-follows-gain"] == pytest.approx([(1 + 0.5) / 2])
    assert measured.effects["step-gain"] == pytest.approx([2 / 3 - 0.5])
    assert {gate.name: gate.passed for gate in measured.gates} == dict.fromkeys(
        ("learned", "gain-meter", "grid-interior", "control"), True
    )
