"""Stacked models compute eq. 1 of the transfer paper run by run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtlrepro.device import generator, seeded
from mtlrepro.models.shared_bottom import SharedBottom, StackedSharedBottom

RUNS, TASKS, N, D, R = 3, 2, 6, 5, 4


@pytest.mark.parametrize("relu", [False, True])
def test_predictions_are_g_of_x_b_times_a_for_every_run_and_task(relu):
    model = StackedSharedBottom(D, R, TASKS, [generator(s) for s in range(RUNS)], relu=relu)
    x = torch.randn(RUNS, TASKS, N, D, generator=generator(9), dtype=torch.float64)
    both, same = model(x), model(x[:, 0])
    for run in range(RUNS):
        for task in range(TASKS):
            z = x[run, task] @ model.bottom.weight[run]
            expected = (z.relu() if relu else z) @ model.heads[run, task]
            torch.testing.assert_close(both[run, task], expected)
            torch.testing.assert_close(model(x[:, task], task)[run], expected)
        torch.testing.assert_close(same[run, 0], both[run, 0])


def test_a_run_starts_as_it_would_alone():
    together = StackedSharedBottom(D, R, TASKS, [generator(s) for s in range(RUNS)])
    alone = StackedSharedBottom(D, R, TASKS, [generator(2)])
    for a, b in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(a[2], b[0])


def test_heads_can_start_at_a_constant():
    assert torch.equal(StackedSharedBottom(D, 1, TASKS, [generator(0)], heads=1.0).heads, torch.ones(1, TASKS, 1).double())


def test_shared_and_head_parameters_split_the_model():
    with seeded(0):
        model = SharedBottom(nn.Linear(D, R), [nn.Linear(R, 2), nn.Linear(R, 3)])
    split = [*model.shared_parameters(), *model.head_parameters(0), *model.head_parameters(1)]
    assert {id(p) for p in split} == {id(p) for p in model.parameters()}
    assert [tuple(y.shape) for y in model(torch.zeros(N, D))] == [(N, 2), (N, 3)]
