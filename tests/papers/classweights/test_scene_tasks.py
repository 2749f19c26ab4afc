"""Laws of the trainings on scenes: shared splits, equal losses, held weights, one test."""

import pytest
import torch
from torch import nn

from mtlrepro import paths
from mtlrepro.device import generator, seeded
from mtlrepro.errors import UnknownName
from mtlrepro.papers.classweights import tab2_seconds
from mtlrepro.papers.classweights.models.unet import DEPTH, SEGMENTATION
from mtlrepro.papers.classweights.training import scene_tasks as tasks
from mtlrepro.training.loop import train_step

SMALL = tasks.SceneTraining("driving", (16, 8, 8), (16, 16), width=2, halvings=1, batch=4, steps=8, check=4)
PLAIN = {"kind": "driving", "images": [16, 8, 8], "size": [16, 16], "width": 2, "halvings": 1, "batch": 4, "steps": 8, "check": 4}


def test_parts_are_disjoint_and_targets_lie_in_0_to_1():
    assert tasks.SceneTraining.of(PLAIN) == SMALL
    for kind in ("driving", "indoor", "street"):
        training = tasks.SceneTraining(kind, (16, 8, 8), (16, 16))
        found = tasks.scene_parts(training, 3)
        assert [len(part.images) for part in found] == [16, 8, 8]
        for part in found:
            assert part.depth[part.valid].min() > 0
            assert part.depth.max() <= 3.5  # objects may stand nearer than the preset's nearest
            assert ((part.ranges >= 0) == part.valid).all()
            assert part.ranges.max() < tasks.RANGES
        if kind != "driving":  # ranges of equal shares of the training pixels
            shares = torch.bincount(found[0].ranges[found[0].valid]) / found[0].valid.sum()
            assert shares.max() < 0.12


@pytest.mark.parametrize("main", [SEGMENTATION, DEPTH])
@pytest.mark.parametrize("method", ["classes", "held-out"])
def test_class_weights_held_at_one_train_as_the_linear_sum(method, main):
    """Law: same states to float accuracy; so every difference between the methods is the weights'."""
    held = tasks.SceneTraining(**SMALL.__dict__ | {"freeze": 1.0, "precision": "float32"})
    linear, classes = (tasks.train(held, name, main, 1, 0.01, optimizer="sgd") for name in ("linear", method))
    assert classes.moved[main] == 0
    assert classes.validation[main] == pytest.approx(linear.validation[main], rel=1e-4)


def test_losses_by_class_add_up_to_those_of_the_tasks():
    """Law: main and auxiliary sums are the mean losses over their start values; the auxiliary decoder alone gives the same."""
    learned = tasks.scene_parts(SMALL, 1)[0]
    batch, model = learned.batch(slice(0, 4)), tasks.UNet(13, 2, 1).eval()
    plain = [float(values.mean().detach()) for values in tasks.pixel_losses(model, batch)]
    losses, alone = tasks.as_tasks(DEPTH, 13, (2.0, 4.0))
    values = losses(model, batch).detach()
    assert float(values[0]) == pytest.approx(plain[DEPTH] / 4, rel=1e-5)
    assert float(values[1:].sum()) == pytest.approx(plain[SEGMENTATION] / 2, rel=1e-5)
    torch.testing.assert_close(alone(model, batch)[1:].detach(), values[1:])
    assert float(tasks.by_class(DEPTH, 13)(model, batch).chunk(2)[0].sum().detach()) == pytest.approx(plain[DEPTH], rel=1e-5)


def test_constants_are_the_class_frequencies_and_the_median_depth():
    learned, _, test = tasks.scene_parts(SMALL, 1)
    known = tasks.constants(SMALL, 1)
    away = (test.depth[test.valid] - learned.depth[learned.valid].median()).abs().mean()
    assert known["constant depth"] == pytest.approx(float(away), abs=1e-5)
    shares = torch.bincount(test.labels[test.labels >= 0], minlength=13) / (test.labels >= 0).sum()
    entropy = -(shares[shares > 0] * shares[shares > 0].log()).sum()
    assert known["constant segmentation"] >= float(entropy)  # no constant is below the test part's own frequencies


@pytest.mark.parametrize("method", [name for name in tasks.METHODS if name not in (*tasks.PARETO[1:], tasks.ORACLE)])
def test_every_method_trains_and_is_tested_by_the_state_that_validation_chose(method):
    if method == "mgda":
        pytest.importorskip("torchjd")
    rows = tasks.final(PLAIN, method, ["depth"], 1, 0.01, 0.01)
    assert [row["region"] for row in rows] == ["full", "non-car", "car"]
    assert rows[0]["step"] in (4, 8)
    assert rows[0]["depth"] > 0
    assert rows[0]["share"] == 1
    assert sum(row["share"] for row in rows[1:]) == pytest.approx(1, abs=1e-5)
    assert 0 <= rows[2]["class iou"] <= rows[2]["accuracy"]  # also pixels elsewhere can be taken for cars
    again = tasks.final(PLAIN, method, ["depth"], 1, 0.01, 0.01)
    assert again[0] == rows[0]


def test_tuning_sees_no_test_scene(monkeypatch):
    whole = tasks.scene_parts(SMALL, 1)
    monkeypatch.setattr(tasks, "scene_parts", lambda training, seed: (*whole[:2], None))
    assert [row["main"] for row in tasks.tune(PLAIN, "linear", "", 1, 0.01, 0.01)] == ["segmentation", "depth"]
    assert [row["main"] for row in tasks.tune(PLAIN, "single", "depth", 1, 0.01, 0.01)] == ["depth"]
    with pytest.raises(AttributeError):  # it has no test part to look at
        tasks.final(PLAIN, "linear", ["depth"], 1, 0.01, 0.01)


def test_planted_classes_take_four_fifths_of_the_places_and_know_nothing_of_the_scene():
    """Law: labels elsewhere and depth are as they were; a class grows with the blue that was added; all are as frequent."""
    plain, planted = (
        tasks.scene_parts(tasks.SceneTraining.of(PLAIN | {"images": [64, 8, 8], "planted": own}), 3)[0] for own in (False, True)
    )
    assert len(tasks.SceneTraining.of(PLAIN | {"planted": True}).classes) == 26
    assert torch.equal(plain.depth, planted.depth)
    places = planted.labels >= 13
    assert torch.equal(plain.labels[~places], planted.labels[~places])
    assert places.float().mean() == pytest.approx(0.8, abs=0.08)
    added = planted.images - plain.images
    assert (added[:, :2] == 0).all()
    order = added[:, 2][places].argsort()
    assert (planted.labels[places][order].diff() >= 0).float().mean() > 0.99  # equal blue at the limits, to rounding
    means = torch.stack([added[:, 2][planted.labels == c].mean() for c in range(13, 26)])
    assert (means.diff() > 0).all()
    shares = planted.labels[places].bincount(minlength=26)[13:] / places.sum()
    assert shares.min() > 0.04
    assert (
        abs(torch.corrcoef(torch.stack([planted.depth[planted.valid & places], added[:, 2][planted.valid & places]]))[0, 1]) < 0.1
    )


def test_the_oracle_gives_planted_classes_no_weight():
    """Law: its first update is that of the depth loss and the real classes' losses alone."""
    training = tasks.SceneTraining.of(PLAIN | {"planted": True, "steps": 1, "check": 1, "precision": "float32"})
    whole = tasks.train(training, "linear", DEPTH, 1, 0.1, optimizer="sgd").states[DEPTH]
    oracle = tasks.train(training, "oracle", DEPTH, 1, 0.1, optimizer="sgd").states[DEPTH]
    learned = tasks.scene_parts(training, 1)[0]
    batch = next(tasks._stream(learned, 4, generator(1, "order")))
    model = tasks.UNet(26, 2, 1, seed=1)
    starts = tasks._starts(model, batch)
    values = tasks.as_tasks(DEPTH, 26, starts)[0](model, batch)
    values[:14].sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    name = "encoder.stages.0.0.weight"
    torch.testing.assert_close(oracle[name], model.state_dict()[name], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(whole[name], oracle[name], rtol=1e-3, atol=1e-5)


def test_wrong_names_are_refused():
    with pytest.raises(UnknownName):
        tasks.train(SMALL, "linaer", DEPTH, 1, 0.01)
    with pytest.raises(UnknownName):
        tasks.train(SMALL, "linear", DEPTH, 1, 0.01, optimizer="adma")


def test_class_wise_weights_step_as_the_linear_sum_at_first():
    assert tab2_seconds.same_updates(5, (48, 16), 3, 2) < 1e-4
    rows = tab2_seconds.seconds(4, (16, 16), 2, 2, 2)
    assert {row["method"] for row in rows} == {*tab2_seconds.methods(4, tab2_seconds.batch_of(4, (16, 16), 2)), "double batch"}
    assert all(row["seconds"] > 0 for row in rows)


def test_both_ways_to_compute_pareto_mtl_take_the_same_update():
    """Law: to float accuracy, without batch norm's running means, which the separate passes move more often."""
    batch, after = tab2_seconds.batch_of(4, (16, 16), 2), []
    for name in ("pareto", "pareto, separate passes"):
        weighting, losses = tab2_seconds.methods(4, batch)[name]
        model = tasks.UNet(4, 2, 1)
        for _ in range(3):
            train_step(model, batch, losses, torch.optim.SGD(model.parameters(), lr=0.1), weighting)
        after.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(after[0], after[1], rtol=1e-4, atol=1e-5)


def test_the_snippet_for_own_data_runs_as_it_stands():
    """Law: the held-out main loss falls by half, and the weights move."""
    drawn = generator(0)
    x = torch.randn(320, 4, generator=drawn)
    y, labels = x[:, 0] + x[:, 1], (x[:, 0] > 0).long() + (x[:, 1] > 0).long()

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            with seeded(0):
                self.bottom, self.main, self.other = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 3)

        def forward(self, inputs):
            z = self.bottom(inputs).relu()
            return self.main(z)[:, 0], self.other(z)

        def shared_parameters(self):
            return self.bottom.parameters()

    model, held_x, held_y = Both(), x[256:], y[256:]
    before = (model(held_x)[0] - held_y).abs().mean()
    loader = [(x[i : i + 32], y[i : i + 32], labels[i : i + 32]) for i in range(0, 256, 32)]
    known = {"model": model, "loader": loader, "held_x": held_x, "held_y": held_y, "classes": 3, "torch": torch, "nn": nn}
    file = paths.book() / "snippets" / "classweights_own_data.py"
    exec(compile(file.read_text(), str(file), "exec"), known)
    assert (model(held_x)[0] - held_y).abs().mean() < before / 2
    assert (known["weights"].weights[1:] != 1).all()
