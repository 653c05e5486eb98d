"""How the losses of a pair fall from iteration to iteration, kept as a listener hears of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.axes import Axis, by_decades

if TYPE_CHECKING:  # a report is written without torch
    from nst_core import Progress

MOST_POINTS_ON_RECORD = 40
# The total first: it is drawn below its terms.
LINES = ("total", "content", "style", "total_variation")
_SIGNIFICANT_DIGITS = 4
# A content loss begins at rounding errors where the image begins as the content: they lie below.
_MOST_DECADES = 5
# Lower than an axis, where a line is cut off.
_BELOW = -1.0


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


def loss_axis(losses: Iterable[float], most_ticks: int = 5) -> Axis:
    """By decades, for losses from the highest to five decades below it."""
    positive = [loss for loss in losses if loss > 0] or [1.0]
    most = max(positive)
    least = min(loss for loss in positive if loss >= most / 10**_MOST_DECADES)
    return by_decades(least, most, most_ticks)


def height_of(axis: Axis, loss: float) -> float:
    """Its share of the axis; below 0 for what lies below, where a plot cuts a line off."""
    return max(axis.share(loss), _BELOW) if loss > 0 else _BELOW


def thinned(points: Sequence[Point], most: int = MOST_POINTS_ON_RECORD) -> tuple[Point, ...]:
    """At most so many of them (2 or more), evenly spread, the first and the last among them."""
    if len(points) <= most:
        return tuple(points)
    step = (len(points) - 1) / (most - 1)
    return tuple(points[round(place * step)] for place in range(most))


def loss_curve_column(points: Sequence[Point]) -> dict[str, list[float]]:
    """The column `loss_curve` of a row of the ledger.

    Iterations, the long side of the image at each, and each of `LINES` there.
    """
    return {
        "iteration": [point.iteration for point in points],
        "long_side_px": [point.long_side_px for point in points],
        **{name: [_rounded(getattr(point, name)) for point in points] for name in LINES},
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
