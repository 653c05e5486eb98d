"""When a loss counts as flat."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_core.flatness import WINDOW, LossCurve


def curve_of(losses: Iterable[float]) -> LossCurve:
    curve = LossCurve()
    for loss in losses:
        curve.add(1, loss)
    return curve


def flat_at(losses: Iterable[float], least_fall: float) -> int | None:
    """After how many iterations the curve is called flat for the first time."""
    curve = LossCurve()
    for loss in losses:
        curve.add(1, loss)
        if curve.is_flat(least_fall):
            return curve.iterations
    return None


def test_a_loss_that_stays_is_flat_once_three_means_are_known() -> None:
    assert flat_at([1.0] * 100, 0.01) == 3 * WINDOW


def test_a_falling_loss_is_flat_when_its_fall_over_20_iterations_is_small() -> None:
    # Halving every 20 iterations, towards 1: the fall of the whole becomes less and less.
    losses = [1 + 10 * 0.5 ** (i / 20) for i in range(400)]
    expected = next(
        i
        for i in range(30, 400, 10)
        if sum(losses[i - 10 : i]) > 0.95 * sum(losses[i - 30 : i - 20])
    )
    assert flat_at(losses, 0.05) == expected
    assert flat_at(losses, 0.2) < expected


def test_a_loss_that_jumps_around_a_falling_mean_is_not_flat() -> None:
    losses = [0.97**i * (1.3 if i % 2 else 0.7) for i in range(100)]
    assert flat_at(losses, 0.05) is None


def test_a_single_bad_window_is_not_the_end() -> None:
    means = [100, 76, 77, 72, 60, 50, 41]
    assert flat_at([mean for mean in means for _ in range(WINDOW)], 0.05) is None


def test_a_rising_loss_is_flat() -> None:
    assert flat_at([1 + i for i in range(100)], 0.01) == 3 * WINDOW


def test_a_share_of_0_is_never_flat() -> None:
    assert flat_at([1.0] * 100, 0.0) is None


@given(st.lists(st.floats(0.1, 10), min_size=30, max_size=60), st.data())
def test_it_does_not_matter_in_what_portions_it_is_told(
    losses: list[float], data: st.DataObject
) -> None:
    at_once, curve, place = curve_of(losses), LossCurve(), 0
    while place < len(losses):
        portion = data.draw(st.integers(1, min(curve.to_next_mean, len(losses) - place)))
        curve.add(portion, sum(losses[place : place + portion]))
        place += portion
    assert curve.means == pytest.approx(at_once.means)
    assert len(curve.means) == len(losses) // WINDOW


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 9, 10, 14])
def test_one_loss_that_is_not_finite_is_not_forgotten(bad: float, place: int) -> None:
    losses = [1.0] * 15
    losses[place] = bad
    assert not curve_of(losses).finite
    assert curve_of([1.0] * 15).finite
