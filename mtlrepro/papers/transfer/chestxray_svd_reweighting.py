"""All tasks of a same-image set at once, with several task weights (Wu, Zhang, Re 2020, Section 3.2): DenseNet-121 on chest
X-rays, or the small networks of `fig12_label_noise`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models import densenet121

from mtlrepro import data
from mtlrepro.device import choose, deterministic, generator, seeded
from mtlrepro.methods.static import Static
from mtlrepro.methods.svd_reweighting import StreamedWeights
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.papers.transfer import fig12_label_noise
from mtlrepro.papers.transfer.data import same_image_tasks
from mtlrepro.papers.transfer.data.chest import ChestXrays, load_chestxray14, patient_split
from mtlrepro.papers.transfer.training.static_weights import methods
from mtlrepro.parameters import Params
from mtlrepro.results import Runs
from mtlrepro.training.loop import fit, minibatches
from mtlrepro.training.metrics import auroc
from mtlrepro.training.weighting import Batch, Equal, Weighting

# Ranks of Algorithm 2; 0 stands for the number of tasks.
RANKS = [1, 5, 0]
# Mean and standard deviation of ImageNet's pixels, which the pre-trained network expects, over its three colours.
_MEAN, _STD = 0.449, 0.226


def chest_network(tasks: int, pretrained: bool = True) -> SharedBottom:
    """DenseNet-121 (torchvision) with one output layer per task. pretrained: ImageNet weights, from torch's cache or fetched."""
    net = densenet121(weights="IMAGENET1K_V1" if pretrained else None)
    width = net.classifier.in_features
    bottom = nn.Sequential(net.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return SharedBottom(bottom, [nn.Linear(width, 1) for _ in range(tasks)])


def pixels(xrays: ChestXrays, rows: Tensor, device: torch.device) -> Tensor:
    """Images of `rows` as the network reads them: (n, 3, side, side)."""
    grey = torch.from_numpy(xrays.images[rows.numpy()]).to(device).movedim(-1, 1).float() / 255
    return ((grey - _MEAN) / _STD).expand(-1, 3, -1, -1)


def compare(
    source: str,
    seed: int,
    epochs: int,
    ranks: Sequence[int],
    device: str = "auto",
    rate: float = 1e-3,
    batch: int = 16,
    side: int = 224,
    limit: int | None = None,
    pretrained: bool = True,
) -> list[dict[str, Any]]:
    """One training per method on ChestX-ray14, one row each: `auc` and `valid`, the mean AUC over the findings in percent, and
    `weight span`, the largest task weight over the smallest (for Kendall in the last epoch).

    Adam at `rate`, as CheXNet; the epoch with the best mean validation AUC is kept. Algorithm 2's X are the pixels that the
    network reads, X^T y summed up batch by batch, centred. source: `chestxray14`, named in the row. limit: as in
    `load_chestxray14`.
    """
    place = choose(device)
    xrays = load_chestxray14(side, limit)
    split = {name: torch.from_numpy(rows) for name, rows in patient_split(xrays, seed).items()}
    labels = torch.tensor(xrays.labels, dtype=torch.float32)
    sums = StreamedWeights()
    for rows in split["train"].split(256):
        sums.update(pixels(xrays, rows, torch.device("cpu"))[:, 0].flatten(1), labels[rows])
    reached = []
    for method, rank in methods(labels.shape[1], ranks):
        weighting: Weighting = Uncertainty("classification", rate=rate)
        if method == "unweighted":
            weighting = Equal()
        elif method != "Kendall":
            alpha = sums.weights(rank, centre=True, normalise=method != "SVD").float()
            weighting = Static(alpha * (len(alpha) / alpha.sum()))
        order = generator(seed, "xrays", "order")
        with deterministic(threads=torch.get_num_threads()), seeded(seed, "xrays", "start"):
            model = chest_network(labels.shape[1], pretrained).to(place)

            def batches(_: int, order: torch.Generator = order) -> Iterator[Batch]:
                for chosen in minibatches(len(split["train"]), batch, order):
                    rows = split["train"][chosen]
                    yield Batch(pixels(xrays, rows, place), labels[rows].to(place))

            def aucs(part: str, model: nn.Module) -> Tensor:
                """(findings,), NaN where the part has no positive."""
                model.eval()
                with torch.no_grad():
                    scores = [torch.cat(model(pixels(xrays, rows, place)), 1).cpu() for rows in split[part].split(64)]
                return auroc(torch.cat(scores).mT, labels[split[part]].mT)

            def losses(call: Any, one: Batch) -> Tensor:
                return binary_cross_entropy_with_logits(torch.cat(call(one.inputs), 1), one.targets, reduction="none").mean(0)

            done = fit(
                model, batches, losses, optimizer=torch.optim.Adam(model.parameters(), lr=rate), epochs=epochs,
                weighting=weighting, validate=functools.partial(aucs, "valid"), select=lambda metrics: metrics.nanmean(-1),
            )  # fmt: skip
            reached.append(
                {
                    "method": method,
                    "svd rank": rank,
                    "auc": round(100 * float(aucs("test", model).nanmean()), 3),
                    "valid": round(100 * float(done.best), 3),
                    "weight span": round(float(done.weights[-1].max() / done.weights[-1].min()), 4),
                }
            )
    return reached


def rows(runs: Runs, p: Params) -> pd.DataFrame:
    """One row per set, seed and method. Digits stand, once, for sets that are not at hand."""
    used = {same_image_tasks.digest(data.checked_source(p, source)): source for source in p.sources}
    digests = dict(used.keys())
    settings = [
        {"source": source, "seed": p.first_seed + i, "epochs": p.epochs, "ranks": RANKS}
        for source in used.values()
        for i in range(p.seeds)
    ]
    if p.model == "densenet121":
        trained = runs.map(compare, [one | {"device": p.device} for one in settings], "DenseNet-121", data=digests)
    else:
        small = {"k": 0, "groups": 1, "noise": "coin", "level": 0.0, "count": p.samples}
        trained = runs.map(fig12_label_noise.compare, [one | small for one in settings], "training", data=digests)
    trained["source"] = trained.source.map({source: name for (name, _), source in used.items()})
    columns = ["source", "seed", "method", "rank", "auc", "valid", "weight span", "rate"]
    return trained.rename(columns={"svd rank": "rank"}).reindex(columns=columns)
