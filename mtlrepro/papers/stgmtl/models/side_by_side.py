"""Several convolutional networks of one architecture as one network: run i is group i of the channels of every layer.

A convolution of r networks side by side is one convolution with r groups, and batch normalisation is by channel already. So r
small networks train in the calls of one, on the same images, which fills a GPU and spares a CPU most of its fixed costs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlrepro.errors import BadValue

# What acts on each channel alone and holds no parameters.
_CHANNELWISE = (nn.ReLU, nn.Identity, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten)


def side_by_side(nets: Sequence[nn.Module]) -> nn.Module:
    """One network that makes of images (n, r c, h, w) the r networks' outputs (n, r features), run by run along the channels.

    nets: r networks of one architecture, made of convolutions, batch normalisation and layers that act on each channel alone;
    their parameters and running statistics are copied. Raises BadValue for any other layer, and where there is no network.
    """
    if not nets:
        raise BadValue("no network to lay side by side.")
    joint = copy.deepcopy(nets[0])
    for name, module in list(joint.named_modules()):
        if next(module.children(), None) is None:
            parent, _, own = name.rpartition(".")
            setattr(joint.get_submodule(parent), own, _joined([net.get_submodule(name) for net in nets], name))
    return joint


def _joined(modules: Sequence[nn.Module], name: str) -> nn.Module:
    first, runs = modules[0], len(modules)
    made: nn.Module
    if isinstance(first, _CHANNELWISE):
        return first
    if isinstance(first, nn.Conv2d) and first.groups == 1 and isinstance(first.padding, tuple):
        made = nn.utils.skip_init(
            nn.Conv2d, runs * first.in_channels, runs * first.out_channels, _pair(first.kernel_size), _pair(first.stride),
            _pair(first.padding), _pair(first.dilation), groups=runs, bias=first.bias is not None,
        )  # fmt: skip
    elif isinstance(first, nn.BatchNorm2d):
        made = nn.BatchNorm2d(runs * first.num_features, first.eps, first.momentum, first.affine, first.track_running_stats)
    else:
        raise BadValue(f"{name}: {type(first).__name__} cannot be laid side by side.")
    made = made.to(next(first.parameters()))  # dtype and device
    states = [module.state_dict() for module in modules]
    made.load_state_dict({key: torch.cat([s[key] for s in states]) if value.ndim else value for key, value in states[0].items()})
    return made


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    return size[0], size[1]


class StackedTaskNet(nn.Module):
    """r networks side by side on the same images, each with one logit a task: a linear head without bias.

    bottoms: networks images (n, c, h, w) -> features (n, d). heads: (r, tasks, d) their heads' initial weights.
    """

    def __init__(self, bottoms: Sequence[nn.Module], heads: Tensor) -> None:
        super().__init__()
        if len(bottoms) != len(heads):
            raise BadValue(f"{len(bottoms)} networks need as many heads, not {len(heads)}.")
        self.runs = len(bottoms)
        self.bottom = side_by_side(bottoms)
        self.heads = nn.Parameter(heads)

    def forward(self, images: Tensor) -> Tensor:
        """(n, c, h, w) -> logits (r, tasks, n)."""
        features = self.bottom(images.repeat(1, self.runs, 1, 1)).unflatten(1, (self.runs, -1))
        logits: Tensor = torch.einsum("nrd,rtd->rtn", features, self.heads)
        return logits

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters of the bottoms."""
        return list(self.bottom.parameters())
