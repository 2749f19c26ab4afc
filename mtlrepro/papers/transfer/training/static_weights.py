"""Fixed task weights from the training images and labels: Algorithm 2 on their pixels, and powers of the share of positives."""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.methods.svd_reweighting import StreamedWeights
from mtlrepro.training.augmentation import ImageData


def pixel_products(images: ImageData, labels: Tensor) -> StreamedWeights:
    """Algorithm 2's X^T y, X the raw pixels in [0, 1] of the first images, labels (n, k) 0 or 1 of them."""
    n, height, width, channels = images.shape
    pixels = images.pixels[:-1].view(n, height * width * channels)
    sums = StreamedWeights()
    for rows in torch.arange(len(labels)).split(1000):
        sums.update(pixels[rows].cpu().double() / 255, labels[rows])
    return sums


def svd_task_weights(products: StreamedWeights, rank: int, centre: bool = False, normalise: bool = False) -> Tensor:
    """(k,) Algorithm 2's weights, scaled to sum k; as printed, with labels 0 and 1, or with `centre` around their means."""
    weights = products.weights(rank, centre=centre, normalise=normalise)
    return weights * (len(weights) / weights.sum())


def power_weights(labels: Tensor, power: float) -> Tensor:
    """(k,) shares of positives of labels (n, k) to a power, scaled to sum k."""
    weights = labels.double().mean(0) ** power
    return weights * (len(weights) / weights.sum())
