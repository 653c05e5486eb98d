"""Axes of plots."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.axes import by_decades, number, unit_axis

_POSITIVE = st.floats(5e-324, sys.float_info.max)


@given(_POSITIVE, _POSITIVE, st.integers(5, 12))
@example(1.0, 1.0, 5)
@example(5e-324, 5e-324, 5)
@example(sys.float_info.max, sys.float_info.max, 5)
@example(0.2, 20.0, 5)
def test_an_axis_by_decades_holds_its_values_and_a_few_ticks(
    one: float, other: float, most_ticks: int
) -> None:
    least, most = sorted((one, other))
    axis = by_decades(least, most, most_ticks)
    assert axis.low <= least <= most <= axis.high
    assert axis.low < axis.high
    assert 0 <= axis.share(least) <= axis.share(most) <= 1
    places = [place for _, place in axis.ticks]
    assert places == sorted(set(places))
    assert 0 <= places[0] <= places[-1] <= 1
    assert len(places) <= most_ticks
    if least > 1e-300 and most < 1e300:
        assert len(places) >= 2


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [
        (3.0, 3.0, ["2", "5"]),
        (1.5, 9.0, ["1", "2", "5", "10"]),
        (0.3, 40.0, ["1", "10"]),
        (1e-9, 0.9, ["1e-9", "1e-7", "1e-5", "0.001", "0.1"]),
    ],
)
def test_ticks_are_at_round_numbers(least: float, most: float, ticks: list[str]) -> None:
    assert [text for text, _ in by_decades(least, most).ticks] == ticks


def test_what_is_off_the_axis_is_beyond_its_ends() -> None:
    assert unit_axis().share(1.5) == 1.5
    assert by_decades(2, 90).share(0.01) < 0


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.25, "0.25"), (12_345, "12,300"), (3e7, "3e7"), (2e-5, "2e-5")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
