"""The part of a polygon that is inside the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manifests.exporters.outline import Points


def inside_image(polygon: Points, width: float, height: float) -> Points:
    """What of a polygon lies in 0..width, 0..height, cut at one side after the other.

    Its signed area is that of the part inside; parts that are apart stay joined along the edge.
    Method: Sutherland & Hodgman, "Reentrant polygon clipping", 1974.

    Args:
        polygon: (points, 2).

    Returns:
        (points, 2); no points where none of it is inside.
    """
    for axis, size in enumerate((width, height)):
        polygon = _cut(polygon, polygon[:, axis])
        polygon = _cut(polygon, size - polygon[:, axis])
    return polygon


def _cut(polygon: Points, distance: NDArray[np.float64]) -> Points:
    """The part on the side of a line where the points' signed distance from it is not negative."""
    kept: list[Points] = []
    for index, point in enumerate(polygon):
        before, here = distance[index - 1], distance[index]
        if (before < 0) != (here < 0):
            share = before / (before - here)
            kept.append(polygon[index - 1] + share * (point - polygon[index - 1]))
        if here >= 0:
            kept.append(point)
    return np.reshape(kept, (-1, 2))
