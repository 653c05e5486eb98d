"""data.yaml, which says what a YOLO dataset has: folder, splits, class names, keypoints.

Format: https://docs.ultralytics.com/datasets/detect and /pose. `path` is relative to the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from manifests.errors import ManifestError, Problem
from manifests.labels import Category, mirrored_by_name
from manifests.listings import exists, is_file, is_folder
from manifests.readers.findings import category_name, check_path
from manifests.readers.shapes import shown
from manifests.reading import construct_yaml, parse_yaml
from manifests.storage import Place, beside, normal, place

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class YoloData:
    """Attributes:
    root: the dataset's folder.
    splits: the folders and .txt lists of each, in the file's order; absolute, inside `root`.
    categories: by class number.
    keypoint_numbers: 2 (x, y) or 3 (and visibility); 0 where objects have no keypoints.
    lines: of the file's fields.
    """

    root: Place
    splits: Mapping[str, tuple[str, ...]]
    categories: tuple[Category, ...]
    keypoint_numbers: int
    lines: Mapping[str, int]


def read_yolo_data(file: Place) -> YoloData:
    """Read and check a data.yaml.

    Raises:
        ManifestError: with every problem found, each with its line.
    """
    node = parse_yaml(file)
    fields = None if node is None else construct_yaml(node, file)
    if not isinstance(node, yaml.MappingNode) or not isinstance(fields, dict):
        raise ManifestError([Problem(str(file), 1, "", "expected a mapping with names and train")])
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    problems: list[Problem] = []

    def complain(field: str, error: ValueError) -> None:
        problems.append(Problem(str(file), lines.get(field), field, str(error)))

    root, numbers = file.parent, 0
    splits: dict[str, tuple[str, ...]] = {}
    categories: tuple[Category, ...] = ()
    try:
        root = _root(file.parent, fields.get("path"))
    except ValueError as error:
        complain("path", error)
    for split in SPLITS:
        try:
            if places := _places(root, fields.get(split)):
                splits[split] = places
        except ValueError as error:
            complain(split, error)
    if not any(fields.get(split) for split in SPLITS):
        complain("", ValueError(f"expected at least one of {', '.join(SPLITS)}"))
    try:
        names = _names(fields.get("names"), fields.get("nc"))
        categories = tuple(map(Category, names))
    except ValueError as error:
        complain("names", error)
    try:
        numbers, categories = _with_keypoints(fields, categories)
    except ValueError as error:
        complain("kpt_shape", error)
    if problems:
        raise ManifestError(problems)
    return YoloData(root, splits, categories, numbers, lines)


def _root(folder: Place, value: Any) -> Place:
    root = place(beside(folder, check_path("." if value is None else value)))
    if not is_folder(root):
        raise ValueError(f"there is no folder {root}; it is relative to this file")
    return root


def _places(root: Place, value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    return tuple(_place(root, one) for one in (value if isinstance(value, list) else [value]))


def _place(root: Place, value: Any) -> str:
    """A folder or list of a split.

    As Ultralytics does, `../train/images`, where there is none but `train/images` is, means that.
    """
    name = check_path(value)
    where = beside(root, name)
    if name.startswith("../") and not exists(where):
        where = beside(root, name.removeprefix("../"))
    if where != normal(root) and not where.startswith(f"{normal(root)}/"):
        raise ValueError(f"expected a folder or .txt list inside {root}, got {name!r}")
    if not is_folder(where) and not (is_file(where) and where.endswith(".txt")):
        raise ValueError(f"expected a folder or .txt list, and there is none at {where}")
    return where


def _names(value: Any, count: Any) -> list[str]:
    if isinstance(value, dict):
        if set(value) != set(range(len(value))):
            raise ValueError(f"expected numbers from 0, none left out, got {shown([*value])}")
        value = [value[index] for index in range(len(value))]
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list, or a mapping of numbers to names, got {shown(value)}")
    names = [category_name(name) for name in value]
    if len(set(names)) < len(names):
        ((twice, _),) = Counter(names).most_common(1)
        raise ValueError(f"expected each name once, got {twice!r} twice")
    if count is not None and count != len(names):
        raise ValueError(f"there are {len(names)} names, but nc is {count}")
    return names


def _with_keypoints(
    fields: Mapping[str, Any], categories: tuple[Category, ...]
) -> tuple[int, tuple[Category, ...]]:
    """(numbers a keypoint, categories with their keypoints)."""
    shape = fields.get("kpt_shape")
    if shape is None:
        return 0, categories
    whole = isinstance(shape, list) and len(shape) == 2 and set(map(type, shape)) == {int}
    if not whole or shape[0] < 1 or shape[1] not in (2, 3):
        raise ValueError(f"expected [number of keypoints, 2 or 3], got {shown(shape)}")
    count, numbers = shape
    names = _keypoint_names(fields.get("kpt_names"), count, len(categories))
    flip_idx = _flip_idx(fields.get("flip_idx"), count, named="kpt_names" in fields)
    return numbers, tuple(
        Category(one.name, keypoints=of_class, flip_idx=flip_idx or mirrored_by_name(of_class))
        for one, of_class in zip(categories, names)
    )


def _keypoint_names(value: Any, count: int, classes: int) -> list[tuple[str, ...]]:
    """Of each class: those of `kpt_names`, a list for each class number; else their numbers."""
    numbers = tuple(map(str, range(count)))
    if value is None:
        return [numbers] * classes
    if not isinstance(value, dict):
        raise ValueError(f"expected kpt_names {{class: [name, …]}}, got {shown(value)}")
    names = []
    for index in range(classes):
        of_class = value.get(index, list(numbers))
        if not isinstance(of_class, list) or len(of_class) != count:
            raise ValueError(f"expected {count} kpt_names of class {index}, got {shown(of_class)}")
        names.append(tuple(map(category_name, of_class)))
        if len(set(names[-1])) < count:
            raise ValueError(f"expected each of kpt_names once, got {shown(of_class)}")
    return names


def _flip_idx(value: Any, count: int, named: bool) -> tuple[int, ...]:
    """Empty where it follows from the keypoints' names."""
    if value is None and (named or count == 1):
        return ()
    whole = isinstance(value, list) and set(map(type, value)) == {int}
    if not whole or sorted(value) != list(range(count)):
        raise ValueError(
            f"expected flip_idx, for each of the {count} keypoints the place of the one that it "
            f"becomes in a mirror, got {shown(value)}"
        )
    return tuple(value)
