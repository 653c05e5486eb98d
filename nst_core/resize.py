"""Sizes and resizing of image tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def fit_long_side(height: int, width: int, long_side_px: int) -> tuple[int, int]:
    """(height, width) with the long side `long_side_px` and the same proportions, each >= 1."""
    factor = long_side_px / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """B x 3 x H x W to the given size in pixels: bicubic, antialiased, not cut to a range."""
    if images.shape[-2:] == (height, width):
        return images
    return F.interpolate(
        images, size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )
