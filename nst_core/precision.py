"""In what numbers convolutions are computed, by what the device computes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from nst_core.presets import Precision

UsedPrecision = Literal["fp32", "tf32", "bf16"]

_AMPERE = 8


def used_precision(wanted: Precision, device: torch.device) -> UsedPrecision:
    """What `wanted` comes to on this device.

    "auto" is bf16 where the device multiplies it faster than float32, else tf32 where it has
    that, else fp32. "bf16" is taken by any device; by some it is emulated, and slow.

    Raises:
        ValueError: for tf32 on a device that does not have it.
    """
    has_tf32 = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= _AMPERE
    if wanted == "tf32" and not has_tf32:
        raise ValueError(f"precision: {device} does not compute in tf32; expected auto, fp32, bf16")
    if wanted != "auto":
        return wanted
    if _multiplies_bf16(device):
        return "bf16"
    return "tf32" if has_tf32 else "fp32"


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older versions of torch cannot tell.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    native = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return native and device.type == "cpu"


@contextmanager
def computing_in(precision: UsedPrecision, device: torch.device) -> Iterator[None]:
    """float32 products inside the block are tf32 for that precision, and exact for the others."""
    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
