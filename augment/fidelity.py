"""Label fidelity: how much of its content's structure a stylized image has kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from augment.shapes import shape_of
from manifests.labels import Box, Labels, Object

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# Wang, Bovik, Sheikh & Simoncelli 2004, section III-B.
_WINDOW_SIGMA_PX = 1.5
# The image, its half and its quarter: style changes what is fine, and objects are coarse.
_SCALES = 3
# Luminance of 255: what deviates less is noise and rounding.
_FLAT = 1.0
# Where less of the contrast is left, structure is on its way out and counts as such.
_FAINT = 0.25
# Of less than so many pixels a score says little.
_LEAST_SIDE_PX = 8


@dataclass(frozen=True)
class Region:
    """A part of the image: a rectangle of whole pixels, and within it a mask or all.

    Attributes:
        x1, y1, x2, y2: pixels x1 <= x < x2, y1 <= y < y2.
        mask: y2 - y1 x x2 - x1, or None.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    mask: Mask | None = None


@dataclass(frozen=True)
class Scores:
    """What a stylized image has kept, 0..1 each.

    Attributes:
        image: the whole of it.
        objects: each object of its labels, in their order.
    """

    image: float
    objects: tuple[float, ...]

    @property
    def lowest(self) -> float:
        """The least of all of them, 0..1."""
        return min(self.image, *self.objects) if self.objects else self.image


def scores(content: Pixels, stylized: Pixels, labels: Labels) -> Scores:
    """How much structure the image and each of its objects have kept; see `Fidelity`.

    An object's region is its mask or polygons, else its box. One of less than 8 x 8 pixels is
    scored with what is around it, as a box of at least 8 pixels a side.

    Args:
        content, stylized: H x W x 3, uint8, RGB, of one shape.
        labels: in pixels of both.

    Returns:
        Scores in 0..1.

    Raises:
        ValueError: for images of two shapes.
    """
    fidelity = Fidelity(content, stylized)
    height, width = content.shape[:2]
    objects = tuple(fidelity.of(_region(one, width, height)) for one in labels.objects)
    return Scores(fidelity.of_image(), objects)


def _region(one: Object, width: int, height: int) -> Region:
    shape = shape_of(one, width, height)
    if shape is None or shape.area_px < _LEAST_SIDE_PX**2:
        return _around(one.box, width, height)
    rows, columns = shape.pixels.shape
    right, bottom = shape.left + columns, shape.top + rows
    return Region(shape.left, shape.top, right, bottom, shape.pixels.astype(bool))


def _around(box: Box, width: int, height: int) -> Region:
    """The pixels that a box touches, and as many more as make it large enough."""
    x1, x2 = _span(box[0], box[2], width)
    y1, y2 = _span(box[1], box[3], height)
    return Region(x1, y1, x2, y2)


def _span(low: float, high: float, limit: int) -> tuple[int, int]:
    first, last = math.floor(low), math.ceil(high)
    missing = max(0, _LEAST_SIDE_PX - (last - first))
    first = max(0, min(first - missing // 2, limit - _LEAST_SIDE_PX))
    return first, min(limit, max(last, first + _LEAST_SIDE_PX))


class Fidelity:
    """Structure that a stylized image shares with its content, at each pixel.

    The structure comparison of SSIM, s = cov(x, y) / (σx σy) on luminance, in Gaussian windows of
    1.5 px and at three scales (Wang, Bovik, Sheikh & Simoncelli 2004, equation 10; scales as in
    Wang, Simoncelli & Bovik 2003). It asks whether edges and shading still run as they did, not
    for brightness or contrast; only where less than a quarter of the contrast is left, σx / 4
    stands for σy, so that what has faded counts as lost (the paper's constants would count it as
    kept). A score is the mean over a region, each pixel weighted by the content's σx there, so
    that sky and walls do not count: 1 where all structure is as it was, about 0 where there is
    none of it left.

    Args:
        content, stylized: H x W x 3, uint8, RGB, of one shape.

    Raises:
        ValueError: for images of two shapes.
    """

    def __init__(self, content: Pixels, stylized: Pixels) -> None:
        if content.shape != stylized.shape:
            raise ValueError(
                f"stylized: expected the content's shape {content.shape}, got {stylized.shape}"
            )
        x, y = _luminance(content), _luminance(stylized)
        height, width = x.shape
        self._weighted = np.zeros_like(x)
        self._weight = np.zeros_like(x)
        for _ in range(_SCALES):
            structure, deviation = _structure(x, y)
            weight = cv2.resize(np.maximum(deviation - _FLAT, 0), (width, height))
            self._weighted += weight * cv2.resize(structure, (width, height))
            self._weight += weight
            if min(x.shape) < 2:
                break
            x, y = _halved(x), _halved(y)

    def of_image(self) -> float:
        """Score of the whole image, 0..1."""
        height, width = self._weight.shape
        return self.of(Region(0, 0, width, height))

    def of(self, region: Region) -> float:
        """Score of a region, 0..1; 1 for one without structure, which has nothing to lose."""
        place = np.s_[region.y1 : region.y2, region.x1 : region.x2]
        weighted, weight = self._weighted[place], self._weight[place]
        if region.mask is not None:
            weighted, weight = weighted[region.mask], weight[region.mask]
        whole = float(weight.sum())
        return min(max(float(weighted.sum()) / whole, 0.0), 1.0) if whole else 1.0


def _luminance(image: Pixels) -> npt.NDArray[np.float32]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _structure(
    x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(s, σx) at each pixel."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    deviation_x = np.sqrt(np.maximum(_blurred(x * x) - mean_x**2, 0))
    deviation_y = np.sqrt(np.maximum(_blurred(y * y) - mean_y**2, 0))
    covariance = _blurred(x * y) - mean_x * mean_y
    contrast = deviation_x * np.maximum(deviation_y, _FAINT * deviation_x)
    return covariance / np.maximum(contrast, _FAINT * _FLAT**2), deviation_x


def _blurred(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _WINDOW_SIGMA_PX), np.float32)


def _halved(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = image.shape
    size = max(1, width // 2), max(1, height // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
