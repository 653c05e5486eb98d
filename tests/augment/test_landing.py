"""Where pixels went."""

from __future__ import annotations

import numpy as np

from augment.places import landing, own_places


def test_pixels_are_told_apart_beyond_16_million() -> None:
    """More than a float of 32 bits can count."""
    width, height = 9000, 2000
    land = landing(own_places(width, height), width, height)
    assert land.count.min() == land.count.max() == 1
    assert land.point(8999.5, 1999.5) == (8999.5, 1999.5)
    assert land.box((8990, 1990, 8999, 1999)) == ((8990.0, 1990.0, 8999.0, 1999.0), 1.0)


def test_the_middle_of_a_gap_is_not_where_a_pixel_went() -> None:
    """The fourth pixel of a line is shown at its left end, and twice at its right."""
    line = np.zeros((2, 1, 9), np.float32)
    line[0, 0] = [4, 0, 1, 2, 3, 0, 0, 4, 4]
    line[1] = line[0] > 0
    assert landing(line, 5, 1).point(3.5, 0.5) == (7.5, 0.5)
    line[0, 0, 0] = 0
    assert landing(line, 5, 1).point(3.5, 0.5) == (8.0, 0.5)


def test_the_middle_of_a_pixel_that_was_turned_and_enlarged_is_its_place() -> None:
    """Though the corners of the span show other pixels."""
    places = own_places(3, 3)
    places[:, [0, 0, 2, 2], [0, 2, 0, 2]] = 0
    places[:, places[0] > 0] = 2
    assert landing(places, 3, 3).point(1.5, 1.5) == (1.5, 1.5)
