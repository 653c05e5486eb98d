"""The area of one object as pixels: from polygons or run lengths, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from manifests.labels import Box, Object, Polygon, Rle
from manifests.run_lengths import run_lengths

Mask = npt.NDArray[np.uint8]

# Half the diagonal of a pixel is 0.71: up to this an outline keeps every pixel's corner.
_OUTLINE_TOLERANCE_PX = 0.5
# Where polygons end, in sizes of the image.
_FARTHEST = 16


@dataclass(frozen=True)
class Shape:
    """The pixels of an object, cut out of an image's mask.

    Attributes:
        left, top: of the cut-out in the image, in pixels.
        pixels: h x w, 0 and 1, at least one of them 1 in each outer row and column.
    """

    left: int
    top: int
    pixels: Mask

    @property
    def area_px(self) -> int:
        """Square pixels that it covers."""
        return int(np.count_nonzero(self.pixels))

    @property
    def box(self) -> Box:
        """x1, y1, x2, y2 around them, in pixels of the image."""
        height, width = self.pixels.shape
        return (
            float(self.left),
            float(self.top),
            float(self.left + width),
            float(self.top + height),
        )


def shape_of(one: Object, width: int, height: int) -> Shape | None:
    """The pixels of an object's mask, or of its polygons; None for one that has only a box.

    Polygons are filled as pycocotools does; several are one area. An object too small to fill a
    pixel has none and so counts as its box.

    Args:
        width, height: of the image that the object's coordinates are in, in pixels.

    Raises:
        ValueError: for run lengths that are none, or of another size.
    """
    if one.rle is not None:
        return cut_out(_decoded(one.rle, width, height))
    if one.polygons:
        return _filled(one.polygons, width, height)
    return None


def area_px(one: Object, shape: Shape | None) -> float:
    """Square pixels of an object's shape, of its box where it has none."""
    if shape is not None:
        return float(shape.area_px)
    x1, y1, x2, y2 = one.box
    return (x2 - x1) * (y2 - y1)


def cut_out(mask: Mask, left: int = 0, top: int = 0) -> Shape | None:
    """The part of a mask that is not 0, or None; `left`, `top` say where the mask lies."""
    columns = np.flatnonzero(mask.any(axis=0))
    if not columns.size:
        return None
    rows = np.flatnonzero(mask.any(axis=1))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Shape(left + int(columns[0]), top + int(rows[0]), (part != 0).astype(np.uint8))


def rle_of(shape: Shape, width: int, height: int) -> Rle:
    """The shape as COCO's compressed run lengths, in an image of width x height pixels."""
    whole = np.zeros((height, width), np.uint8, order="F")
    rows, columns = shape.pixels.shape
    whole[shape.top : shape.top + rows, shape.left : shape.left + columns] = shape.pixels
    return Rle(height, width, coco_mask.encode(whole)["counts"].decode("ascii"))


def outline_of(shape: Shape) -> tuple[Polygon, ...]:
    """Polygons round the pixels, within half a pixel, for formats that know no masks.

    One polygon for each part; holes are lost.
    """
    doubled = np.pad(shape.pixels.repeat(2, axis=0).repeat(2, axis=1), 1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return tuple(_outline(contour, shape) for contour in contours)


def scaled_rle(rle: Rle, width: int, height: int) -> Rle:
    """A mask in another size, by nearest neighbour.

    Raises:
        ValueError: for run lengths that are none.
    """
    if (rle.width, rle.height) == (width, height):
        return rle
    mask = _decoded(rle, rle.width, rle.height)
    columns = ((np.arange(width) + 0.5) * rle.width / width).astype(int)
    rows = ((np.arange(height) + 0.5) * rle.height / height).astype(int)
    resized = np.asfortranarray(mask[rows][:, columns])
    return Rle(height, width, coco_mask.encode(resized)["counts"].decode("ascii"))


def _outline(contour: npt.NDArray[Any], shape: Shape) -> Polygon:
    # With two points a pixel, point 2i (less the padding) is at edge i and 2i + 1 at edge i + 1.
    edges = contour // 2
    simple = cv2.approxPolyDP(edges, _OUTLINE_TOLERANCE_PX, closed=True)
    corners = np.reshape(simple if len(simple) > 2 else edges, (-1, 2))
    corners = corners + np.array([shape.left, shape.top])
    return tuple(corners.astype(float).ravel().tolist())


def _decoded(rle: Rle, width: int, height: int) -> Mask:
    if (rle.width, rle.height) != (width, height):
        raise ValueError(
            f"a mask of run lengths is {rle.width}x{rle.height} px, its image {width}x{height} px"
        )
    # pycocotools reads past the end of runs that are too long, and leaves out what is too short.
    pixels = sum(run_lengths(rle.counts))
    if pixels != width * height:
        raise ValueError(
            f"the run lengths of a mask are for {pixels} pixels, {width}x{height} px have "
            f"{width * height}"
        )
    mask: Mask = coco_mask.decode({"size": [height, width], "counts": rle.counts.encode()})
    return mask


def _filled(polygons: Sequence[Polygon], width: int, height: int) -> Shape | None:
    """The polygons filled in no more of the image than they need."""
    size = np.array([width, height])
    # Filling takes time and memory by the length of the edges, so none leads far outside.
    far = _FARTHEST * size
    each = [np.clip(np.reshape(one, (-1, 2)), -far, far) for one in polygons if len(one) > 4]
    if not each:
        return None
    points = np.concatenate(each)
    # From a whole pixel, so that the filling rounds as it would in the whole image.
    left, top = np.maximum(points.min(axis=0) - 1, 0).astype(int).tolist()
    right, bottom = np.minimum(points.max(axis=0) + 2, size).astype(int).tolist()
    if left >= right or top >= bottom:
        return None
    flat = [(one - (left, top)).ravel().tolist() for one in each]
    parts = coco_mask.frPyObjects(flat, bottom - top, right - left)
    return cut_out(coco_mask.decode(coco_mask.merge(parts)), left, top)
