"""What a step of each task weighting costs beside a static one, and how a step grows with tasks, samples and seeds.

Network, batch and timing as in `test_hydalearn_benchmark`: processor time, one thread, the versions take turns. A growth exponent
is the slope of log time over log size between the two largest sizes: 1 is proportional, 0 is free.

    pytest tests/benchmarks/test_weighting_steps_benchmark.py --benchmark-enable -s
"""

from __future__ import annotations

import math
import multiprocessing
import resource

import pytest
import torch
from benchmarks.test_hydalearn_benchmark import HEAD, INPUTS, OUTPUTS, SHARED, SIZE, Contender, ratio, repeat, samples, turns
from ratios import report

from mtlrepro.device import generator
from mtlrepro.methods import registry
from mtlrepro.methods.data_maps import DataMap
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.training import Batch, RunwiseSGD
from mtlrepro.training.loop import train_step
from mtlrepro.training.metrics import mean_squared_error
from mtlrepro.training.weighting import Equal

METHODS = registry.serving(2, lacking=("look_ahead", "slope"))


def weighting(name):
    row = registry.METHODS[name]
    offered = {"generators": generator(0, name), "kinds": "regression", "tasks": 2, "total": 2.0, "main": 0}
    return registry.build(name, offered, **{each: row.grid[each][0] for each in row.grid if each not in row.recommended})


@pytest.mark.slow
def test_a_step_of_each_method_beside_a_static_one(benchmark):
    """Reach: methods of the losses alone 1.15 static steps, of a gradient for each of two tasks 2.2."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    batch, contenders = Batch(*samples(SIZE)), {"static": Contender(Equal())}
    for name in METHODS:
        contenders[name] = Contender(weighting(name))
    seconds = turns({name: repeat(lambda c=c: c.step(batch)) for name, c in contenders.items()}, rounds=30)
    for name in METHODS:
        row = registry.METHODS[name]
        reach = "at most 2.2" if "gradients" in row.needs else "at most 1.15"
        report(benchmark, f"a weighting's step beside a static one: {row.title}", ratio(seconds[name], seconds["static"]), reach)
    benchmark.pedantic(contenders["static"].step, (batch,), rounds=50)


def stacked(runs: int, tasks: int):
    """A step of `runs` seeds of a network with so many heads."""
    model = StackedMLP(INPUTS, SHARED, HEAD, [OUTPUTS] * tasks, [generator(seed) for seed in range(runs)])
    optimizer, drawn = RunwiseSGD(model.parameters(), lr=torch.full((runs,), 0.01)), generator(0)
    x, y = (torch.randn(runs, SIZE, n, generator=drawn) for n in (INPUTS, OUTPUTS))
    batch = Batch(x, [y] * tasks)

    def losses(call, one):
        return torch.stack([mean_squared_error(f, y) for f, y in zip(call(one.inputs), one.targets, strict=True)], -1)

    return lambda: train_step(model, batch, losses, optimizer, Equal())


def data_map(points: int):
    kept, confidence, order = DataMap(10, points), torch.rand(points, 10, generator=generator(0)), torch.arange(points)
    return lambda: kept.update(confidence, order)


def reweighting(points: int):
    x, ys = torch.randn(points, 20, generator=generator(0)), torch.randn(5, points, generator=generator(1))
    return lambda: svd_weights(x, ys, 3)


GROWTHS = {
    "a static step over tasks": (lambda tasks: stacked(1, tasks), (2, 10, 100)),
    "a static step over seeds side by side": (lambda runs: stacked(runs, 2), (1, 32, 128)),
    "a data map's update over samples": (data_map, (10**3, 10**5, 10**6)),
    "SVD weights over samples": (reweighting, (10**3, 10**5, 10**6)),
}


def megabytes(build, size) -> float:
    """What building and calling once adds to the peak memory of a process."""

    def measure(pipe):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        build(size)()
        pipe.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=measure, args=(there,))
    process.start()
    found = here.recv()
    process.join()
    return float(found)


@pytest.mark.slow
@pytest.mark.parametrize("what", GROWTHS)
def test_growth_with_memory_beside(benchmark, what):
    """Reports the exponent between the two largest sizes, and the memory of the largest."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    build, sizes = GROWTHS[what]
    memory = megabytes(build, sizes[-1])
    seconds = {n: float(taken.min()) for n, taken in turns({n: build(n) for n in sizes}, rounds=20).items()}
    low, high = sizes[-2:]
    exponent = math.log(seconds[high] / seconds[low]) / math.log(high / low)
    report(benchmark, f"growth of {what}, {sizes[0]:,} to {sizes[-1]:,}", exponent, "", f"growth exponent, {memory:.0f} MB")
    benchmark.extra_info |= {"seconds": seconds}
    benchmark.pedantic(build(sizes[0]), rounds=5)
