"""Pascal VOC: OUT.voc/ with Annotations, JPEGImages, ImageSets/Main and, for masks, Segmentation.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/. Boxes are whole pixels counted
from 1, the last one included. `truncated`, `difficult`, `occluded` and `pose` are those of an
object's extras, where it has them, and where the transforms of a variant left them true. A crowd
is a `difficult` object, which evaluation ignores too. Objects have boxes alone: their keypoints,
polygons, masks and parts are left out and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from manifests.exporters.finished import FinishedDataset, Row
from manifests.exporters.folder import ExportFolder, export_folder
from manifests.exporters.moves import Moves, moves_of
from manifests.exporters.written import CLASSES_LEFT_OUT, Written
from manifests.labels import Box, Object
from manifests.names import extension_of, stem_of

_FLAGS = {"0": 0, "1": 1, "false": 0, "true": 1}
_UNSPECIFIED = "Unspecified"
_SIDES = ("left", "right")
# A box no further from the edge of the image is at it.
_EDGE_PX = 0.5


def write_voc(dataset: FinishedDataset) -> Written:
    """Write the folder; images are hard links where the file system has them."""
    with export_folder(dataset, "voc") as folder:
        for split in dataset.splits:
            _write_split(folder, dataset, split)
    return folder.written


def _write_split(folder: ExportFolder, dataset: FinishedDataset, split: str) -> None:
    with ExitStack() as lists:
        main = lists.enter_context(folder.open(f"ImageSets/Main/{split}.txt"))
        masked = None
        for row in dataset.rows(split):
            stem = stem_of(row["file_name"])
            name = (stem + "\n").encode()
            _write_image(folder, dataset, split, row)
            if row.get("label"):
                folder.written.notes[CLASSES_LEFT_OUT] += 1
            main.write(name)
            if mask := dataset.mask(split, row):
                inside = f"SegmentationClass/{stem}.png"
                folder.link(mask, inside, row.get("mask_sha256", ""))
                if masked is None:
                    inside = f"ImageSets/Segmentation/{split}.txt"
                    masked = lists.enter_context(folder.open(inside))
                masked.write(name)


def _write_image(folder: ExportFolder, dataset: FinishedDataset, split: str, row: Row) -> None:
    file, written = row["file_name"].rpartition("/")[2], folder.written
    if extension_of(file) != "jpg":
        written.notes[f"images are .{extension_of(file)}; some readers of VOC expect .jpg"] += 1
    folder.link(dataset.image(split, row), f"JPEGImages/{file}", row.get("sha256", ""))
    objects, moves = dataset.objects(row), moves_of(row)
    annotation = Element("annotation")
    _texts(annotation, folder=folder.path.name, filename=file)
    _texts(SubElement(annotation, "source"), database=dataset.name, image=row["variant_id"])
    _texts(SubElement(annotation, "size"), width=row["width"], height=row["height"], depth=3)
    _texts(annotation, segmented=int(dataset.mask(split, row) is not None))
    annotation.extend(
        [_object(one, row["width"], row["height"], moves, written) for one in objects]
    )
    indent(annotation, " ")
    folder.write(f"Annotations/{stem_of(file)}.xml", tostring(annotation, "utf-8") + b"\n")
    written.images += 1
    written.objects += len(objects)


def _object(one: Object, width: int, height: int, moves: Moves, written: Written) -> Element:
    said = json.loads(one.extras)
    if one.crowd:
        written.notes["crowd objects written as difficult"] += 1
    if one.keypoints:
        written.notes["keypoints of objects left out"] += 1
    if one.polygons or one.rle:
        written.notes["outlines of objects left out"] += 1
    if "part" in said:
        written.notes["parts of objects left out"] += 1
    described = Element("object")
    _texts(described, name=one.category, pose=_pose(said, moves, written))
    truncated = _truncated(one.box, width, height, said, moves, written)
    if truncated is not None:
        _texts(described, truncated=truncated)
    if "occluded" in said:
        _texts(described, occluded=_flag(said, "occluded", written))
    _texts(described, difficult=1 if one.crowd else _flag(said, "difficult", written))
    xmin, ymin, xmax, ymax = pixel_box(one.box, width, height)
    _texts(SubElement(described, "bndbox"), xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
    return described


def _pose(said: Mapping[str, Any], moves: Moves, written: Written) -> str:
    pose = said.get("pose", _UNSPECIFIED)
    if not isinstance(pose, str) or not pose.isprintable():
        written.notes["pose that is no line of text, written as Unspecified"] += 1
        return _UNSPECIFIED
    if moves.turned and pose.lower() in _SIDES:
        written.notes["pose of what was turned or mirrored, written as Unspecified"] += 1
        return _UNSPECIFIED
    return pose


def _truncated(
    box: Box, width: int, height: int, said: Mapping[str, Any], moves: Moves, written: Written
) -> int | None:
    """0 or 1; None where what was cut of the object cannot be told."""
    flag = _flag(said, "truncated", written)
    if flag or not moves.cut:
        return flag
    x1, y1, x2, y2 = box
    if min(x1, y1, width - x2, height - y2) <= _EDGE_PX:
        written.notes["objects at the edge of what was cut, written as truncated"] += 1
        return 1
    if moves.edges_left:
        written.notes["truncated left out, for what was cut of the object is not known"] += 1
        return None
    return 0


def _flag(said: Mapping[str, Any], name: str, written: Written) -> int:
    """0 or 1, of a number, a text or a boolean that says so; 0 where nothing is said."""
    flag = _FLAGS.get(str(said.get(name, 0)).lower())
    if flag is None:
        written.notes[f"{name} that is neither 0 nor 1, written as 0"] += 1
        return 0
    return flag


def pixel_box(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """xmin, ymin, xmax, ymax: the pixels of a continuous box, counted from 1, the last included.

    Edges are rounded to whole pixels; of a box between two edges it is the pixel it lies in.
    """
    x1, y1, x2, y2 = box
    xmin, xmax = _pixels(x1, x2, width)
    ymin, ymax = _pixels(y1, y2, height)
    return xmin, ymin, xmax, ymax


def _pixels(low: float, high: float, size: int) -> tuple[int, int]:
    first, last = round(low) + 1, round(high)
    if first > last:
        first = last = min(math.floor((low + high) / 2) + 1, size)
    return first, last


def _texts(parent: Element, **texts: object) -> None:
    """A child for each, with its value as text."""
    for name, value in texts.items():
        SubElement(parent, name).text = str(value)
