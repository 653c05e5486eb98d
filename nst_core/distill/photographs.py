"""Training crops: photographs, and images that leave their manifold as the optimiser's do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

_SUFFIXES = {".jpg", ".jpeg", ".png"}


def read_photographs(folder: Path) -> list[Tensor]:
    """All photographs below a folder, by name: 3 x H x W, uint8."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise ValueError(f"photographs: no .jpg or .png below {folder}")
    images = []
    for file in files:
        with Image.open(file) as image:
            images.append(torch.tensor(np.asarray(image.convert("RGB"))).permute(2, 0, 1))
    return images


def centre_crops(photographs: list[Tensor], crop_px: int) -> Tensor:
    """B x 3 x crop x crop, float in 0..1, from the middle of each photograph."""
    crops = []
    for image in photographs:
        top, left = (image.shape[1] - crop_px) // 2, (image.shape[2] - crop_px) // 2
        crops.append(image[:, top : top + crop_px, left : left + crop_px])
    return torch.stack(crops).float() / 255


def training_batch(
    photographs: list[Tensor],
    batch: int,
    crop_px: int,
    textured: float,
    noisy: float,
    generator: torch.Generator,
) -> Tensor:
    """B x 3 x crop x crop, float in 0..1: random crops at random sizes, mirrored, recoloured.

    Args:
        textured: share of images mixed of two photographs by a soft mask.
        noisy: share of images with noise of a random strength and grain.
    """
    images = torch.stack([_crop(photographs, crop_px, generator) for _ in range(batch)])
    others = images.roll(1, dims=0)
    for index in range(batch):
        if _uniform(generator) < textured:
            grain = int(2 ** (1 + 4 * _uniform(generator)))
            mask = (_grained(1, crop_px, grain, generator) > 0).float()
            images[index] = images[index] * mask + others[index] * (1 - mask)
        if _uniform(generator) < 0.5:
            images[index] = _recoloured(images[index], generator)
        if _uniform(generator) < noisy:
            grain = int(2 ** (3 * _uniform(generator)))
            strength = 0.3 * _uniform(generator) ** 2
            images[index] += strength * _grained(3, crop_px, grain, generator)
    return images.clamp(0, 1)


def _crop(photographs: list[Tensor], crop_px: int, generator: torch.Generator) -> Tensor:
    image = photographs[int(torch.randint(len(photographs), (1,), generator=generator))]
    height, width = image.shape[1:]
    largest = min(height, width)
    side = min(largest, int(crop_px + (largest - crop_px) * _uniform(generator)))
    top = int(torch.randint(height - side + 1, (1,), generator=generator))
    left = int(torch.randint(width - side + 1, (1,), generator=generator))
    crop = image[:, top : top + side, left : left + side].float().unsqueeze(0) / 255
    crop = F.interpolate(crop, size=(crop_px, crop_px), mode="bilinear", antialias=True)[0]
    return crop.flip(2) if _uniform(generator) < 0.5 else crop


def _recoloured(image: Tensor, generator: torch.Generator) -> Tensor:
    """Another contrast, brightness and order of colours, as styles have."""
    mixed = image[torch.randperm(3, generator=generator)]
    gain = 0.6 + 0.9 * torch.rand(3, 1, 1, generator=generator)
    shift = 0.3 * torch.rand(3, 1, 1, generator=generator) - 0.15
    return (mixed - 0.5) * gain + 0.5 + shift


def _grained(channels: int, side_px: int, grain_px: int, generator: torch.Generator) -> Tensor:
    """Normal noise whose grains are about `grain_px` wide."""
    cells = max(2, side_px // max(1, grain_px))
    noise = torch.randn(1, channels, cells, cells, generator=generator)
    return F.interpolate(noise, size=(side_px, side_px), mode="bilinear")[0]


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand(1, generator=generator))
