"""Axes of plots: where on them a value lies, and the numbers written beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """Attributes:
    low, high: its ends.
    ticks: (value as text, its share of the axis).
    """

    low: float
    high: float
    is_by_decades: bool
    ticks: tuple[tuple[str, float], ...] = ()

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        low, high = self.low, self.high
        if self.is_by_decades:
            low, high, value = (math.log10(one) for one in (low, high, value))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def unit_axis() -> Axis:
    """From 0 to 1."""
    ticks = tuple((f"{value:g}", value) for value in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Axis(0.0, 1.0, is_by_decades=False, ticks=ticks)


def by_decades(least: float, most: float) -> Axis:
    """Wide enough for values above 0; its ends are 1, 2 or 5 times a power of ten."""
    low = max((tick for tick in _round_values(least) if tick <= least), default=least)
    high = min((tick for tick in _round_values(most) if tick >= most and tick > low), default=most)
    if high <= low:
        high = low * 10
    axis = Axis(low, high, is_by_decades=True)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    powers = [10.0**exponent for exponent in decades if low <= 10.0**exponent <= high]
    if len(powers) < 2:
        powers = [low, *(tick for tick in _round_values(low) if low < tick < high), high]
    every = -(-len(powers) // _MOST_TICKS)
    ticks = tuple((number(value), axis.share(value)) for value in powers[::every])
    return Axis(low, high, is_by_decades=True, ticks=ticks)


def number(value: float) -> str:
    """A number of about three digits, as people write it."""
    if value == 0:
        return "0"
    if 0.001 <= abs(value) < 1_000:
        return f"{value:.3g}"
    if 1_000 <= abs(value) < 1_000_000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def _round_values(near: float) -> list[float]:
    exponent = math.floor(math.log10(near))
    return [step * 10.0 ** (exponent + more) for more in (-1, 0, 1) for step in (1, 2, 5)]
