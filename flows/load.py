"""Content and style images from their files, as the plan knows them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from manifests.images import UnusableImage, check_shape, decode_image, fit_within, read_file
from manifests.plan import Base
from nst_core import Style, Stylizer

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
    """The images of one base.

    Attributes:
        pixels: the content image at the output size, H x W x 3, uint8, sRGB.
        style: no larger than the optimisation can use; None without style.
        notes: what had to be assumed about the files, one sentence each.
    """

    base: Base
    pixels: Pixels
    style: Style | None
    notes: tuple[str, ...]


def load(base: Base, stylizer: Stylizer | None) -> Loaded:
    """The images of a base. Raises FileAtFault, naming the file that cannot be used."""
    try:
        decoded = decode_image(_read(base.content.file, base.content_sha256))
        check_shape(base.width, base.height)
    except UnusableImage as error:
        raise FileAtFault(base.content.name, str(error)) from None
    image = decoded.image.resize((base.width, base.height), Image.Resampling.LANCZOS)
    if base.style is None or stylizer is None:
        return Loaded(base, np.array(image), None, decoded.notes)
    try:
        style, style_notes = _style_pixels(base.style.file, base.style_sha256)
        height, width = stylizer.useful_style_size(style.shape[:2], (base.height, base.width))
    except UnusableImage as error:
        raise FileAtFault(base.style.name, str(error)) from None
    notes = (*decoded.notes, *(f"style: {note}" for note in style_notes))
    if style.shape[:2] != (height, width):
        shrunk = Image.fromarray(style).resize((width, height), Image.Resampling.LANCZOS)
        style = np.array(shrunk)
    key = f"{base.style_sha256.hex()} {width}x{height}"
    return Loaded(base, np.array(image), Style(as_tensor(style), key=key), notes)


def as_tensor(pixels: Pixels) -> Tensor:
    """H x W x 3 uint8 to 3 x H x W float32 in 0..1."""
    return torch.tensor(pixels).permute(2, 0, 1).float() / 255


def as_pixels(image: Tensor) -> Pixels:
    """3 x H x W in 0..1 to H x W x 3 uint8, rounded."""
    scaled = (image.detach().cpu() * 255).round().clamp(0, 255)
    pixels: Pixels = scaled.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return pixels


@lru_cache(maxsize=_STYLES_IN_MEMORY)
def _style_pixels(file: str, sha256: bytes) -> tuple[Pixels, tuple[str, ...]]:
    decoded = decode_image(_read(file, sha256))
    size = fit_within(*decoded.image.size, STYLE_LONG_SIDE_PX)
    check_shape(*size)
    return np.array(decoded.image.resize(size, Image.Resampling.LANCZOS)), decoded.notes


def _read(file: str, sha256: bytes) -> bytes:
    data, _ = read_file(file)
    if hashlib.sha256(data).digest() != sha256:
        raise UnusableImage("has changed since this run was planned; run again")
    return data
