"""Laws of the trainings on scenes: shared splits, equal losses, held weights, one test, and the exact derivative beside."""

import pytest
import torch
from torch import nn

from mtlrepro import paths
from mtlrepro.device import generator, seeded
from mtlrepro.errors import UnknownName
from mtlrepro.methods.class_weights import ClassWeights
from mtlrepro.papers.classweights import alg1_class_weights as study
from mtlrepro.papers.classweights import tab2_seconds
from mtlrepro.papers.classweights.models.unet import DEPTH, SEGMENTATION
from mtlrepro.papers.classweights.training import scene_tasks as tasks

SMALL = tasks.SceneTraining("driving", (16, 8, 8), (16, 16), width=2, halvings=1, batch=4, steps=8, check=4)
PLAIN = {"kind": "driving", "images": [16, 8, 8], "size": [16, 16], "width": 2, "halvings": 1, "batch": 4, "steps": 8, "check": 4}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def test_scrambling_moves_labels_within_the_group_only():
    labels = torch.arange(-1, 6).repeat(200, 1)
    found = tasks.scramble(labels, [1, 2, 4], generator(0))
    inside = torch.isin(labels, torch.tensor([1, 2, 4]))
    assert torch.equal(found[~inside], labels[~inside])
    assert set(found[inside].tolist()) == {1, 2, 4}
    assert 0.2 < (found[inside] == labels[inside]).float().mean() < 0.5


@pytest.mark.parametrize("main", [SEGMENTATION, DEPTH])
def test_class_weights_held_at_one_train_as_the_linear_sum(main):
    """Law: same states to float accuracy; so every difference between the two methods is the weights'."""
    held = tasks.SceneTraining(**SMALL.__dict__ | {"freeze": 1.0})
    linear, classes = (tasks.train(held, name, main, 1, 0.01, optimizer="sgd") for name in ("linear", "classes"))
    assert isinstance(classes.weighting, ClassWeights)
    assert (classes.weighting.state.weights == 1).all()
    assert classes.validation[main] == pytest.approx(linear.validation[main], rel=1e-4)


def test_a_weight_of_zero_takes_a_class_out_of_the_auxiliary_loss():
    """Law: with all class weights 0 the encoder learns from the main task alone: the other decoder's last layer stays put."""
    trained = tasks.train(SMALL, "linear", DEPTH, 1, 0.01, optimizer="sgd", class_weights=torch.zeros(13))
    fresh = tasks.UNet(13, 2, 1, seed=1)
    assert torch.equal(trained.model.decoders[SEGMENTATION].last.weight, fresh.decoders[SEGMENTATION].last.weight)
    assert not torch.equal(trained.model.decoders[DEPTH].last.weight, fresh.decoders[DEPTH].last.weight)


@pytest.mark.parametrize("method", [name for name in tasks.METHODS if name not in tasks.PARETO[1:]])
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


def test_wrong_names_are_refused():
    with pytest.raises(UnknownName):
        tasks.train(SMALL, "linaer", DEPTH, 1, 0.01)
    with pytest.raises(UnknownName):
        tasks.train(SMALL, "linear", DEPTH, 1, 0.01, optimizer="adma")
    with pytest.raises(UnknownName):
        study.planted(PLAIN, "scrambled", ["car"], "harmful 1", 0.01, 0.01, 1)
    with pytest.raises(UnknownName):
        study.planted(PLAIN, "scrambeld", ["car"], "harmful 0", 0.01, 0.01, 1)


def test_measured_rules_leave_the_training_as_it_is():
    """Law: the kept state is that of a training without measuring; the exact rule is that of `ClassWeights`."""
    plain = tasks.train(SMALL, "classes", DEPTH, 1, 0.05, 0.01, "sgd")
    watching = []

    def exchanged(weighting, losses):
        held = tasks.scene_parts(SMALL, 1)[1]
        options = {name: weighting.options[name] for name in ("rate", "freeze")}
        watching.append(study.Compared(held, 1, 2, auxiliary=weighting.auxiliary, **options))
        return watching[0], losses

    measured = tasks.train(SMALL, "classes", DEPTH, 1, 0.05, 0.01, "sgd", weighting=exchanged)
    for name, values in plain.states[DEPTH].items():
        assert torch.equal(values, measured.states[DEPTH][name]), name
    assert watching[0].steps == [2, 4, 6, 8]
    gradients = []

    class Seen(ClassWeights):
        def __call__(self, step):
            found = super().__call__(step)
            gradients.append(self.gradient)
            return found

    def exact(weighting, losses):
        return Seen("exact", rate=1e-12, auxiliary=weighting.auxiliary, freeze=0), losses

    held = tasks.SceneTraining(**SMALL.__dict__ | {"freeze": 1.0})
    tasks.train(held, "classes", DEPTH, 1, 0.05, 0.01, "sgd", weighting=exact)
    torch.testing.assert_close(watching[0].measured[0][2], gradients[1], rtol=1e-3, atol=1e-8)


def test_rows_of_the_study_hold_every_class_and_rule():
    rows = study.derivatives(PLAIN, "adam", 0.01, 0.01, 4, 1)
    assert {row["step"] for row in rows} == {4, 8}
    assert all(row["share"] > 0 for row in rows)
    assert set(study.RULES) <= set(rows[0])
    rows = study.planted({**PLAIN, "steps": 10, "check": 5}, "scrambled", ["car", "tree"], "classes", 0.01, 0.01, 1)
    assert rows[0]["kind"] == "test"
    assert {row["class"] for row in rows[1:] if row["harmful"]} == {"car", "tree"}


def test_both_class_wise_forms_step_as_the_linear_sum_at_first():
    assert tab2_seconds.same_updates(5, (48, 16), 3, 2) < 1e-4
    rows = tab2_seconds.seconds(4, (16, 16), 2, 2, 2)
    assert {row["method"] for row in rows} == {*tab2_seconds.methods(4), "double batch"}
    assert all(row["seconds"] > 0 for row in rows)


def test_the_snippet_for_own_data_runs_as_it_stands():
    """Law: on a made-up set of two tasks the main loss falls by half and the weights move."""
    drawn = generator(0)
    x = torch.randn(256, 4, generator=drawn)
    y, labels = x[:, 0] + x[:, 1], (x[:, 0] > 0).long() + (x[:, 1] > 0).long()

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            with seeded(0):
                self.bottom, self.main, self.other = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 3)

        def forward(self, inputs):
            z = self.bottom(inputs).relu()
            return self.main(z)[:, 0], self.other(z)

    model = Both()
    before = (model(x)[0] - y).abs().mean()
    loader = [(x[i : i + 32], y[i : i + 32], labels[i : i + 32]) for i in range(0, 256, 32)]
    known = {"model": model, "loader": loader, "classes": 3, "torch": torch, "nn": nn}
    file = paths.book() / "snippets" / "classweights_own_data.py"
    exec(compile(file.read_text(), str(file), "exec"), known)
    assert (model(x)[0] - y).abs().mean() < before / 2
    assert (known["weights"].state.weights != 1).any()
