"""Rows of YOLO's label files: boxes, polygons, keypoints in shares of the image.

Format: `class x y width height` with the box's centre (detection), the same with keypoints `x y`
or `x y visibility` after it (pose), `class x1 y1 x2 y2 x3 y3 …` (segmentation).
https://docs.ultralytics.com/datasets
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from manifests.labels import NOT_LABELLED, VISIBLE, Category, Keypoint, Object, are_numbers
from manifests.readers.shapes import box_around, shown

_BOX_COLUMNS = 5
_FEWEST_POLYGON_COLUMNS = 7
# Rounding and objects at the border go a little over; numbers of pixels go far.
_FURTHEST = 2.0


def read_rows(
    text: str,
    categories: Sequence[Category],
    keypoint_numbers: int,
    complain: Callable[[int, str], None],
) -> tuple[Object, ...]:
    """The objects of one label file.

    Args:
        keypoint_numbers: 2 or 3 numbers a keypoint; 0 where objects have none.
        complain: takes (line, what is wrong) of rows, which are then left out.
    """
    objects = []
    for line, row in enumerate(text.split("\n"), start=1):
        try:
            if columns := row.split():
                objects.append(_object(columns, categories, keypoint_numbers))
        except ValueError as error:
            complain(line, str(error))
    return tuple(objects)


def _object(columns: list[str], categories: Sequence[Category], keypoint_numbers: int) -> Object:
    category = _category(columns[0], categories)
    numbers = _numbers(columns[1:])
    if keypoint_numbers:
        expected = _BOX_COLUMNS + keypoint_numbers * len(category.keypoints)
        if len(columns) != expected:
            raise ValueError(
                f"expected {expected} columns, for class, box and {len(category.keypoints)} "
                f"keypoints of {keypoint_numbers} numbers, got {len(columns)}"
            )
        keypoints = _keypoints(numbers[4:], keypoint_numbers)
        _check_shares([*numbers[:4], *(one for x, y, _ in keypoints for one in (x, y))])
        return Object(category.name, _box(numbers[:4]), keypoints=keypoints)
    _check_shares(numbers)
    if len(columns) == _BOX_COLUMNS:
        return Object(category.name, _box(numbers))
    if len(columns) < _FEWEST_POLYGON_COLUMNS or len(columns) % 2 == 0:
        raise ValueError(
            f"expected 5 columns (class and box) or 7, 9, … (class and polygon), got {len(columns)}"
        )
    polygon = tuple(numbers)
    return Object(category.name, box_around([polygon], None), (polygon,))


def _category(column: str, categories: Sequence[Category]) -> Category:
    (number,) = _numbers([column])
    if number not in range(len(categories)):
        raise ValueError(
            f"expected a class number, 0..{len(categories) - 1} for the names there are, got "
            f"{column}"
        )
    return categories[int(number)]


def _numbers(columns: list[str]) -> list[float]:
    try:
        numbers = list(map(float, columns))
    except ValueError:
        numbers = [math.nan]
    if not are_numbers(numbers):
        raise ValueError(f"expected finite numbers, got {shown(' '.join(columns))}")
    return numbers


def _check_shares(numbers: Sequence[float]) -> None:
    if numbers and max(map(abs, numbers)) > _FURTHEST:
        raise ValueError(
            f"expected shares of the image's width and height, 0..1, got {max(numbers, key=abs):g}"
        )


def _box(numbers: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = numbers
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _keypoints(numbers: Sequence[float], each: int) -> tuple[Keypoint, ...]:
    places = range(0, len(numbers), each)
    if each == 3:
        if not set(numbers[2::3]) <= {0.0, 1.0, 2.0}:
            raise ValueError(f"expected visibilities 0, 1 or 2, got {list(numbers[2::3])}")
        return tuple((numbers[i], numbers[i + 1], int(numbers[i + 2])) for i in places)
    # Without visibilities, what is not labelled has a place outside the image.
    return tuple(
        (
            numbers[i],
            numbers[i + 1],
            NOT_LABELLED if min(numbers[i], numbers[i + 1]) < 0 else VISIBLE,
        )
        for i in places
    )
