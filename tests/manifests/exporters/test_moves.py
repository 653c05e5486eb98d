"""What the VOC export says of objects that the transforms of a recipe moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, parse

import albumentations as A
import numpy as np
import pytest
from albumentations.augmentations.dropout.transforms import BaseDropout
from PIL import Image

from augment.recipes import Recipe, check_recipes
from augment.step import CUTS_OBJECTS_APART
from manifests.exporters.formats import export
from manifests.exporters.moves import CUTS, LEAVES_EDGES, RESIZES, TURNS
from manifests.exporters.written import Written
from manifests.labels import Labels, Object
from tests.manifests.exporters.finished import CATEGORIES, Made, write_finished

WHOLE = Object("car", (60, 10, 100, 40), extras='{"pose":"Left","truncated":0}')
MIRRORED = "pose of what was turned or mirrored, written as Unspecified"
AT_EDGE = "objects at the edge of what was cut, written as truncated"
NOT_KNOWN = "truncated left out, for what was cut of the object is not known"
FLIP = {"HorizontalFlip": {"p": 1.0}}
CUT = {"Crop": {"x_max": 80, "y_max": 60, "p": 1.0}}
WIDER = {"Pad": {"padding": 8, "p": 1.0}}
COLOUR = {"InvertImg": {"p": 1.0}}


def exported(folder: Path, one: Object, *steps: dict[str, Any]) -> tuple[Element, Written]:
    """The object of a variant as VOC has it, in an image of 120 x 60 px before its recipe."""
    image = np.zeros((60, 120, 3), np.uint8)
    varied = Recipe(steps).vary(image, Labels(objects=(one,), width=120, height=60), seed=1)
    picture = Image.fromarray(varied.image)
    variant = Made("a", varied.moved.labels, picture, applied=varied.applied)
    out = write_finished(folder / "out", [variant], CATEGORIES)
    (written,) = export(out, ["voc"])
    (file,) = Path(f"{out}.voc/Annotations").iterdir()
    (described,) = parse(file).getroot().iter("object")
    return described, written


@pytest.mark.parametrize(
    ("steps", "pose", "truncated", "notes"),
    [
        ([], "Left", "0", []),
        ([COLOUR], "Left", "0", []),
        ([WIDER], "Left", "0", []),
        ([FLIP], "Unspecified", "0", [MIRRORED]),
        ([CUT], "Left", "1", [AT_EDGE]),
        ([{"Crop": {"x_min": 50, "x_max": 120, "y_max": 60, "p": 1.0}}], "Left", "0", []),
        ([CUT, FLIP], "Unspecified", "1", [MIRRORED, AT_EDGE]),
        ([CUT, WIDER], "Left", None, [NOT_KNOWN]),
        ([WIDER, CUT], "Left", "1", [AT_EDGE]),
    ],
)
def test_voc_says_of_a_moved_object_only_what_is_still_true(
    tmp_path: Path,
    steps: list[dict[str, Any]],
    pose: str,
    truncated: str | None,
    notes: list[str],
) -> None:
    described, written = exported(tmp_path, WHOLE, *steps)
    assert described.findtext("pose") == pose
    assert described.findtext("truncated") == truncated
    assert written.notes == dict.fromkeys(notes, 1)


def test_voc_keeps_what_no_transform_makes_untrue(tmp_path: Path) -> None:
    extras = json.dumps({"pose": "Frontal", "truncated": 1, "difficult": 1})
    one = Object("car", WHOLE.box, extras=extras)
    described, written = exported(tmp_path, one, FLIP, CUT, WIDER)
    names = ("pose", "truncated", "difficult")
    assert [described.findtext(name) for name in names] == ["Frontal", "1", "1"]
    assert not written.notes


def test_voc_counts_the_parts_that_it_leaves_out(tmp_path: Path) -> None:
    part = {"name": "head", "bndbox": {"xmin": 1, "ymin": 1, "xmax": 5, "ymax": 5}}
    described, written = exported(
        tmp_path, Object("car", WHOLE.box, extras=json.dumps({"part": part})), FLIP
    )
    assert described.find("part") is None
    assert written.notes == {"parts of objects left out": 1}


def test_every_transform_that_moves_objects_is_known() -> None:
    moving = set()
    for name in dir(A):
        kind = getattr(A, name)
        if not isinstance(kind, type) or not issubclass(kind, A.DualTransform):
            continue
        (problem, *_) = check_recipes({"r": [{name: {}}]}, with_objects=True) or [None]
        refused = problem is not None and any(
            why in problem.message for why in (CUTS_OBJECTS_APART, "is no transform", "beside the")
        )
        if not refused and not issubclass(kind, (BaseDropout, A.NoOp, A.Morphological)):
            moving.add(name)
    assert moving - {"PixelDropout"} == TURNS | CUTS | LEAVES_EDGES | RESIZES


@pytest.mark.parametrize("applied", ["[", "{}", "[3]", '[["Crop"]]', '[[{"a": 1}, {}]]'])
def test_transforms_that_are_none_are_named_with_their_line(tmp_path: Path, applied: str) -> None:
    image = Image.new("RGB", (120, 60))
    out = write_finished(tmp_path / "out", [Made("a", Labels(objects=(WHOLE,)), image)])
    index = out / "train" / "metadata.jsonl"
    row = json.loads(index.read_text()) | {"applied_transforms": applied}
    index.write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=r"metadata.jsonl:1: applied_transforms: "):
        list(export(out, ["voc"]))
