"""Each format of small datasets: what is written, and what is said of it."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.exporters.finished import read_finished
from manifests.exporters.formats import FORMATS, export
from manifests.exporters.voc import pixel_box
from manifests.exporters.webdataset import write_webdataset
from manifests.labels import Category, Object, Rle
from tests.flows.pictures import photo
from tests.manifests.exporters.finished import (
    CAR,
    CATEGORIES,
    CROWD,
    FAR,
    PERSON,
    SHAPED,
    SQUARE,
    data_yaml,
    made,
    said,
    write_finished,
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def instances(out: Path, split: str = "train") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / f"annotations/instances_{split}.json").read_text())
    return found


@pytest.mark.parametrize(
    ("in_train", "in_val", "even"),
    [(CAR, None, False), (CAR, CAR, True), (None, None, True), (CAR, PERSON, False)],
)
def test_an_imagefolder_says_when_only_its_parquet_files_load(
    in_train: Object | None, in_val: Object | None, even: bool, out: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset

    objects = [[one] if one else [] for one in (in_train, in_val)]
    write_finished(out, [made("a", *objects[0]), made("bb", *objects[1], split="val")])
    (line,) = said(out, "imagefolder")
    assert ("load metadata_<split>.parquet" in line) is not even
    cache = str(tmp_path / "cache")
    if even:
        loaded = load_dataset("imagefolder", data_dir=str(out), cache_dir=cache)
        assert set(loaded) == {"train", "validation"}
    else:
        with pytest.raises(ValueError, match="different features"):
            load_dataset("imagefolder", data_dir=str(out), cache_dir=cache)
    files = {split: str(out / f"metadata_{split}.parquet") for split in ("train", "val")}
    loaded = load_dataset("parquet", data_files=files, cache_dir=cache)
    boxes = [loaded[split][0]["objects"]["bbox"] for split in ("train", "val")]
    assert list(map(len, boxes)) == list(map(len, objects))


def test_voc_counts_keypoints_and_outlines_that_it_leaves_out(out: Path) -> None:
    masked = replace(CAR, rle=Rle(40, 48, "\\9"))
    write_finished(out, [made("a", CAR, PERSON, SHAPED, masked)])
    (written,) = export(out, ["voc"])
    assert written.notes == {"keypoints of objects left out": 1, "outlines of objects left out": 2}


sides = st.tuples(st.floats(0, 60), st.floats(0, 60)).map(sorted).filter(lambda s: s[0] < s[1])


@given(sides, sides)
def test_a_voc_box_is_within_a_pixel_and_inside(x: list[float], y: list[float]) -> None:
    xmin, ymin, xmax, ymax = pixel_box((x[0], y[0], x[1], y[1]), 60, 60)
    assert 1 <= xmin <= xmax <= 60
    assert 1 <= ymin <= ymax <= 60
    found = np.array([xmin - 1, ymin - 1, xmax, ymax])
    assert np.abs(found - [x[0], y[0], x[1], y[1]]).max() <= 1


def test_voc_has_what_the_source_says_of_an_object(out: Path) -> None:
    told = replace(CAR, extras='{"truncated": 1, "difficult": 1, "pose": "Left", "occluded": 1}')
    write_finished(out, [made("a", told, CROWD, CAR)])
    (line,) = said(out, "voc")
    assert line.endswith("1 images, 3 objects; crowd objects written as difficult (1)")
    (file,) = Path(f"{out}.voc/Annotations").iterdir()
    first, crowd, plain = ElementTree.parse(file).getroot().iter("object")
    names = ("pose", "truncated", "occluded", "difficult")
    assert [first.findtext(name) for name in names] == ["Left", "1", "1", "1"]
    assert [crowd.findtext(name) for name in names] == ["Unspecified", "0", None, "1"]
    assert plain.findtext("difficult") == "0"
    assert [plain.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")] == [
        *("3", "5", "26", "24")
    ]


@pytest.mark.parametrize(
    ("value", "flag", "odd"),
    [
        *((1, "1", False), ("1", "1", False), (True, "1", False), ("true", "1", False)),
        *((0, "0", False), ("0", "0", False), (False, "0", False), ("False", "0", False)),
        *(("", "0", True), (None, "0", True), (2, "0", True), ([1], "0", True)),
    ],
)
def test_voc_takes_flags_as_sources_write_them(
    out: Path, value: object, flag: str, odd: bool
) -> None:
    names = ("truncated", "occluded", "difficult")
    told = replace(CAR, extras=json.dumps(dict.fromkeys(names, value)))
    write_finished(out, [made("a", told, CAR)])
    (line,) = said(out, "voc")
    (file,) = Path(f"{out}.voc/Annotations").iterdir()
    first, _ = ElementTree.parse(file).getroot().iter("object")
    assert [first.findtext(name) for name in names] == [flag] * 3
    for name in names:
        assert (f"{name} that is neither 0 nor 1, written as 0 (1)" in line) is odd


@pytest.mark.parametrize("pose", ["a\nb", "\0", None, {"yaw": 3}])
def test_voc_leaves_out_a_pose_that_is_no_line_of_text(out: Path, pose: object) -> None:
    write_finished(out, [made("a", replace(CAR, extras=json.dumps({"pose": pose})))])
    (line,) = said(out, "voc")
    assert "pose that is no line of text, written as Unspecified (1)" in line
    (file,) = Path(f"{out}.voc/Annotations").iterdir()
    assert ElementTree.parse(file).getroot().findtext("object/pose") == "Unspecified"


def test_voc_says_that_images_are_no_jpeg(out: Path) -> None:
    write_finished(out, [made("a", CAR)], image_type="png")
    (line,) = said(out, "voc")
    assert "images are .png; some readers of VOC expect .jpg (1)" in line


def test_coco_has_keypoints_shapes_and_boxes_without_shape(out: Path) -> None:
    mask = replace(CAR, rle=Rle(40, 48, "PQR"), polygons=(SQUARE,), crowd=True)
    write_finished(out, [made("a", PERSON, CAR, SHAPED, mask, group="g")])
    said(out, "coco")
    found = instances(out)
    person, box, polygons, run_lengths = found["annotations"]
    assert person["num_keypoints"] == 2
    # Indices of pixels: half a pixel before the continuous (10, 9.5) and (14, 9).
    assert person["keypoints"] == [9.5, 9.0, 2.0, 0, 0, 0.0, 13.5, 8.5, 1.0]
    assert box["bbox"] == [2.0, 4.0, 24.0, 20.0]
    assert "segmentation" not in box
    assert polygons["segmentation"] == [list(SQUARE), list(FAR)]
    assert run_lengths["segmentation"] == {"size": [40, 48], "counts": "PQR"}
    assert [one["iscrowd"] for one in found["annotations"]] == [0, 0, 0, 1]
    assert found["images"][0]["group_id"] == "g"
    assert found["categories"] == [
        {
            "id": 1,
            "name": "person",
            "supercategory": "animal",
            "keypoints": ["nose", "left_eye", "right_eye"],
            "skeleton": [[1, 2], [1, 3]],
        },
        {"id": 2, "name": "car", "supercategory": "vehicle"},
    ]


@pytest.mark.parametrize(
    ("source_ids", "ids", "noted"),
    [
        *(((7, 3), [7, 3], False), ((None, None), [1, 2], False)),
        *(((7, None), [1, 2], True), ((7, 7), [1, 2], True)),
    ],
)
def test_coco_ids_of_categories_are_the_sources_where_they_are_ids(
    out: Path, source_ids: tuple[int | None, ...], ids: list[int], noted: bool
) -> None:
    categories = [Category(f"c{index}", coco_id=id_) for index, id_ in enumerate(source_ids)]
    images = [made("a", replace(CAR, category="c1")), made("b", split="val")]
    write_finished(out, images, categories)
    (line,) = said(out, "coco")
    note = "category ids are 1, 2, …, for those of the sources clash or are missing (1)"
    assert (note in line) is noted
    found = instances(out)
    assert [one["id"] for one in found["categories"]] == ids
    assert found["annotations"][0]["category_id"] == ids[1]


def test_coco_says_that_it_has_no_classes_of_whole_images(out: Path) -> None:
    write_finished(out, [made("a", CAR, class_name="street"), made("bb", CAR)])
    (written,) = export(out, ["coco"])
    note = "classes of whole images, which the format has not, in `label` of images only"
    assert written.notes == {note: 1}
    assert [image.get("label") for image in instances(out)["images"]] == ["street", ""]


def test_coco_ids_stay_when_the_dataset_grows(out: Path, tmp_path: Path) -> None:
    write_finished(out, [made("b", CAR, PERSON)])
    write_finished(tmp_path / "more", [made("a", CAR), made("b", CAR, PERSON), made("c")])
    said(out, "coco")
    said(tmp_path / "more", "coco")
    few, many = instances(out), instances(tmp_path / "more")
    for part in ("images", "annotations"):
        assert {one["id"] for one in few[part]} < {one["id"] for one in many[part]}


def test_webdataset_shards_end_by_count_and_by_size(out: Path) -> None:
    images = [made(name, CAR, class_name="dog.s" if name < "c" else "cat") for name in "abcde"]
    write_finished(out, images)
    folder = Path(f"{out}.webdataset")
    dataset = read_finished(out)
    write_webdataset(dataset, images_a_shard=2)
    told = json.loads((folder / "info.json").read_text())
    assert told["shards"] == {"train": "train-{000000..000002}.tar"}
    assert told["classes"] == ["cat", "dog.s"]
    statistics = [
        json.loads(file.read_text()) for file in sorted(folder.glob("train-*.stats.json"))
    ]
    assert [one["images"] for one in statistics] == [2, 2, 1]
    assert [one["classes"] for one in statistics] == [{"dog.s": 2}, {"cat": 2}, {"cat": 1}]
    shard_bytes = (folder / "train-000000.tar").stat().st_size
    write_webdataset(dataset, bytes_a_shard=shard_bytes // 2)
    assert json.loads((folder / "info.json").read_text())["shards"] == {
        "train": "train-{000000..000004}.tar"
    }
    write_webdataset(dataset)
    assert [file.name for file in sorted(folder.iterdir())] == [
        *("export.json", "info.json", "train-000000.stats.json", "train-000000.tar")
    ]


def test_webdataset_samples_have_plain_keys_and_no_time_or_owner(out: Path) -> None:
    write_finished(out, [made("a", CAR, class_name="cat"), made("b", CAR, class_name="ant")])
    said(out, "webdataset")
    with tarfile.open(f"{out}.webdataset/train-000000.tar") as shard:
        members = shard.getmembers()
        names = [member.name.split(".") for member in members]
        assert [extension for _, extension in names] == ["jpg", "json", "cls"] * 2
        classes = [shard.extractfile(one) for one in members if one.name.endswith(".cls")]
        assert [one.read() for one in classes if one] == [b"1", b"0"]
    assert {(one.mtime, one.uid, one.uname) for one in members} == {(0, 0, "")}


def test_parquet_takes_columns_that_begin_whole_or_late(out: Path) -> None:
    import pyarrow.parquet as pq

    write_finished(out, [made("a", CAR), made("b")])
    index = out / "train" / "metadata.jsonl"
    first, second = map(json.loads, index.read_text().splitlines())
    del first["objects"], first["group_id"]
    rows = [first | {"score": 1}, second | {"score": 0.5, "steps": ["x", 1]}]
    index.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said(out, "imagefolder")
    found = pq.read_table(out / "metadata_train.parquet").to_pylist()
    assert [one["score"] for one in found] == [1.0, 0.5]
    assert [one["steps"] for one in found] == [None, '["x", 1]']
    assert [one["group_id"] for one in found] == [None, ""]
    assert [one["objects"] for one in found] == [None, second["objects"]]


def test_croissant_says_where_the_dataset_comes_from(out: Path) -> None:
    import mlcroissant

    write_finished(out, [made("a", CAR), made("b", split="val")])
    said(out, "imagefolder")
    assert not mlcroissant.Dataset(str(out / "croissant.json")).metadata.ctx.issues.errors
    described = json.loads((out / "croissant.json").read_text())
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    sources = [one["prov:label"] for one in described["prov:wasDerivedFrom"]]
    assert sources == ["content: photos", "styles: paintings"]
    job = described["prov:wasGeneratedBy"]
    assert job["prov:wasAssociatedWith"]["softwareVersion"] == "0.1.0"
    used = {one["prov:label"]: json.loads(one["prov:value"]) for one in job["prov:used"]}
    assert used["seed"] == 7
    assert used["manifest"]["output"] == {"format": ["coco"]}
    assert used["engine"] == {"encoder": "compact", "preset": "fast"}


@pytest.mark.parametrize("categories", [(), CATEGORIES])
def test_croissant_is_valid_with_and_without_categories(
    out: Path, categories: tuple[Category, ...]
) -> None:
    import mlcroissant

    write_finished(out, [made("a"), made("b")], categories)
    said(out, "imagefolder")
    croissant = mlcroissant.Dataset(str(out / "croissant.json"))
    names = [record_set.uuid for record_set in croissant.metadata.record_sets]
    assert names == ["splits", *(["categories"] if categories else []), "images"]
    assert len(list(croissant.records("images"))) == 2


def test_datasets_of_older_versions_without_labels_are_exported(out: Path) -> None:
    write_finished(out, [made("a", class_name="cat"), made("b", class_name="cat", split="val")])
    for index in out.glob("*/metadata.jsonl"):
        row = json.loads(index.read_text())
        for column in ("objects", "dropped_objects", "group_id", "mask_path"):
            del row[column]
        index.write_text(json.dumps(row) + "\n")
    about = json.loads((out / "dataset.json").read_text())
    del about["categories"]
    (out / "dataset.json").write_text(json.dumps(about))
    lines = said(out, *FORMATS)
    assert [line.partition(":")[0] for line in lines] == list(FORMATS)
    assert all("2 images, 0 objects" in line for line in lines)
    assert data_yaml(out)["names"] == {}


def test_masks_go_along(out: Path) -> None:
    write_finished(out, [made("a", mask=photo(1).convert("L")), made("b")])
    said(out, "voc", "webdataset")
    masks = list(Path(f"{out}.voc/SegmentationClass").iterdir())
    assert [mask.name.partition("-")[0] for mask in masks] == ["a"]
    listed = Path(f"{out}.voc/ImageSets/Segmentation/train.txt").read_text().splitlines()
    assert listed == [masks[0].stem]
    with tarfile.open(f"{out}.webdataset/train-000000.tar") as shard:
        assert [name for name in shard.getnames() if "mask" in name] == [
            f"{masks[0].stem}.mask.png"
        ]
