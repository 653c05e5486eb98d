"""Axes of plots: where on them a value lies, and the numbers written beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_TICKS = 5
# Five times this power of ten is a float, and so is one over it, with all its digits.
_MOST_DECADE = 307


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
        return (value - low) / (high - low)


def unit_axis() -> Axis:
    """From 0 to 1."""
    ticks = tuple((f"{value:g}", value) for value in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Axis(0.0, 1.0, is_by_decades=False, ticks=ticks)


def by_decades(least: float, most: float, most_ticks: int = _MOST_TICKS) -> Axis:
    """Wide enough for values above 0; its ends are 1, 2 or 5 times a power of ten.

    Ticks are at all such values between, or at powers of ten where these would be too many.

    Args:
        most_ticks: 5 or more.
    """
    low = max((one for one in _round_values(least, least) if one <= least), default=least)
    high = min((one for one in _round_values(most, most) if one > most), default=most)
    values = [one for one in _round_values(low, high) if low <= one <= high]
    if len(values) > most_ticks:
        values = [one for one in _round_values(low, high, (1,)) if low <= one <= high]
    every = -(-len(values) // most_ticks)
    axis = Axis(low, high, is_by_decades=True)
    ticks = tuple((number(value), axis.share(value)) for value in values[::every])
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


def _round_values(least: float, most: float, steps: tuple[int, ...] = (1, 2, 5)) -> list[float]:
    """So many times powers of ten, from below the least value to above the most."""
    around = math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 1
    first, last = (min(max(decade, -_MOST_DECADE), _MOST_DECADE) for decade in around)
    decades = range(first, last + 1)
    return [step * 10.0**decade for decade in decades for step in steps]
