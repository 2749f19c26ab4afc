"""One large image training over several processes, a device each: `train_images` as it is, on a model that shares out each batch.

    torchrun --nproc-per-node=2 train.py, with in train.py:
        torch.distributed.init_process_group("nccl")  # "gloo" on processors
        train_images(SharedOut(model), data, tasks, settings, seed=0)

Every process draws the same batches, which follow from seed and epoch, computes its own rows of each, and is given the logits of
the others. So losses and task weights are those of the whole batch, the same in all; `DistributedDataParallel` adds the gradients
up. An evaluation is computed whole by every process. A checkpoint is each process's own: name a file for each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mtlrepro.errors import BadValue
from mtlrepro.training.batch_statistics import batch_norms


class SharedOut(nn.Module):
    """A model called as `train_images` does: (images (n, c, h, w)) -> (..., tasks, n), or (images, task) -> (n, classes).

    Batch normalisation takes the statistics of the whole batch on GPUs. Weightings that ask for gradients of shared parameters
    are refused: each process has those of its own rows. Layers that draw, such as dropout, draw alike in every process.
    Raises BadValue outside of a process group, and for batch normalisation on processors.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if not distributed.is_initialized():
            raise BadValue("start the processes with torchrun, and call torch.distributed.init_process_group in each.")
        if batch_norms(model):
            if next(model.parameters()).device.type == "cpu":
                raise BadValue("on processors each process would normalise by its own rows: use group normalisation.")
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        # A batch of one task leaves the other heads without a gradient.
        self.replica = DistributedDataParallel(model, find_unused_parameters=True)

    def __deepcopy__(self, memo: Any) -> SharedOut:
        raise BadValue("a training over several processes keeps no running mean of the weights: set ema to 0.")

    def forward(self, images: Tensor, task: Tensor | None = None) -> Tensor:
        """The logits of the whole batch. Raises BadValue for fewer images than processes."""
        given: tuple[Tensor, ...] = () if task is None else (task,)
        if not self.training:
            whole: Tensor = self.replica.module(images, *given)
            return whole
        rank, processes, dim = distributed.get_rank(), distributed.get_world_size(), -1 if task is None else 0
        if len(images) < processes:
            raise BadValue(f"a batch of {len(images)} images is too small for {processes} processes.")
        sizes = [len(part) for part in torch.arange(len(images)).tensor_split(processes)]
        given = tuple(each.tensor_split(processes)[rank] if each.ndim else each for each in given)
        own: Tensor = self.replica(images.tensor_split(processes)[rank], *given)
        # The loss is of the whole batch already, and DistributedDataParallel takes the mean over the processes.
        own.register_hook(lambda gradient: gradient * processes)
        shape, parts = list(own.shape), []
        for source, size in enumerate(sizes):
            shape[dim] = size
            part = own.detach().contiguous() if source == rank else own.new_empty(shape)
            distributed.broadcast(part, source)
            parts.append(own if source == rank else part)
        return torch.cat(parts, dim)
