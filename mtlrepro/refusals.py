"""Checks of what a person's own files, model, losses and metrics give. Each changes nothing and returns nothing, or, where its
name begins with ``checked_``, its first argument as it is: it refuses.

So a call that stands as a statement of its own is no part of a finished run's key (`mtlrepro.results.import_graph`), and a
``checked_...`` counts as what it is given: a row that exists was computed as without it. Within a step only shapes, types and
names are read; values are read between epochs.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from mtlrepro.errors import BadValue, DataCorrupt, in_one_line
from mtlrepro.files import damaged_zip

if TYPE_CHECKING:
    from mtlrepro.training.augmentation import ImageData
    from mtlrepro.training.images import _Run
    from mtlrepro.training.weighting import Batch, Step, Weighting

T = TypeVar("T")
# Bytes of a table that are looked at together.
_PIECE = 1 << 22


def refuse_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Raise BadValue for an optimizer that evaluates the loss itself, or that holds no parameter of the model."""
    if isinstance(optimizer, torch.optim.LBFGS):
        raise BadValue("LBFGS evaluates the losses several times a step, and task weights are set once: train with SGD or Adam.")
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not any(id(p) in held for p in model.parameters()):
        raise BadValue("the optimizer holds no parameter of this model: build it from model.parameters().")


def refuse_loaded(inputs: Any, targets: Sequence[Any]) -> None:
    """Raise BadValue for what a loader yields where it is no (inputs, targets of task 0, ...); of a dict, its keys are here."""
    if isinstance(inputs, str) or not targets:
        raise BadValue(
            f"the loader yields {'a dict' if isinstance(inputs, str) else 'inputs alone'}: let it yield (inputs, targets of task "
            "0, targets of task 1, ...), or write the batches as `Batch(inputs, targets)`."
        )


def checked_outputs(outputs: T, functions: Sequence[Any], targets: Any) -> T:
    """`outputs`, of a model that returns one a task. Raises BadValue for a dict, for one tensor of all, for another number."""
    kind, wanted = type(outputs).__name__, f"a list of {len(functions)}, one output a task in the order of the losses"
    if isinstance(outputs, Mapping):
        keys = ", ".join(map(repr, outputs))
        raise BadValue(f"the model returned a {kind} of {keys}: return {wanted}, or take them out in a function of losses.")
    if (isinstance(outputs, Tensor) and not outputs.ndim) or not isinstance(outputs, Tensor | list | tuple):
        raise BadValue(f"the model returned a {kind}: return {wanted}.")
    if len(outputs) != len(functions):
        found = f"one tensor {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else f"a {kind} of {len(outputs)}"
        raise BadValue(f"the model returned {found}: return {wanted}.")
    if len(targets) != len(functions):
        raise BadValue(f"the batch has {len(targets)} targets, and there are {len(functions)} losses: one target a task.")
    return outputs


def checked_losses(losses: list[Tensor]) -> list[Tensor]:
    """`losses`, one a task. Raises BadValue unless they are tensors of one shape."""
    for task, loss in enumerate(losses):
        if not isinstance(loss, Tensor) or loss.shape != losses[0].shape:
            found = f"of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
            raise BadValue(
                f"the loss of task {task} is {found}: each task's must be a tensor, () or (runs,): the mean over samples."
            )
    return losses


def refuse_logits(logits: Any, batch: Batch) -> None:
    """Raise BadValue for what an image model returns where it is no logits (n, classes), or (..., tasks, n) for binary tasks."""
    labels = batch.targets[0] if isinstance(batch.targets, tuple) else batch.targets
    binary = labels.ndim == 2
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else ()
    if not (shape[-2:] == tuple(labels.shape) if binary else len(shape) == 2 and shape[0] == len(labels)):
        found = f"shape {shape}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        wanted = f"(..., tasks, n), here {tuple(labels.shape)}" if binary else f"(n, classes), here ({len(labels)}, classes)"
        raise BadValue(f"the model returned {found}: it must return one tensor of logits {wanted}.")


def refuse_binary(labels: NDArray[Any] | Tensor, weights: NDArray[Any] | Tensor | None) -> None:
    """Raise BadValue for labels other than 0 and 1, and for weights of positive ones that are below 0, infinite or NaN."""
    if not ((labels == 0) | (labels == 1)).all():
        raise BadValue("labels of binary tasks must be 0 or 1: map -1 to 0, and leave out images whose label is not known.")
    if weights is not None and not ((weights >= 0) & (weights < float("inf"))).all():
        raise BadValue("weights of positive labels must be numbers, 0 or above: is a task without a positive image among them?")


def refuse_no_images(tasks: Any, images: ImageData) -> None:
    """Raise BadValue for a row of the tasks, `BinaryTasks` or `Task`, that is none of the images; -1 would be the last."""
    for rows in [tasks.rows] if hasattr(tasks, "labels") else [task.parts["train"].rows for task in tasks]:
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(images)):
            least, most = int(rows.min()), int(rows.max())
            raise BadValue(f"rows of the tasks are {least} to {most}, and there are {len(images)} images: number them from 0.")


def refuse_losses(step: Step, weighting: Weighting) -> None:
    """Raise BadValue unless losses are (..., tasks), with leading dimensions (runs) that every trained shared parameter has."""
    name, losses = type(weighting).__name__, step.losses
    if not isinstance(losses, Tensor):
        raise BadValue(f"{name} needs losses as one tensor, not a {type(losses).__name__}: torch.stack them along the last one.")
    if not losses.requires_grad:
        raise BadValue(f"{name} got losses without a gradient: do not detach them, and compute them outside of torch.no_grad().")
    if not losses.ndim or not losses.numel() or not losses.is_floating_point():
        raise BadValue(
            f"{name} needs losses of shape (tasks,), or (runs, tasks), not {losses.dtype} {tuple(losses.shape)}: "
            "stack one mean loss a task along the last dimension."
        )
    runs = losses.shape[:-1]
    odd = [n for n, p in step.shared.items() if p.shape[: len(runs)] != runs]
    if odd:
        raise BadValue(
            f"{name} got losses of shape {tuple(losses.shape)}, which are of {tuple(runs)} runs, but parameter {odd[0]} has "
            f"shape {tuple(step.shared[odd[0]].shape)}: take each loss's mean over the samples."
        )


def refuse_weights(weights: Tensor, step: Step) -> None:
    """Raise BadValue unless weights (..., tasks) are as many as the tasks; one alone would stand for all."""
    given = weights.shape[-1] if weights.ndim else 1
    if not (weights.ndim and (given == step.losses.shape[-1] if step.task is None else step.task < given)):
        wanted = f"{step.losses.shape[-1]} tasks" if step.task is None else f"a batch of task {step.task}, counted from 0"
        raise BadValue(f"{_asking()} has {given} task weight{'s' * (given != 1)} for {wanted}: give one a task.")


def refuse_main(main: int, step: Step, tasks: int | None = None) -> None:
    """Raise BadValue for a main task that is none of the tasks, by default of those of the step's losses."""
    count = step.losses.shape[-1] if tasks is None else tasks
    if not 0 <= main < count:
        raise BadValue(f"{_asking()}: main is task {main}, and there are {count} tasks, counted from 0.")


def refuse_no_shared(step: Step) -> None:
    """Raise BadValue where gradients of shared parameters are asked for and none is trained."""
    if not step.shared:
        raise BadValue(
            f"{_asking()} compares gradients of shared parameters, and {type(step.model).__name__} names none that is trained: "
            "give it a method shared_parameters(), which a wrapper such as DataParallel hides, and do not freeze them all."
        )


def refuse_mixed_types(step: Step) -> None:
    """Raise BadValue where gradients a task are wanted of parameters in a narrower number format than the losses."""
    kind = step.losses.dtype
    for p in step.shared.values():
        kind = torch.promote_types(kind, p.dtype)
    for name, p in (step.shared | step.heads).items():
        if p.dtype != kind and torch.promote_types(kind, p.dtype) != p.dtype:
            raise BadValue(
                f"{_asking()} combines the gradients of each task: parameter {name} is {p.dtype}, and losses and shared "
                f"parameters reach {kind}. Keep every parameter in {kind} and compute in less under torch.autocast."
            )


def refuse_nan_labels(method: str, labels: Tensor) -> None:
    """Raise BadValue for labels that are NaN: none is above 0, and so each would count as negative."""
    if labels.isnan().any():
        raise BadValue(f"{method}: NaN among the labels: leave out what has no label.")


def refuse_nan_ranges(depth: Tensor, thresholds: Sequence[float], valid: Tensor | None) -> None:
    """Raise BadValue for NaN among thresholds, and among values where `valid` is not False: it would get the last class."""
    odd = depth.isnan() if valid is None else depth.isnan() & valid
    if odd.any():
        raise BadValue(f"quantise: {int(odd.sum())} of the values are NaN: give `valid`, False there.")
    if any(each != each for each in thresholds):
        raise BadValue("quantise: NaN among the thresholds, which must rise.")


def refuse_empty_groups(sizes: Sequence[int]) -> None:
    """Raise BadValue for groups of no task."""
    if min(sizes, default=0) < 1:
        raise BadValue(f"random grouping: each group has at least one task, not {list(sizes)}.")


def refuse_not_finite(method: str, *values: Tensor) -> None:
    """Raise BadValue where one of these is NaN or infinite."""
    if not all(bool(each.isfinite().all()) for each in values):
        raise BadValue(f"{method} needs finite numbers: look for NaN in what it is given.")


def refuse_kinds(method: str, *tensors: Tensor) -> None:
    """Raise BadValue for tensors that are not all of one real number format."""
    kinds = {t.dtype for t in tensors}
    if len(kinds) > 1 or not all(t.is_floating_point() for t in tensors):
        raise BadValue(
            f"{method} computes in one real number format, not in {', '.join(sorted(map(str, kinds)))}: use .double()."
        )


def refuse_donated_buffers(step: Step) -> None:
    """Raise BadValue where a compiled model frees after one backward pass what those of the other tasks need."""
    compiled = any(isinstance(module, torch._dynamo.OptimizedModule) for module in _modules(step.model))
    if compiled and torch._functorch.config.donated_buffer:  # type: ignore[attr-defined]
        raise BadValue(
            f"{_asking()} makes a backward pass a task through a compiled model: "
            "set torch._functorch.config.donated_buffer = False before the model's first call."
        )


def refuse_diverged(epoch: int, losses: Tensor, weights: Tensor, weighting: Weighting) -> None:
    """Raise BadValue where an epoch's mean losses or weights, (..., tasks), are not finite: in every run of a batch of runs."""
    bad = ~(losses.isfinite() & weights.isfinite())
    if bad.any(-1).all():
        tasks = ", ".join(map(str, bad.reshape(-1, bad.shape[-1]).all(0).nonzero().flatten().tolist() or ["any"]))
        runs = f" in all {bad[..., 0].numel()} runs" if bad.ndim > 1 else ""
        raise BadValue(
            f"{type(weighting).__name__}: the loss or the weight of task {tasks} is not finite in epoch {epoch + 1}{runs}. Look "
            "for NaN in inputs and labels, a NaN metric (an AUROC of one class), a loss of exactly 0, too large a learning rate."
        )
    _refuse_vanished(epoch, weights, weighting)


def _refuse_vanished(epoch: int, weights: Tensor, weighting: Any) -> None:
    """Raise BadValue where a learnt log-variance has made a task's weight exactly 0 in an epoch: in every run of a batch of runs.

    It falls by half the rate a step at most, so that the weight stays 0 for about L steps after one loss L.
    """
    while hasattr(weighting, "inner"):
        weighting = weighting.inner
    gone = (weights == 0).any(-1) if hasattr(weighting, "log_variances") else weights.new_zeros(1).bool()
    if gone.all():
        tasks = ", ".join(map(str, (weights == 0).reshape(-1, weights.shape[-1]).any(0).nonzero().flatten().tolist()))
        raise BadValue(
            f"{type(weighting).__name__}: the weight of task {tasks} is 0 in epoch {epoch + 1}, and will be for long: a loss of "
            "many times its usual size has moved its log-variance too far. Scale the losses to about 1, or lower `rate`."
        )


def refuse_diverged_images(run: _Run) -> None:
    """`refuse_diverged` for the epoch of an image training that ends, over the tasks that had a batch in it."""
    had = (run.counts > 0).to(run.data.device)
    bad = [~total[..., had].isfinite() for total in run.means.values()]
    if any(bool(each.any(-1).all()) for each in bad):
        among = had.nonzero().flatten().tolist()
        named = {
            task for each in bad for task, one in zip(among, each.reshape(-1, len(among)).any(0).tolist(), strict=True) if one
        }
        tasks = ", ".join(map(str, sorted(named)))
        where = f"epoch {run.epoch + 1}, within steps {run.update - run.done + 1} to {run.update}, seed {run.seed}"
        raise BadValue(
            f"{type(run.weighting).__name__}: the loss or the weight of task {tasks} is not finite in {where}: "
            "is the learning rate too large, or is there NaN in images, labels or weights?"
        )
    if run.means:
        _refuse_vanished(run.epoch, run.means["weights"][..., had], run.weighting)


def refuse_zero_before(method: str, losses: Tensor | None) -> None:
    """Raise BadValue where a ratio to these losses, (..., tasks), is none: one is 0, in every run of a batch of runs."""
    if losses is not None and (losses == 0).any(-1).all():
        raise BadValue(f"{method}: a task's loss was exactly 0 in the epoch before, so that no ratio to it exists: leave it out.")


def refuse_damaged(archive: Path) -> None:
    """Raise DataCorrupt for a checkpoint whose bytes are not those that were written: torch.load compares no checksums."""
    try:
        damaged = damaged_zip(archive)
    except (OSError, ValueError):
        damaged = True
    if damaged:
        raise DataCorrupt(f"{archive} is no readable checkpoint: delete it to train from the start.")


def refuse_nan_selection(epoch: int, value: Tensor) -> None:
    """Raise BadValue where the value that selects the epoch, () or (runs,), is NaN: in every run of a batch of runs."""
    if value.isnan().all():
        raise BadValue(
            f"the validation value is NaN after epoch {epoch}, so that no epoch can be chosen: is it of a single class, as an "
            "AUROC without positives? Give `select` the tasks whose metric is a number."
        )


def refuse_broadcast(outputs: Tensor, targets: Tensor, classes: bool = False) -> None:
    """Raise BadValue where outputs (n, 1) stand against targets (n,), or the other way round: together they are (n, n).

    classes: outputs have a last dimension of classes besides.
    """
    a, b = tuple(outputs.shape[:-1] if classes else outputs.shape), tuple(targets.shape)
    if a != b and (a == (*b, 1) or b == (*a, 1)):
        raise BadValue(
            f"outputs of shape {a} against targets of shape {b}: end the head with squeeze(-1), or the targets with [..., None]; "
            "as they are, every output would meet every target."
        )


def refuse_negative(method: str, *, zero: bool = True, **values: Tensor | float) -> None:
    """Raise BadValue for a value, one or one a run, that is below 0 or NaN; or 0, where that is not allowed either."""
    for name, value in values.items():
        if not bool(torch.as_tensor(value >= 0 if zero else value > 0).all()):
            raise BadValue(f"{method}: {name} must be {'0 or above' if zero else 'above 0'}, not {value}.")


def refuse_eight_bits(file: Path, values: NDArray[Any], highest: int) -> None:
    """Raise DataCorrupt for a map of 16 bits a pixel that holds nothing above `highest`, the most that 8 bits could say."""
    if values.max(initial=0) <= highest:
        raise DataCorrupt(f"{file}: its depth or disparity stays within 8 bits; was the PNG of 16 bits converted?")


def refuse_ragged(file: Path) -> None:
    """Raise DataCorrupt for a table, .csv or .csv.gz, whose last line has no end or that has a row of another number of fields
    than its header: pandas makes missing values of fields that are not there, and takes one too many for an index."""
    line, quotes, commas, fields, block = 0, 0, 0, 0, b""
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as content:
        while piece := content.read(_PIECE):
            block = piece
            characters = np.frombuffer(block, np.uint8)
            inside = np.cumsum(characters == ord('"'), dtype=np.uint8) + np.uint8(quotes) & 1
            ends = np.flatnonzero((characters == ord("\n")) & (inside == 0))
            seen = np.cumsum((characters == ord(",")) & (inside == 0))
            counts = np.diff(seen[ends], prepend=-commas) + 1
            fields = fields or int(counts[0]) if len(counts) else fields
            if (odd := counts != fields).any():
                row = int(odd.argmax())
                line += int(np.count_nonzero(characters[: ends[row] + 1] == ord("\n")))
                raise DataCorrupt(f"{file}, line {line}: {counts[row]} fields, not the {fields} of the header.")
            line += int(np.count_nonzero(characters == ord("\n")))
            quotes, commas = int(inside[-1]), int(seen[-1] - seen[ends[-1]]) if len(ends) else commas + int(seen[-1])
    if not block.endswith(b"\n"):
        raise DataCorrupt(f"{file}: its last line has no end; is it cut off?")


def refuse_no_png(file: Path) -> None:
    """Raise DataCorrupt for a PNG that Pillow gives up on before its pixels: sizes beyond all measure, chunks cut off."""
    try:
        with Image.open(file, formats=("PNG",)):
            pass
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataCorrupt(f"{file} is no whole PNG: {in_one_line(error)}.") from None


def refuse_no_array(file: Path) -> None:
    """Raise DataCorrupt for a .npy that holds no array of real numbers; its header alone is read."""
    try:
        found: Any = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header is parsed as Python
        raise DataCorrupt(f"{file}: {in_one_line(error)}.") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf":
        raise DataCorrupt(f"{file}: no array of real numbers, but {getattr(found, 'dtype', type(found).__name__)}.")


def refuse_odd_scene(file: Path, image: NDArray[Any], labels: NDArray[Any], metres: NDArray[Any]) -> None:
    """Raise DataCorrupt for an image that is not from 0 to 1, labels that are no whole numbers, a depth that is not in metres."""
    if not ((image >= 0) & (image <= 1)).all():
        raise DataCorrupt(f"{file}: the image is not from 0 to 1: divide bytes by 255.")
    if not np.isfinite(labels).all() or (labels % 1).any():
        raise DataCorrupt(f"{file}: its labels are not whole numbers.")
    if not (metres <= 100).all():
        raise DataCorrupt(f"{file}: a depth above 100 m, or NaN: is it in millimetres?")


def refuse_odd_mat(file: Path, images: Any, depths: Any, labels: Any) -> None:
    """Raise DataCorrupt unless these are NYU-v2's arrays: n images of 3 channels in bytes, n depths and unsigned labels."""
    n, *size = images.shape if images.ndim == 4 and images.dtype == np.uint8 else (0, 0)
    shape = (n, *size[1:])
    if size[0] != 3 or depths.shape != shape or labels.shape != shape or depths.dtype.kind != "f" or labels.dtype.kind != "u":
        raise DataCorrupt(f"{file}: images, depths and labels are not those of NYU Depth V2, or do not fit each other.")


def refuse_odd_numbers(file: Path, name: str, values: NDArray[Any]) -> None:
    """Raise DataCorrupt for an array that does not hold whole numbers alone."""
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or (values % 1).any():
        raise DataCorrupt(f"{file}: {name} is not some whole numbers.")


def refuse_lone_frames(file: Path, parts: Sequence[NDArray[Any]], frames: Any) -> None:
    """Raise DataCorrupt where frames stand in no part."""
    if (given := sum(map(len, parts))) < len(frames):
        raise DataCorrupt(f"{file}: its parts hold {given} frames of {len(frames)}; is one cut off?")


def refuse_odd_colours(file: Path, codes: Sequence[int], labels: Sequence[int]) -> None:
    """Raise DataCorrupt for one colour of two classes."""
    if len(set(zip(codes, labels, strict=True))) > len(set(codes)):
        raise DataCorrupt(f"{file}: a colour stands for two classes.")


def refuse_unlabelled(where: Path | str, labels: NDArray[Any]) -> None:
    """Raise DataCorrupt for a label map without any pixel of a class (all below 0)."""
    if not (labels >= 0).any():
        raise DataCorrupt(f"{where}: no pixel has a known class; are its labels of another kind, or another set's?")


def refuse_metric(value: Any, step: Step) -> None:
    """Raise BadValue for a metric that is not one number, or one a run."""
    shape = tuple(step.losses.shape[:-1])
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise BadValue(
            f"{_asking()} needs a metric that is one number{' a run' if shape else ''}, a tensor of shape {shape}, not {found}: "
            "name it with metric=, and end heads of one column with squeeze(-1)."
        )


def refuse_validation(metrics: Any, losses: Tensor, one: bool = True) -> None:
    """Raise BadValue for validation values that are no tensor (..., tasks) as the losses. one: a single value will do as well."""
    shape = tuple(metrics.shape) if isinstance(metrics, Tensor) else ()
    if not shape or shape[:-1] != losses.shape[:-1] or not (shape[-1] == losses.shape[-1] or (one and shape[-1] == 1)):
        found = f"shape {shape}" if isinstance(metrics, Tensor) else f"a {type(metrics).__name__}"
        wanted = f"{'(runs, tasks)' if losses.ndim > 1 else '(tasks,)'}, here {tuple(losses.shape)}"
        raise BadValue(f"the validation function returned {found}: it must return a tensor {wanted}, larger being better.")


def refuse_image_validation(run: _Run, metrics: Any) -> None:
    """`refuse_validation` for the epoch of an image training that ends."""
    if run.means:
        refuse_validation(metrics, run.means["losses"])


def refuse_selection(select: Callable[[Tensor], Any], metrics: Tensor) -> None:
    """Raise BadValue where `select` makes of validation values (..., tasks) anything else than one number, or one a run."""
    value = select(metrics)
    if not isinstance(value, Tensor) or value.shape != metrics.shape[:-1]:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise BadValue(f"`select` returned {found}: it must return a tensor of shape {tuple(metrics.shape[:-1])}, mean(-1) say.")


def _modules(model: Any) -> Any:
    return model.modules() if isinstance(model, nn.Module) else ()


def _asking() -> str:
    """The weighting in whose step this is asked, for messages; outermost, so that a wrapper's name stands for its inner one's."""
    frame, name = sys._getframe(1), "the weighting"
    while frame is not None:
        for local in ("self", "weighting"):
            if hasattr(frame.f_locals.get(local), "weight_heads"):
                name = type(frame.f_locals[local]).__name__
                name = getattr(frame.f_locals[local], "rule", name)
                if local == "self":
                    return name
        frame = frame.f_back  # type: ignore[assignment]
    return name
