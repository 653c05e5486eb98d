"""Shapes of objects in COCO's notation, checked: boxes, polygons, run lengths, keypoints.

Notation: https://cocodataset.org/#format-data and the run lengths of pycocotools' maskApi.
Every function raises ValueError, saying what was expected, for what is no such shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pycocotools.mask

from manifests.images import MOST_MAX_PIXELS
from manifests.labels import Box, Keypoint, Polygon, Rle, are_numbers
from manifests.run_lengths import run_lengths

_SHOWN_CHARACTERS = 60
_FEWEST_POLYGON_NUMBERS = 6


def box_of(value: Any) -> Box:
    """[x, y, width, height] as x1, y1, x2, y2."""
    if isinstance(value, list) and len(value) == 4 and are_numbers(value):
        x, y, width, height = map(float, value)
        box = (x, y, x + width, y + height)
        if are_numbers(box):
            return box
    raise ValueError(f"bbox: expected [x, y, width, height], 4 finite numbers, got {shown(value)}")


def polygons_of(value: list[Any]) -> tuple[Polygon, ...]:
    """[[x1, y1, x2, y2, …], …], each of at least three points."""
    for polygon in value:
        if not isinstance(polygon, list) or not are_numbers(polygon):
            got = shown(polygon)
            raise ValueError(
                f"segmentation: expected polygons [x1, y1, …] of finite numbers, got {got}"
            )
        if len(polygon) < _FEWEST_POLYGON_NUMBERS or len(polygon) % 2:
            raise ValueError(
                f"segmentation: expected polygons of 3 or more points, x and y of each, got "
                f"{len(polygon)} numbers"
            )
    return tuple(tuple(map(float, polygon)) for polygon in value)


def rle_of(value: dict[str, Any], height: float, width: float) -> Rle:
    """{"size": [height, width], "counts": text or numbers} as compressed run lengths.

    Args:
        height, width: of the image in pixels; 0 where they are not known.
    """
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list) or len(size) != 2 or set(map(type, size)) != {int}:
        raise ValueError(f"segmentation: expected size [height, width], got {shown(size)}")
    if min(size) < 1 or size[0] * size[1] > MOST_MAX_PIXELS:
        raise ValueError(f"segmentation: expected a size of an image in pixels, got {shown(size)}")
    if (height or width) and size != [height, width]:
        raise ValueError(
            f"segmentation: its run lengths are of {size[1]}x{size[0]} px, the image has "
            f"{width:g}x{height:g}"
        )
    lengths = _run_lengths(counts) if isinstance(counts, str) else counts
    if not isinstance(lengths, list) or not set(map(type, lengths)) <= {int}:
        raise ValueError(f"segmentation: expected counts, text or numbers, got {shown(counts)}")
    if sum(lengths) != size[0] * size[1] or min(lengths) < 0:
        raise ValueError(
            f"segmentation: expected counts, none below 0, that fill {size[1]}x{size[0]} px, got "
            f"{shown(counts)}"
        )
    if isinstance(counts, str):
        return Rle(size[0], size[1], counts)
    packed = pycocotools.mask.frPyObjects({"size": size, "counts": lengths}, *size)
    return Rle(size[0], size[1], packed["counts"].decode("ascii"))


def keypoints_of(value: list[Any], count: int) -> tuple[Keypoint, ...]:
    """[x1, y1, visibility1, …] of `count` keypoints."""
    if len(value) != 3 * count:
        raise ValueError(
            f"keypoints: expected {count} of x, y, visibility, so {3 * count} numbers, got "
            f"{len(value)}"
        )
    if not are_numbers(value) or not set(value[2::3]) <= {0, 1, 2}:
        raise ValueError(
            f"keypoints: expected finite numbers with visibilities 0, 1 or 2, got {shown(value)}"
        )
    return tuple(
        (float(x), float(y), int(visibility))
        for x, y, visibility in zip(value[0::3], value[1::3], value[2::3])
    )


def box_around(polygons: Sequence[Polygon], rle: Rle | None) -> Box:
    """The box of an object of which only polygons or a mask are given."""
    if rle is not None:
        packed = {"size": [rle.height, rle.width], "counts": rle.counts.encode("ascii")}
        return box_of(pycocotools.mask.toBbox(packed).tolist())
    if not polygons:
        raise ValueError("bbox: is required where there is no segmentation")
    xs = [x for polygon in polygons for x in polygon[0::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    return min(xs), min(ys), max(xs), max(ys)


def shown(value: Any) -> str:
    """A value as it fits a sentence."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _run_lengths(counts: str) -> list[int]:
    try:
        return run_lengths(counts)
    except ValueError as error:
        raise ValueError(f"segmentation: {error}") from None
