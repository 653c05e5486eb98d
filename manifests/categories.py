"""Categories as dataset.json describes them."""

from __future__ import annotations

from typing import Any

from manifests.errors import ManifestError, Problem
from manifests.labels import Category
from manifests.readers.findings import category_name, supercategory_name
from manifests.readers.shapes import shown
from manifests.storage import Place


def described_categories(listed: Any, file: Place) -> tuple[Category, ...]:
    """Categories of objects in the order of their numbers.

    Args:
        listed: the value of `categories`: for each an object with the fields of Category.
        file: that they are of.

    Raises:
        ManifestError: for each that is none.
    """
    problems = []
    categories: dict[str, Category] = {}
    for index, one in enumerate(listed if isinstance(listed, list) else [listed]):
        try:
            category = _as_category(one)
            if category.name in categories:
                raise ValueError(f"name {category.name!r} is given twice")
            categories[category.name] = category
        except ValueError as error:
            problems.append(Problem(str(file), None, f"categories[{index}]", str(error)))
    if problems:
        raise ManifestError(problems)
    return tuple(categories.values())


def _as_category(one: Any) -> Category:
    if not isinstance(one, dict):
        raise ValueError(f"expected an object with a name, got {shown(one)}")
    keypoints = one.get("keypoints") or []
    count = len(keypoints) if isinstance(keypoints, list) else 0
    places = range(count)
    flip_idx = one.get("flip_idx") or list(places)
    skeleton = one.get("skeleton") or []
    if not isinstance(flip_idx, list) or sorted(map(str, flip_idx)) != sorted(map(str, places)):
        raise ValueError(f"flip_idx: expected each place of a keypoint once, got {shown(flip_idx)}")
    if not isinstance(skeleton, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(place in places for place in pair)
        for pair in skeleton
    ):
        raise ValueError(f"skeleton: expected pairs of places of keypoints, got {shown(skeleton)}")
    coco_id = one.get("coco_id")
    return Category(
        name=category_name(one.get("name")),
        supercategory=supercategory_name(one.get("supercategory")),
        keypoints=tuple(map(category_name, keypoints)) if count else (),
        skeleton=tuple((int(first), int(second)) for first, second in skeleton),
        flip_idx=tuple(map(int, flip_idx)),
        coco_id=coco_id if type(coco_id) is int else None,
    )
