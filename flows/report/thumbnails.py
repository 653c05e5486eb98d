"""Pictures that the report holds itself: small WebP files as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from flows.colours import colour
from manifests.images import (
    decode_class_indices,
    decode_image,
    encode_image,
    fit_within,
    read_file,
)
from manifests.storage import Place

_QUALITY = 80
_CLASS_INDICES = 256
# Of a semantic mask: what is not labelled, and what is not to be looked at.
_BACKGROUND, _IGNORED = 0, 255
_GREY = (128, 128, 128)


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


def coloured_mask(file: Place, long_side_px: int, max_pixels: int) -> Thumbnail:
    """A semantic mask with a colour for each class; its background shows what is below.

    Raises:
        UnusableImage: for what is none.
    """
    indices = decode_class_indices(_bytes_of(file), max_pixels)
    size = fit_within(*indices.size, long_side_px)
    coloured = indices.resize(size, Image.Resampling.NEAREST)
    coloured.putpalette([part for rgb in _palette() for part in rgb])
    coloured.info["transparency"] = _BACKGROUND
    return Thumbnail(_data_uri(encode_image(coloured, "png", 100), "image/png"), *size)


def _palette() -> Sequence[tuple[int, int, int]]:
    return [_GREY if index == _IGNORED else colour(index) for index in range(_CLASS_INDICES)]


def _bytes_of(file: Place) -> bytes:
    return read_file(str(file))[0]


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
