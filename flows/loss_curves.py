"""How the losses of pairs fall from iteration to iteration, kept as a listener hears of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

from nst_core import Progress

MOST_POINTS_ON_RECORD = 40
_SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class Point:
    """The total loss of a pair, and the weighted terms that it is the sum of.

    Attributes:
        iteration: at which they were heard of, from 1, over all scales.
    """

    iteration: int
    content: float
    style: float
    total_variation: float
    total: float


class LossCurves:
    """The curve of each pair that is optimised."""

    def __init__(self) -> None:
        self._points: dict[int, list[Point]] = defaultdict(list)

    def hear(self, progress: Progress) -> None:
        """Take down what a listener is told."""
        for pair, *values in zip(
            progress.pairs,
            progress.iterations,
            progress.content_term,
            progress.style_term,
            progress.total_variation_term,
            progress.total_loss,
        ):
            points, point = self._points[pair], Point(*values)
            # A pair that begins a scale again, or all of it, has not been there before.
            while points and points[-1].iteration >= point.iteration:
                points.pop()
            points.append(point)

    def of_pair(self, pair: int) -> tuple[Point, ...]:
        """The curve of the pair at this place in the list that is optimised."""
        return tuple(self._points[pair])


def thinned(points: Sequence[Point], most: int = MOST_POINTS_ON_RECORD) -> tuple[Point, ...]:
    """At most so many of them (2 or more), evenly spread, the first and the last among them."""
    if len(points) <= most:
        return tuple(points)
    step = (len(points) - 1) / (most - 1)
    return tuple(points[round(place * step)] for place in range(most))


def loss_curve_column(points: Sequence[Point]) -> dict[str, list[float]]:
    """The column `loss_curve` of a row of the ledger: a list for each field of the points."""
    columns = zip(*map(astuple, points))
    return {
        field.name: [_rounded(value) for value in column]
        for field, column in zip(fields(Point), columns)
    }


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
