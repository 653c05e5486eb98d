"""Labels as lines to be drawn over an image: paths of SVG in its pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from flows.keypoints import Point, drawn_keypoints
from manifests.exporters.finished import FinishedDataset, Row, objects_column_of
from manifests.labels import Category, Object, Polygon, Rle
from manifests.run_lengths import run_lengths

# A mask without an outline is hatched by about so many lines.
_LINES_OF_A_MASK = 60


@dataclass(frozen=True, slots=True)
class Outline:
    """One object, drawn.

    Attributes:
        category: its name.
        box, shape: paths to be stroked; the shape's inside is the object's area.
        hatching: path to be stroked, over the area of an object that has only a mask.
        bones: path of the lines that join keypoints.
        points: path of keypoints; each is a line of no length, which a round end makes a dot.
        holes: the same of occluded ones, whose dots are hollow.
    """

    category: str
    box: str
    shape: str
    hatching: str
    bones: str
    points: str
    holes: str

    def __len__(self) -> int:
        paths = self.box, self.shape, self.hatching, self.bones, self.points, self.holes
        return sum(map(len, paths))


def outlines_of(dataset: FinishedDataset, row: Row) -> list[Outline]:
    """The labels of a row's image; crowds first, for they lie under others."""
    if not objects_column_of(row)["bbox"]:
        return []
    width, height = row["width"], row["height"]
    categories = {category.name: category for category in dataset.categories}
    in_turn = sorted(dataset.objects(row), key=lambda one: not one.crowd)
    return [_outline(one, categories[one.category], width, height) for one in in_turn]


def _outline(one: Object, category: Category, width: int, height: int) -> Outline:
    keypoints = drawn_keypoints(one, category)
    return Outline(
        category=one.category,
        box=_box(one),
        shape="".join(map(_polygon, one.polygons)),
        hatching="" if one.rle is None or one.polygons else _hatching(one.rle, width, height),
        bones=_bones(keypoints.bones),
        points=_dots(keypoints.visible + keypoints.occluded),
        holes=_dots(keypoints.occluded),
    )


def _box(one: Object) -> str:
    x1, y1, x2, y2 = one.box
    return f"M{_n(x1)} {_n(y1)}H{_n(x2)}V{_n(y2)}H{_n(x1)}Z"


def _polygon(polygon: Polygon) -> str:
    points = [f"{_n(polygon[i])} {_n(polygon[i + 1])}" for i in range(0, len(polygon) - 1, 2)]
    return f"M{'L'.join(points)}Z" if points else ""


def _bones(bones: Iterable[tuple[Point, Point]]) -> str:
    return "".join(f"M{_n(a)} {_n(b)}L{_n(c)} {_n(d)}" for (a, b), (c, d) in bones)


def _dots(points: Iterable[Point]) -> str:
    return "".join(f"M{_n(x)} {_n(y)}h.01" for x, y in points)


def _hatching(rle: Rle, width: int, height: int) -> str:
    """Upright lines over a mask, from its run lengths, which go down the columns."""
    if (rle.width, rle.height) != (width, height):
        return ""
    try:
        ends = list(accumulate(run_lengths(rle.counts)))
    except ValueError:  # run lengths are passed on as they are, whatever they say
        return ""
    every = max(1, width // _LINES_OF_A_MASK)
    lines = []
    for start, end in list(pairwise([0, *ends]))[1::2]:
        first = -(-(start // height) // every) * every
        for column in range(first, min(-(-end // height), width), every):
            top = max(start - column * height, 0)
            bottom = min(end - column * height, height)
            lines.append(f"M{column + 0.5:g} {top}V{bottom}")
    return "".join(lines)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
