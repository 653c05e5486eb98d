"""How the losses of a pair fall from iteration to iteration, kept as a listener hears of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a report is written without torch
    from nst_core import Progress

MOST_POINTS_ON_RECORD = 40
# The total first: it is drawn below its terms.
LINES = ("total", "content", "style", "total_variation")
_SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class Point:
    """The total loss of a pair, and the weighted terms that it is the sum of.

    Attributes:
        iteration: at which they were heard of, from 1, over all scales.
        long_side_px: of the image at that scale.
    """

    iteration: int
    content: float
    style: float
    total_variation: float
    total: float
    long_side_px: int


class LossCurve:
    """The curve of the first of the pairs that are optimised."""

    def __init__(self) -> None:
        self._points: list[Point] = []

    def hear(self, progress: Progress) -> None:
        """Take down what a listener is told."""
        if 0 not in progress.pairs:
            return
        place = progress.pairs.index(0)
        point = Point(
            progress.iterations[place],
            progress.content_term[place],
            progress.style_term[place],
            progress.total_variation_term[place],
            progress.total_loss[place],
            max(progress.height, progress.width),
        )
        # A pair that begins a scale again, or all of it, has not been there before.
        while self._points and self._points[-1].iteration >= point.iteration:
            self._points.pop()
        self._points.append(point)

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(self._points)


def thinned(points: Sequence[Point], most: int = MOST_POINTS_ON_RECORD) -> tuple[Point, ...]:
    """At most so many of them (2 or more), evenly spread, the first and the last among them."""
    if len(points) <= most:
        return tuple(points)
    step = (len(points) - 1) / (most - 1)
    return tuple(points[round(place * step)] for place in range(most))


def loss_curve_column(points: Sequence[Point]) -> dict[str, list[float]]:
    """The column `loss_curve` of a row of the ledger: iterations, and each of `LINES` there."""
    return {
        "iteration": [point.iteration for point in points],
        **{name: [_rounded(getattr(point, name)) for point in points] for name in LINES},
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
