"""What gramflow writes is read back as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from manifests.exporters.coco import write_coco
from manifests.exporters.finished import read_finished
from manifests.exporters.webdataset import write_webdataset
from manifests.exporters.yolo import write_yolo
from manifests.images import decode_class_indices, read_file
from manifests.labels import Object
from tests.manifests.exporters.finished import CATEGORIES, made, write_finished
from tests.manifests.listing import listed, only_image, problems

CAR = Object("car", (8, 8, 20, 16))
PERSON = Object("person", (8, 8, 16, 28), keypoints=((10, 9.5, 2), (0, 0, 0), (14, 9, 1)))


@pytest.mark.parametrize("entry", ["out", "out.webdataset"])
@pytest.mark.parametrize("all_masked", [False, True])
def test_categories_objects_and_masks_come_back(
    tmp_path: Path, entry: str, all_masked: bool
) -> None:
    mask = Image.new("L", (48, 40), 7)
    images = [
        made("a", CAR, PERSON, mask=mask, class_name="street"),
        made("b", PERSON, mask=mask if all_masked else None, split="test", group="g"),
    ]
    write_finished(tmp_path / "out", images)
    write_webdataset(read_finished(tmp_path / "out"))
    back = listed(tmp_path, {"path": entry})
    assert back.categories == CATEGORIES
    by_split = {one.split: one for one in back.images}
    assert by_split.keys() == {"train", "test"}
    for written in images:
        one = by_split[written.split]
        assert one.group == written.group
        assert replace(one.labels, semantic_mask="", width=48, height=40) == written.labels
        assert bool(one.labels.semantic_mask) == (written.mask is not None)
        if one.labels.semantic_mask:
            found = decode_class_indices(read_file(one.labels.semantic_mask)[0])
            assert found.getextrema() == (7, 7)


@pytest.mark.parametrize("extras", ['{"difficult":1,"pose":"Left"}', '{"difficult":1,"id":4021}'])
def test_what_a_source_said_of_an_object_comes_back_from_coco_as_it_was(
    tmp_path: Path, extras: str
) -> None:
    write_finished(tmp_path / "out", [made("a", replace(CAR, extras=extras))])
    write_coco(read_finished(tmp_path / "out"))
    entry = {"path": "out/train", "annotations": "out/annotations/instances_train.json"}
    (car,) = only_image(tmp_path, entry).labels.objects
    assert car.extras == extras


def test_a_yolo_export_without_a_split_for_validation_is_read_back(tmp_path: Path) -> None:
    write_finished(tmp_path / "out", [made("a", CAR)])
    write_yolo(read_finished(tmp_path / "out"))
    assert only_image(tmp_path, {"path": "out.yolo/data.yaml"}).split == "train"


def test_a_mask_that_is_gone_is_named_by_its_column(tmp_path: Path) -> None:
    mask = Image.new("L", (48, 40))
    write_finished(tmp_path / "out", [made("a", CAR, mask=mask), made("b", CAR)])
    for file in (tmp_path / "out" / "train" / "masks").iterdir():
        file.unlink()
    (problem,) = problems(tmp_path, {"path": "out"})
    assert problem.startswith("out/train/metadata.jsonl:1: mask_path: there is no image")
