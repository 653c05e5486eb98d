"""Labels follow their image through the transforms of a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from augment.places import Origins, landing, origins, own_places
from augment.shapes import Shape, area_px, cut_out, outline_of, rle_of, shape_of
from manifests.labels import (
    NOT_LABELLED,
    OCCLUDED,
    Box,
    Dropped,
    Keypoint,
    Labels,
    Object,
)

Size = tuple[int, int]
Move = Callable[..., Mapping[str, npt.NDArray[Any]]]

_LOST = np.nan
# Legs of the right angle that each object carries along, to see how it was turned.
_FRAME_PX = 8.0
# Some transforms compute boxes in 32 bits: a quarter must not be less than a quarter.
_ROUNDING = 1e-5
_UNLABELLED: Keypoint = (0.0, 0.0, NOT_LABELLED)


@dataclass(frozen=True)
class Keep:
    """What of an object must be left, else it is dropped.

    Attributes:
        min_visibility: share of its area, whatever a recipe magnifies or shrinks.
        min_area: square pixels of the result.
    """

    min_visibility: float = 0.0
    min_area: float = 0.0


KEEP_ALL = Keep()


@dataclass(frozen=True)
class Moved:
    """Attributes:
    areas: of each object in square pixels, of its mask where there is one, else of its box.
    """

    labels: Labels
    areas: tuple[float, ...]
    dropped: tuple[Dropped, ...]


def unmoved(labels: Labels) -> Moved:
    """Labels, in pixels of their image, as they are."""
    size = int(labels.width), int(labels.height)
    areas = tuple(area_px(one, shape_of(one, *size)) for one in labels.objects)
    return Moved(labels, areas, ())


class Moving:
    """The objects of one image on their way through a recipe.

    Boxes, keypoints and masks go through the same transforms as the image. Objects with a mask
    or polygons get their box from the moved mask; others the box round their moved box.
    Keypoints are moved as boxes without extent, since transforms differ in whether they take
    keypoints for lengths or for pixels.
    """

    def __init__(self, labels: Labels) -> None:
        """`labels` are in pixels of the image."""
        self._labels = labels
        self._objects = labels.objects
        self._size = int(labels.width), int(labels.height)
        self._shapes = [shape_of(one, *self._size) for one in self._objects]
        boxes = [shape.box if shape else one.box for one, shape in zip(self._objects, self._shapes)]
        self._boxes = np.array(boxes, np.float64).reshape(-1, 4)
        self._left = np.ones(len(boxes))
        points = [point[:2] for one in self._objects for point in one.keypoints]
        self._points = np.array(points, np.float64).reshape(-1, 2)
        self._frames: npt.NDArray[np.float64] | None = None
        if points or any(self._shapes):
            middles = (self._boxes[:, :2] + self._boxes[:, 2:]) / 2
            legs = np.array([[0, 0], [_FRAME_PX, 0], [0, _FRAME_PX]])
            self._frames = middles[:, None] + legs
        self._places = own_places(*self._size) if any(self._shapes) else None
        self._hidden: npt.NDArray[np.uint8] | None = None
        self._moved = False

    def boxes_as_shares(self) -> npt.NDArray[np.float64]:
        """N x 5: the boxes that are left, as shares of the image, and their index."""
        there = np.flatnonzero(~np.isnan(self._boxes[:, 0]))
        return np.column_stack([self._boxes[there] / (self._size * 2), there])

    def go(self, move: Move, size: Size, *, bends: bool) -> None:
        """Through one transform.

        Args:
            move: the transform with what was drawn for the image; takes and gives albumentations'
                targets `bboxes`, `keypoints` and `masks` in its own coordinates.
            size: (width, height) of the image after it.
            bends: that straight lines may become curves.
        """
        if bends:
            self._bend(move)
        else:
            self._map(move, size)
        self._clip(size)
        if self._places is not None:
            self._places = move(masks=self._places)["masks"]
        if self._hidden is not None:
            self._hidden = move(masks=self._hidden)["masks"]
        self._size = size
        self._moved = True

    def hide(self, holes: Sequence[Sequence[int]]) -> None:
        """Rectangles x1, y1, x2, y2 of the image are painted over; what is there stays there."""
        if self._hidden is None:
            self._hidden = np.zeros((1, self._size[1], self._size[0]), np.uint8)
        for x1, y1, x2, y2 in holes:
            self._hidden[0, y1:y2, x1:x2] = 1

    def arrived(self, flip_idx: Mapping[str, Sequence[int]], keep: Keep) -> Moved:
        """The labels of the result.

        Objects that no transform moved come back as they were.

        Args:
            flip_idx: category -> for each of its keypoints the place of its mirror image.
        """
        objects: list[Object] = []
        areas: list[float] = []
        dropped: list[Dropped] = []
        points, boxes = iter(self._points.tolist()), self._boxes.tolist()
        come_from = None if self._places is None else origins(self._places)
        for index, one in enumerate(self._objects):
            own_points = [next(points) for _ in one.keypoints]
            left = self._what_is_left(index, boxes[index], come_from)
            reason = _why_dropped(left, keep)
            if reason:
                dropped.append(Dropped(index, one.category, reason))
                continue
            moved = left.one
            if one.keypoints:
                keypoints = tuple(self._keypoints(one.keypoints, own_points))
                if self._moved and self._magnified(index) < 0:
                    keypoints = _mirrored(keypoints, flip_idx.get(one.category, ()))
                moved = replace(moved, keypoints=keypoints)
            objects.append(moved)
            areas.append(left.area)
        width, height = self._size
        labels = replace(self._labels, objects=tuple(objects), width=width, height=height)
        return Moved(labels, tuple(areas), tuple(dropped))

    def _map(self, move: Move, size: Size) -> None:
        """Straight lines stay straight: the transform knows where a box or point goes."""
        rows = np.vstack([self._boxes, np.tile(self._points, 2)])
        there = np.flatnonzero(~np.isnan(rows[:, 0]))
        if there.size:
            shares = np.column_stack([rows[there] / (self._size * 2), there])
            came = move(bboxes=shares)["bboxes"].reshape(-1, 5)
            rows[:] = _LOST
            rows[came[:, 4].astype(int)] = came[:, :4] * (size * 2)
        self._boxes, self._points = rows[: len(self._boxes)], rows[len(self._boxes) :, :2].copy()
        if self._frames is not None:
            corners = np.zeros((3 * len(self._frames), 5))
            corners[:, :2] = self._frames.reshape(-1, 2)
            self._frames = move(keypoints=corners)["keypoints"][:, :2].reshape(-1, 3, 2)

    def _bend(self, move: Move) -> None:
        """Boxes become those round the moved pixels of the box, and points follow their pixel."""
        land = landing(move(masks=own_places(*self._size))["masks"], *self._size)
        for index, (x1, y1, x2, y2) in enumerate(self._boxes.tolist()):
            if not np.isnan(x1):
                landed = land.box((x1, y1, x2, y2))
                self._boxes[index] = _LOST if landed is None else landed[0]
                self._left[index] *= 0 if landed is None else landed[1]
        for index, point in enumerate(self._points):
            if not np.isnan(point[0]):
                self._points[index] = land.point(*point) or _LOST

    def _clip(self, size: Size) -> None:
        whole = _box_areas(self._boxes)
        self._boxes = np.clip(self._boxes, 0, size * 2)
        inside = _box_areas(self._boxes)
        with np.errstate(invalid="ignore", divide="ignore"):
            self._left *= np.where(whole > 0, inside / whole, 0)
        self._boxes[~(inside > 0)] = _LOST
        outside = ~((self._points >= 0) & (self._points <= size)).all(axis=1)
        self._points[outside] = _LOST

    def _what_is_left(self, index: int, box: Sequence[float], come_from: Origins | None) -> _Left:
        one, shape = self._objects[index], self._shapes[index]
        share = float(self._left[index])
        if shape is not None and self._moved:
            moved = None if come_from is None else self._moved_shape(shape, come_from)
            if moved is None:
                return _GONE
            whole_px = shape.area_px * abs(self._magnified(index))
            share = 1.0 if moved.area_px >= whole_px else moved.area_px / whole_px
            rle = rle_of(moved, *self._size)
            one = replace(one, box=moved.box, polygons=outline_of(moved), rle=rle)
            shape = moved
        elif self._moved:
            x1, y1, x2, y2 = box
            if math.isnan(x1):
                return _GONE
            one = replace(one, box=(x1, y1, x2, y2), polygons=(), rle=None)
        return _Left(one, area_px(one, shape), share, 1.0 - self._hidden_share(one.box, shape))

    def _moved_shape(self, shape: Shape, come_from: Origins) -> Shape | None:
        """The pixels that come from the object's."""
        window = come_from.window(shape.box)
        if window is None or self._places is None:
            return None
        left, top, right, bottom = window
        x, y = self._places[:, top:bottom, left:right].astype(np.int32)
        x, y = x - 1 - shape.left, y - 1 - shape.top
        rows, columns = shape.pixels.shape
        near = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        mask = np.zeros(near.shape, np.uint8)
        mask[near] = shape.pixels[y[near], x[near]]
        return cut_out(mask, left, top)

    def _hidden_share(self, box: Box, shape: Shape | None) -> float:
        if self._hidden is None:
            return 0.0
        box = box if shape is None else shape.box
        left, top = int(box[0]), int(box[1])
        right, bottom = int(np.ceil(box[2])), int(np.ceil(box[3]))
        hidden = self._hidden[0, top:bottom, left:right]
        return float(hidden.mean() if shape is None else hidden[shape.pixels > 0].mean())

    def _keypoints(
        self, before: Sequence[Keypoint], points: Sequence[Sequence[float]]
    ) -> Iterator[Keypoint]:
        for keypoint, (x, y) in zip(before, points):
            if not self._moved and not self._is_hidden(x, y):
                yield keypoint
            elif keypoint[2] == NOT_LABELLED or math.isnan(x):
                yield _UNLABELLED
            else:
                yield x, y, OCCLUDED if self._is_hidden(x, y) else keypoint[2]

    def _is_hidden(self, x: float, y: float) -> bool:
        width, height = self._size
        if self._hidden is None or not (0 <= x <= width and 0 <= y <= height):
            return False
        return bool(self._hidden[0, min(int(y), height - 1), min(int(x), width - 1)])

    def _magnified(self, index: int) -> float:
        """By how much an area at the object's place grew; negative in a mirror."""
        assert self._frames is not None
        corner, along, down = self._frames[index]
        (a, b), (c, d) = along - corner, down - corner
        return float((a * d - b * c) / _FRAME_PX**2)


@dataclass(frozen=True)
class _Left:
    """An object of the result.

    Attributes:
        area: square pixels, what is painted over included.
        share: of the object that is in the image.
        seen: share of that which is not painted over.
    """

    one: Object
    area: float
    share: float
    seen: float


_GONE = _Left(Object("", (0, 0, 0, 0)), 0.0, 0.0, 0.0)


def _why_dropped(left: _Left, keep: Keep) -> str:
    share, area = left.share * left.seen, left.area * left.seen
    if area <= 0:
        return "nothing of it is left in the image"
    if share < keep.min_visibility * (1 - _ROUNDING):
        return f"{share:.3f} of it is left, less than min_visibility {keep.min_visibility:g}"
    if area < keep.min_area * (1 - _ROUNDING):
        return f"{area:.1f} square pixels of it are left, less than min_area {keep.min_area:g}"
    return ""


def _mirrored(keypoints: tuple[Keypoint, ...], flip_idx: Sequence[int]) -> tuple[Keypoint, ...]:
    """A left hand is a right one in a mirror."""
    if len(flip_idx) != len(keypoints):
        return keypoints
    return tuple(keypoints[place] for place in flip_idx)


def _box_areas(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sides: npt.NDArray[np.float64] = boxes[:, 2:] - boxes[:, :2]
    return sides[:, 0] * sides[:, 1]
