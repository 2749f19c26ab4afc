"""Laws of learning-rate schedules."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.errors import BadValue
from mtlrepro.training.schedules import Schedule


def test_steps_are_torchs_at_whole_epochs():
    """Law: with k updates an epoch the factor is that of `MultiStepLR` in every epoch."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], 1.0)
    theirs, ours = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5], 0.5), Schedule("step", milestones=(2, 5), factor=0.5)
    for epoch in range(7):
        assert {ours.at(13 * epoch + k, 7 * 13, 7) for k in range(13)} == {theirs.get_last_lr()[0]}
        optimizer.step()
        theirs.step()


@given(st.integers(1, 400), st.integers(1, 300), st.data())
def test_milestones_fall_on_the_first_update_of_their_epoch(epochs, each, data):
    """Law: no rounding moves a milestone, whatever the numbers."""
    milestone = data.draw(st.integers(1, epochs))
    schedule = Schedule("step", milestones=(milestone,), factor=0.5)
    assert schedule.at(milestone * each - 1, epochs * each, epochs) == 1
    assert schedule.at(milestone * each, epochs * each, epochs) == 0.5


def test_cosine_and_one_cycle_have_their_ends_and_peak():
    cosine, cycle = Schedule("cosine", floor=0.1), Schedule("one-cycle", peak=0.25, floor=0.04)
    assert [cosine.at(u, 100, 10) for u in (0, 50, 100)] == pytest.approx([1, 0.55, 0.1])
    assert [cycle.at(u, 100, 10) for u in (0, 25, 100)] == pytest.approx([0.04, 1, 0.04])
    assert cycle.at(10, 100, 10) == pytest.approx(0.04 + 0.96 * 0.4)
    assert Schedule().at(99, 100, 10) == 1


def test_warm_up_is_a_straight_line_to_the_schedule():
    """Law: update u of w warming ones has the factor (u + 1) / w of the schedule without warm-up, never 0."""
    warm, cold = Schedule("cosine", warm_up=2), Schedule("cosine")
    for update in range(50):
        assert warm.at(update, 50, 10) == pytest.approx(min(1, (update + 1) / 10) * cold.at(update, 50, 10))


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "linear"}, {"kind": "step"}, {"milestones": (1,)}, {"kind": "step", "milestones": (2, 1)}, {"warm_up": -1},
     {"peak": 0}, {"floor": 2}],
)  # fmt: skip
def test_bad_schedules_are_refused(wrong):
    with pytest.raises(BadValue):
        Schedule(**wrong)
