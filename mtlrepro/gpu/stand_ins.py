"""What a run takes from scikit-learn and torchvision, in NumPy and PyTorch, for a machine that has neither.

Each gives what the library gives, with the same random numbers, in the one form in which the runs call it. Where a library is
installed it is used. Names of packages that a run imports and does not use become placeholders, which raise when a function
calls them. Imports nothing of this package but its errors.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from mtlrepro.errors import MtlreproError

Floats = NDArray[np.float64]


class KMeans:
    """scikit-learn's k-means: greedy k-means++, Lloyd's algorithm, the best of `n_init` starts."""

    def __init__(self, n_clusters: int, n_init: int, random_state: int) -> None:
        self.clusters, self.starts, self.seed = n_clusters, n_init, random_state
        self.labels_: NDArray[np.int64] = np.empty(0, np.int64)

    def fit(self, points: Floats) -> KMeans:
        """points: (n, d). Raises MtlreproError where a cluster loses all its points, which scikit-learn would fill again."""
        tolerance, x = 1e-4 * points.var(0).mean(), points - points.mean(0)
        random, best = np.random.RandomState(self.seed), math.inf
        for _ in range(self.starts):
            labels, inertia = self._lloyd(x, self._plus_plus(x, random), tolerance)
            same = best < math.inf and len(set(zip(labels, self.labels_, strict=True))) == self.clusters
            if inertia < best and not same:
                self.labels_, best = labels, inertia
        return self

    def _plus_plus(self, x: Floats, random: np.random.RandomState) -> Floats:
        chosen = [random.choice(len(x), p=np.full(len(x), 1 / len(x)))]
        nearest = _squared_distances(x[chosen], x)[0]
        for _ in range(1, self.clusters):
            drawn = random.uniform(size=2 + int(np.log(self.clusters))) * nearest.sum()
            tried = np.searchsorted(np.cumsum(nearest), drawn).clip(None, len(x) - 1)
            each = np.minimum(nearest, _squared_distances(x[tried], x))
            best = each.sum(1).argmin()
            nearest = each[best]
            chosen.append(int(tried[best]))
        return x[chosen]

    def _lloyd(self, x: Floats, centers: Floats, tolerance: float) -> tuple[NDArray[np.int64], float]:
        labels = np.full(len(x), -1)
        for _ in range(300):
            before, labels = labels, _squared_distances(x, centers).argmin(1)
            counts = np.bincount(labels, minlength=self.clusters)
            if not counts.all():
                raise MtlreproError("k-means: a cluster lost all its points: compute this run where scikit-learn is installed.")
            if np.array_equal(labels, before):
                break
            moved = np.stack([x[labels == number].mean(0) for number in range(self.clusters)])
            shift, centers = ((moved - centers) ** 2).sum(), moved
            if shift <= tolerance:
                labels = _squared_distances(x, centers).argmin(1)
                break
        return labels, float(((x - centers[labels]) ** 2).sum())


def _squared_distances(a: Floats, b: Floats) -> Floats:
    distances: Floats = np.maximum((a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1), 0)
    return distances


def train_test_split(
    rows: NDArray[Any], *, stratify: NDArray[Any], random_state: int, test_size: float = 0.0, train_size: int = 0
) -> list[NDArray[Any]]:
    """scikit-learn's stratified split of one array, by the share of the test part or the size of the training part."""
    random = np.random.RandomState(random_state)
    _, classes, counts = np.unique(stratify, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(classes, kind="stable"), np.cumsum(counts)[:-1])
    tested = len(rows) - train_size if train_size else math.ceil(test_size * len(rows))
    kept = _shares(counts, len(rows) - tested, random)
    held = _shares(counts - kept, tested, random)
    drawn = [own[random.permutation(len(own))] for own in members]
    train = np.concatenate([own[:k] for own, k in zip(drawn, kept, strict=True)])
    test = np.concatenate([own[k : k + h] for own, k, h in zip(drawn, kept, held, strict=True)])
    return [rows[random.permutation(train)], rows[random.permutation(test)]]


def _shares(counts: NDArray[np.int64], draws: int, random: np.random.RandomState) -> NDArray[np.int64]:
    """`draws` dealt to classes in proportion to `counts`, the largest remainders rounded up, ties at random."""
    exact = counts / counts.sum() * draws
    dealt = np.floor(exact)
    missing, remainders = int(draws - dealt.sum()), exact - dealt
    for value in np.unique(remainders)[::-1] if missing > 0 else ():
        (tied,) = np.where(remainders == value)
        chosen = random.choice(tied, size=min(len(tied), missing), replace=False)
        dealt[chosen] += 1
        missing -= len(chosen)
        if missing == 0:
            break
    whole: NDArray[np.int64] = dealt.astype(np.int64)
    return whole


def f1_score(truth: ArrayLike, predicted: ArrayLike, *, zero_division: int, average: str | None = "binary") -> Any:
    """F1 of binary answers (n,), or of each column (n, tasks); 0 where nothing is positive."""
    t, p = np.asarray(truth, dtype=bool), np.asarray(predicted, dtype=bool)
    hits, all_positive = (t & p).sum(0), t.sum(0) + p.sum(0)
    return np.where(all_positive > 0, 2 * hits / np.maximum(all_positive, 1), float(zero_division))[()]


def average_precision_score(truth: ArrayLike, scores: ArrayLike) -> float:
    """Mean over the columns (n, tasks) of the average precision; 0 where nothing is positive."""
    columns = zip(np.asarray(truth, dtype=bool).T, np.asarray(scores).T, strict=True)
    return float(np.mean([_average_precision(*column) for column in columns]))


def _average_precision(truth: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    order = np.argsort(scores, kind="stable")[::-1]
    last_of_value = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(truth[order])[last_of_value]
    recall = hits / max(truth.sum(), 1)
    terms = np.diff(recall, prepend=0.0) * (hits / (last_of_value + 1))
    return float(terms[::-1].sum())  # in the order in which scikit-learn adds them


class BasicBlock(nn.Module):
    """torchvision's block of two 3 x 3 convolutions."""

    def __init__(
        self, before: int, width: int, stride: int = 1, downsample: nn.Module | None = None,
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = norm_layer(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = norm_layer(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) -> (n, width, h / stride, w / stride)."""
        same = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + same)
        return out


def resnet18(weights: None = None, norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    """torchvision's ResNet-18, untrained: the same layers under the same names, with the same initial weights."""
    net = nn.Sequential()
    net.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    net.bn1 = norm_layer(64)
    net.relu = nn.ReLU(inplace=True)
    net.maxpool = nn.MaxPool2d(3, 2, 1)
    for stage, width in enumerate((64, 128, 256, 512)):
        before, shortcut = max(width // 2, 64), None
        if stage:
            shortcut = nn.Sequential(nn.Conv2d(before, width, 1, 2, bias=False), norm_layer(width))
        first = BasicBlock(before, width, 2 if stage else 1, shortcut, norm_layer)
        net.add_module(f"layer{stage + 1}", nn.Sequential(first, BasicBlock(width, width, norm_layer=norm_layer)))
    net.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.fc = nn.Linear(512, 1000)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


# --- imports ----------------------------------------------------------------------------------------------------------

PROVIDED: dict[str, Any] = {
    "sklearn.cluster.KMeans": KMeans, "sklearn.metrics.average_precision_score": average_precision_score,
    "sklearn.metrics.f1_score": f1_score, "sklearn.model_selection.train_test_split": train_test_split,
    "torchvision.models.resnet18": resnet18, "torchvision.models.resnet.resnet18": resnet18,
    "torchvision.models.resnet.BasicBlock": BasicBlock,
}  # fmt: skip
# Packages that the runs of the list import, where they are not installed.
ABSENT = ("PIL", "pandas", "platformdirs", "pydantic", "pydantic_core", "scipy", "sklearn", "torchvision", "tqdm", "yaml")


class Placeholder:
    """A name of a package that is not installed. The bodies of modules and classes may call it or derive from it; no function."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder(f"{self._name}.{name}")

    def __getitem__(self, _: object) -> Placeholder:
        return self

    def __mro_entries__(self, _: object) -> tuple[type, ...]:
        return (_Derived,)

    def __call__(self, *_: object, **__: object) -> Placeholder:
        frame = inspect.currentframe()
        caller = frame.f_back if frame else None
        if caller is None or caller.f_code.co_flags & inspect.CO_OPTIMIZED:  # of functions; not of modules and classes
            raise MtlreproError(f"{self._name} is needed here, but {self._name.partition('.')[0]} is not installed.")
        return self


class _Derived:
    """What a class that derives from a placeholder derives from."""

    model_fields: ClassVar[dict[str, Any]] = {}  # pydantic's, which the registry of exhibits reads as it is imported


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        whole = f"{self.__name__}.{name}"
        return PROVIDED.get(whole) or Placeholder(whole)


class _Absent(MetaPathFinder, Loader):
    """Asked last, so that what is installed is what is imported."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] in ABSENT else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to execute."""


def install() -> None:
    """From now on an import of a package in ABSENT that is not installed succeeds."""
    sys.meta_path.append(_Absent())
