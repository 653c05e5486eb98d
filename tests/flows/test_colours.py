"""Colours of categories."""

from __future__ import annotations

from itertools import combinations

from flows.colours import CLASS_INDICES, Rgb, colour, css_colour


def _apart(one: Rgb, other: Rgb) -> float:
    """As eyes see it, roughly: Thiadmer Riemersma's weights of red, green and blue."""
    red = (one[0] + other[0]) / 2
    weights = 2 + red / 256, 4.0, 2 + (255 - red) / 256
    return sum(w * (a - b) ** 2 for w, a, b in zip(weights, one, other)) ** 0.5


def test_eighty_categories_are_told_apart() -> None:
    colours = [colour(place) for place in range(80)]
    assert min(_apart(one, other) for one, other in combinations(colours, 2)) > 60


def test_every_class_index_has_a_colour_of_its_own() -> None:
    assert len({colour(index) for index in range(CLASS_INDICES)}) == CLASS_INDICES
    assert css_colour(0) == "#e63946"
    assert colour(CLASS_INDICES) == colour(0)
