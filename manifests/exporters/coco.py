"""COCO JSON: OUT/annotations/instances_<split>.json.

Format: https://cocodataset.org/#format-data, as pycocotools reads it. `file_name` is relative to
OUT/<split>/. A labelled keypoint is a pixel's index, half a pixel before its center, where boxes
and polygons are continuous. What COCO has no field for (source, group, kind …) is in further
fields of an image, an object's extras in `extras` of its annotation.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from manifests.durable import check_stays_inside, remove_durably, written_whole
from manifests.exporters.finished import FinishedDataset, Row, objects_column_of
from manifests.exporters.numbers import Numbers, clashing_numbers
from manifests.exporters.sums import summed
from manifests.exporters.written import Written
from manifests.labels import Category
from manifests.storage import Place
from manifests.stores import is_there, names_in

_MADE = re.compile(r"instances_[^/]+\.json")
_CENTER_PX = 0.5
_DECIMALS = 3  # as metadata.jsonl has them
_CLASSES_BESIDE = "classes of whole images, which the format has not, in `label` of images only"
_MORE_OF_IMAGES = (
    *("variant_id", "source_id", "group_id", "kind", "label", "content_path", "style_path"),
    *("mask_file_name", "mask_path"),
)


def write_coco(dataset: FinishedDataset) -> Written:
    """Write one file a split; memory grows by eight bytes an object, for the sake of unique ids."""
    folder = dataset.out / "annotations"
    written = Written("coco", folder / "instances_<split>.json")
    check_stays_inside(folder, dataset.out)
    category_ids = _category_ids(dataset.categories, written)
    with summed(dataset, "coco") as sums:
        for split in dataset.splits:
            numbers = Numbers(clashing_numbers(_keys(dataset, split)))
            with (
                written_whole(folder / _name(split), dataset.temporary_folder) as growing,
                sums.of_growing(f"annotations/{_name(split)}", growing) as file,
            ):
                _write_split(file, dataset, split, category_ids, numbers, written)
    wanted = {_name(split) for split in dataset.splits}
    for old in coco_files(dataset.out):
        if old.name not in wanted:
            remove_durably(old)
    return written


def coco_files(out: Place) -> list[Place]:
    """The files that an export of the dataset in `out` to COCO has written."""
    folder = out / "annotations"
    return [folder / name for name in sorted(names_in(folder)) if _MADE.fullmatch(name)]


def missing_coco_files(dataset: FinishedDataset) -> list[str]:
    """Of the files of an export to COCO those that are not there, relative to OUT."""
    wanted = (f"annotations/{_name(split)}" for split in dataset.splits)
    return [file for file in wanted if not is_there(dataset.out / file)]


def _name(split: str) -> str:
    return f"instances_{split}.json"


def _keys(dataset: FinishedDataset, split: str) -> Iterator[str]:
    """What the id of each image and of each annotation is made of."""
    for row in dataset.rows(split):
        yield _image_key(row)
        for index in range(len(objects_column_of(row)["bbox"])):
            yield _object_key(row, index)


def _image_key(row: Row) -> str:
    return str(row["variant_id"])


def _object_key(row: Row, index: int) -> str:
    return f"{row['variant_id']} {index}"


def _write_split(
    file: BinaryIO,
    dataset: FinishedDataset,
    split: str,
    category_ids: list[int],
    numbers: Numbers,
    written: Written,
) -> None:
    categories = [_category(one, id_) for one, id_ in zip(dataset.categories, category_ids)]
    info = {"description": dataset.name, "version": dataset.version, "split": split}
    file.write(b'{"info": ' + _json(info) + b', "licenses": [],\n"images": [')
    images = _JsonList(file)
    # Annotations wait in a file of their own, so that rows are read once.
    with tempfile.TemporaryFile(dir=dataset.temporary_folder) as waiting:
        annotations = _JsonList(waiting)
        for row in dataset.rows(split):
            image_id = numbers.of(_image_key(row))
            images.add(_image(row, image_id))
            if row.get("label"):
                written.notes[_CLASSES_BESIDE] += 1
            for index, annotation in enumerate(_annotations(row, image_id, category_ids)):
                annotations.add({"id": numbers.of(_object_key(row, index)), **annotation})
        file.write(b'],\n"annotations": [')
        waiting.seek(0)
        shutil.copyfileobj(waiting, file)
    file.write(b'],\n"categories": ' + _json(categories) + b"}\n")
    written.images += images.length
    written.objects += annotations.length


@dataclass
class _JsonList:
    """Grows in a file, one item a line."""

    file: BinaryIO
    length: int = 0

    def add(self, item: Any) -> None:
        self.file.write((b",\n" if self.length else b"\n") + _json(item))
        self.length += 1


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _category_ids(categories: tuple[Category, ...], written: Written) -> list[int]:
    """Those of the COCO file that the categories come from, where all have one; else 1, 2, …"""
    ids = [one.coco_id for one in categories if one.coco_id is not None]
    if len(set(ids)) == len(categories):
        return ids
    if ids:
        written.notes[
            "category ids are 1, 2, …, for those of the sources clash or are missing"
        ] += 1
    return list(range(1, len(categories) + 1))


def _category(one: Category, id_: int) -> Row:
    described: Row = {"id": id_, "name": one.name, "supercategory": one.supercategory}
    if one.keypoints:
        # COCO counts keypoints from 1.
        described["keypoints"] = list(one.keypoints)
        described["skeleton"] = [[first + 1, second + 1] for first, second in one.skeleton]
    return described


def _image(row: Row, id_: int) -> Row:
    image = {name: row[name] for name in ("file_name", "width", "height")}
    return {"id": id_, **image, **{name: row[name] for name in _MORE_OF_IMAGES if name in row}}


def _annotations(row: Row, image_id: int, category_ids: list[int]) -> Iterator[Row]:
    column = objects_column_of(row)
    for bbox, category, area, crowd, segmentation, keypoints, extras in zip(
        column["bbox"],
        column["categories"],
        column["area"],
        column["iscrowd"],
        column["segmentation"],
        column["keypoints"],
        column["extras"],
    ):
        annotation: Row = {
            "image_id": image_id,
            "category_id": category_ids[category],
            "bbox": bbox,
            "area": area,
            "iscrowd": crowd,
        }
        # Readers take an empty list for an object to be left out; without the key it is a box.
        if shape := _segmentation(segmentation):
            annotation["segmentation"] = shape
        if keypoints:
            annotation["keypoints"] = _pixel_indices(keypoints)
            annotation["num_keypoints"] = sum(seen > 0 for seen in keypoints[2::3])
        if extras != "{}":
            annotation["extras"] = json.loads(extras)
        yield annotation


def _pixel_indices(keypoints: list[float]) -> list[float]:
    """Continuous x, y, visibility, … as indices of pixels; what is not labelled stays."""
    indices: list[float] = []
    for x, y, visibility in zip(keypoints[::3], keypoints[1::3], keypoints[2::3]):
        shift = _CENTER_PX if visibility > 0 else 0
        indices += (round(x - shift, _DECIMALS), round(y - shift, _DECIMALS), visibility)
    return indices


def _segmentation(text: str) -> Any:
    """Polygons, or a mask in compressed run lengths."""
    shape = json.loads(text)
    if isinstance(shape, dict):
        return {"size": shape["size"], "counts": shape["counts"]}
    return shape
