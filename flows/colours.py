"""A colour for each category, the same wherever labels are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]

# Class indices of semantic masks that are not coloured: background, and what is not labelled.
CLEAR_CLASSES = frozenset((0, 255))
CLASS_INDICES = 256

# Told apart by most eyes, on photographs, on white and on black.
_FIRST: tuple[Rgb, ...] = (
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
_STEPS_A_PART = 16
# Oklab's, 0 is black and 1 is white; both would be lost on some ground.
_DARKEST, _LIGHTEST = 0.4, 0.85


def colour(place: int) -> Rgb:
    """Of a category, or of a class of semantic masks, by its place in its list; 0..255 each."""
    colours = _colours()
    return colours[place % len(colours)]


def css_colour(place: int) -> str:
    """The same as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*colour(place))


@cache
def _colours() -> tuple[Rgb, ...]:
    """As many as there are class indices; each is as unlike those before it as can be."""
    steps = np.linspace(0, 255, _STEPS_A_PART).round()
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    lightness = _oklab(grid)[:, 0]
    grid = grid[(lightness > _DARKEST) & (lightness < _LIGHTEST)]
    return (*_FIRST, *_farthest(grid, CLASS_INDICES - len(_FIRST)))


def _farthest(grid: NDArray[np.float64], count: int) -> Iterator[Rgb]:
    places = _oklab(grid)
    first = _oklab(np.array(_FIRST, np.float64))
    apart = np.linalg.norm(places[:, None] - first[None], axis=-1).min(axis=1)
    for _ in range(count):
        best = int(apart.argmax())
        yield (int(grid[best, 0]), int(grid[best, 1]), int(grid[best, 2]))
        apart = np.minimum(apart, np.linalg.norm(places - places[best], axis=-1))


def _oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """N x 3 colours where distances are as eyes see them.

    Source: B. Ottosson, "A perceptual color space for image processing", 2020.
    """
    linear = np.where(rgb / 255 <= 0.04045, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    from_cones = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    lab: NDArray[np.float64] = np.cbrt(linear @ to_cones.T) @ from_cones.T
    return lab
