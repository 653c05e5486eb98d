"""The distribution of many values, in as many numbers as there are bins."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Distribution:
    """Values counted in bins, so that a million take no more room than a hundred.

    Attributes:
        bins_per_unit: of the value, or of its decimal logarithm.
        is_by_decades: the latter; values are above 0 then.
    """

    bins_per_unit: int
    is_by_decades: bool
    bins: Counter[int] = field(default_factory=Counter)

    @staticmethod
    def even(bins_per_unit: int) -> Distribution:
        return Distribution(bins_per_unit, is_by_decades=False)

    @staticmethod
    def by_decades(bins_per_decade: int) -> Distribution:
        return Distribution(bins_per_decade, is_by_decades=True)

    def add(self, value: float) -> None:
        scaled = math.log10(value) if self.is_by_decades else value
        self.bins[round(scaled * self.bins_per_unit)] += 1

    def count(self) -> int:
        return self.bins.total()

    def quantile(self, share: float) -> float:
        """The value that `share` of all do not exceed, to the width of a bin."""
        wanted = share * (self.count() - 1)
        passed = 0
        for place in sorted(self.bins):
            passed += self.bins[place]
            if passed > wanted:
                break
        scaled = place / self.bins_per_unit
        return 10**scaled if self.is_by_decades else scaled
