"""Pictures that the report holds itself: small WebP files as data URIs."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from PIL import Image

from manifests.images import (
    decode_class_indices,
    decode_image,
    encode_image,
    fit_within,
    read_file,
)
from manifests.storage import Place

_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Attributes:
    uri: of the picture's bytes.
    width, height: of the picture in pixels.
    """

    uri: str
    width: int
    height: int


def thumbnail(file: Place, long_side_px: int, max_pixels: int) -> Thumbnail:
    """A small copy of an image file. Raises UnusableImage for what is none."""
    image = decode_image(_bytes_of(file), max_pixels).image
    size = fit_within(*image.size, long_side_px)
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    data = encode_image(small, "webp", _QUALITY)
    return Thumbnail(_data_uri(data, "image/webp"), *size)


def mask_thumbnail(
    file: Place, long_side_px: int, max_pixels: int
) -> tuple[Thumbnail, frozenset[int]]:
    """A small copy of a semantic mask, still of class indices, and those that are in it.

    The page colours them as it does masks that it reads from their files.

    Raises:
        UnusableImage: for what is none.
    """
    indices = decode_class_indices(_bytes_of(file), max_pixels)
    size = fit_within(*indices.size, long_side_px)
    data = encode_image(indices.resize(size, Image.Resampling.NEAREST), "png", 100)
    classes = frozenset(int(index) for index in np.unique(np.asarray(indices)))
    return Thumbnail(_data_uri(data, "image/png"), *size), classes


def _bytes_of(file: Place) -> bytes:
    return read_file(str(file))[0]


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
