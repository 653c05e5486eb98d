"""Which keypoints and bones of an object are drawn, wherever labels are."""

from __future__ import annotations

from dataclasses import dataclass

from manifests.labels import NOT_LABELLED, OCCLUDED, Category, Object

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """In pixels of the object's image.

    Attributes:
        bones: lines between keypoints that the labels place, seen or not.
        visible: keypoints that are seen; dots.
        occluded: keypoints that something hides; hollow dots.
    """

    bones: tuple[tuple[Point, Point], ...]
    visible: tuple[Point, ...]
    occluded: tuple[Point, ...]


def drawn_keypoints(one: Object, category: Category) -> Drawn:
    """What is drawn of an object's keypoints; nothing of those that are not labelled."""
    there = {
        place: (x, y)
        for place, (x, y, visibility) in enumerate(one.keypoints)
        if visibility != NOT_LABELLED
    }
    hidden = {place for place in there if one.keypoints[place][2] == OCCLUDED}
    return Drawn(
        tuple((there[a], there[b]) for a, b in category.skeleton if a in there and b in there),
        tuple(point for place, point in there.items() if place not in hidden),
        tuple(point for place, point in there.items() if place in hidden),
    )
