"""Laws of dense losses and metrics: each equals scikit-learn's or a plain computation over the pixels that count."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from mtlrepro.device import generator
from mtlrepro.papers.classweights.training.dense_metrics import (  # fmt: skip
    IGNORED,
    DepthScores,
    SegmentationScores,
    depth_loss,
    over_valid,
    segmentation_loss,
)

CLASSES = 5
REGIONS = [None, [2], [0, 1, 3, 4]]


@pytest.fixture(params=range(3))
def batches(request):
    """Two batches of scores, labels (class 4 never true in seed 2), depth, its prediction and valid pixels."""
    drawn = generator(request.param, "dense")
    found = []
    for _ in range(2):
        scores = torch.randn(3, CLASSES, 6, 8, generator=drawn)
        labels = torch.randint(IGNORED, CLASSES - (request.param == 2), (3, 6, 8), generator=drawn)
        wanted = torch.rand(3, 6, 8, generator=drawn) + 0.1
        predicted = wanted + 0.3 * torch.randn(3, 6, 8, generator=drawn)
        valid = torch.rand(3, 6, 8, generator=drawn) < 0.8
        found.append((scores, labels, wanted.where(valid, torch.nan), predicted, valid))
    return found


@pytest.mark.parametrize("region", REGIONS, ids=["all", "one class", "all but one"])
def test_segmentation_metrics_equal_scikit_learn(batches, region):
    """Law: over all batches' counted pixels of the region, to 1e-12."""
    scored = SegmentationScores(CLASSES)
    for scores, labels, *_ in batches:
        scored.update(scores, labels)
    true = np.concatenate([b[1].flatten().numpy() for b in batches])
    found = np.concatenate([b[0].argmax(1).flatten().numpy() for b in batches])
    here = np.isin(true, range(CLASSES) if region is None else region)
    true, found = true[here], found[here]
    assert float(scored.accuracy(region)) == pytest.approx(metrics.accuracy_score(true, found), abs=1e-12)
    iou = metrics.jaccard_score(true, found, labels=np.unique(true), average="macro")
    assert float(scored.mean_iou(region)) == pytest.approx(iou, abs=1e-12)
    if region is None:
        assert np.array_equal(scored.confusion.numpy(), metrics.confusion_matrix(true, found, labels=range(CLASSES)))


@pytest.mark.parametrize("region", REGIONS, ids=["all", "one class", "all but one"])
def test_depth_metrics_equal_plain_ones(batches, region):
    """Law: over all batches' valid pixels of the region, to 1e-12; pixels without a class count in the whole image."""
    scored = DepthScores(CLASSES, floor=0.01)
    for _, labels, wanted, predicted, valid in batches:
        scored.update(predicted, wanted, valid, labels)
    labels, wanted, predicted, valid = (torch.cat([b[i] for b in batches]).double().numpy() for i in (1, 2, 3, 4))
    here = valid.astype(bool) & (True if region is None else np.isin(labels, region))
    y, f = wanted[here], predicted[here]
    assert float(scored.l1(region)) == pytest.approx(metrics.mean_absolute_error(y, f), abs=1e-12)
    assert float(scored.rmse(region)) == pytest.approx(metrics.root_mean_squared_error(y, f), abs=1e-12)
    assert float(scored.log_l1(region)) == pytest.approx(np.abs(np.log(np.maximum(f, 0.01)) - np.log(y)).mean(), abs=1e-12)


def test_losses_count_the_right_pixels_alone(batches):
    """Law: means over counted pixels equal scikit-learn's; values and gradients at the others are 0, also where depth is NaN."""
    scores, labels, wanted, predicted, valid = batches[0]
    scores, predicted = scores.double().requires_grad_(), predicted.requires_grad_()
    pixel, depth = segmentation_loss(scores, labels), depth_loss(predicted, wanted, valid)
    probabilities = scores.detach().softmax(1).movedim(1, -1)[labels >= 0].numpy()
    expected = metrics.log_loss(labels[labels >= 0].numpy(), probabilities, labels=range(CLASSES))
    assert float(over_valid(pixel, labels >= 0).detach()) == pytest.approx(expected, abs=1e-9)
    expected = metrics.mean_absolute_error(wanted[valid].numpy(), predicted.detach()[valid].numpy())
    assert float(over_valid(depth, valid).detach()) == pytest.approx(expected, abs=1e-6)
    (pixel.sum() + depth.sum()).backward()
    assert (predicted.grad[~valid] == 0).all()
    assert (predicted.grad[valid].abs() == 1).all()
    assert (scores.grad.movedim(1, -1)[labels < 0] == 0).all()
    assert float(over_valid(depth.detach(), torch.zeros_like(valid))) == 0
