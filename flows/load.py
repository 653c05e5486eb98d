"""Content and style images from their files, as the plan knows them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from augment.scaling import scaled
from manifests.images import (
    Decoded,
    TooManyPixels,
    UnusableImage,
    check_shape,
    decode_class_indices,
    decode_image,
    fit_within,
    read_file,
)
from manifests.labels import Dropped, Labels
from manifests.plan import Base
from nst_core import Style, Stylizer

Pixels = npt.NDArray[np.uint8]

STYLE_LONG_SIDE_PX = 2048
_STYLES_IN_MEMORY = 16


class FileAtFault(Exception):
    """A file that cannot be used.

    Attributes:
        name: its path as the manifest writes it.
        max_pixels: the limit that it is refused for, by which a higher one is known to allow
            another try; 0 where it is refused for anything else.
    """

    def __init__(self, name: str, error: str, max_pixels: int = 0) -> None:
        super().__init__(f"{name}: {error}")
        self.name = name
        self.error = error
        self.max_pixels = max_pixels

    @staticmethod
    def of(name: str, error: ValueError, max_pixels: int) -> FileAtFault:
        """For what was raised when it was opened under this limit."""
        is_refused = isinstance(error, TooManyPixels)
        return FileAtFault(name, str(error), max_pixels if is_refused else 0)


@dataclass(frozen=True)
class Loaded:
    """The images of one base.

    Attributes:
        pixels: the content image at the output size, H x W x 3, uint8, sRGB.
        labels: in pixels of that.
        dropped: objects of the content image that it has not.
        semantic_mask: H x W, uint8, class indices; None where the content has none.
        style: no larger than the optimisation can use; None without style.
        notes: what had to be assumed about the files, one sentence each.
    """

    base: Base
    pixels: Pixels
    labels: Labels
    dropped: tuple[Dropped, ...]
    semantic_mask: Pixels | None
    style: Style | None
    notes: tuple[str, ...]


def load(base: Base, stylizer: Stylizer | None, max_pixels: int) -> Loaded:
    """The images of a base. Raises FileAtFault, naming the file that cannot be used."""
    content = _content(base, max_pixels)
    if base.style is None or stylizer is None:
        return content
    try:
        style, style_notes = _style_pixels(base.style.file, base.style_sha256, max_pixels)
        height, width = stylizer.useful_style_size(style.shape[:2], (base.height, base.width))
    except UnusableImage as error:
        raise FileAtFault.of(base.style.name, error, max_pixels) from None
    notes = (*content.notes, *(f"style: {note}" for note in style_notes))
    if style.shape[:2] != (height, width):
        shrunk = Image.fromarray(style).resize((width, height), Image.Resampling.LANCZOS)
        style = np.array(shrunk)
    key = f"{base.style_sha256.hex()} {width}x{height}"
    return replace(content, style=Style(as_tensor(style), key=key), notes=notes)


def _content(base: Base, max_pixels: int) -> Loaded:
    """The content image with its labels, at the output size."""
    size = base.width, base.height
    try:
        decoded = decode_image(_read(base.content.file, base.content_sha256), max_pixels)
        check_shape(*size)
        _check_labels_are_upright(base.content.labels, decoded)
        at_size = scaled(base.content.labels, decoded.image.size, size)
    except ValueError as error:
        raise FileAtFault.of(base.content.name, error, max_pixels) from None
    notes = decoded.notes
    labelled = base.content.labels.objects or base.content.labels.semantic_mask
    if decoded.orientation != 1 and labelled:
        notes = (*notes, "turned upright by EXIF; labels taken as of the upright image")
    if at_size.clipped:
        notes = (*notes, f"{at_size.clipped} boxes clipped to the image")
    return Loaded(
        base=base,
        pixels=np.array(decoded.image.resize(size, Image.Resampling.LANCZOS)),
        labels=at_size.labels,
        dropped=at_size.dropped,
        semantic_mask=_semantic_mask(base, decoded.image.size, max_pixels),
        style=None,
        notes=notes,
    )


def _check_labels_are_upright(labels: Labels, decoded: Decoded) -> None:
    """Raises UnusableImage for labels of an image's pixels as stored, before EXIF turns them."""
    own, upright, stored = (labels.width, labels.height), decoded.image.size, decoded.stored_size
    if own == stored != upright:
        raise UnusableImage(
            f"labels are for {stored[0]}x{stored[1]} px, as the image is stored; its EXIF turns it "
            f"to {upright[0]}x{upright[1]} px, and labels must be of the upright image: label "
            "that, or save the image without EXIF orientation"
        )


def _semantic_mask(base: Base, image_size: tuple[int, int], max_pixels: int) -> Pixels | None:
    file = base.content.labels.semantic_mask
    if not file:
        return None
    try:
        mask = decode_class_indices(_read(file, base.mask_sha256), max_pixels)
    except UnusableImage as error:
        raise FileAtFault.of(file, error, max_pixels) from None
    if mask.size != image_size:
        sizes = [f"{width}x{height} px" for width, height in (mask.size, image_size)]
        raise FileAtFault(file, f"is a mask of {sizes[0]}, its image has {sizes[1]}")
    return np.array(mask.resize((base.width, base.height), Image.Resampling.NEAREST))


def as_tensor(pixels: Pixels) -> Tensor:
    """H x W x 3 uint8 to 3 x H x W float32 in 0..1."""
    return torch.tensor(pixels).permute(2, 0, 1).float() / 255


def as_pixels(image: Tensor) -> Pixels:
    """3 x H x W in 0..1 to H x W x 3 uint8, rounded."""
    scaled = (image.detach().cpu() * 255).round().clamp(0, 255)
    pixels: Pixels = scaled.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return pixels


@lru_cache(maxsize=_STYLES_IN_MEMORY)
def _style_pixels(file: str, sha256: bytes, max_pixels: int) -> tuple[Pixels, tuple[str, ...]]:
    decoded = decode_image(_read(file, sha256), max_pixels)
    size = fit_within(*decoded.image.size, STYLE_LONG_SIDE_PX)
    check_shape(*size)
    return np.array(decoded.image.resize(size, Image.Resampling.LANCZOS)), decoded.notes


def _read(file: str, sha256: bytes) -> bytes:
    data, _ = read_file(file)
    if hashlib.sha256(data).digest() != sha256:
        raise UnusableImage("has changed since this run was planned; run again")
    return data
