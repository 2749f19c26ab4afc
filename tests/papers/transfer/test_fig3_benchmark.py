"""How much faster the batched grid and the exact solution are than one plain PyTorch run after another, with equal results.

Figure 3's grid in the paper's literal setting: 5 seeds x 2 sources x 5 source sizes x 4 learning rates = 200 runs of 30 epochs,
one thread. All times are processor time of this process, so that other work on the machine does not enter the ratios. The
plain loop is timed on 12 of its 200 runs, drawn at random, and scaled by the number of its updates.

    pytest tests/papers/transfer/test_fig3_benchmark.py --benchmark-enable -s
"""

import random
import time

import pytest
import torch
from papers.transfer.plain_runs import fit_alone
from ratios import report

from mtlrepro.device import generator
from mtlrepro.papers.transfer.data.synthetic import transfer_tasks
from mtlrepro.papers.transfer.theory import optimum as theory
from mtlrepro.papers.transfer.training.run_grid import Order, fit_grid

SEEDS, SIZES, RATES, TARGET, KAPPA = range(5), [200, 300, 500, 1_000, 2_000], [1e-4, 1e-3, 1e-2, 1e-1], 9_000, 100.0
PLAIN_RUNS = 12


@pytest.fixture(scope="module")
def tasks():
    return transfer_tasks(list(SEEDS), m_source=max(SIZES), m_target=TARGET, m_test=1)


@pytest.fixture(scope="module")
def data(tasks):
    sets = (tasks.target, tasks.same, tasks.different)
    return torch.cat([s.x for s in sets], 1) / KAPPA, torch.cat([s.y for s in sets], 1) / KAPPA


def orders() -> list[Order]:
    return [
        Order(i, ((0, TARGET), (start, start + size)), generator(seed, "benchmark", start, size))
        for start in (TARGET, TARGET + max(SIZES))
        for i, seed in enumerate(SEEDS)
        for size in SIZES
    ]


def updates(order: Order) -> int:
    return 30 * sum(-(-(stop - start) // 50) for start, stop in order.rows)


def exact(tasks) -> torch.Tensor:
    """(2 sources, sizes, seeds, tasks, d)."""
    own = theory.moments(*tasks.target)
    sources = (theory.nested_moments(*source, SIZES) for source in (tasks.same, tasks.different))
    return torch.stack([theory.moments_optimum([own, source], rank=1).models for source in sources])


def seconds(function, *arguments):
    start = time.process_time()
    found = function(*arguments)
    return found, time.process_time() - start


@pytest.mark.slow
def test_grid_and_exact_solution_against_the_plain_loop(benchmark, tasks, data):
    """Law: equal models (1e-8). How much faster the grid and the exact solution are is reported."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    x, y = data
    fit_grid(x[:1, :200], y[:1, :200], [Order(0, ((0, 100), (100, 200)), generator(0))], RATES, epochs=1)  # imports, caches
    together, grid_seconds = seconds(lambda: fit_grid(x, y, orders(), RATES).models())
    picked = random.Random(0).sample([(i, j) for i in range(len(orders())) for j in range(len(RATES))], PLAIN_RUNS)
    plain_seconds, done = 0.0, 0
    for i, j in picked:
        alone, taken = seconds(fit_alone, x, y, orders()[i], RATES[j])
        plain_seconds, done = plain_seconds + taken, done + updates(orders()[i])
        assert torch.allclose(together[i, j], alone, rtol=0, atol=1e-8)
    plain_seconds *= len(RATES) * sum(map(updates, orders())) / done
    exact_seconds = sorted(seconds(exact, tasks)[1] for _ in range(5))[2]
    benchmark.pedantic(exact, (tasks,), rounds=3)
    benchmark.extra_info |= {"plain_seconds": plain_seconds, "grid_seconds": grid_seconds}
    loop = f"beside a plain loop of 200 runs (scaled from {PLAIN_RUNS})"
    report(benchmark, f"Figure 3's grid as one batch, {loop}", plain_seconds / grid_seconds, "at least 35", "times as fast")
    report(benchmark, f"Figure 3's exact solution, {loop}", plain_seconds / exact_seconds, "at least 1000", "times as fast")


def test_the_exact_solution_is_where_long_gradient_descent_ends():
    """Law: L-BFGS on eq. 3 from many starts never goes below the exact loss, and its best end comes within 1e-6 of it."""
    few = transfer_tasks([0, 1], m_source=60, m_target=30, noise=2.0, orientation="rotated", d=10, kappa=5.0, m_test=1)
    for source in (few.same, few.different):
        optimum = theory.mtl_optimum([few.target.x, source.x], [few.target.y, source.y], rank=1)
        for i in range(2):
            pairs = [(few.target.x[i], few.target.y[i]), (source.x[i], source.y[i])]
            ends = [descend(pairs, angle) for angle in torch.linspace(0.1, 3.1, 8, dtype=torch.float64)]
            assert min(ends) >= float(optimum.loss[i]) * (1 - 1e-10)
            assert min(ends) <= float(optimum.loss[i]) * (1 + 1e-6)


def descend(pairs, angle: torch.Tensor) -> float:
    """Loss where L-BFGS on (B, A) ends from output scales (cos, sin) of an angle; opposite signs are among the starts."""
    shared = torch.zeros(pairs[0][0].shape[1], dtype=torch.float64, requires_grad=True)
    heads = torch.stack([angle.cos(), angle.sin()]).requires_grad_()
    search = torch.optim.LBFGS(
        [shared, heads], max_iter=400, tolerance_grad=1e-9, tolerance_change=0.0, history_size=30, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        return sum((x @ shared * head - y).square().sum() for (x, y), head in zip(pairs, heads, strict=True))

    def closure() -> torch.Tensor:
        search.zero_grad()
        now = loss()
        now.backward()
        return now

    search.step(closure)
    return float(loss().detach())
