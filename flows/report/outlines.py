"""Labels as lines to be drawn over an image: paths of SVG in its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from manifests.exporters.finished import FinishedDataset, Row, objects_column_of
from manifests.labels import NOT_LABELLED, Object, Polygon, Rle
from manifests.run_lengths import run_lengths

# A mask without an outline is hatched by about so many lines.
_LINES_OF_A_MASK = 60
# From an image; what strangers put beyond it, browsers need not draw.
_FARTHEST_PX = 1e6


@dataclass(frozen=True, slots=True)
class Outline:
    """One object, drawn.

    Attributes:
        category: its name.
        box, shape: paths to be stroked; the shape's inside is the object's area.
        hatching: path to be stroked, over the area of an object that has only a mask.
        bones: path of the lines that join keypoints.
        points: path of keypoints; each is a line of no length, which a round end makes a dot.
    """

    category: str
    box: str
    shape: str
    hatching: str
    bones: str
    points: str

    def __len__(self) -> int:
        paths = self.box, self.shape, self.hatching, self.bones, self.points
        return sum(map(len, paths))


def outlines_of(dataset: FinishedDataset, row: Row) -> list[Outline]:
    """The labels of a row's image; crowds first, for they lie under others."""
    if not objects_column_of(row)["bbox"]:
        return []
    width, height = row["width"], row["height"]
    skeletons = {category.name: category.skeleton for category in dataset.categories}
    return [
        Outline(
            one.category,
            _box(one),
            "".join(map(_polygon, one.polygons)),
            "" if one.rle is None or one.polygons else _hatching(one.rle, width, height),
            _bones(one, skeletons[one.category]),
            _points(one),
        )
        for one in sorted(dataset.objects(row), key=lambda one: not one.crowd)
    ]


def _box(one: Object) -> str:
    x1, y1, x2, y2 = one.box
    return f"M{_n(x1)} {_n(y1)}H{_n(x2)}V{_n(y2)}H{_n(x1)}Z"


def _polygon(polygon: Polygon) -> str:
    points = [f"{_n(polygon[i])} {_n(polygon[i + 1])}" for i in range(0, len(polygon) - 1, 2)]
    return f"M{'L'.join(points)}Z" if points else ""


def _bones(one: Object, skeleton: Sequence[tuple[int, int]]) -> str:
    lines = []
    for pair in skeleton if one.keypoints else ():
        first, second = (one.keypoints[place] for place in pair)
        if NOT_LABELLED not in (first[2], second[2]):
            lines.append(f"M{_n(first[0])} {_n(first[1])}L{_n(second[0])} {_n(second[1])}")
    return "".join(lines)


def _points(one: Object) -> str:
    return "".join(
        f"M{_n(x)} {_n(y)}h.01" for x, y, visibility in one.keypoints if visibility != NOT_LABELLED
    )


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
    value = min(max(value, -_FARTHEST_PX), _FARTHEST_PX)
    return f"{value:.1f}".removesuffix(".0")
