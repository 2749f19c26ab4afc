"""Laws of the one training loop: a batch of runs is each run alone, weights scale gradients, seeds decide everything."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.methods.static import Static
from mtlrepro.models.shared_bottom import SharedBottom, StackedSharedBottom
from mtlrepro.training import Batch, RunwiseSGD, fit, minibatches, mixed
from mtlrepro.training.loop import train_step
from mtlrepro.training.weighting import Equal, Step, Weighting, WeightingWrapper

RUNS, TASKS, N, D, R = 4, 2, 24, 5, 3
SEEDS = range(RUNS)


def _stack(seeds, r=R, relu=True, heads=None):
    return StackedSharedBottom(D, r, TASKS, [generator(s, "model") for s in seeds], relu=relu, heads=heads)


def _data(seeds):
    xs = torch.stack([torch.randn(TASKS, N, D, generator=generator(s, "x"), dtype=torch.float64) for s in seeds])
    ys = torch.stack([torch.randn(TASKS, N, generator=generator(s, "y"), dtype=torch.float64) for s in seeds])
    return xs, ys


def _squared(model, batch):
    return (model(batch.inputs) - batch.targets).square().mean(-1)


def _batches(xs, ys, seeds, size=7):
    orders = [generator(s, "order") for s in seeds]
    runs = torch.arange(len(orders))[:, None]

    def batches(_):
        for index in minibatches(N, size, orders):
            yield Batch(xs[runs, :, index].transpose(1, 2), ys[runs, :, index].transpose(1, 2))

    return batches


def _grid(seeds, rates, optimizer=RunwiseSGD, epochs=6, patience=None, weighting=None, **kw):
    xs, ys = _data(seeds)
    model = _stack(seeds)
    result = fit(
        model,
        _batches(xs, ys, seeds),
        _squared,
        optimizer=optimizer(model.parameters(), lr=rates, **kw),
        epochs=epochs,
        weighting=weighting,
        validate=lambda m: -_squared(m, Batch(xs.flip(2), ys)),
        patience=patience,
        schedule=lambda epoch: 0.9**epoch,
    )
    return model, result


@pytest.mark.parametrize("kw", [{}, {"momentum": 0.9, "weight_decay": 1e-3}])
def test_a_batch_of_runs_equals_each_run_alone_with_torch_sgd(kw):
    rates = torch.tensor([0.01, 0.05, 0.1, 0.2], dtype=torch.float64)
    together, actual = _grid(SEEDS, rates, patience=2, epochs=12, **kw)
    for run in SEEDS:
        alone, single = _grid([run], float(rates[run]), optimizer=torch.optim.SGD, patience=2, epochs=12, **kw)
        for a, b in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(a[run], b[0], rtol=0, atol=1e-12)
        assert actual.best_epoch[run] == single.best_epoch[0]
        torch.testing.assert_close(actual.best[run], single.best[0], rtol=0, atol=1e-12)
        epochs = len(single.losses)
        torch.testing.assert_close(actual.losses[:epochs, run], single.losses[:, 0], rtol=0, atol=1e-12)


def test_adam_of_torch_trains_a_batch_of_runs_as_each_alone():
    together, _ = _grid(SEEDS, 0.01, optimizer=torch.optim.Adam)
    for run in SEEDS:
        alone, _ = _grid([run], 0.01, optimizer=torch.optim.Adam)
        for a, b in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(a[run], b[0], rtol=0, atol=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    rates = torch.full((RUNS,), 0.05, dtype=torch.float64)
    first, second = (_grid(SEEDS, rates) for _ in range(2))
    assert torch.equal(first[1].losses, second[1].losses)
    assert all(torch.equal(a, b) for a, b in zip(first[0].parameters(), second[0].parameters(), strict=True))
    assert not torch.equal(first[1].losses, _grid(range(9, 9 + RUNS), rates)[1].losses)


def test_the_kept_state_is_that_of_the_best_validation_epoch_of_each_run():
    rates = torch.tensor([0.01, 0.05, 0.1, 0.6], dtype=torch.float64)
    model, actual = _grid(SEEDS, rates, epochs=15)
    values = actual.validation.mean(-1)
    torch.testing.assert_close(actual.best, values.max(0).values)
    assert torch.equal(actual.best_epoch, values.argmax(0) + 1)
    xs, ys = _data(SEEDS)
    with torch.no_grad():
        torch.testing.assert_close(-_squared(model, Batch(xs.flip(2), ys)).mean(-1), actual.best)


def test_patience_ends_the_training_and_ignores_later_improvement():
    script = iter([0.1, 0.3, 0.2, 0.2, 0.9])
    model = StackedSharedBottom(D, 1, 1, [generator(0)])
    batch = Batch(torch.zeros(1, 1, 2, D, dtype=torch.float64), torch.zeros(1, 1, 2, dtype=torch.float64))
    actual = fit(
        model,
        lambda _: [batch],
        _squared,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=5,
        validate=lambda _: torch.tensor([[next(script)]]),
        patience=2,
    )
    assert actual.best_epoch.item() == 2
    assert len(actual.losses) == 4


def test_a_run_that_diverges_leaves_the_others_as_they_are():
    rates = torch.tensor([0.05, 1e6, 0.05, 0.05], dtype=torch.float64)
    together, actual = _grid(SEEDS, rates, epochs=30)
    alone, _ = _grid([2], 0.05, optimizer=torch.optim.SGD, epochs=30)
    assert not actual.losses[-1, 1].isfinite().all()
    for a, b in zip(together.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a[2], b[0], rtol=0, atol=1e-12)


def test_a_training_that_is_no_number_is_stopped_with_its_task_and_epoch():
    """In a batch of runs only where all are none: what is one run's alone leaves the others to go on."""

    def trained(labels, **more):
        model = _stack(SEEDS)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return fit(model, lambda _: [Batch(_data(SEEDS)[0], labels)], _squared, optimizer=optimizer, epochs=2, **more)

    _, labels = _data(SEEDS)
    one, every = labels.clone(), labels.clone()
    one[0, 1, 3], every[:, 1, 3] = torch.nan, torch.nan
    assert trained(one).losses.isfinite().all(-1).tolist() == [[False, True, True, True]] * 2
    with pytest.raises(BadValue, match="Equal: the loss or the weight of task 1 is not finite in epoch 1 in all 4 runs"):
        trained(every)
    with pytest.raises(BadValue, match="the validation value is NaN after epoch 1"):
        trained(labels, validate=lambda _: torch.full((RUNS, TASKS), torch.nan))
    for odd in (None, 0.5, torch.ones(()), torch.ones(RUNS), torch.ones(RUNS, TASKS + 1), torch.ones(TASKS, RUNS)):
        with pytest.raises(BadValue, match=r"the validation function returned .* must return a tensor \(runs, tasks\)"):
            trained(labels, validate=lambda _, odd=odd: odd)
    for select in (lambda _: None, lambda values: float(values.mean()), torch.mean, lambda values: values):
        with pytest.raises(BadValue, match="`select` returned"):
            trained(labels, validate=lambda _: torch.ones(RUNS, TASKS), select=select)
    assert trained(labels, validate=lambda _: torch.ones(RUNS, 1)).validation.shape == (2, RUNS, 1)


@pytest.mark.parametrize("weights", [[2.0, 0.5], [0.0, 1.0]])
def test_static_weights_scale_each_tasks_share_of_the_gradient(weights):
    model = _stack([0])
    xs, ys = _data([0])
    batch = Batch(xs, ys)
    before = [p.detach().clone() for p in model.parameters()]
    each = [torch.autograd.grad(_squared(model, batch)[0, t], list(model.parameters())) for t in range(TASKS)]
    fit(
        model,
        lambda _: [batch],
        _squared,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=1,
        weighting=Static(weights),
    )
    for p, old, first, second in zip(model.parameters(), before, *each, strict=True):
        torch.testing.assert_close(p.detach(), old - 0.1 * (weights[0] * first + weights[1] * second))


class _Probe(Weighting):
    """Weighs nothing; records what a step offers."""

    weight_heads = False

    def __call__(self, step: Step) -> torch.Tensor:
        self.step, self.jacobian = step, step.jacobian
        self.ahead = step.look_ahead({name: -0.1 * g for name, g in step.gradients.items()})
        return torch.zeros_like(step.losses)


def test_a_step_offers_task_gradients_and_look_aheads_and_leaves_the_model_alone():
    xs, ys = _data(SEEDS)
    model, probe, batch = _stack(SEEDS), _Probe(), Batch(*_data(SEEDS))
    heads = model.heads.detach().clone()
    shared = model.bottom.weight.detach().clone()
    fit(
        model,
        lambda _: [batch],
        _squared,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=1,
        weighting=probe,
    )
    # Weight 0 on the shared part: it stays; heads follow their own plain losses.
    assert torch.equal(model.bottom.weight, shared)
    assert not torch.equal(model.heads, heads)
    assert probe.jacobian.shape == (RUNS, TASKS, D * R)
    assert probe.ahead.shape == (TASKS, RUNS, TASKS)
    for run in SEEDS:
        alone = _stack([run])
        data = Batch(xs[run : run + 1], ys[run : run + 1])
        for task in range(TASKS):
            (own,) = torch.autograd.grad(_squared(alone, data)[0, task], [alone.bottom.weight])
            torch.testing.assert_close(probe.jacobian[run, task], own.flatten())
            moved = _stack([run])
            with torch.no_grad():
                moved.bottom.weight -= 0.1 * own
                torch.testing.assert_close(probe.ahead[task, run], _squared(moved, data)[0])


@pytest.mark.parametrize("weighting", [Equal(), Static([1.0, 2.0]), _Probe()])
def test_a_step_reads_no_tensor_on_the_host(weighting, no_host_reads):
    model, batch = _stack(SEEDS), Batch(*_data(SEEDS))
    optimizer = RunwiseSGD(model.parameters(), lr=torch.full((RUNS,), 0.1))
    with pytest.raises(AssertionError, match="on the host"), no_host_reads():
        float(batch.targets.sum())
    with no_host_reads():
        train_step(model, batch, _squared, optimizer, weighting)


class _After(Weighting):
    """Equal weights; keeps the losses before and after every update."""

    def __init__(self):
        self.before, self.after = [], []

    def __call__(self, step: Step) -> torch.Tensor:
        self.before.append(step.losses.detach().clone())
        return torch.ones_like(step.losses)

    def after_update(self, new_losses):
        self.after.append(new_losses())


@pytest.mark.parametrize("wrap", [lambda inner: inner, WeightingWrapper, lambda inner: WeightingWrapper(WeightingWrapper(inner))])
def test_after_an_update_a_weighting_gets_the_losses_of_the_same_batch(wrap):
    """On one batch they are the losses before the next update; nothing of them is differentiated."""
    inner, batch, model = _After(), Batch(*_data(SEEDS)), _stack(SEEDS)
    fit(
        model,
        lambda _: [batch] * 4,
        _squared,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=1,
        weighting=wrap(inner),
    )
    assert len(inner.before) == len(inner.after) == 4
    assert all(torch.equal(after, before) for after, before in zip(inner.after, inner.before[1:], strict=False))
    assert not any(after.requires_grad for after in inner.after)
    assert not torch.equal(inner.after[0], inner.before[0])


def test_losses_after_the_update_are_computed_only_where_they_are_asked_for():
    batch, calls = Batch(*_data(SEEDS)), []

    def losses(call, batch):
        calls.append(torch.is_grad_enabled())
        return _squared(call, batch)

    for weighting, expected in ((Equal(), [True]), (WeightingWrapper(Equal()), [True]), (_After(), [True, False])):
        calls.clear()
        model = _stack(SEEDS)
        train_step(model, batch, losses, torch.optim.SGD(model.parameters(), lr=0.1), weighting)
        assert calls == expected


def test_a_scale_matched_weighting_sees_both_losses_of_a_step_at_one_scale():
    inner, batch, model = _After(), Batch(*_data(SEEDS)), _stack(SEEDS)
    matched, plain = ScaleMatched(inner), _After()
    both = torch.optim.SGD(model.parameters(), lr=0.0)
    for weighting in (matched, plain):
        train_step(model, batch, _squared, both, weighting)
    torch.testing.assert_close(inner.after[0], inner.before[0])
    torch.testing.assert_close(inner.after[0], plain.after[0] * matched.factors)
    assert not torch.allclose(matched.factors, torch.ones_like(matched.factors))


def test_losses_after_the_update_are_those_of_training_mode_and_leave_running_means_alone():
    with seeded(0):
        twins = [SharedBottom(nn.Sequential(nn.Linear(D, R), nn.BatchNorm1d(R)), [nn.Linear(R, 1)]) for _ in range(2)]
    twins[1].load_state_dict(twins[0].state_dict())
    inputs, targets = (torch.randn(8, size, generator=generator(size)) for size in (D, 1))

    def losses(call, batch):
        return (call(batch.inputs, 0) - batch.targets).square().mean(0)

    after = _After()
    for model, weighting in zip(twins, (after, Equal()), strict=True):
        train_step(model, Batch(inputs, targets), losses, torch.optim.SGD(model.parameters(), lr=0.1), weighting)
    for (name, kept), plain in zip(twins[0].state_dict().items(), twins[1].state_dict().values(), strict=True):
        assert torch.equal(kept, plain), name
    assert all(model.training for model in twins)
    with torch.no_grad():
        torch.testing.assert_close(losses(twins[1], Batch(inputs, targets)), after.after[0])


def test_one_task_a_batch_moves_the_shared_part_and_that_head_only():
    with seeded(3):
        model = SharedBottom(nn.Linear(D, R), [nn.Linear(R, 2), nn.Linear(R, 3)])
    heads = [[p.detach().clone() for p in model.head_parameters(t)] for t in range(2)]
    bottom = [p.detach().clone() for p in model.shared_parameters()]
    x = torch.randn(8, D, generator=generator(0))
    batch = Batch(x, torch.arange(8) % 2, task=1)

    def loss(call, batch):
        return nn.functional.cross_entropy(call(batch.inputs, batch.task), batch.targets)[None]

    fit(
        model,
        lambda _: [batch],
        loss,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.1),
        epochs=2,
        weighting=Static([1.0, 3.0]),
    )
    assert all(torch.equal(a, b) for a, b in zip(heads[0], model.head_parameters(0), strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(heads[1], model.head_parameters(1), strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(bottom, model.shared_parameters(), strict=True))


def test_history_of_mixed_batches_holds_every_task_in_its_own_column():
    with seeded(0):
        model = SharedBottom(nn.Identity(), [nn.Linear(1, 1) for _ in range(3)])
    plan = [[(0, 10.0), (0, 20.0)], [(1, 5.0)], [(2, 1.0), (2, 2.0), (2, 3.0)]]

    def batches(epoch):
        return [Batch(v, None, task=t) for t, (_, v) in mixed(plan, generator(epoch))]

    actual = fit(
        model,
        batches,
        lambda call, b: call(torch.ones(1), b.task) * 0 + b.inputs,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.0),
        epochs=2,
        weighting=Static([1.0, 2.0, 4.0]),
    )
    torch.testing.assert_close(actual.losses, torch.tensor([[15.0, 5.0, 2.0]]).expand(2, 3))
    torch.testing.assert_close(actual.weights, torch.tensor([[1.0, 2.0, 4.0]]).expand(2, 3))


def test_every_sample_stands_once_in_an_epoch_and_runs_keep_their_own_order():
    orders = [generator(s) for s in (5, 6)]
    together = torch.cat(list(minibatches(10, 4, orders)), -1)
    alone = torch.cat(list(minibatches(10, 4, generator(6))))
    assert together.sort(-1).values.tolist() == [list(range(10))] * 2
    assert torch.equal(together[1], alone)


def test_mixed_batches_are_a_permutation_of_all_batches():
    plan = [list(range(4)), list(range(7)), []]
    drawn = list(mixed(plan, generator(1)))
    assert sorted(drawn) == [(t, b) for t, own in enumerate(plan) for b in own]
    assert [task for task, _ in drawn] != sorted(task for task, _ in drawn)


def test_learning_rates_are_back_after_a_schedule():
    model = _stack([0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, lambda _: [Batch(*_data([0]))], _squared, optimizer=optimizer, epochs=3, schedule=lambda e: 0.1**e)
    assert math.isclose(optimizer.param_groups[0]["lr"], 0.1)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_sample_is_refused(size):
    with pytest.raises(BadValue, match=f"a batch: size must be above 0, not {size}"):
        next(minibatches(4, size, generator(0)))


def test_patience_without_validation_and_empty_epochs_are_refused():
    model = _stack([0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(BadValue, match="validation"):
        fit(model, lambda _: [], _squared, optimizer=optimizer, epochs=1, patience=1)
    with pytest.raises(BadValue, match="no batch"):
        fit(model, lambda _: [], _squared, optimizer=optimizer, epochs=1)
