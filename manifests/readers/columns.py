"""Labels as columns of metadata: `label`, `objects`, `mask_file_name` or `mask_path`.

`objects` is Hugging Face's notation for detection, a mapping of lists of one length with `bbox`
([x, y, width, height] in pixels) and `categories` (names or numbers), with what gramflow adds to
it (`manifests.label_rows`). https://huggingface.co/docs/datasets/image_dataset
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from manifests.categories import described_categories
from manifests.identity import canonical_json
from manifests.labels import Category, Keypoint, Labels, Object, Polygon, Rle, check_class_name
from manifests.listings import is_file
from manifests.readers.findings import category_name, image_inside
from manifests.readers.shapes import box_of, keypoints_of, polygons_of, rle_of, shown
from manifests.readers.texts import parse_json, read_text
from manifests.schema import check_plain_name
from manifests.storage import Place

Row = Mapping[str, Any]
Complain = Callable[[str, str], None]

ABOUT = "dataset.json"
ABOUT_SHARDS = "info.json"
# By which gramflow's own are told from other files of those names.
_OF_DATASET = "gramflow_version"
_OF_SHARDS = frozenset({"shards", "classes", "categories"})
MASK_COLUMNS = ("mask_file_name", "mask_path")
_FEW_DIGITS = 10

_OWN = frozenset(
    {
        *("bbox", "categories", "area", "iscrowd", "fidelity", "segmentation", "keypoints"),
        "extras",
    }
)


def read_categories(files: Iterable[Place]) -> tuple[Category, ...]:
    """The numbered categories of the first dataset.json, or info.json of shards, of gramflow's.

    Raises:
        ManifestError: for one whose `categories` are none.
    """
    for file in files:
        if is_file(file):
            about = parse_json(read_text(str(file)), str(file))
            if isinstance(about, dict) and (_OF_DATASET in about or about.keys() >= _OF_SHARDS):
                return described_categories(about.get("categories") or [], file)
    return ()


def labels_of(row: Row, folder: Place, known: Sequence[Category], complain: Complain) -> Labels:
    """Labels of an image from its row; what is wrong is left out of them.

    Args:
        folder: that `mask_file_name`, or `mask_path`, is relative to.
        known: the categories that numbers stand for; empty: each number is its own name.
        complain: takes (place in the row, what is wrong).
    """
    class_name, mask = None, ""
    label = row.get("label")
    mask_column = next((name for name in MASK_COLUMNS if row.get(name)), None)
    try:
        class_name = check_class_name(str(label)) if label not in (None, "") else None
    except ValueError as error:
        complain("label", str(error))
    try:
        mask = image_inside(folder, row[mask_column]) if mask_column else ""
    except ValueError as error:
        complain(str(mask_column), str(error))
    return Labels(class_name, _objects(row.get("objects"), known, complain), mask)


def split_of(row: Row, complain: Complain) -> str:
    """Of column `split`; empty is none."""
    try:
        return check_plain_name(str(row["split"])) if row.get("split") else ""
    except ValueError as error:
        complain("split", str(error))
        return ""


def group_of(row: Row, complain: Complain) -> str:
    """Of column `group_id`; empty is none."""
    group = str(row.get("group_id") or "")
    try:
        group.encode()
    except UnicodeEncodeError:
        complain("group_id", f"expected text, got half a character: {shown(group)}")
        return ""
    return group


def categories_of(labels: Iterable[Labels], known: Sequence[Category]) -> list[Category]:
    """The known ones; else those that the objects have, in the order of their numbers or names."""
    if known:
        return list(known)
    names = {one.category for of_image in labels for one in of_image.objects}
    return [Category(name) for name in sorted(names, key=_number_first)]


def _number_first(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() and len(name) < _FEW_DIGITS else (sys.maxsize, name)


def _objects(value: Any, known: Sequence[Category], complain: Complain) -> tuple[Object, ...]:
    found: list[Object] = []
    try:
        columns = _columns(value)
    except ValueError as error:
        complain("objects", str(error))
        return ()
    by_name = {category.name: category for category in known}
    for index, values in enumerate(zip(*columns.values())):
        try:
            found.append(_object(dict(zip(columns, values)), known, by_name))
        except ValueError as error:
            complain(f"objects[{index}]", str(error))
    return tuple(found)


def _columns(value: Any) -> dict[str, list[Any]]:
    if isinstance(value, str):
        value = _json(value, "")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, list) for one in value.values()):
        raise ValueError(f"expected {{bbox: [...], categories: [...]}}, got {shown(value)}")
    if value and not {"bbox", "categories"} <= value.keys():
        raise ValueError(f"expected bbox and categories, got {', '.join(map(str, value))}")
    if len(set(map(len, value.values()))) > 1:
        counts = ", ".join(f"{len(one)} {name}" for name, one in value.items())
        raise ValueError(f"expected lists of one length, got {counts}")
    return value


def _object(one: Row, known: Sequence[Category], by_name: Mapping[str, Category]) -> Object:
    category = _category(one["categories"], known, by_name)
    polygons, rle = _segmentation(one.get("segmentation"))
    if one.get("iscrowd") not in (None, 0, 1):
        raise ValueError(f"iscrowd: expected 0 or 1, got {shown(one['iscrowd'])}")
    return Object(
        category.name,
        box_of(one["bbox"]),
        polygons,
        rle,
        _keypoints(one.get("keypoints"), category),
        bool(one.get("iscrowd")),
        _extras(one),
    )


def _category(value: Any, known: Sequence[Category], by_name: Mapping[str, Category]) -> Category:
    if type(value) is int and known:
        if not 0 <= value < len(known):
            raise ValueError(
                f"categories: expected 0..{len(known) - 1}, the places in {ABOUT}, got {value}"
            )
        return known[value]
    if type(value) is int and value < 0:
        raise ValueError(f"categories: expected numbers >= 0 or names, got {value}")
    name = category_name(value)
    if known and name not in by_name:
        raise ValueError(f"categories: {name!r} is not among those of {ABOUT}")
    return by_name.get(name) or Category(name)


def _segmentation(value: Any) -> tuple[tuple[Polygon, ...], Rle | None]:
    if isinstance(value, str):
        value = _json(value, "segmentation: ")
    if value is None:
        return (), None
    if isinstance(value, list):
        return polygons_of(value), None
    if not isinstance(value, dict) or not isinstance(value.get("outline", []), list):
        raise ValueError(f"segmentation: expected polygons or run lengths, got {shown(value)}")
    return polygons_of(value.get("outline", [])), rle_of(value, 0, 0)


def _keypoints(value: Any, category: Category) -> tuple[Keypoint, ...]:
    if value is None or value == []:
        return ()
    if not isinstance(value, list) or not category.keypoints:
        raise ValueError(
            f"keypoints: expected none, for {ABOUT} names none of category {category.name!r}"
        )
    return keypoints_of(value, len(category.keypoints))


def _extras(one: Row) -> str:
    if one.get("extras") is not None:
        extras = one["extras"]
        if not isinstance(extras, str) or not isinstance(_json(extras, "extras: "), dict):
            raise ValueError(f"extras: expected a JSON object as text, got {shown(extras)}")
        return extras
    try:
        return canonical_json({k: v for k, v in one.items() if k not in _OWN and v is not None})
    except (TypeError, ValueError) as error:
        raise ValueError(f"a list besides bbox and categories is no JSON: {error}") from None


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what}is not JSON: {error}") from None
