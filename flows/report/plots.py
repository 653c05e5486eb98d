"""Numbers of the plots: bars of counts, and how losses and fidelity are distributed by style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flows.axes import Axis, by_decades, unit_axis
from flows.report.distribution import Distribution
from flows.report.facts import Facts

# What a plot shows at once; the rest can be unfolded.
SHOWN_AT_ONCE = 12
# Bars beyond these are counted, not drawn.
_MOST_BARS = 500
_TITLES = {
    "split": "Split",
    "kind": "Kind",
    "class": "Class",
    "style": "Style",
    "object": "Labelled objects",
}


@dataclass(frozen=True)
class Bar:
    """Attributes:
    share: of the longest bar, 0..1.
    """

    name: str
    count: int
    share: float


@dataclass(frozen=True)
class Bars:
    """Attributes:
    of: split, kind, class, style or object.
    more: names without a bar.
    """

    of: str
    title: str
    bars: tuple[Bar, ...]
    more: int

    @property
    def first(self) -> tuple[Bar, ...]:
        return self.bars[:SHOWN_AT_ONCE]

    @property
    def others(self) -> tuple[Bar, ...]:
        return self.bars[SHOWN_AT_ONCE:]


@dataclass(frozen=True)
class Strip:
    """How the values of one style are distributed; places on the axis are 0..1.

    Attributes:
        median: as a value.
        low, high: places of the 5th and the 95th of a hundred.
        quarter, middle, three_quarters: places of the quartiles.
    """

    style: str
    count: int
    median: float
    low: float
    quarter: float
    middle: float
    three_quarters: float
    high: float


@dataclass(frozen=True)
class ByStyle:
    """Attributes:
    strips: the worst style first.
    """

    strips: tuple[Strip, ...]
    axis: Axis

    @property
    def first(self) -> tuple[Strip, ...]:
        return self.strips[:SHOWN_AT_ONCE]

    @property
    def others(self) -> tuple[Strip, ...]:
        return self.strips[SHOWN_AT_ONCE:]


def counts_of(facts: Facts) -> list[Bars]:
    """What there is only one of needs no plot, but for the split."""
    return [_bars(of, facts.counts[of].most_common()) for of in _TITLES if facts.counts[of]]


def _bars(of: str, counted: list[tuple[str, int]]) -> Bars:
    longest = counted[0][1]
    bars = tuple(Bar(name, count, count / longest) for name, count in counted[:_MOST_BARS])
    return Bars(of, _TITLES[of], bars, len(counted) - len(bars))


def by_style(distributions: Mapping[str, Distribution], lowest_first: bool) -> ByStyle | None:
    """None where no style has values."""
    if not distributions:
        return None
    axis = _axis(distributions.values())
    strips = [_strip(style, distribution, axis) for style, distribution in distributions.items()]
    strips.sort(key=lambda strip: (strip.median if lowest_first else -strip.median, strip.style))
    return ByStyle(tuple(strips), axis)


def _axis(distributions: Iterable[Distribution]) -> Axis:
    known = list(distributions)
    if not known[0].is_by_decades:
        return unit_axis()
    return by_decades(
        min(distribution.quantile(0) for distribution in known),
        max(distribution.quantile(1) for distribution in known),
    )


def _strip(style: str, distribution: Distribution, axis: Axis) -> Strip:
    shares = [axis.share(distribution.quantile(share)) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    # A row of a stranger's may have any number for a fidelity.
    places = [min(1.0, max(0.0, share)) for share in shares]
    return Strip(style, distribution.count(), distribution.quantile(0.5), *places)
