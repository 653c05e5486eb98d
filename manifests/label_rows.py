"""Labels as columns of the ledger and of metadata, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from manifests.identity import canonical_json
from manifests.labels import Dropped, Object, Rle

Row = dict[str, Any]

# A thousandth of a pixel: far below what any label is good for.
_DECIMALS = 3
SCORE_DECIMALS = 4


def objects_column(
    objects: Sequence[Object], areas: Sequence[float], fidelity: Sequence[float]
) -> Row:
    """Objects as the ledger's column `objects`: lists of one length.

    `bbox` is [x, y, width, height] in pixels. `segmentation` is JSON text, because its types
    vary: polygons, a COCO RLE (with the polygons of its outline), or null.

    Args:
        areas: in square pixels, of each.
        fidelity: of each, 0..1: what it has kept of the content's structure.
    """
    return {
        "bbox": [_xywh(one) for one in objects],
        "categories": [one.category for one in objects],
        "area": [round(area, _DECIMALS) for area in areas],
        "iscrowd": [int(one.crowd) for one in objects],
        "fidelity": [round(score, SCORE_DECIMALS) for score in fidelity],
        "segmentation": [_segmentation(one) for one in objects],
        "keypoints": [_flat(one) for one in objects],
        "extras": [one.extras for one in objects],
    }


def objects_of(column: Row) -> tuple[Object, ...]:
    """What `objects_column` was made of, up to its rounding."""
    return tuple(
        _object(*values)
        for values in zip(
            column["categories"],
            column["bbox"],
            column["iscrowd"],
            column["segmentation"],
            column["keypoints"],
            column["extras"],
        )
    )


def numbered(column: Row, place: Mapping[str, int]) -> Row:
    """The column as metadata has it: categories by their place in the dataset's list.

    The ledger has names, for a place may change when the manifest names another dataset.
    """
    return column | {"categories": [place[name] for name in column["categories"]]}


def named(column: Row, names: Sequence[str]) -> Row:
    """A column that was `numbered` as the ledger has it."""
    return column | {"categories": [names[index] for index in column["categories"]]}


def dropped_column(dropped: Sequence[Dropped]) -> str:
    """JSON text: which objects a file has no more, and why."""
    return canonical_json(
        [{"object": one.index, "category": one.category, "why": one.reason} for one in dropped]
    )


def _xywh(one: Object) -> list[float]:
    x1, y1, x2, y2 = one.box
    return [round(value, _DECIMALS) for value in (x1, y1, x2 - x1, y2 - y1)]


def _segmentation(one: Object) -> str:
    polygons = [[round(value, _DECIMALS) for value in polygon] for polygon in one.polygons]
    if one.rle is None:
        return canonical_json(polygons) if polygons else "null"
    rle = {"size": [one.rle.height, one.rle.width], "counts": one.rle.counts}
    return canonical_json(rle | ({"outline": polygons} if polygons else {}))


def _flat(one: Object) -> list[float]:
    return [
        value
        for x, y, visibility in one.keypoints
        for value in (round(x, _DECIMALS), round(y, _DECIMALS), float(visibility))
    ]


def _object(
    category: str,
    bbox: Sequence[float],
    crowd: int,
    segmentation: str,
    keypoints: Sequence[float],
    extras: str,
) -> Object:
    x, y, width, height = bbox
    shape = json.loads(segmentation)
    rle, polygons = None, shape or []
    if isinstance(shape, dict):
        rows, columns = shape["size"]
        rle = Rle(rows, columns, shape["counts"])
        polygons = shape.get("outline", [])
    return Object(
        category,
        (x, y, x + width, y + height),
        tuple(map(tuple, polygons)),
        rle,
        tuple(
            (keypoints[i], keypoints[i + 1], int(keypoints[i + 2]))
            for i in range(0, len(keypoints), 3)
        ),
        bool(crowd),
        extras,
    )
