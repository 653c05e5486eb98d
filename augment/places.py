"""Where the pixels of an image went in a transform of which only the way back is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manifests.labels import Box

Places = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.int64]

_BLOCK_PX = 16
# A point's own pixel, and the nearest: a transform that makes things smaller leaves pixels out.
_NEIGHBOURS_PX = (0, 1)


def own_places(width: int, height: int) -> Places:
    """2 x H x W: of each pixel its x and y, counted from 1; 0 is for "from nowhere"."""
    places = np.empty((2, height, width), np.float32)
    places[0] = np.arange(1, width + 1)
    places[1] = np.arange(1, height + 1)[:, None]
    return places


@dataclass(frozen=True)
class Origins:
    """For blocks of pixels the least box that holds all their origins, so that few are looked at.

    Attributes:
        low_x, low_y, high_x, high_y: rows x columns of blocks; counted from 1, low above high
            where no pixel has an origin.
    """

    low_x: Places
    low_y: Places
    high_x: Places
    high_y: Places

    def window(self, box: Box) -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom pixel of a part that holds all that came from `box`."""
        x1, y1, x2, y2 = box
        across = (self.high_x > x1) & (self.low_x < x2 + 1)
        rows, columns = np.nonzero(across & (self.high_y > y1) & (self.low_y < y2 + 1))
        if not rows.size:
            return None
        left, top = int(columns.min()), int(rows.min())
        right, bottom = int(columns.max()) + 1, int(rows.max()) + 1
        return left * _BLOCK_PX, top * _BLOCK_PX, right * _BLOCK_PX, bottom * _BLOCK_PX


def origins(places: Places) -> Origins:
    """Of an image whose `own_places` became `places`."""
    x, y = np.where(places > 0, places, np.inf)
    return Origins(
        _of_blocks(np.minimum, x),
        _of_blocks(np.minimum, y),
        _of_blocks(np.maximum, places[0]),
        _of_blocks(np.maximum, places[1]),
    )


def _of_blocks(least_or_most: np.ufunc, values: Places) -> Places:
    height, width = values.shape
    across = least_or_most.reduceat(values, np.arange(0, height, _BLOCK_PX), axis=0)
    blocks: Places = least_or_most.reduceat(across, np.arange(0, width, _BLOCK_PX), axis=1)
    return blocks


@dataclass(frozen=True)
class Landing:
    """Where each pixel of the image before a transform is in the image after it.

    Attributes:
        first_x, last_x, first_y, last_y: H x W; the span of pixels that it gave its colour, -1
            where there is none.
        count: H x W; how many those are.
        places: what `own_places` became.
    """

    first_x: Pixels
    last_x: Pixels
    first_y: Pixels
    last_y: Pixels
    count: Pixels
    places: Places

    def box(self, box: Box) -> tuple[Box, float] | None:
        """The box round all that a box's pixels gave their colour, and its share of their area.

        The share is 1 at most. None where nothing is left.
        """
        height, width = self.count.shape
        left, right = _pixels(box[0], box[2], width)
        top, bottom = _pixels(box[1], box[3], height)
        part = np.s_[top:bottom, left:right]
        landed = self.count[part] > 0
        if not landed.any():
            return None
        share = self.count[part].sum() / landed.size
        around = (
            float(self.first_x[part][landed].min()),
            float(self.first_y[part][landed].min()),
            float(self.last_x[part][landed].max() + 1),
            float(self.last_y[part][landed].max() + 1),
        )
        return around, min(1.0, float(share))

    def point(self, x: float, y: float) -> tuple[float, float] | None:
        """The middle of what the point's pixel gave its colour; of what its neighbour did, else.

        Where something else is in that middle, as between the folds of an image, it is the nearest
        pixel of the right colour. None where neither the pixel nor a neighbour is left.
        """
        height, width = self.count.shape
        column, row = min(int(x), width - 1), min(int(y), height - 1)
        for far in _NEIGHBOURS_PX:
            left, top = max(0, column - far), max(0, row - far)
            near = self.count[top : row + far + 1, left : column + far + 1]
            rows, columns = np.nonzero(near)
            if rows.size:
                nearest = np.hypot(rows + top - row, columns + left - column).argmin()
                return self._seen(int(rows[nearest]) + top, int(columns[nearest]) + left)
        return None

    def _seen(self, row: int, column: int) -> tuple[float, float]:
        """A point of the image after the transform that shows this pixel."""
        left, right = int(self.first_x[row, column]), int(self.last_x[row, column]) + 1
        top, bottom = int(self.first_y[row, column]), int(self.last_y[row, column]) + 1
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        if self.count[row, column] == (right - left) * (bottom - top):
            return middle_x, middle_y
        x, y = self.places[:, top:bottom, left:right]
        rows, columns = np.nonzero((x == column + 1) & (y == row + 1))
        away_x, away_y = columns + left + 0.5 - middle_x, rows + top + 0.5 - middle_y
        nearest = np.hypot(away_x, away_y).argmin()
        away = float(away_x[nearest]), float(away_y[nearest])
        if max(map(abs, away)) <= 0.5:  # the middle is in it, or at its edge
            return middle_x, middle_y
        return middle_x + away[0], middle_y + away[1]


def landing(places: Places, width: int, height: int) -> Landing:
    """Of an image of width x height pixels, whose `own_places` became `places`."""
    come = places[0] > 0
    # Whole numbers before they are multiplied: 32 bits of a float count to 16 million.
    x, y = places.astype(np.int64)
    origin = (y - 1) * width + x - 1
    # Of pixels of one origin the last one written stays: the largest y, row by row, or x.
    rows, columns = np.nonzero(come)
    last_y, first_y = _last_and_first(origin[rows, columns], rows, width * height)
    columns, rows = np.nonzero(come.T)
    last_x, first_x = _last_and_first(origin[rows, columns], columns, width * height)
    count = np.bincount(origin[come], minlength=width * height)
    return Landing(
        first_x=first_x.reshape(height, width),
        last_x=last_x.reshape(height, width),
        first_y=first_y.reshape(height, width),
        last_y=last_y.reshape(height, width),
        count=count.reshape(height, width),
        places=places,
    )


def _last_and_first(origin: Pixels, ascending: Pixels, pixels: int) -> tuple[Pixels, Pixels]:
    last = np.full(pixels, -1)
    last[origin] = ascending
    first = np.full(pixels, -1)
    first[origin[::-1]] = ascending[::-1]
    return last, first


def _pixels(low: float, high: float, limit: int) -> tuple[int, int]:
    """First and last + 1 of the pixels whose middle is between; one at least."""
    first = min(max(0, int(np.ceil(low - 0.5))), limit - 1)
    return first, min(max(first + 1, int(np.ceil(high - 0.5))), limit)
