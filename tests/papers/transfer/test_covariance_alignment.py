"""Laws of Algorithm 1: its step, R = I is no change, fixed B isolates tasks, a batch of runs is each run alone."""

from __future__ import annotations

import torch

from mtlrepro.device import generator, seeded
from mtlrepro.methods.alignment import Aligned
from mtlrepro.models.shared_bottom import SharedBottom, StackedSharedBottom
from mtlrepro.papers.transfer.data.synthetic import Samples
from mtlrepro.papers.transfer.theory import alg1_alignment
from mtlrepro.papers.transfer.training.alternating import AlternatingSGD, each_turn
from mtlrepro.papers.transfer.training.pair_grid import AlignedStack, fit_aligned, score, squared_loss, start_pairs
from mtlrepro.training.loop import fit
from mtlrepro.training.weighting import Batch

RATE = torch.full((1,), 0.25, dtype=torch.float64)


def _tiny() -> Aligned:
    """One input, one unit: B = 2, A = 3, R = 1."""
    model = StackedSharedBottom(1, 1, 1, [generator(0)])
    model.bottom.weight.data.fill_(2.0)
    model.heads.data.fill_(3.0)
    return Aligned(model, 1, 1, runs=1)


def _train(model, batch, epochs=1, joint=False):
    optimizer = AlternatingSGD(model.turns(joint), RATE)
    fit(model, lambda epoch: each_turn([batch], 2), squared_loss, optimizer=optimizer, epochs=epochs)


def test_one_turn_by_hand():
    """x = 1, y = 5: prediction 6, A = 3 - 0.25 * 2 * 2 * 1 = 2; then prediction 4, R = 1 - 0.25 * 2 * (2 * 2) * (-1) = 3."""
    model = _tiny()
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    _train(model, Batch(one, 5 * one[0], 0))
    assert model.model.heads.item() == 2.0
    assert model.alignments[0].item() == 3.0
    assert model.model.bottom.weight.item() == 2.0


def test_one_turn_by_hand_with_b_trained_too():
    """A and B move together, each by the gradient at the start: B = 2 - 0.25 * 2 * 3 = 0.5; then prediction 1, R = 1 + 2 = 3."""
    model = _tiny()
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    _train(model, Batch(one, 5 * one[0], 0), joint=True)
    assert model.model.heads.item() == 2.0
    assert model.model.bottom.weight.item() == 0.5
    assert model.alignments[0].item() == 1 + 0.25 * 2 * (0.5 * 2) * 4


def test_formulas_identity_and_isolation_on_random_instances():
    found = alg1_alignment.check(20, seed=3)
    assert [found[f"{name} violations"] for name in ("step", "identity", "decoupled")] == [0, 0, 0]


def test_check_sees_a_wrong_step(monkeypatch):
    """A step that uses the old A in R's gradient is not Algorithm 1's and must be counted."""

    def simultaneous(x, y, align, shared, head, rate):
        error = x @ align @ shared @ head - y
        return (
            head - 2 * rate / len(y) * (x @ align @ shared).mT @ error,
            align - 2 * rate / len(y) * torch.outer(x.mT @ error, shared @ head),
        )

    monkeypatch.setattr(alg1_alignment, "one_turn", simultaneous)
    assert alg1_alignment.check(10, seed=3)["step violations"] == 10


def test_identity_leaves_any_model_unchanged():
    """Also one that is no stack of runs."""
    with seeded(0):
        model = SharedBottom(torch.nn.Linear(4, 3), [torch.nn.Linear(3, 1), torch.nn.Linear(3, 2)])
    x = torch.randn(6, 4, generator=generator(1))
    for task in (0, 1):
        torch.testing.assert_close(Aligned(model, 4, 2)(x, task), model(x, task), rtol=0, atol=0)


def test_only_the_group_whose_turn_it_is_moves():
    model = _tiny()
    optimizer = AlternatingSGD(model.turns(), RATE)
    for heads_move in (True, False, True):
        before = model.model.heads.item(), model.alignments[0].item()
        loss = squared_loss(model, Batch(torch.ones(1, 2, 1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64), 0))
        loss.sum().backward()
        optimizer.step()
        moved = model.model.heads.item() != before[0], model.alignments[0].item() != before[1]
        assert moved == (heads_move, not heads_move)
        optimizer.zero_grad()


def _pair(seeds, tasks=2, m=30, d=5):
    draw = lambda name, *shape: torch.stack(
        [torch.randn(shape, generator=generator(s, name), dtype=torch.float64) for s in seeds]
    )
    return [Samples(draw(f"x{t}", m, d), draw(f"y{t}", 1, m)) for t in range(tasks)]


def test_a_batch_of_runs_is_each_run_alone():
    """Several seeds and rates together give, seed by seed, what one seed alone gives; B fixed and trained too."""
    for joint in (False, True):
        kind = {"rates": [0.01, 0.1], "epochs": 3, "joint": joint, "size": 8}
        train, check = (_pair([1, 2, 3]), _pair([4, 5, 6])[0])
        together = fit_aligned(start_pairs([1, 2, 3], 5, 2), train, check, [1, 2, 3], **kind).target
        for i, seed in enumerate([1, 2, 3]):
            own = [Samples(*(part[i : i + 1] for part in samples)) for samples in (*train, check)]
            alone = fit_aligned(start_pairs([seed], 5, 2), own[:2], own[2], [seed], **kind).target
            torch.testing.assert_close(together.shared[i : i + 1], alone.shared)
            torch.testing.assert_close(together.heads[i : i + 1], alone.heads)


def test_with_b_fixed_the_start_stays_and_the_target_improves():
    seeds = [1, 2]
    start, target = start_pairs(seeds, 5, 2), _pair(seeds)[0]
    shared = start.shared.clone()
    found, moved = fit_aligned(start, [target], target, seeds, rates=[0.03], epochs=40)
    assert moved.tolist() == [0, 0]
    assert torch.equal(start.shared, shared)
    error = lambda model: (model(target.x, 0) - target.y).square().mean(-1)
    assert (error(found) < error(start)).all()


def test_the_stacks_shortcut_is_algorithm_ones_model():
    """X (R B) and (X R) B: equal predictions and equal gradients of R, linear and ReLU."""
    for relu in (False, True):
        found = []
        for kind in (Aligned, AlignedStack):
            inner = StackedSharedBottom(5, 2, 2, [generator(1), generator(2)], relu=relu)
            model = kind(inner, 5, 2, runs=2)
            model.alignments[1].data += torch.randn(2, 5, 5, generator=generator(3), dtype=torch.float64)
            predicted = model(torch.randn(2, 7, 5, generator=generator(4), dtype=torch.float64), 1)
            predicted.square().sum().backward()
            found.append((predicted.detach(), model.alignments[1].grad, inner.bottom.weight.grad, inner.heads.grad))
        torch.testing.assert_close(*found)


def test_choose_picks_the_rate_by_what_it_is_told():
    """A rate of zero keeps the start; whichever of the two runs `choose` ranks higher is returned."""
    target = _pair([1])[0]
    start = start_pairs([1], 5, 1)
    kind = {"rates": [0.0, 0.05], "epochs": 20}
    moved = lambda model: not torch.equal(model.shared, start.shared)
    assert moved(fit_aligned(start, [target], target, [1], **kind, choose=score).target)
    assert not moved(fit_aligned(start, [target], target, [1], **kind, choose=lambda predicted, y: -score(predicted, y)).target)
