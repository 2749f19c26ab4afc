"""Measures of the representation (Figure 2), and the linear classifiers that they rest on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeClassifier

from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.papers.cotask import fig2_representations as representation
from mtlrepro.papers.cotask.data.cifar_mtl import digits_mtl
from mtlrepro.papers.cotask.linear_classifiers import ClassMoments
from mtlrepro.papers.cotask.training.cifar_training import PreparedImages
from mtlrepro.training.augmentation import image_data


def test_variance_between_tasks_is_none_for_one_cloud_and_all_for_points():
    rng = np.random.default_rng(0)
    cloud, labels = rng.standard_normal((60, 3)), np.arange(60) % 5
    assert representation.between_tasks([(cloud, labels), (cloud, labels)]) == pytest.approx(0)
    assert representation.between_tasks([(np.zeros((4, 2)), labels[:4]), (np.ones((4, 2)), labels[:4])]) == pytest.approx(1)
    far = [(cloud, labels), (cloud + 3.0, labels)]
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turned = [(2 * features @ turn + 7, own) for features, own in far]
    assert representation.between_tasks(turned) == pytest.approx(representation.between_tasks(far))


def test_measures_tell_separate_classes_from_mixed_ones():
    """Probe and silhouette are near 1 for clusters far apart and at chance or below 0.1 for labels at random."""
    rng = np.random.default_rng(1)
    labels = np.arange(100) % 5
    clear = [(20 * np.eye(5)[labels] + 0.1 * rng.standard_normal((100, 5)), labels)]
    mixed = [(rng.standard_normal((100, 5)), labels)]
    assert representation.probe(clear, clear) == 1
    assert representation.separation(clear) > 0.9
    assert representation.separation(mixed) < 0.1
    assert representation.probe(mixed, [(rng.standard_normal((100, 5)), labels)]) < 0.45


@pytest.fixture(scope="module")
def digits():
    data = digits_mtl(3)
    return PreparedImages(image_data(data.images), data.tasks, data.sha256, data.tier)


def test_rows_hold_every_measure_of_a_state_and_as_many_images_as_asked_for(digits, monkeypatch):
    """Laws: equally many images of each class and state, of the auxiliary task's classes; a trained network has an accuracy."""
    monkeypatch.setattr(representation.cifar_training, "prepared_images", lambda *_: digits)
    how = {"epochs": 6, "blocks": [1, 1, 1], "widths": [8, 8, 16], "side": 8, "batch": 32, "device": "cpu"}
    states = ("before training", "multi-task", "CO-TASK by the paper")
    rows = pd.concat([pd.DataFrame(representation.representations(s, 3, 1, 4, how)).assign(state=s) for s in states])
    images = rows[rows.measure == "image"]
    values = rows[rows.measure != "image"].pivot(index="state", columns="measure", values="value")
    assert list(images.groupby("state").size()) == [4 * 2 * 5] * 3
    (auxiliary,) = combine_tasks(digits.tasks, 1, 3)
    sides = [parent.name for parent in auxiliary.parents]
    for image in images.to_dict("records"):
        side = sides.index(image["parent"])
        assert auxiliary.parents[side].classes[auxiliary.mapping[int(image["merged"]), side]] == image["class"]
    assert values.probe["multi-task"] > 0.5 > values["between tasks"]["multi-task"]
    assert values["task classifier"].min() > 0.6
    assert values["task classifier, permuted"].between(0.3, 0.7).all()
    assert list(values.accuracy.notna()) == [state != "before training" for state in values.index]


def _class(center, seed, n=60, spread=0.05):
    return np.asarray(center, float) + spread * np.random.default_rng(seed).standard_normal((n, 2))


def test_a_union_around_the_third_class_cannot_be_told_from_it_and_one_beside_it_can():
    """Two tasks on a line: with gamma between alpha and beta the union loses about half, with alpha beside beta nothing."""
    labels, differences = np.repeat([0, 1], 60), []
    for places, lost in (((-1.0, 1.0, 0.0), True), ((1.2, 1.0, 0.0), False)):
        alpha, beta, gamma = (_class((place, 0.0), seed) for seed, place in enumerate(places))
        far = _class((0.0, 40.0), 9)
        tasks = [(np.concatenate([alpha, far]), labels), (np.concatenate([beta, gamma]), labels)]
        moments = ClassMoments.of(representation.class_features(tasks), representation.class_features(tasks))
        union = moments.accuracies(np.array([[0, 2]]), np.array([[3]]))[0]
        parts = moments.accuracies(np.array([[0], [2]]), np.array([[3], [3]]))
        assert parts.min() > 0.95
        assert (union < 0.8) == lost
        difference, triples = representation.union_accuracy(tasks, tasks)
        assert triples > 0
        differences.append(difference)
    assert differences[0] < differences[1] - 0.02
    assert representation.union_accuracy(tasks, tasks, least=1.1)[1] == 0


def test_linear_classifiers_agree_with_ridge_regression_and_pass_over_what_is_missing():
    """Law: accuracies of scikit-learn's least squares with equal class weights, for classes of unequal numbers of test images."""
    rng = np.random.default_rng(0)
    train, test = ([rng.standard_normal((n, 3)) + shift for n, shift in ((200, 0.0), (200, 0.7))] for _ in range(2))
    test[1] = test[1][:70]
    ours = ClassMoments.of(train, test).accuracies(np.array([[1]]), np.array([[0]]))[0]
    model = RidgeClassifier(alpha=0.2, class_weight="balanced").fit(np.concatenate(train), np.repeat([0, 1], 200))
    shares = [float((model.predict(own) == label).mean()) for label, own in enumerate(test)]
    assert ours == pytest.approx(np.mean(shares), abs=0.02)


def test_merged_cosine_is_the_gap_between_merged_and_other_pairs():
    """By hand: merged means parallel (1), the others orthogonal (0); with a shifted mapping the sign turns."""
    means = np.eye(3)
    mapping = np.stack([np.arange(3), np.arange(3)], 1)
    assert representation.merged_cosine(means, means, mapping) == pytest.approx(1)
    assert representation.merged_cosine(means, means, np.stack([np.arange(3), [1, 2, 0]], 1)) == pytest.approx(-0.5)
