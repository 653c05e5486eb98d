"""Whether the columns of a row of metadata hold what a run writes there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from manifests.identity import is_id
from manifests.labels import Category, are_numbers
from manifests.readers.shapes import box_of, keypoints_of, polygons_of, shown

Types = frozenset[type]

_NEEDED = frozenset({"file_name", "variant_id", "width", "height"})
_TEXT: Types = frozenset({str})
_TEXT_OR_NONE: Types = frozenset({str, type(None)})
_NUMBER: Types = frozenset({int, float})
_WHOLE: Types = frozenset({int})
_LOSSES = tuple(
    f"{name}_loss_{when}"
    for name in ("content", "style", "total_variation", "total")
    for when in ("start", "end")
)
_TYPES: dict[str, Types] = {
    **dict.fromkeys(("width", "height", "seed", "iterations", "recipe_index"), _WHOLE),
    **dict.fromkeys(("strength", "fidelity", *_LOSSES), _NUMBER),
    **dict.fromkeys(("file_name", "variant_id", "content_path", "pair_id", "kind"), _TEXT),
    **dict.fromkeys(("style_path", "style_sha256", "encoder", "encoder_sha256", "preset"), _TEXT),
    **dict.fromkeys(("stylize_parameters", "stop_reason", "precision", "recipe", "split"), _TEXT),
    **dict.fromkeys(("applied_transforms", "notes", "dropped_objects"), _TEXT),
    **dict.fromkeys(("gramflow_version", "sha256", "mask_sha256", "made_with"), _TEXT),
    **dict.fromkeys(("mask_file_name", "mask_path", "label"), _TEXT_OR_NONE),
    **dict.fromkeys(("source_id", "group_id"), _TEXT_OR_NONE),
    "objects": frozenset({dict, type(None)}),
}
_PATHS = ("content_path", "style_path")
_SAID = {_TEXT: "text", _TEXT_OR_NONE: "text", _NUMBER: "a number", _WHOLE: "a whole number"}
_OF_OBJECTS = frozenset(
    {"bbox", "categories", "area", "iscrowd", "segmentation", "keypoints", "extras"}
)


def check_columns(row: Any, categories: Sequence[Category]) -> None:
    """Refuse a row that readers and exporters could not use.

    Args:
        categories: that its objects have by number.

    Raises:
        ValueError: naming the column, and what was expected in it.
    """
    if not isinstance(row, dict) or not row.keys() >= _NEEDED:
        raise ValueError(f"expected a row with {', '.join(sorted(_NEEDED))}")
    for name, value in row.items():
        types = _TYPES.get(name)
        if types is not None and type(value) not in types:
            expected = _SAID.get(types, "lists of labels by name")
            raise ValueError(f"{name}: expected {expected}, got {shown(value)}")
        if type(value) in _NUMBER and not (are_numbers([value]) and abs(value) < 2**63):
            raise ValueError(f"{name}: expected a number, got {shown(value)}")
        if name in _PATHS and "\0" in value:
            raise ValueError(f"{name}: expected a path, got {shown(value)}")
    if not is_id(row["variant_id"]):
        raise ValueError(f"variant_id: expected an id, got {shown(row['variant_id'])}")
    if min(row["width"], row["height"]) < 1:
        raise ValueError(f"expected a size in pixels, got {row['width']}x{row['height']}")
    if row.get("made_with"):
        made_with = _json(row["made_with"], "made_with")
        threads = made_with.get("threads", 1) if isinstance(made_with, dict) else 0
        if type(threads) is not int or threads < 1:
            raise ValueError(f"made_with: expected versions by name, got {shown(made_with)}")
    if row.get("applied_transforms"):
        _check_applied(row["applied_transforms"])
    if row.get("objects"):
        _check_objects(row["objects"], categories)


def _check_applied(text: str) -> None:
    applied = _json(text, "applied_transforms")
    if not isinstance(applied, list) or not all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) for one in applied
    ):
        raise ValueError(f"applied_transforms: expected [[name, parameters], …], got {shown(text)}")


def check_characters(value: Any) -> None:
    """Refuse halves of characters, which JSON can name and nothing can write.

    Raises:
        ValueError: for a value with any.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("expected text, got half a character") from None


def _check_objects(column: Mapping[str, Any], categories: Sequence[Category]) -> None:
    if not column.keys() >= _OF_OBJECTS:
        raise ValueError(f"objects: expected {', '.join(sorted(_OF_OBJECTS))}")
    lists = column.values()
    if not all(isinstance(one, list) for one in lists) or len(set(map(len, lists))) > 1:
        raise ValueError("objects: expected lists of one length")
    for index, number in enumerate(column["categories"]):
        try:
            if type(number) is not int or not 0 <= number < len(categories):
                raise ValueError(
                    f"expected one of the {len(categories)} categories of dataset.json, from 0, "
                    f"got {shown(number)}"
                )
            _check_object({name: of[index] for name, of in column.items()}, categories[number])
        except ValueError as error:
            raise ValueError(f"objects[{index}]: {error}") from None


def _check_object(one: Mapping[str, Any], category: Category) -> None:
    box_of(one["bbox"])
    if type(one["iscrowd"]) is not int or one["iscrowd"] not in (0, 1):
        raise ValueError(f"iscrowd: expected 0 or 1, got {shown(one['iscrowd'])}")
    for name in ("area", "fidelity"):
        if not are_numbers([one.get(name, 0)]):
            raise ValueError(f"{name}: expected a number, got {shown(one[name])}")
    _check_segmentation(one["segmentation"])
    if not isinstance(one["keypoints"], list):
        raise ValueError(f"keypoints: expected numbers, got {shown(one['keypoints'])}")
    if one["keypoints"]:
        keypoints_of(one["keypoints"], len(category.keypoints))
    if one["extras"] != "{}" and not isinstance(_json(one["extras"], "extras"), dict):
        raise ValueError(f"extras: expected a JSON object, got {shown(one['extras'])}")


def _check_segmentation(text: Any) -> None:
    """Run lengths are passed on as they are."""
    if text == "null":
        return
    shape = _json(text, "segmentation")
    polygons = shape
    if isinstance(shape, dict):
        size, polygons = shape.get("size"), shape.get("outline", [])
        if not isinstance(size, list) or len(size) != 2 or set(map(type, size)) != {int}:
            raise ValueError(f"segmentation: expected size [height, width], got {shown(size)}")
        if not isinstance(shape.get("counts"), str):
            raise ValueError(f"segmentation: expected counts, text, got {shown(shape)}")
    if not isinstance(polygons, list):
        raise ValueError(f"segmentation: expected polygons or run lengths, got {shown(text)}")
    polygons_of(polygons)


def _json(text: Any, name: str) -> Any:
    if not isinstance(text, str):
        raise ValueError(f"{name}: expected JSON as text, got {shown(text)}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: is not JSON ({error})") from None
