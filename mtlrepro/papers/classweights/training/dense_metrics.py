"""Losses and metrics of segmentation and depth, pixel by pixel: ignored labels, invalid depth, any region of the image.

Losses are maps with 0 at pixels that do not count, so that `class_sums` can split them by class. Metrics are sums kept by true
class over batches, of which every region (a set of classes) is a part: full image, cars, all but cars.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mtlrepro.methods.class_weights import class_sums

IGNORED = -1


def segmentation_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy a pixel (n, h, w), 0 where the label is IGNORED. scores: (n, classes, h, w); labels: (n, h, w) int64."""
    return cross_entropy(scores, labels, ignore_index=IGNORED, reduction="none")


def depth_loss(found: Tensor, wanted: Tensor, valid: Tensor) -> Tensor:
    """|found - wanted| a pixel (n, h, w), 0 where not valid, whatever `wanted` holds there (NaN too)."""
    return (found - wanted.where(valid, 0)).abs() * valid


def over_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid pixels, (); 0 where there is none."""
    return (values * valid).sum() / valid.sum().clamp_min(1)


class SegmentationScores:
    """Confusion counts over batches. classes: of the labels. `confusion`: (classes, classes) int64, true by predicted class."""

    def __init__(self, classes: int, device: torch.device | str = "cpu") -> None:
        self.classes = classes
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64, device=device)

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Count a batch. scores: (n, classes, h, w); labels: (n, h, w), those outside 0 .. classes - 1 do not count."""
        counted = (labels >= 0) & (labels < self.classes)
        pair = (labels * self.classes + scores.argmax(1)).where(counted, self.classes**2)
        found = class_sums(torch.ones_like(pair), pair, self.classes**2)[:-1]
        self.confusion += found.view_as(self.confusion)

    def _rows(self, region: Collection[int] | None) -> Tensor:
        if region is None:
            return self.confusion
        inside = torch.zeros(self.classes, 1, dtype=torch.int64, device=self.confusion.device)
        inside[list(region)] = 1
        return self.confusion * inside

    def accuracy(self, region: Collection[int] | None = None) -> Tensor:
        """Share of counted pixels whose class is right, (), float64; NaN where none counts. region: true classes; None: all."""
        rows = self._rows(region).double()
        return rows.diagonal().sum() / rows.sum()

    def share(self, region: Collection[int] | None = None) -> Tensor:
        """Share of the counted pixels whose true class is in the region, (), float64."""
        return self._rows(region).sum().double() / self.confusion.sum()

    def iou(self, region: Collection[int] | None = None) -> Tensor:
        """Intersection over union a class, (classes,), float64, among the region's pixels; NaN for a class neither true nor
        predicted there."""
        rows = self._rows(region).double()
        right = rows.diagonal()
        return right / (rows.sum(0) + rows.sum(1) - right)

    def mean_iou(self, region: Collection[int] | None = None) -> Tensor:
        """Mean of `iou` over the classes that have pixels in the region, ()."""
        return self.iou(region)[self._rows(region).sum(1) > 0].mean()


class DepthScores:
    """Sums of depth errors by true class over batches; pixels without a class are kept too. `sums`: (3, classes + 1) float64,
    |log found - log wanted|, |found - wanted| and its square; `counts`: (classes + 1,) valid pixels.

    floor: smallest prediction whose logarithm is taken, above 0.
    """

    def __init__(self, classes: int, floor: float = 1e-3, device: torch.device | str = "cpu") -> None:
        self.classes, self.floor = classes, floor
        self.sums = torch.zeros(3, classes + 1, dtype=torch.float64, device=device)
        self.counts = torch.zeros(classes + 1, dtype=torch.float64, device=device)

    def update(self, found: Tensor, wanted: Tensor, valid: Tensor, labels: Tensor) -> None:
        """Add a batch. found, wanted, valid, labels: (n, h, w); wanted > 0 where valid."""
        found, wanted = found.double(), wanted.double().where(valid, 1)
        log = (found.clamp_min(self.floor).log() - wanted.log()).abs()
        error = (found - wanted).abs()
        for i, values in enumerate((log, error, error.square())):
            self.sums[i] += class_sums(values.where(valid, 0), labels, self.classes)
        self.counts += class_sums(valid.double(), labels, self.classes)

    def _mean(self, kind: int, region: Collection[int] | None) -> Tensor:
        inside = slice(None) if region is None else list(region)
        return self.sums[kind, inside].sum() / self.counts[inside].sum()

    def log_l1(self, region: Collection[int] | None = None) -> Tensor:
        """Mean |log found - log wanted|, (); NaN without a valid pixel. region: true classes; None: every valid pixel."""
        return self._mean(0, region)

    def l1(self, region: Collection[int] | None = None) -> Tensor:
        """Mean |found - wanted|, ()."""
        return self._mean(1, region)

    def rmse(self, region: Collection[int] | None = None) -> Tensor:
        """Root of the mean squared error, ()."""
        return self._mean(2, region).sqrt()
