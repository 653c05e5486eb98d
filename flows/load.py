"""Content and style images from their files, as the plan knows them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from manifests.images import UnusableImage, check_shape, decode_image, fit_within
from manifests.plan import Base

Pixels = npt.NDArray[np.uint8]

STYLE_LONG_SIDE_PX = 2048
_STYLES_IN_MEMORY = 16


class FileAtFault(Exception):
    """A file that cannot be used; `name` is its path as the manifest writes it."""

    def __init__(self, name: str, error: str) -> None:
        super().__init__(f"{name}: {error}")
        self.name = name
        self.error = error


@dataclass(frozen=True)
class Loaded:
    """A content image at the output size.

    Attributes:
        pixels: H x W x 3, uint8, sRGB.
        notes: what had to be assumed about the file.
    """

    base: Base
    pixels: Pixels
    notes: tuple[str, ...]


def load_content(base: Base) -> Loaded:
    """Raises FileAtFault, naming the content image."""
    try:
        decoded = decode_image(_read(base.content.file, base.content_sha256))
        check_shape(base.width, base.height)
    except UnusableImage as error:
        raise FileAtFault(base.content.name, str(error)) from None
    image = decoded.image.resize((base.width, base.height), Image.Resampling.LANCZOS)
    return Loaded(base, np.asarray(image), decoded.notes)


def load_style(base: Base) -> Tensor:
    """3 x H x W, float32, sRGB in 0..1, long side at most 2048 px. Raises FileAtFault."""
    assert base.style is not None
    try:
        pixels = _style_pixels(base.style.file, base.style_sha256)
    except UnusableImage as error:
        raise FileAtFault(base.style.name, str(error)) from None
    return as_tensor(pixels)


def as_tensor(pixels: Pixels) -> Tensor:
    """H x W x 3 uint8 to 3 x H x W float32 in 0..1."""
    return torch.tensor(pixels).permute(2, 0, 1).float() / 255


def as_pixels(image: Tensor) -> Pixels:
    """3 x H x W in 0..1 to H x W x 3 uint8, rounded."""
    scaled = (image.detach().cpu() * 255).round().clamp(0, 255)
    pixels: Pixels = scaled.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return pixels


@lru_cache(maxsize=_STYLES_IN_MEMORY)
def _style_pixels(file: str, sha256: bytes) -> Pixels:
    image = decode_image(_read(file, sha256)).image
    size = fit_within(*image.size, STYLE_LONG_SIDE_PX)
    check_shape(*size)
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def _read(file: str, sha256: bytes) -> bytes:
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise UnusableImage(error.strerror or "cannot be read") from None
    if hashlib.sha256(data).digest() != sha256:
        raise UnusableImage("has changed since this run was planned; run again")
    return data
