"""Polygons measured, and joined to one for formats that have room for one an object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def one_outline(polygons: Sequence[Points]) -> Points:
    """All polygons as one, joined where they are nearest by a line that goes there and back.

    Such a line has no area, so that the outline encloses what the polygons do.

    Args:
        polygons: at least one, each (points, 2).

    Returns:
        (points, 2).
    """
    outline, *others = polygons
    for other in others:
        outline = _joined(outline, other)
    return outline


def area_inside(polygon: Points) -> float:
    """Square pixels that a polygon (points, 2) encloses."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def length_round(polygon: Points) -> float:
    """Pixels along the edges of a polygon (points, 2)."""
    return float(np.hypot(*(polygon - np.roll(polygon, 1, axis=0)).T).sum())


def _joined(one: Points, other: Points) -> Points:
    distances = np.square(one[:, None] - other[None]).sum(axis=2)
    leave, enter = np.unravel_index(int(distances.argmin()), distances.shape)
    there = np.concatenate((other[enter:], other[: enter + 1]))
    return np.concatenate((one[: leave + 1], there, one[leave:]))
