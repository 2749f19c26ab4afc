"""The number format of a network's forward pass: float32, or bfloat16 by autocast where the processor or card computes in it."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from mtlrepro.errors import BadValue

Chosen = Literal["float32", "bf16"]
Precision = Literal["auto", "float32", "bf16"]


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 itself; elsewhere it would be emulated, which takes longer than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def precision_on(device: torch.device, wanted: Precision = "auto") -> Chosen:
    """What is computed in: bf16 for "auto" where the device has it. Raises BadValue for another name."""
    if wanted not in get_args(Precision):
        raise BadValue(f"precision must be one of {', '.join(get_args(Precision))}, not {wanted!r}.")
    if wanted == "auto":
        return "bf16" if has_bf16(device) else "float32"
    return wanted


def computing_in(precision: Chosen, device: torch.device) -> torch.autocast:
    """Within it, matrix products and convolutions run in `precision`; parameters and losses stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
