"""A problem of the comparison: data, network, metric and budget, in one file that ends in ``PROBLEM = Problem(...)``.

A paper's problems are the files of ``mtlrepro/papers/<paper>/problems/``; they are discovered, never imported by the core, so
that a deleted paper takes its problems with it. A person's own problem is a file anywhere.
"""

from __future__ import annotations

import pkgutil
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mtlrepro import paths
from mtlrepro.device import NETWORK
from mtlrepro.errors import BadValue, MtlreproError, UnknownName, in_one_line
from mtlrepro.models.stacked_mlp import StackedMLP

PARTS = ("train", "validation", "test")
# Metric of the main task -> whether larger is better, and the kind of task that has it.
METRICS = {"accuracy": (True, ("binary", "classes")), "AUROC": (True, ("binary",)), "MAE": (False, ("values",))}


@dataclass(frozen=True)
class Task:
    """kind: "binary" (0 or 1), "classes" (0 to outputs - 1), or "values" to regress on. outputs: of the network for it.

    A binary task may have several outputs, one for each label of a sample. A target of NaN is not known, and not trained on;
    tasks of classes have none. Raises BadValue for another kind, or for classes that are fewer than two.
    """

    kind: Literal["binary", "classes", "values"]
    outputs: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("binary", "classes", "values") or self.outputs < (2 if self.kind == "classes" else 1):
            raise BadValue(
                f"a task is binary, of values, or of two classes or more, not {self.kind!r} with {self.outputs} outputs."
            )


class Part(NamedTuple):
    """inputs: (runs, n, d), or one such tensor for each task, where each has its own. targets: of each task, (runs, n, outputs),
    or (runs, n) int64 of classes."""

    inputs: Tensor | tuple[Tensor, ...]
    targets: tuple[Tensor, ...]


Network = Callable[[int, Sequence[int], Sequence[torch.Generator]], nn.Module]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A main task, the first of `tasks`, and its auxiliary ones.

    title: for readers. load: seed -> {"train": (inputs, target of task 0, of task 1, ...), "validation": ..., "test": ...},
    numpy arrays or tensors: inputs (n, d), or a list of such arrays, one for each task; targets (n,) or (n, outputs). A seed
    stands for the split or draw of the data. metric: of the main task, a name in METRICS. shared, head: widths of the shared
    layers of a ReLU network, and of each head's hidden ones. network: (inputs, outputs of each task, one generator per run) ->
    the model, in place of it; as `StackedMLP`. steps: updates of a training. batch: samples of each task in an update. rates:
    lowest and highest learning rate. traits: what a decision turns on, such as "few main labels". data: () -> name -> sha256 of
    what `load` reads.
    Raises BadValue for a metric that the main task has not, a single task, or a budget that is not above zero.
    """

    title: str
    load: Callable[[int], Mapping[str, Sequence[Any]]]
    tasks: tuple[Task, ...]
    metric: str
    shared: Sequence[int] = (32,)
    head: Sequence[int] = ()
    network: Network | None = None
    steps: int = 600
    batch: int = 16
    rates: tuple[float, float] = (0.003, 1.0)
    traits: tuple[str, ...] = ()
    data: Callable[[], Mapping[str, str]] = dict

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UnknownName("metric", self.metric, METRICS)
        if len(self.tasks) < 2:
            raise BadValue(f"{self.title}: a comparison of weights needs at least two tasks.")
        if self.tasks[0].kind not in METRICS[self.metric][1] or (self.metric == "AUROC" and self.tasks[0].outputs > 1):
            raise BadValue(f"{self.title}: {self.metric} is no metric of a task of kind {self.tasks[0].kind!r}.")
        if not (self.steps > 0 and self.batch > 0 and 0 < self.rates[0] < self.rates[1]):
            raise BadValue(f"{self.title}: steps, batch and rates must be above 0, the lowest rate below the highest.")

    def parts(self, seeds: Sequence[int]) -> tuple[Part, Part, Part]:
        """The three parts of every seed, the seeds first. Raises BadValue, naming part and task, where the data do not fit."""
        loaded = [self._loaded(seed) for seed in seeds]
        train, validation, test = (self._part([each[name] for each in loaded], name) for name in PARTS)
        return train, validation, test

    def _loaded(self, seed: int) -> Mapping[str, Sequence[Any]]:
        try:
            loaded = self.load(seed)
        except MtlreproError:
            raise
        except Exception as error:
            raise BadValue(f"{self.title}: load({seed}) failed: {type(error).__name__}: {error}.") from error
        if not isinstance(loaded, Mapping) or any(name not in loaded for name in PARTS):
            raise BadValue(f'{self.title}: load must return a dict with "train", "validation" and "test".')
        for name in PARTS:
            if len(loaded[name]) != 1 + len(self.tasks):
                raise BadValue(
                    f"{self.title}, {name}: needs inputs and {len(self.tasks)} targets, has {len(loaded[name])} entries."
                )
        return loaded

    def _part(self, loaded: list[Sequence[Any]], name: str) -> Part:
        own = isinstance(loaded[0][0], list | tuple)
        inputs = tuple(zip(*(each[0] for each in loaded), strict=True)) if own else (tuple(each[0] for each in loaded),)
        if own and len(inputs) != len(self.tasks):
            raise BadValue(f"{self.title}, {name}: {len(inputs)} arrays of inputs for {len(self.tasks)} tasks.")
        x = [self._stacked([_widened(a, arrays) for a in arrays], f"{name}, inputs", NETWORK, 2) for arrays in inputs]
        targets = []
        for i, task in enumerate(self.tasks):
            where = f"{name}, task {i}"
            classes = task.kind == "classes"
            y = self._stacked([each[1 + i] for each in loaded], where, torch.int64 if classes else NETWORK, 1)
            y = y[..., None] if not classes and y.ndim == 2 else y
            if y.shape[1] != x[i if own else 0].shape[1] or y.shape[2:] != (() if classes else (task.outputs,)):
                raise BadValue(
                    f"{self.title}, {where}: targets {tuple(y.shape[1:])} do not fit the inputs and {task.outputs} outputs."
                )
            known = y[y.isfinite()]
            low, high = {"binary": (0, 1), "classes": (0, task.outputs - 1), "values": (-torch.inf, torch.inf)}[task.kind]
            if not len(known) or known.min() < low or known.max() > high:
                raise BadValue(f"{self.title}, {where}: targets must lie in {low} to {high}, at least one of them.")
            targets.append(y)
        if not all(bool(each.isfinite().all()) for each in x):
            raise BadValue(f"{self.title}, {name}: an input is not finite.")
        return Part(tuple(x) if own else x[0], tuple(targets))

    def _stacked(self, arrays: Sequence[Any], where: str, dtype: torch.dtype, least: int) -> Tensor:
        try:
            made = torch.stack([torch.as_tensor(np.asarray(array)).to(dtype) for array in arrays])
        except (RuntimeError, TypeError, ValueError) as error:
            raise BadValue(f"{self.title}, {where}: no arrays of one shape: {str(error).splitlines()[0]}") from None
        if not least + 1 <= made.ndim <= 3:
            raise BadValue(f"{self.title}, {where}: an array of shape {tuple(made.shape[1:])}.")
        return made

    def model(self, inputs: int, generators: Sequence[torch.Generator]) -> nn.Module:
        """The network of a batch of runs, one generator per run."""
        outputs = [task.outputs for task in self.tasks]
        build = self.network or (lambda d, widths, each: StackedMLP(d, self.shared, self.head, widths, each))
        return build(inputs, outputs, generators)


def _widened(array: Any, among: Sequence[Any]) -> Any:
    """With columns of zeros, as wide as the widest: a rare category may be in some seeds' training parts only."""
    width = max(np.shape(each)[-1] for each in among) if np.ndim(array) == 2 else 0
    return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1]))) if width > np.shape(array)[-1] else array


@lru_cache(maxsize=4)
def parts_at(where: str, seeds: tuple[int, ...]) -> tuple[Part, Part, Part]:
    """`Problem.parts` of the problem at a place, kept for the methods that follow."""
    return at(where).parts(seeds)


def discovered() -> dict[str, str]:
    """Name, such as ``hydalearn/related_toy``, -> the module of every paper's problem."""
    files = sorted((paths.PACKAGE / "papers").glob("*/problems/[!_]*.py"))
    return {f"{f.parents[1].name}/{f.stem}": f"mtlrepro.papers.{f.parents[1].name}.problems.{f.stem}" for f in files}


def place(name: str) -> str:
    """Where a problem is: the module of a paper's problem, or the path of a file of one's own. Raises UnknownName, BadValue."""
    if not name.endswith(".py"):
        known = discovered()
        if name not in known:
            raise UnknownName("problem", name, known, "A problem of one's own is a file that ends in .py.")
        return known[name]
    file = Path(name).expanduser().resolve()
    if not file.is_file():
        raise BadValue(f"there is no problem file {name}.")
    return str(file)


@cache
def at(where: str) -> Problem:
    """The problem of a module or file, as `place` names it. Raises BadValue, in one line, for a file that does not define one."""
    if not where.endswith(".py"):
        found = pkgutil.resolve_name(f"{where}:PROBLEM")
    else:
        try:
            found = runpy.run_path(where).get("PROBLEM")
        except MtlreproError:
            raise
        except Exception as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            what = f"{type(error).__name__}: {in_one_line(error)}"
            raise BadValue(f"{Path(where).name}{line} cannot be run: {what}.") from None
    if not isinstance(found, Problem):
        raise BadValue(f"{Path(where).name} defines no PROBLEM: end it with PROBLEM = Problem(...).")
    return found
