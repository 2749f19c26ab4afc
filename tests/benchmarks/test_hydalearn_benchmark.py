"""What a HydaLearn step costs beside a plain static step, one thread, float32, with updates equal to a plainly written version.

The related toy problem's network (4 shared layers of 64, heads of one layer of 32, 75 inputs, 25 outputs), batch 16, metric on
2,000 validation points every step. Times are processor time of this process. The versions take turns of several steps, as a step
of a training finds the caches full of the step before it; a ratio is the median of those within a turn: other work on the machine
falls on all alike. The static step is `train_step` with weights 1, on the same model.

    pytest tests/benchmarks/test_hydalearn_benchmark.py --benchmark-enable -s
"""

import copy
import time
from itertools import pairwise

import pytest
import torch
from ratios import report
from torch import nn
from torch.func import functional_call

from mtlrepro.device import generator, seeded
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.training import Batch, RunwiseSGD
from mtlrepro.training.loop import train_step
from mtlrepro.training.metrics import mean_absolute_error, mean_squared_error
from mtlrepro.training.weighting import Equal

INPUTS, SHARED, HEAD, OUTPUTS = 75, [64] * 4, [32], 25
SIZE, POINTS, RATE, BETA, SEEDS, REFRESH, STEPS = 16, 2_000, 0.01, 6.0, 32, 8, 16  # steps a turn, two refreshes


def network() -> SharedBottom:
    """An ordinary module."""

    def layers(*widths: int) -> list[nn.Module]:
        return [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]

    with seeded(0, "network"):
        heads = [nn.Sequential(*layers(SHARED[-1], *HEAD), nn.Linear(HEAD[-1], OUTPUTS)) for _ in range(2)]
        return SharedBottom(nn.Sequential(*layers(INPUTS, *SHARED)), heads)


def samples(n: int, *runs: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    drawn = generator(0, "samples", n, *runs)
    x = torch.randn(*runs, n, INPUTS, generator=drawn)
    return x, [torch.tanh(x[..., t : t + OUTPUTS] + 0.1 * torch.randn(*runs, n, OUTPUTS, generator=drawn)) for t in range(2)]


def losses(call, batch):
    found = call(batch.inputs)
    return torch.stack([mean_squared_error(f, y) for f, y in zip(found, batch.targets, strict=True)], -1)


def metric_on(*runs: int, points: int = POINTS):
    x, targets = samples(POINTS, *runs)
    x, y = x[..., :points, :].contiguous(), targets[0][..., :points, :].contiguous()
    return lambda call: mean_absolute_error(call(x, 0), y)


def plain_step(model, batch, metric, weights: list):
    """Algorithm 1 as one would write it down: a copy of the model for each fake update, one backward pass a task."""
    (x, (y_main, y_aux)), total = (batch.inputs, batch.targets), 2.0
    shared = list(model.shared_parameters())
    gradients = []
    for task, y in enumerate((y_main, y_aux)):
        model.zero_grad()
        mean_squared_error(model(x, task), y).backward()
        gradients.append([p.grad.clone() for p in shared])
        gradients[-1].append([p.grad.clone() for p in model.head_parameters(task)])
    with torch.no_grad():
        for task in range(2):
            for p, g in zip(model.head_parameters(task), gradients[task][-1], strict=True):
                p -= RATE * g
        reference = metric(model)
        gains = []
        for task in range(2):
            norm = torch.sqrt(sum(g.square().sum() for g in gradients[task][:-1]))
            fake = copy.deepcopy(model)
            for p, g in zip(fake.shared_parameters(), gradients[task][:-1], strict=True):
                p -= RATE * g / norm
            gains.append(float(reference - metric(fake)))
        if min(gains) >= 0 or max(gains) < 0:
            ratio = (abs(gains[0]) / abs(gains[1])) ** BETA
            scale = total / (1 + torch.exp(torch.tensor(-1 / ratio)).item()) if max(gains) < 0 else total
            w_main, w_aux = scale * ratio / (1 + ratio), scale / (1 + ratio)
        else:
            w_main, w_aux = (total, 0.0) if gains[0] > 0 else (0.0, total)
        for p, g_main, g_aux in zip(shared, *(g[:-1] for g in gradients), strict=True):
            p -= RATE * (w_main * g_main + w_aux * g_aux)
    weights.append([w_main, w_aux])


class Contender:
    """A model with its own optimizer and weighting."""

    def __init__(self, weighting, runs: int | None = None):
        self.weighting = weighting
        if runs is None:
            self.model = network()
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)
        else:
            generators = [generator(s, "network") for s in range(runs)]
            self.model = StackedMLP(INPUTS, SHARED, HEAD, [OUTPUTS, OUTPUTS], generators)
            self.optimizer = RunwiseSGD(self.model.parameters(), lr=torch.full((runs,), RATE))

    def step(self, batch):
        return train_step(self.model, batch, losses, self.optimizer, self.weighting)


def turns(contenders, rounds: int) -> dict[str, torch.Tensor]:
    """Processor seconds of each call of each, (rounds,), taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-3, rounds):
        for name, call in contenders.items():
            start = time.process_time()
            call()
            if turn >= 0:
                taken[name].append(time.process_time() - start)
    return {name: torch.tensor(times) for name, times in taken.items()}


def repeat(step, steps: int = STEPS):
    """A call of so many steps."""
    return lambda: [step() for _ in range(steps)]


def ratio(taken: torch.Tensor, other: torch.Tensor) -> float:
    return float((taken / other).median())


def hydalearn(metric, **settings) -> HydaLearn:
    return HydaLearn(metric, maximise=False, beta=BETA, **settings)


def test_the_plain_version_and_ours_make_the_same_updates():
    """Law: after each of 20 steps from the same start the parameters agree to 1e-5, in float32 and with beta = 6."""
    plain, ours, metric, weights = network(), Contender(hydalearn(metric_on())), metric_on(), []
    x, (y_main, y_aux) = samples(20 * SIZE)
    for rows in torch.arange(20 * SIZE).split(SIZE):
        batch = Batch(x[rows], [y_main[rows], y_aux[rows]])
        plain_step(plain, batch, metric, weights)
        ours.step(batch)
        for a, b in zip(plain.parameters(), ours.model.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    assert len({round(w, 3) for w, _ in weights}) > 5


@pytest.mark.slow
def test_cost_of_a_step_beside_a_static_one(benchmark):
    """Reach: HydaLearn 6.0 static steps, 4.0 a seed with 32 seeds together; with first-order gains 2.5 on 500 points with fresh
    gains, and where one gradient of the metric serves 8 steps. One on all points in every step costs what fake updates cost.
    Beside them what the metric alone takes, of which a step with fake updates needs three."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    batch, metric = Batch(*samples(SIZE)), metric_on()
    part = metric_on(points=POINTS // 4)
    single = {
        "static": Contender(Equal()),
        "HydaLearn": Contender(hydalearn(metric)),
        "first order": Contender(hydalearn(metric, first_order=True)),
        "first order, 500 points": Contender(hydalearn(part, first_order=True)),
    }
    renewed = Contender(hydalearn(metric, first_order=True, refresh=REFRESH))
    plain = network()
    calls = {name: repeat(lambda c=c: c.step(batch)) for name, c in single.items()}
    calls[f"first order, gradient of the metric renewed every {REFRESH} steps"] = repeat(lambda: renewed.step(batch))
    calls["written plainly"] = repeat(lambda: plain_step(plain, batch, metric, []))
    calls["metric"] = repeat(torch.no_grad()(lambda: metric(single["static"].model)))
    seconds = turns(calls, rounds=40)
    ratios = {name: ratio(taken, seconds["static"]) for name, taken in seconds.items()}
    report(benchmark, f"HydaLearn, its metric on {POINTS:,} points once, beside a static step", ratios.pop("metric"))

    many, far = Batch(*samples(SIZE, SEEDS)), metric_on(SEEDS)
    together = {"static": Contender(Equal(), SEEDS), "HydaLearn": Contender(hydalearn(far), SEEDS)}
    alone = Contender(Equal())
    calls = {n: repeat(lambda c=c: c.step(many), 3) for n, c in together.items()}
    batched = turns(calls | {"alone": repeat(lambda: alone.step(batch), 3)}, rounds=12)
    a_seed = ratio(batched["HydaLearn"] / SEEDS, batched["alone"])

    benchmark.pedantic(single["HydaLearn"].step, (batch,), rounds=50)
    benchmark.extra_info["static_us"] = 1e6 * float(seconds["static"].median()) / STEPS
    reaches = {"HydaLearn": "at most 6.0", "first order, 500 points": "at most 2.5"}
    reaches[f"first order, gradient of the metric renewed every {REFRESH} steps"] = "at most 2.5"
    for name, found in ratios.items():
        if name != "static":
            title = name if name == "HydaLearn" else f"HydaLearn, {name}"
            report(benchmark, f"{title}, a step beside a static one", found, reaches.get(name, ""))
    report(benchmark, f"HydaLearn, {SEEDS} seeds together, a seed beside a static step of one alone", a_seed, "at most 4.0")
    beside = ratio(batched["HydaLearn"], batched["static"])
    report(benchmark, f"HydaLearn, {SEEDS} seeds together, beside a static step of as many", beside)


@pytest.mark.slow
def test_ways_to_evaluate_the_trials(benchmark):
    """Why `look_ahead` evaluates trials in turn: in a batch, further runs of one `baddbmm` or `vmap` take longer."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    for runs in (1, SEEDS):
        (x, (y, _)), model = samples(POINTS, runs), Contender(Equal(), runs).model
        now = {name: p.detach() for name, p in model.named_parameters()}
        trials = {name: torch.stack([p, p * 1.01, p * 0.99]) for name, p in now.items()}
        wide = StackedMLP(INPUTS, SHARED, HEAD, [OUTPUTS, OUTPUTS], [generator(s) for s in range(3 * runs)])
        folded = {name: p.flatten(0, 1) for name, p in trials.items()}
        x3, y3 = (t.expand(3, *t.shape).flatten(0, 1) for t in (x, y))

        def at(point, model=model, x=x, y=y):
            return mean_absolute_error(functional_call(model, point, (x, 0)), y)

        def one_by_one(at=at, trials=trials):
            return torch.stack([at({name: p[i] for name, p in trials.items()}) for i in range(3)])

        def mapped(at=at, trials=trials):
            return torch.vmap(at)(trials)

        def as_runs(wide=wide, folded=folded, x3=x3, y3=y3, runs=runs):
            return mean_absolute_error(functional_call(wide, folded, (x3, 0)), y3).view(3, runs)

        ways = {"one after another": one_by_one, "vmap": mapped, "as further runs": as_runs}
        with torch.no_grad():
            found = [way() for way in ways.values()]
            for other in found[1:]:
                torch.testing.assert_close(found[0], other, rtol=0, atol=1e-5)
            seconds = turns(ways, rounds=50 if runs == 1 else 5)
        for name in ("vmap", "as further runs"):
            what = f"three trials of {runs} run(s), {name}, beside one after another"
            report(benchmark, what, ratio(seconds[name], seconds["one after another"]))
    benchmark.pedantic(one_by_one, rounds=3)
