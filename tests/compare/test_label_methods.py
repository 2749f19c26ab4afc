"""Laws of the methods that read labels, on problems whose right answer is known."""

import numpy as np
import pytest
import torch

from mtlrepro.compare import label_methods, problems, protocol, running
from mtlrepro.compare.problems import Problem, Task
from mtlrepro.methods.class_weights import ClassWeights
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.training.weighting import Batch, Step

BINARY, VALUES = Task("binary"), Task("values")


def problem(load, *tasks, metric="AUROC", **more):
    given = {"shared": (8,), "steps": 200, "rates": (0.1, 1.0)} | more
    return Problem(title="p", load=lambda seed: dict.fromkeys(problems.PARTS, load(seed)), tasks=tasks, metric=metric, **given)


def alike(seed, samples=200):
    """The first three tasks ask for one direction, the last two for noise on a fifth of the samples each, else no."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, 6))
    related = [(x[:, 0] + 0.2 * rng.normal(size=samples) > 0).astype(float) for _ in range(3)]
    return x, *related, *((rng.random(samples) < 0.5).astype(float) for _ in range(2))


FIVE = problem(alike, *[BINARY] * 5)
OWN = problem(
    lambda seed: ([np.random.default_rng([seed, t]).normal(size=(12, 3)) for t in range(3)], *[np.arange(12) % 3] * 3),
    *[Task("classes", 3)] * 3, metric="accuracy",
)  # fmt: skip


def classes(seed, samples=90):
    """Class 0 asks for what the main task asks for, class 1 for something else; a sample has one of them."""
    x = np.random.default_rng(seed).normal(size=(samples, 4))
    which = np.arange(samples) % 2
    return x, x[:, 0], np.where(which == 0, x[:, 0], np.nan), np.where(which == 1, x[:, 1], np.nan)


PLANTED = problem(classes, *[VALUES] * 3, metric="MAE", batch=30)


def weights_of(method, of, seeds, values, rates=(0.3,), steps=200):
    prepared = label_methods.METHODS[method].prepare(of, of.parts(seeds), seeds, rates, values, steps)
    losses = torch.zeros(len(seeds) * len(rates) * len(values), len(prepared.problem.tasks))
    step = Step(losses, torch.nn.Identity(), {}, Batch(None, None), lambda call, batch: losses)
    return prepared, prepared.weighting(step.model)(step)


def test_svd_weights_are_those_of_algorithm_2_of_sum_k():
    """Runs in the order of seeds, rates, ranks."""
    _, weights = weights_of("svd_reweighting", FIVE, [0, 1], (1, 2), rates=(0.1, 0.2))
    for run, (seed, rank) in enumerate((s, r) for s in (0, 1) for _ in range(2) for r in (1, 2)):
        x, *ys = alike(seed)
        expected = svd_weights(torch.tensor(x), torch.tensor(np.stack(ys)), rank, centre=True)
        torch.testing.assert_close(weights[run].double(), 5 * expected / expected.sum(), rtol=1e-4, atol=1e-5)


def test_grouping_trains_the_main_task_with_what_is_related_and_leaves_the_noise_out():
    prepared, weights = weights_of("task_grouping", FIVE, [0, 1], (2,))
    assert weights.tolist() == [[1, 1, 1, 0, 0]] * 2
    # 100 joint updates, then five times forward through 200 samples, where an update takes 16 forward and backward.
    assert prepared.before == pytest.approx(100 + 5 * 200 / 48)


def test_auxiliary_labels_are_ors_of_two_labels_on_half_of_the_samples():
    prepared, weights = weights_of("cotask", FIVE, [0, 1], (0.5, 1.0))
    assert weights.tolist() == [[1] * 7 + [0] * 3, [1] * 10] * 2
    given = torch.cat(prepared.parts[0].targets[:5], -1) > 0.5
    for auxiliary in prepared.parts[0].targets[5:]:
        for labels, joined in zip(given, auxiliary[..., 0], strict=True):
            known = joined.isfinite()
            assert known.sum() == 100
            literals = [(i, labels[known][:, i] ^ no, no) for i in range(5) for no in (False, True)]
            ors = [(a | b, p & q) for i, a, p in literals for j, b, q in literals if i < j]
            assert [both for either, both in ors if bool((either == (joined[known] > 0.5)).all())] == [False]


def test_auxiliary_tasks_of_own_inputs_hold_records_of_two_tasks_and_cost_their_samples():
    prepared, weights = weights_of("cotask", OWN, [0], (1.0,))
    part = prepared.parts[0]
    assert weights.shape == (1, 6)
    whole = torch.cat(part.inputs[:3], 1)[0]
    for x, y in zip(part.inputs[3:], part.targets[3:], strict=True):
        place = (x[0][:, None] == whole).all(-1).float().argmax(-1)
        assert len(set(place.tolist())) == len(place) == 12
        assert len(set((place // 12).tolist())) == 2
        # A class of a parent goes to one merged class.
        whence = [(int(p) // 12, int(p) % 3) for p in place]
        assert len(set(zip(whence, y[0].tolist(), strict=True))) == len(set(whence))
    assert label_methods._samples(prepared.problem, part) == 2 * label_methods._samples(OWN, OWN.parts([0])[0])


def test_the_class_ratio_is_the_papers_on_each_batch():
    """Its weights move as `ClassWeights` moves them on the losses by class, whose sums are the whole losses."""
    parts, rate = PLANTED.parts([0]), torch.tensor([0.05])
    model = PLANTED.model(4, [torch.Generator().manual_seed(0)])
    ratio, paper = label_methods.ClassRatio(PLANTED, model, rate), ClassWeights(rate=rate)
    losses = protocol._losses(PLANTED)
    for rows in torch.arange(90).split(25):
        batch = Batch(*protocol._rows(parts[0], [rows[None]]))
        step = Step(losses(model, batch), model, {}, batch, losses)
        given = ratio(step)
        errors = [(o - y.nan_to_num())[0, :, 0] ** 2 for o, y in zip(model(batch.inputs), batch.targets, strict=True)]
        own = [rows % 2 == c for c in (0, 1)]
        main = [errors[0][mask].sum() / len(rows) for mask in own]
        auxiliary = [errors[1 + c][mask].sum() / len(rows) for c, mask in enumerate(own)]
        by_class = torch.stack([*main, 0 * main[0], *auxiliary, 0 * main[0]])[None].detach()
        expected = paper(Step(by_class, model, {}, batch, losses))
        torch.testing.assert_close(given[0, 0], expected[0, 0])
        shares = torch.tensor([mask.double().mean() for mask in own]).float()
        torch.testing.assert_close(given[0, 1:], expected[0, 3:5] * shares)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(0.9)
    assert paper.state.weights.min() < 1


def test_a_problem_serves_the_methods_whose_needs_it_meets():
    def served(of):
        part = of.parts([0])[0]
        return [name for name, method in label_methods.METHODS.items() if method.serves(of, part)]

    assert served(FIVE) == ["svd_reweighting", "task_grouping", "cotask"]
    assert served(PLANTED) == ["class_ratio"]
    assert served(OWN) == ["cotask"]
    two = problem(lambda seed: alike(seed)[:3], BINARY, VALUES)
    assert served(two) == ["svd_reweighting"]
    several = problem(lambda seed: (np.ones((4, 2)), [0.0, 1] * 2, np.eye(4)[:, :3]), BINARY, Task("binary", 3))
    assert served(several) == ["cotask"]


@pytest.mark.parametrize(
    ("method", "of", "cost"),
    [("svd_reweighting", FIVE, 1), ("class_ratio", PLANTED, 1), ("cotask", OWN, 2),
     ("task_grouping", FIVE, 1 + (20 + 5 * 200 / 48) / 40)],
)  # fmt: skip
def test_a_row_is_as_those_of_the_weightings_and_counts_its_whole_cost(monkeypatch, method, of, cost):
    for module in (label_methods, protocol):
        monkeypatch.setattr(module, "at", lambda place: of)
        monkeypatch.setattr(module, "parts_at", lambda place, seeds: of.parts(seeds))
    setting = {"problem": "p", "place": "here", "seeds": [0, 1], "trials": 4, "share": 0.2}
    rows, like = label_methods.measure(method=method, **setting), protocol.measure(method="equal", **setting)
    assert [list(row) for row in rows] == [list(row) for row in like]
    for row in rows:
        assert row["cost"] == pytest.approx(cost, abs=1e-3)
        assert row["parameter"] in label_methods.METHODS[method].values
        left = (40 - (cost - 1) * 40) if method == "task_grouping" else 40 / cost
        assert row["equal_cost_step"] <= max(left, 2)


def test_equal_weights_trained_here_are_those_of_the_protocol():
    """The two loops are one."""
    parts, tried = FIVE.parts([0, 1]), protocol.grid("equal", FIVE.rates, 2)
    theirs = protocol.train(FIVE, parts, "equal", [0, 1], tried, 40)
    prepared = label_methods.Prepared(FIVE, parts, lambda model: label_methods.Equal())
    ours = label_methods.train(prepared, [0, 1], [point["learning_rate"] for point in tried], 40)
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=0)
    assert ours[2] == theirs[2]


def test_the_papers_problems_and_their_methods():
    """What the page says of them, by the problems that need no download."""
    places = problems.discovered()
    served = {name: label_methods.methods_for(places[name], 0) for name in ("hydalearn/related_toy", "stgmtl/g1_digits")}
    assert served["stgmtl/g1_digits"] == ["svd_reweighting", "task_grouping", "cotask"]
    assert served["hydalearn/related_toy"] == []
    assert label_methods.methods_for(places["classweights/linear_classes"], 0) == ["class_ratio"]
    settings = running.settings_of("d", places["stgmtl/g1_digits"], range(10), 10, 0.6, ["cotask"])
    assert [s["method"] for s in settings if s["method"] not in protocol.BASELINES] == ["cotask", "cotask"]
