"""Where pixels went."""

from __future__ import annotations

from augment.places import landing, own_places


def test_pixels_are_told_apart_beyond_16_million() -> None:
    """More than a float of 32 bits can count."""
    width, height = 9000, 2000
    land = landing(own_places(width, height), width, height)
    assert land.count.min() == land.count.max() == 1
    assert land.point(8999.5, 1999.5) == (8999.5, 1999.5)
    assert land.box((8990, 1990, 8999, 1999)) == ((8990.0, 1990.0, 8999.0, 1999.0), 1.0)
