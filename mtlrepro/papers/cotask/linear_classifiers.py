"""Linear classifiers of sets of classes by least squares, many at once, and their balanced accuracies.

Fitted with targets +1 and -1; each side has weight one half, which the classes of a side share equally. So only the mean and the
second moment of each class count, and thousands of classifiers are solved as one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlrepro.data.tasks import Ints

Floats = NDArray[np.float64]
_RIDGE = 1e-3
_AT_ONCE = 500


@dataclass(frozen=True)
class ClassMoments:
    """Classes in coordinates (1, standardised features). means (classes, d + 1) and second moments (classes, d + 1, d + 1) of the
    training images; test images (classes, most, d + 1), filled up with NaN."""

    means: Floats
    second: Floats
    tests: Floats

    @staticmethod
    def of(train: Sequence[Floats], test: Sequence[Floats]) -> ClassMoments:
        """train, test: of each class features (n, d). Standardised by the training images of all classes."""
        pooled = np.concatenate(train)
        center, spread = pooled.mean(0), pooled.std(0) + 1e-12

        def coordinates(features: Floats) -> Floats:
            return np.concatenate([np.ones((len(features), 1)), (features - center) / spread], 1)

        known = [coordinates(features) for features in train]
        tests = np.full((len(test), max(map(len, test)), known[0].shape[1]), np.nan)
        for c, features in enumerate(test):
            tests[c, : len(features)] = coordinates(features)
        return ClassMoments(np.stack([x.mean(0) for x in known]), np.stack([x.T @ x / len(x) for x in known]), tests)

    def accuracies(self, positive: Ints, negative: Ints) -> Floats:
        """(m,) balanced test accuracies of classifiers of classes positive (m, p) against classes negative (m, q)."""
        parts = range(0, len(positive), _AT_ONCE)
        return np.concatenate([self._accuracies(positive[i : i + _AT_ONCE], negative[i : i + _AT_ONCE]) for i in parts])

    def _accuracies(self, positive: Ints, negative: Ints) -> Floats:
        second = self.second[positive].mean(1) + self.second[negative].mean(1)
        difference = self.means[positive].mean(1) - self.means[negative].mean(1)
        weights = np.linalg.solve(second + _RIDGE * np.eye(second.shape[-1]), difference[..., None])

        def right(classes: Ints, sign: int) -> Floats:
            scores = sign * (self.tests[classes] @ weights[:, None])[..., 0]
            shares: Floats = np.nanmean(np.where(np.isnan(scores), np.nan, scores > 0), (1, 2))
            return shares

        accuracy: Floats = (right(positive, 1) + right(negative, -1)) / 2
        return accuracy
