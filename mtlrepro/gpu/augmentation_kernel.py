"""Cropping, flipping, rotating and normalising a batch of images in one kernel on the GPU, in Triton, which PyTorch brings there.

The same pixels and numbers as `mtlrepro.training.augmentation.augmented`, which takes some fifty kernels to it: on 32 x 32 images
longer than a small network's whole step.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from mtlrepro.training.augmentation import Augmentation, ImageData, Moves

_BLOCK = 256


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]
    pixels, rows, down, right, flipped, cosine, sine, mean, spread, out, count, black, crop, H: tl.constexpr,
            W: tl.constexpr, C: tl.constexpr, ROTATES: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """One result pixel a lane."""
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    known = pixel < count
    image = pixel // (H * W)
    y = (pixel // W) % H
    x = pixel % W
    inside = known
    if ROTATES:
        up = y.to(tl.float32) - (H - 1) / 2
        left = x.to(tl.float32) - (W - 1) / 2
        cos = tl.load(cosine + image, mask=known, other=1.0)
        sin = tl.load(sine + image, mask=known, other=0.0)
        x = _rounded(cos * left - sin * up + (W - 1) / 2)
        y = _rounded(sin * left + cos * up + (H - 1) / 2)
        inside = inside & (y >= 0) & (y < H) & (x >= 0) & (x < W)
    x = tl.where(tl.load(flipped + image, mask=known, other=0) != 0, W - 1 - x, x)
    x = x + tl.load(right + image, mask=known, other=0).to(tl.int32) - crop
    y = y + tl.load(down + image, mask=known, other=0).to(tl.int32) - crop
    inside = inside & (y >= 0) & (y < H) & (x >= 0) & (x < W)
    row = tl.load(rows + image, mask=known, other=0)
    source = tl.where(inside, (row * H + y) * W + x, black)
    for c in tl.static_range(C):
        value = tl.load(pixels + source * C + c, mask=known, other=0).to(tl.float32)
        normal = tl.math.div_rn(value - tl.load(mean + c), tl.load(spread + c))
        tl.store(out + pixel * C + c, normal, mask=known)


@triton.jit  # type: ignore[untyped-decorator]
def _rounded(value):  # type: ignore[no-untyped-def]
    """To the nearest integer, halves to the even one."""
    whole = tl.floor(value)
    rest = value - whole
    number = whole.to(tl.int32)
    return number + ((rest > 0.5) | ((rest == 0.5) & (number % 2 != 0))).to(tl.int32)


def augmented(data: ImageData, rows: Tensor, moves: Moves, how: Augmentation) -> Tensor:
    """(n, channels, h, w) float32, channels last in memory; as the function of that name with moves and a black border."""
    n, h, w, channels = data.shape
    out = torch.empty(len(rows), h, w, channels, device=rows.device)
    pixels = len(rows) * h * w
    _kernel[(triton.cdiv(pixels, _BLOCK),)](
        data.pixels, rows, moves.down, moves.right, moves.flipped.to(torch.uint8), moves.turn.cos(), moves.turn.sin(), data.mean,
        data.spread, out, pixels, n * h * w, how.crop, h, w, channels, bool(how.rotation), _BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return out.permute(0, 3, 1, 2)
