"""A colour for each category, the same wherever labels are drawn."""

from __future__ import annotations

import colorsys

Rgb = tuple[int, int, int]

# Told apart by most eyes, on photographs, on white and on black.
_PALETTE: tuple[Rgb, ...] = (
    (230, 57, 70),
    (29, 122, 214),
    (22, 160, 96),
    (245, 158, 11),
    (139, 69, 214),
    (14, 165, 190),
    (219, 39, 119),
    (132, 155, 20),
    (150, 88, 40),
    (71, 85, 105),
)
_GOLDEN_RATIO = 0.618034


def colour(place: int) -> Rgb:
    """Of a category, or of a class of semantic masks, by its place in its list; 0..255 each."""
    if place < len(_PALETTE):
        return _PALETTE[place]
    red, green, blue = colorsys.hls_to_rgb(place * _GOLDEN_RATIO % 1, 0.45, 0.7)
    return round(255 * red), round(255 * green), round(255 * blue)


def css_colour(place: int) -> str:
    """The same as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour(place))
