"""Laws of held-out class weights: the derivative is that of a real step; losses are sorted by what they do to the main one."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.training.loop import train_step
from mtlrepro.training.weighting import Batch

D = torch.float64
CLASSES, POINTS, RATE = 5, 40, 0.1


def network() -> SharedBottom:
    with seeded(0, "network"):
        layers = [nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh()]
        return SharedBottom(nn.Sequential(*layers), [nn.Linear(8, 1), nn.Linear(8, CLASSES)]).double()


def batch_of(seed: int) -> Batch:
    drawn = generator(seed, "batch")
    x = torch.randn(POINTS, 6, generator=drawn, dtype=D)
    return Batch(x, (torch.randn(POINTS, generator=drawn, dtype=D), torch.randint(CLASSES, (POINTS,), generator=drawn)))


def of_classes(logits, batch):
    each = nn.functional.cross_entropy(logits, batch.targets[1], reduction="none") / POINTS
    return each.new_zeros(CLASSES).scatter_add(0, batch.targets[1], each)


def losses(call, batch):
    value, logits = call(batch.inputs)
    return torch.cat([(value[:, 0] - batch.targets[0]).abs().mean()[None], of_classes(logits, batch)])


def classes_alone(call, batch):
    return torch.cat([torch.zeros(1, dtype=D), of_classes(call(batch.inputs, 1), batch)])


def held_out(call):
    batch = batch_of(7)
    return (call(batch.inputs, 0)[:, 0] - batch.targets[0]).abs().mean()


def stepped(weights=None, **options):
    """A network after one SGD step with these weights, and the weighting's derivative through that step."""
    model, weighting = network(), HeldOutClassWeights(**options)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    if weights is None:
        train_step(model, batch_of(0), losses, optimizer, weighting)
    else:
        train_step(
            model, batch_of(0), lambda call, batch: losses(call, batch) * weights, optimizer, HeldOutClassWeights(**options)
        )
    return model, optimizer, weighting


@pytest.mark.parametrize("auxiliary", [None, classes_alone], ids=["all losses", "classes alone"])
@pytest.mark.parametrize("metric", [None, held_out], ids=["next batch", "held out"])
def test_the_derivative_is_the_central_difference_through_a_real_step(metric, auxiliary):
    """Law: to 1e-6, with batch norm: in training mode on the next batch, in evaluation mode on held-out data."""

    def after(weights):
        model, _, _ = stepped(weights)
        if metric is None:
            return losses(model, batch_of(1))[0].detach()
        buffers = dict(reference.named_buffers())
        model.eval()
        return metric(lambda *inputs: functional_call(model, buffers, inputs)).detach()

    model, optimizer, weighting = stepped(metric=metric, auxiliary=auxiliary)
    train_step(model, batch_of(1), losses, optimizer, weighting)
    assert weighting.gradient[0] == 0
    # The forward pass of the second batch comes before its derivative: its running means are those of two batches.
    reference, _, _ = stepped()
    reference(batch_of(1).inputs)
    ones, h = torch.ones(1 + CLASSES, dtype=D), 1e-4
    for c in range(1, 1 + CLASSES):
        change = torch.zeros_like(ones)
        change[c] = h
        slope = (after(ones + change) - after(ones - change)) / (2 * h)
        torch.testing.assert_close(weighting.gradient[c], slope, rtol=0, atol=1e-6)
    assert weighting.gradient.abs().max() > 1e-4


def test_a_loss_that_agrees_gains_and_one_that_opposes_goes_to_zero():
    """Main loss (x - 1)^2; auxiliary losses that pull x the same way, the other way, and not at all."""

    class Point(nn.Module):
        def __init__(self):
            super().__init__()
            self.x = nn.Parameter(torch.zeros((), dtype=D))

        def forward(self):
            return self.x

        def shared_parameters(self):
            return [self.x]

    def pulls(call, batch):
        x = call()
        return torch.stack([(x - 1).square(), 0.1 * (x - 2).square(), 0.1 * (x + 2).square(), 0 * x])

    model, weighting = Point(), HeldOutClassWeights(lambda call: (call() - 1).square(), rate=0.05, freeze=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for t in range(40):
        _, weights = train_step(model, Batch(None, None), pulls, optimizer, weighting)
        assert t > 2 or weights.tolist() == [1, 1, 1, 1]
    assert weights[0] == 1
    assert weights[1] > 2
    assert weights[2] == 0
    assert weights[3] == 1


def test_training_reads_nothing_on_the_host_and_leaves_running_means_alone(no_host_reads):
    """Law: no step reads a value on the host; batch norm sees each batch once."""
    model, weighting = network(), HeldOutClassWeights(held_out, rate=0.01)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with no_host_reads():
        for t in range(4):
            train_step(model, batch_of(t), losses, optimizer, weighting)
    assert int(model.bottom[1].num_batches_tracked) == 4
    assert (weighting.weights[1:] != 1).all()


def test_wrong_settings_are_refused(step_of):
    with pytest.raises(BadValue, match="rate must be between"):
        HeldOutClassWeights(rate=-1.0)
    weighting, step = HeldOutClassWeights(), step_of([[1.0, 2.0], [1.0, 0.0]])
    weighting(step)
    with pytest.raises(BadValue, match="needs the step's rate"):
        weighting(step)
