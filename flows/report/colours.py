"""A colour for each category, far from that of the next."""

from __future__ import annotations

import colorsys

_GOLDEN_ANGLE = 137.508
_FIRST_HUE = 205.0
_SATURATION, _LIGHTNESS = 0.85, 0.6


def hsl_of(number: int) -> str:
    """As CSS writes it."""
    return f"hsl({_hue(number):.0f} {_SATURATION:.0%} {_LIGHTNESS:.0%})"


def rgb_of(number: int) -> tuple[int, int, int]:
    """The same, 0..255 each."""
    rgb = colorsys.hls_to_rgb(_hue(number) / 360, _LIGHTNESS, _SATURATION)
    red, green, blue = (round(255 * part) for part in rgb)
    return red, green, blue


def _hue(number: int) -> float:
    return (_FIRST_HUE + number * _GOLDEN_ANGLE) % 360
