"""Settings of the image trainer, of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mtlrepro.errors import BadValue
from mtlrepro.training.augmentation import Augmentation
from mtlrepro.training.precision import Precision
from mtlrepro.training.schedules import Schedule

Optimizer = Literal["sgd", "adam", "adamw"]
Batches = Literal["one task", "mixed tasks"]


@dataclass(frozen=True)
class ImageTraining:
    """How a model is trained; of plain values, so that it goes into JSON and back (`dataclasses.asdict`, `settings_of`).

    batches: of tasks with images of their own; binary tasks on the same images always share them. batches_per_epoch: of each
        task, None: as many full ones as it has.
    epochs_of_tasks: a task is trained in the first so many epochs only, None: in all; CO-TASK's auxiliary tasks may stop early.
    drop_last: leave out an epoch's last smaller batch; None: but not of same-image tasks, whose data maps count every image.
    momentum, nesterov: of SGD. decay: weight decay, of every parameter.
    label_smoothing: share of a label that goes to all classes alike.
    ema: decay of a running mean of the weights, which is then what is evaluated; 0: none.
    precision: see `precision_on`. channels_last: memory order of the images. snapshots: after so many epochs.
    Raises BadValue for values out of range.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    epochs: int = 6
    batch: int = 128
    batches: Batches = "one task"
    batches_per_epoch: tuple[int, ...] | None = None
    epochs_of_tasks: tuple[int, ...] | None = None
    drop_last: bool | None = None
    optimizer: Optimizer = "sgd"
    rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    decay: float = 5e-4
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    label_smoothing: float = 0.0
    ema: float = 0.0
    precision: Precision = "auto"
    channels_last: bool = True
    snapshots: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, value, known in (("batches", self.batches, Batches), ("optimizer", self.optimizer, Optimizer)):
            if value not in get_args(known):
                raise BadValue(f"{name} must be one of {', '.join(get_args(known))}, not {value!r}.")
        if self.epochs < 1 or self.batch < 1 or self.rate <= 0:
            raise BadValue("epochs and batch must be at least 1, and the rate positive.")
        if not (0 <= self.label_smoothing < 1 and 0 <= self.ema < 1):
            raise BadValue("label_smoothing and ema must be at least 0 and below 1.")
        if any(not 1 <= epoch <= self.epochs for epoch in self.snapshots):
            raise BadValue(f"snapshots must be epochs 1 to {self.epochs}, not {self.snapshots}.")


def settings_of(values: Mapping[str, Any]) -> ImageTraining:
    """Settings from what `dataclasses.asdict` and JSON made of them. Raises BadValue for unknown names and wrong types."""
    try:
        return TypeAdapter(ImageTraining).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        raise BadValue(f"settings of a training: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
