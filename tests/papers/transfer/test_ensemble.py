"""A grid of runs trained together is the runs trained one by one, on the same batches."""

import pytest
import torch
from papers.transfer.plain_runs import fit_alone
from scipy import stats

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.papers.transfer.training.run_grid import Order, RunGrid, epoch_batches, fit_grid
from mtlrepro.training.metrics import spearman

RATES = (0.01, 0.1)


def data(seed: int = 0, sets: int = 2, rows: int = 60, d: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(sets, rows, d, generator=g, dtype=torch.float64), torch.randn(sets, rows, generator=g, dtype=torch.float64)


def orders() -> list[Order]:
    """Different data, sizes and last batches, not in order of length."""
    rows = [(0, ((0, 7), (20, 33))), (1, ((0, 20), (20, 60))), (0, ((0, 5), (20, 22))), (1, ((0, 10), (30, 40)))]
    return [Order(data, spans, generator(i, "test")) for i, (data, spans) in enumerate(rows)]


def test_every_run_of_the_grid_is_the_run_alone():
    x, y = data()
    together = fit_grid(x, y, orders(), RATES, epochs=4, size=5).models()
    for i, j in ((i, j) for i in range(4) for j in range(2)):
        alone = fit_alone(x, y, orders()[i], RATES[j], epochs=4, size=5)
        assert torch.allclose(together[i, j], alone, rtol=0, atol=1e-12)


def test_a_diverging_rate_leaves_the_others_alone():
    x, y = data()
    calm = fit_grid(x, y, orders(), [0.01], epochs=6, size=5).models()
    wild = fit_grid(x, y, orders(), [0.01, 1e6], epochs=6, size=5).models()
    assert not wild[:, 1].isfinite().all()
    assert torch.equal(calm[:, 0], wild[:, 0])


@pytest.mark.parametrize(("rank", "relu"), [(1, False), (1, True), (3, False), (3, True)])
def test_gradient_is_that_of_the_plain_formula(rank, relu):
    x, y = data(rows=5, sets=3)
    model = RunGrid(6, rank, 2, 2, [generator(i) for i in range(4)], heads=0.7, relu=relu)
    task = torch.tensor([0, 1, 1])
    share = torch.rand(3, 5, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one_hot = torch.nn.functional.one_hot(task, 2).double()[:, None, :, None]
    upstream = torch.randn(4, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    got = torch.autograd.grad((model(x, y[..., None], share, one_hot) * upstream).sum(), [model.shared, model.heads])
    z = torch.einsum("nbd,nlrd->nblr", x, model.shared[:3])
    z = z.relu() if relu else z
    predicted = torch.einsum("nblr,nlr->nbl", z, torch.stack([model.heads[n, :, k] for n, k in enumerate(task)]))
    plain = ((predicted - y[..., None]).square() * share).sum(1)
    want = torch.autograd.grad((plain * upstream[:3]).sum(), [model.shared, model.heads])
    for a, b in zip(got, want, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_an_epoch_holds_every_row_once_and_no_batch_of_two_tasks():
    for order in orders():
        batches = epoch_batches(order, 5)
        for task, (start, stop) in enumerate(order.rows):
            rows = batches.rows[batches.task == task].flatten()
            assert sorted(rows[rows >= 0].tolist()) == list(range(start, stop))


def test_validation_keeps_each_runs_best_epoch_and_sees_runs_in_order():
    x, y = data()
    seen = []

    def validate(models: torch.Tensor) -> torch.Tensor:
        seen.append(models.clone())
        return -models.norm(dim=(-2, -1))

    kept = fit_grid(x, y, orders(), RATES, epochs=5, size=5, validate=validate).models()
    history = torch.stack(seen)
    best = history.norm(dim=(-2, -1)).argmin(0)
    for i, j in ((i, j) for i in range(4) for j in range(2)):
        assert torch.equal(kept[i, j], history[best[i, j], i, j])
    assert torch.equal(history[-1], fit_grid(x, y, orders(), RATES, epochs=5, size=5).models())


def test_orders_of_different_task_counts_are_refused():
    x, y = data()
    with pytest.raises(BadValue, match="number of tasks"):
        fit_grid(x, y, [*orders(), Order(0, ((0, 5),), generator(9))], RATES)


def test_spearman_is_scipys():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(3, 4, 50, generator=g, dtype=torch.float64), torch.randn(3, 1, 50, generator=g, dtype=torch.float64)
    got = spearman(a, b)
    for i in range(3):
        for j in range(4):
            assert float(got[i, j]) == pytest.approx(stats.spearmanr(a[i, j], b[i, 0]).statistic, abs=1e-12)


def test_spearman_of_a_diverged_or_constant_prediction_is_nan():
    b = torch.arange(5.0)
    assert spearman(torch.tensor([1.0, torch.inf, 2, 3, 4]), b).isnan()
    assert spearman(torch.zeros(5), b).isnan()
