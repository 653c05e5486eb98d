"""YOLO: OUT.yolo/ with images/<split>, labels/<split> and data.yaml.

Format: https://docs.ultralytics.com/datasets/detect/ (and segment, pose): a text file an image,
a line an object: class number, then numbers in 0..1 of the image's width and height. A dataset
has one task: pose where all objects have the same number of keypoints, else segmentation where
at least half of them have polygons or a mask, else detection. In segmentation an object without an
outline is its box. The format has no crowds and no semantic masks; those, and what is not of the
task, are left out and counted. Nor has it holes: a mask with some is written filled, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from manifests.exporters.clipping import inside_image
from manifests.exporters.finished import FinishedDataset, Row, objects_column_of
from manifests.exporters.folder import ExportFolder, export_folder
from manifests.exporters.outline import Points, area_inside, length_round, one_outline
from manifests.exporters.written import CLASSES_LEFT_OUT, Written
from manifests.labels import NOT_LABELLED, Box, Category, Object, clip_box
from manifests.names import stem_of

# Programs that read YOLO ask for these; test is optional.
_VALIDATION = ("val", "validation", "valid", "dev")
# Coordinates are rounded to a thousandth of a pixel; what is no further outside is inside.
_ROUNDING_PX = 0.01
# Round pixels an outline has whole coordinates and their area. One that was scaled is somewhere
# within half a pixel of them.
_OUTLINE_TOLERANCE_PX = 0.5


@dataclass(frozen=True)
class _Task:
    """What the lines of a dataset hold.

    Attributes:
        keypoints: of each object, for pose.
    """

    name: Literal["detect", "segment", "pose"]
    keypoints: int = 0


def write_yolo(dataset: FinishedDataset) -> Written:
    """Write the folder; images are hard links where the file system has them."""
    task = _task(dataset)
    number = {category.name: index for index, category in enumerate(dataset.categories)}
    with export_folder(dataset, "yolo") as folder:
        for split in dataset.splits:
            for row in dataset.rows(split):
                _write_image(folder, dataset, split, row, task, number)
        folder.write("data.yaml", _data_yaml(dataset, folder, task))
    return folder.written


def _task(dataset: FinishedDataset) -> _Task:
    keypoints: set[int] = set()
    objects = shaped = 0
    for one in _all_objects(dataset):
        keypoints.add(len(one.keypoints))
        objects += 1
        shaped += _has_shape(one)
    if len(keypoints) == 1 and (of_each := keypoints.pop()):
        return _Task("pose", of_each)
    return _Task("segment") if shaped and 2 * shaped >= objects else _Task("detect")


def _has_shape(one: Object) -> bool:
    return bool(one.polygons or one.rle)


def _all_objects(dataset: FinishedDataset) -> Iterator[Object]:
    for split in dataset.splits:
        for row in dataset.rows(split):
            yield from (one for one in dataset.objects(row) if not one.crowd)


def _write_image(
    folder: ExportFolder,
    dataset: FinishedDataset,
    split: str,
    row: Row,
    task: _Task,
    number: dict[str, int],
) -> None:
    stem, file = stem_of(row["file_name"]), row["file_name"].rpartition("/")[2]
    written = folder.written
    folder.link(dataset.image(split, row), f"images/{split}/{file}", row.get("sha256", ""))
    if dataset.mask(split, row):
        written.notes["semantic masks left out"] += 1
    if row.get("label"):
        written.notes[CLASSES_LEFT_OUT] += 1
    lines = []
    for one, area_px in zip(dataset.objects(row), objects_column_of(row)["area"]):
        if one.crowd:
            written.notes["crowd objects left out"] += 1
            continue
        _note_left_out(one, task, written)
        if task.name == "segment" and _has_holes(one, area_px):
            written.notes["objects whose mask has holes, written without them"] += 1
        numbers = _numbers(one, row["width"], row["height"], task, written)
        lines.append(" ".join([str(number[one.category]), *numbers]) + "\n")
    folder.write(f"labels/{split}/{stem}.txt", "".join(lines).encode())
    written.images += 1
    written.objects += len(lines)


def _note_left_out(one: Object, task: _Task, written: Written) -> None:
    if one.keypoints and task.name != "pose":
        written.notes[f"keypoints of objects left out, the task is {task.name}"] += 1
    if _has_shape(one) and task.name != "segment":
        written.notes[f"outlines of objects left out, the task is {task.name}"] += 1


def _has_holes(one: Object, area_px: float) -> bool:
    """Whether a mask of that area leaves open some of what its outline encloses."""
    if one.rle is None:
        return False
    polygons = [np.reshape(polygon, (-1, 2)) for polygon in one.polygons]
    enclosed_px = sum(map(area_inside, polygons))
    is_of_pixels = all((polygon == polygon.round()).all() for polygon in polygons)
    length_px = 1 if is_of_pixels else sum(map(length_round, polygons))
    return enclosed_px - area_px > _OUTLINE_TOLERANCE_PX * length_px


def _numbers(one: Object, width: int, height: int, task: _Task, written: Written) -> Iterable[str]:
    if task.name == "segment":
        return _shares(_outline(one, width, height, written), width, height)
    x1, y1, x2, y2 = _box(one, width, height, written)
    center_and_size = [((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1)]
    box = _shares(np.array(center_and_size), width, height)
    if task.name == "detect":
        return box
    return [*box, *_keypoint_numbers(one, width, height, written)]


def _box(one: Object, width: int, height: int, written: Written) -> Box:
    box = clip_box(one.box, width, height)
    if np.abs(np.subtract(box, one.box)).max() > _ROUNDING_PX:
        written.notes["boxes cut at the edge of the image"] += 1
    return box


def _outline(one: Object, width: int, height: int, written: Written) -> Points:
    polygons = [np.reshape(polygon, (-1, 2)) for polygon in one.polygons]
    if not all(_is_inside(polygon, width, height) for polygon in polygons):
        written.notes["outlines cut at the edge of the image"] += 1
        cut = [inside_image(polygon, width, height) for polygon in polygons]
        polygons = [polygon for polygon in cut if len(polygon) and np.ptp(polygon, axis=0).all()]
    if not polygons:
        written.notes["objects without an outline in the image, written as their box"] += 1
        x1, y1, x2, y2 = _box(one, width, height, written)
        return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
    if len(polygons) > 1:
        written.notes["objects of several polygons, joined to one"] += 1
    return one_outline(polygons)


def _keypoint_numbers(one: Object, width: int, height: int, written: Written) -> Iterator[str]:
    for x, y, visibility in one.keypoints:
        point = np.array([(x, y)])
        if visibility and not _is_inside(point, width, height):
            written.notes["keypoints outside the image, written as not labelled"] += 1
            visibility = NOT_LABELLED
        yield from _shares(point if visibility else np.zeros((1, 2)), width, height)
        yield str(visibility)


def _is_inside(points: Points, width: int, height: int) -> bool:
    far_corner = np.add((width, height), _ROUNDING_PX)
    return bool((points >= -_ROUNDING_PX).all() and (points <= far_corner).all())


def _shares(points: Points, width: int, height: int) -> list[str]:
    """Points inside the image, in pixels, as shares of its sides."""
    return [f"{share:.6f}" for share in np.clip(points / (width, height), 0, 1).ravel()]


def _data_yaml(dataset: FinishedDataset, folder: ExportFolder, task: _Task) -> bytes:
    described: dict[str, Any] = {
        # Programs that read YOLO know no stores: a copy of the folder is to be found by itself.
        **({"path": str(folder.path)} if isinstance(folder.path, Path) else {}),
        **{role: f"images/{split}" for role, split in _roles(dataset.splits, folder.written)},
        "names": {index: one.name for index, one in enumerate(dataset.categories)},
    }
    if task.name == "pose":
        described["kpt_shape"] = [task.keypoints, 3]
        if flip_idx := _flip_idx(dataset.categories, task.keypoints):
            described["flip_idx"] = flip_idx
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    comment = (
        f"# Made by gramflow; task: {task.name}. After moving this folder, export again or change\n"
        "# `path`; without it, programs take the folder of this file.\n"
    )
    return (comment + text).encode()


def _roles(splits: tuple[str, ...], written: Written) -> Iterator[tuple[str, str]]:
    """(name in data.yaml, split): `train` and `val`, which programs insist on, then the others."""
    if not splits:
        return
    train = "train" if "train" in splits else splits[0]
    val = next((name for name in _VALIDATION if name in splits), None)
    if val is None:
        written.notes[f"no split for validation: data.yaml names {train} as val"] += 1
    if train != "train":
        written.notes[f"no split train: data.yaml names {train} as train"] += 1
    yield "train", train
    yield "val", val or train
    yield from ((name, name) for name in splits if name not in (train, val))


def _flip_idx(categories: tuple[Category, ...], keypoints: int) -> list[int]:
    """The one mirror order of all categories with so many keypoints; empty where they differ."""
    orders = {one.flip_idx for one in categories if len(one.keypoints) == keypoints}
    return list(orders.pop()) if len(orders) == 1 else []
