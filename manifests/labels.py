"""What is known about an image besides its pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

Box = tuple[float, float, float, float]
Polygon = tuple[float, ...]
Keypoint = tuple[float, float, int]

NOT_LABELLED, OCCLUDED, VISIBLE = 0, 1, 2
# Share of the image's long side, a thousandth of a pixel of 1000: what rounding moves a box by.
_ROUNDING = 1e-6

_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}
# Capitals before a capitalised word, a word, or what is between words.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Category:
    """A class of objects.

    Attributes:
        keypoints: names of an object's keypoints, in their order; empty where it has none.
        skeleton: pairs of places in `keypoints`, from 0, that a drawing joins by a line.
        flip_idx: for each keypoint, the place of the one that it becomes in a mirror.
        coco_id: the id that it has in the COCO file it comes from.
    """

    name: str
    supercategory: str = ""
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    flip_idx: tuple[int, ...] = ()
    coco_id: int | None = None


@dataclass(frozen=True, slots=True)
class Rle:
    """A binary mask in COCO's compressed run lengths (pycocotools), column by column.

    Attributes:
        height, width: in pixels.
    """

    height: int
    width: int
    counts: str


@dataclass(frozen=True, slots=True)
class Object:
    """One labelled object. Coordinates are those of the Labels that hold it.

    Attributes:
        category: name.
        box: x1, y1, x2, y2; continuous, the first pixel spans 0..1.
        polygons: each x1, y1, x2, y2, …; together they are the object's area.
        rle: its area as a mask; where there is one it counts, and polygons are its outline.
        keypoints: (x, y, visibility) with COCO's visibilities 0, 1, 2.
        crowd: COCO's iscrowd, VOC's and others' "many in one".
        extras: what its file says besides, as a JSON object; passed through untouched.
    """

    category: str
    box: Box
    polygons: tuple[Polygon, ...] = ()
    rle: Rle | None = None
    keypoints: tuple[Keypoint, ...] = ()
    crowd: bool = False
    extras: str = "{}"


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of one image.

    Attributes:
        class_name: of the image as a whole: one plain folder name, or None.
        objects: in the order of their file.
        semantic_mask: file with a class index a pixel (PNG), empty where there is none. Its
            pixels go beside the image's.
        width, height: size of the image that the coordinates are in; 1 x 1 where they are shares
            of it, 0 where the file does not say and they are pixels of the image.
    """

    class_name: str | None = None
    objects: tuple[Object, ...] = ()
    semantic_mask: str = ""
    width: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True)
class Dropped:
    """An object that a variant has no more.

    Attributes:
        index: its place among the objects of the image that it was dropped from.
    """

    index: int
    category: str
    reason: str


def check_class_name(name: str) -> str:
    """A class name that can be a folder of its own on every file system.

    Raises:
        ValueError: saying what was expected.
    """
    bad = any(ord(character) < 32 or character in '/\\:*?"<>|' for character in name)
    if not name.strip() or name.startswith(".") or bad or len(name.encode()) > 200:
        raise ValueError(
            f'expected a class name of at most 200 bytes without / \\ : * ? " < > | and no '
            f"leading '.', got {name!r}"
        )
    return name


def check_box(box: Sequence[float]) -> Box:
    """x1, y1, x2, y2 as a Box.

    Raises:
        ValueError: for other than four finite numbers.
    """
    if len(box) != 4 or not are_numbers(box):
        raise ValueError(f"expected a box of 4 finite numbers, got {list(box)!r}")
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2, y2


def are_numbers(values: Sequence[object]) -> bool:
    """Whether all are numbers that a float holds: no text, no booleans, neither nan nor inf."""
    if not set(map(type, values)) <= {int, float}:
        return False
    try:
        return all(map(math.isfinite, cast("Sequence[float]", values)))
    except OverflowError:  # a whole number beyond every float
        return False


def mirrored_by_name(keypoints: Sequence[str]) -> tuple[int, ...]:
    """flip_idx of keypoints whose names say left and right, or l and r, as words of their own.

    Words end at `_`, spaces, digits, capitals within a name and the like; small and large letters
    are the same. A keypoint whose other side is not among them keeps its place.
    """
    words = [tuple(word.lower() for word in _WORD.findall(name)) for name in keypoints]
    place = {of_name: index for index, of_name in enumerate(words)}
    other = [place.get(_other_side(of_name), index) for index, of_name in enumerate(words)]
    return tuple(there if other[there] == index else index for index, there in enumerate(other))


def _other_side(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_OTHER_SIDE.get(word, word) for word in words)


def within_image(labels: Labels) -> tuple[Labels, int, list[Dropped]]:
    """Boxes clipped to the image; objects whose box then has no area are dropped.

    One that went beyond by no more than rounding does not count as clipped. Polygons, masks and
    keypoints stay: what of them is outside is cut by whoever draws them.

    Args:
        labels: with the size of their image.

    Returns:
        (labels, boxes that were clipped, objects that were dropped).
    """
    kept: list[Object] = []
    dropped: list[Dropped] = []
    clipped = 0
    for index, one in enumerate(labels.objects):
        box = clip_box(one.box, labels.width, labels.height)
        if box[2] <= box[0] or box[3] <= box[1]:
            dropped.append(Dropped(index, one.category, "its box has no area in the image"))
            continue
        beyond = max(abs(inside - was) for inside, was in zip(box, one.box))
        clipped += beyond > _ROUNDING * max(labels.width, labels.height)
        kept.append(one if box == one.box else replace(one, box=box))
    return replace(labels, objects=tuple(kept)), clipped, dropped


def clip_box(box: Box, width: float, height: float) -> Box:
    """The part of a box that is inside 0..width, 0..height."""
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
        min(max(x2, 0.0), width),
        min(max(y2, 0.0), height),
    )
