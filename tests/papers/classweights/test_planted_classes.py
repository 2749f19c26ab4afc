"""Laws of the problems with planted classes, their trainings, and the study of the rules on them."""

import pytest
import torch

from mtlrepro.errors import UnknownName
from mtlrepro.papers.classweights import alg1_class_weights as study
from mtlrepro.papers.classweights.data.planted_classes import KINDS, PlantedClasses, drawn
from mtlrepro.papers.classweights.planted_arms import PLANTED_ARMS, RULES
from mtlrepro.papers.classweights.training.planted_training import PlantedTraining, trained, weighting_of

SHARES = (0.25, 1.0)


def settings(kind, **problem):
    samples = [24, 12, 12] if kind == "convolutional" else [200, 100, 100]
    own = {"kind": kind, "samples": samples, "shares": list(SHARES), "harmful": 2, "labelled": 0.5} | problem
    return {"problem": own, "steps": 20, "batch": 4 if kind == "convolutional" else 20, "freeze": 0.2,
            "hidden": 0 if kind == "linear" else 4, "width": 1}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_targets_have_one_mean_and_variance_and_only_helpful_ones_the_signal(kind):
    """Law: mean 0, variance 1; correlation sqrt(q) of a helpful class with the signal, 0 of harmful ones, and 1 between these."""
    problem = PlantedClasses(kind, (4000, 0, 0), shares=SHARES, harmful=2)
    places = drawn(problem, [3])[0]
    classes, signal, auxiliary = (values.flatten() for values in (places.classes, places.signal, places.auxiliary))
    for c, share in enumerate((*SHARES, 0.0, 0.0)):
        own = classes == c
        assert own.float().mean() == pytest.approx(0.25, abs=0.05)
        target = auxiliary[own]
        assert target.mean() == pytest.approx(0.0, abs=0.15)
        assert target.var() == pytest.approx(1.0, abs=0.2)
        assert torch.corrcoef(torch.stack([target, signal[own]]))[0, 1] == pytest.approx(share**0.5, abs=0.12)
    assert places.labelled.float().mean() == pytest.approx(problem.labelled, abs=0.05)


def test_a_run_of_a_batch_is_that_run_alone():
    """Law: seeds, learning rates and rates of the weights of other runs change nothing."""
    for arm in ("held-out", "ratio", "random", "uncertainty"):
        together = trained(settings("dense"), arm, [0.03, 0.1], [0.02, 0.1], [5, 6], True)
        alone = trained(settings("dense"), arm, [0.1], [0.02], [6], True)[0]
        same = next(row for row in together if (row["rate"], row["alpha"], row["seed"]) == (0.1, 0.02, 6))
        assert same == pytest.approx(alone, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arm", [*PLANTED_ARMS, "without 1"])
def test_every_arm_trains_on_every_problem(kind, arm):
    row = trained(settings(kind), arm, [0.03], [0.02], [1], True)[0]
    assert row["test"] < 10
    assert ("w0" in row) == (arm not in study.GIVEN and not arm.startswith("without") and arm != "uncertainty")
    assert "test" not in trained(settings(kind), arm, [0.03], [0.02], [1], False)[0]


def test_an_arm_with_given_weights_leaves_out_what_it_says():
    """Law: with weight 0 a class's head stays put, and the oracle's are 1 for the helpful classes."""
    training = PlantedTraining(settings("linear"), [1], [0.1])
    weighting, losses = weighting_of("oracle", training, torch.zeros(1))
    before = training.model.auxiliary.weight.detach().clone()
    for _ in training.fit(weighting, losses):
        pass
    moved = (training.model.auxiliary.weight != before)[0, 0]
    assert moved.tolist() == [True, True, False, False]
    with pytest.raises(UnknownName):
        weighting_of("orcale", training, torch.zeros(1))


def test_more_labels_keep_the_weight_of_the_auxiliary_loss():
    """Law: over all samples the auxiliary loss starts at 1, with the held-out main labels or without."""
    for more in (False, True):
        training = PlantedTraining(settings("linear"), [1, 2], [0.1, 0.1], more)
        rows = torch.arange(training.train.main.shape[1]).expand(2, -1)
        assert len(rows[0]) == (300 if more else 200)
        values = training.as_tasks(training.model, training._batch(training.train, rows))
        torch.testing.assert_close(values[:, 1:].sum(-1), torch.ones(2))


def test_rules_are_measured_without_changing_the_training():
    """Law: the ratio's weights end as without measuring; a network that stands still has no derivative."""
    own = settings("linear")
    training = PlantedTraining(own, [1, 2], [0.1, 0.1])
    weighting, losses = weighting_of("ratio", training, torch.tensor([0.02, 0.02]))
    for _ in training.fit(study.Compared(training, weighting), losses):
        pass
    plain = trained(own, "ratio", [0.1], [0.02], [1, 2], True)
    assert weighting.state.weights[:, 0].tolist() == pytest.approx([row["w0"] for row in plain], rel=1e-3)
    rows = study.derivatives(own, 0.0, 0.02, [1])
    sizes = {row["rule"]: row for row in rows if row["part"] == "size"}
    assert set(sizes) == set(RULES)
    assert sizes["exact"]["median"] == 0
    assert sizes["ratio"]["median"] > 0


def test_rank_correlation_and_roughness_by_hand():
    a = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert study.rank_correlation(a, 10 * a).item() == 1
    assert study.rank_correlation(a, -a).item() == -1
    assert study.rank_correlation(a, torch.tensor([[2.0, 1.0, 4.0, 3.0]])).item() == pytest.approx(0.6)
    there_and_back = torch.tensor([1.0, -1.0, 1.0, -1.0])[None, :, None]
    assert study.roughness(there_and_back).item() == 2
    assert study.roughness(torch.ones(1, 5, 2)).item() == 0
