"""A run over 48 COCO images with all formats, read by the programs that users have."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from PIL import Image

from manifests.exporters.finished import read_finished
from manifests.exporters.formats import FORMATS
from tests.flows.conftest import TINY, JobFolder

Boxes = dict[str, list[tuple[str, float, float, float, float]]]


SIZE_PX = 256
VALIDATION = 12
TRAIN = 36
# The photograph and its stylized version, as they are, turned and cropped.
IMAGES = TRAIN * 2 * 3 + VALIDATION


@pytest.fixture(scope="module")
def out(shared: Path, api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = JobFolder(tmp_path_factory.mktemp("coco48"))
    coco48 = shared / "data" / "coco48"
    for split in ("train", "val"):
        (job.folder / f"{split}.json").write_text(json.dumps(of_split(coco48, split)))
    entry = {"path": str(coco48 / "images"), "masks": str(coco48 / "masks")}
    crop = {"size": [192, 192], "scale": [0.4, 1.0]}
    job.write(
        content=[
            entry | {"annotations": f"{split}.json", "split": split} for split in ("train", "val")
        ],
        styles=[{"path": str(shared / "data" / "styles" / "*.jpg")}],
        pairing={"styles_per_content": 1},
        stylize=TINY | {"size": SIZE_PX},
        augment={
            "min_visibility": 0.2,
            "recipes": {
                "turn": [{"HorizontalFlip": {"p": 0.5}}, {"Rotate": {"limit": 20, "p": 1.0}}],
                "crop": [{"RandomResizedCrop": crop}],
            },
        },
        output={"path": "out", "format": list(FORMATS)},
    )
    assert job.run().failed == 0
    return job.out


def of_split(coco48: Path, split: str) -> dict[str, Any]:
    """The COCO file of every fourth image, or of the others."""
    described: dict[str, Any] = json.loads((coco48 / "annotations/instances.json").read_text())
    images = [
        image
        for index, image in enumerate(described["images"])
        if (index % 4 == 0) == (split == "val")
    ]
    ids = {image["id"] for image in images}
    annotations = [one for one in described["annotations"] if one["image_id"] in ids]
    return described | {"images": images, "annotations": annotations}


def beside(out: Path, format: str) -> Path:
    return out.with_name(f"{out.name}.{format}")


def rows(out: Path) -> list[dict[str, Any]]:
    dataset = read_finished(out)
    return [row for split in dataset.splits for row in dataset.rows(split)]


def written_boxes(out: Path) -> Boxes:
    """Stem of each image -> its boxes as metadata has them, crowds left out."""
    dataset = read_finished(out)
    return {
        Path(row["file_name"]).stem: [
            (one.category, *one.box) for one in dataset.objects(row) if not one.crowd
        ]
        for row in rows(out)
    }


def assert_same_boxes(found: Boxes, expected: Boxes, within_px: float) -> None:
    assert sorted(found) == sorted(expected)
    for stem, boxes in expected.items():
        assert [box[0] for box in found[stem]] == [box[0] for box in boxes]
        there = np.array([box[1:] for box in found[stem]]).reshape(-1, 4)
        wanted = np.array([box[1:] for box in boxes]).reshape(-1, 4)
        assert np.abs(there - wanted).max(initial=0) <= within_px, stem


def test_datasets_loads_boxes_and_masks(out: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    loaded = load_dataset("imagefolder", data_dir=str(out), cache_dir=str(tmp_path))
    assert {name: len(split) for name, split in loaded.items()} == {
        "train": IMAGES - VALIDATION,
        "validation": VALIDATION,
    }
    names = [one["name"] for one in json.loads((out / "dataset.json").read_text())["categories"]]
    expected = [row for row in rows(out) if row["split"] == "train"]
    for row, wanted in zip(loaded["train"], expected):
        assert row["objects"]["bbox"] == wanted["objects"]["bbox"]
        assert max(row["objects"]["categories"], default=0) < len(names)
        assert row["image"].size == row["mask"].size == (row["width"], row["height"])


def test_the_parquet_files_hold_the_same_rows(out: Path) -> None:
    import pyarrow.parquet as pq

    for split in ("train", "val"):
        lines = (out / split / "metadata.jsonl").read_text().splitlines()
        assert pq.read_table(out / f"metadata_{split}.parquet").to_pylist() == [
            json.loads(line) for line in lines
        ]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_cocoeval_of_the_labels_against_themselves_is_one(out: Path, kind: str, split: str) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(out / "annotations" / f"instances_{split}.json"))
        found = [
            {
                "image_id": one["image_id"],
                "category_id": one["category_id"],
                "bbox": one["bbox"],
                "segmentation": truth.annToRLE(one),
                "score": 1.0,
            }
            for one in truth.loadAnns(truth.getAnnIds(iscrowd=False))
        ]
        score = COCOeval(truth, truth.loadRes(found), kind)
        # As many as there are in any image, or some could not be found.
        score.params.maxDets = [1, 10, 1000]
        score.params.areaRng, score.params.areaRngLbl = [[0, 1e10]], ["all"]
        score.evaluate()
        score.accumulate()
    precision = score.eval["precision"][..., -1]
    assert precision[precision > -1].size > 0
    assert precision[precision > -1].min() == pytest.approx(1.0)


def test_torchvision_reads_the_coco_files(out: Path) -> None:
    from torchvision.datasets import CocoDetection

    with contextlib.redirect_stdout(io.StringIO()):
        coco = CocoDetection(str(out / "train"), str(out / "annotations/instances_train.json"))
    boxes = {Path(row["file_name"]).stem: row["objects"]["bbox"] for row in rows(out)}
    assert len(coco) == IMAGES - VALIDATION
    for index, image_id in enumerate(coco.ids):
        image, targets = coco[index]
        described = coco.coco.loadImgs(image_id)[0]
        assert image.size == (described["width"], described["height"])
        assert [one["bbox"] for one in targets] == boxes[Path(described["file_name"]).stem]


def test_coco_keeps_the_category_ids_of_its_source(out: Path, shared: Path) -> None:
    source = json.loads((shared / "data/coco48/annotations/instances.json").read_text())
    files = [json.loads(file.read_text()) for file in (out / "annotations").iterdir()]
    kept = [one for file in files for one in file["annotations"]]
    category_of = {one["id"]: one["category_id"] for one in source["annotations"]}
    assert {one["extras"]["id"] for one in kept} == set(category_of)
    assert all(one["category_id"] == category_of[one["extras"]["id"]] for one in kept)
    ids = [one["id"] for file in files for one in (*file["annotations"], *file["images"])]
    assert len(set(ids)) == len(ids) == len(kept) + IMAGES
    assert min(ids) > 0
    assert max(ids) < 2**53


def yolo_boxes(folder: Path) -> Boxes:
    """By the published rules: folders of data.yaml, `labels` for `images`, .txt for the suffix."""
    described = yaml.safe_load((folder / "data.yaml").read_text())
    found: Boxes = {}
    for role in ("train", "val"):
        images = Path(described["path"], described[role])
        for image in sorted(images.rglob("*.jpg")):
            labels = Path(str(image).replace("/images/", "/labels/")).with_suffix(".txt")
            size = Image.open(image).size
            lines = labels.read_text().splitlines()
            found[image.stem] = [_yolo_box(line, size, described["names"]) for line in lines]
    return found


def _yolo_box(line: str, size: tuple[int, int], names: dict[int, str]) -> Any:
    number, *shares = line.split()
    values = np.array(shares, dtype=float).reshape(-1, 2)
    assert values.min() >= 0
    assert values.max() <= 1
    points = values * size
    if len(points) == 2:
        center, sides = points
        return (names[int(number)], *(center - sides / 2), *(center + sides / 2))
    return (names[int(number)], *points.min(axis=0), *points.max(axis=0))


def test_a_reader_of_yolos_rules_finds_the_boxes(out: Path) -> None:
    assert_same_boxes(yolo_boxes(beside(out, "yolo")), written_boxes(out), within_px=1.0)


def test_the_yolo_outlines_enclose_the_masks(out: Path) -> None:
    from pycocotools import mask

    dataset = read_finished(out)
    labels = beside(out, "yolo") / "labels"
    checked = 0
    for row in rows(out):
        size = row["height"], row["width"]
        lines = (labels / row["split"] / Path(row["file_name"]).stem).with_suffix(".txt")
        objects = [one for one in dataset.objects(row) if not one.crowd]
        for line, one in zip(lines.read_text().splitlines(), objects):
            points = np.array(line.split()[1:], dtype=float).reshape(-1, 2) * size[::-1]
            outline = mask.frPyObjects([points.ravel().tolist()], *size)
            parts = mask.frPyObjects([list(part) for part in one.polygons], *size)
            overlap = mask.iou(outline, [mask.merge(parts)], [0])[0, 0]
            # pycocotools draws a line as wide as a pixel, which tells for small objects.
            assert overlap > 0.97 or row["objects"]["area"][objects.index(one)] < 3000
            checked += len(one.polygons) > 1
    assert checked > 40


def test_voc_has_the_boxes_within_a_pixel(out: Path) -> None:
    found: Boxes = {}
    for file in sorted((beside(out, "voc") / "Annotations").iterdir()):
        root = ElementTree.parse(file).getroot()
        objects = [one for one in root.iter("object") if one.findtext("difficult") == "0"]
        found[file.stem] = [_voc_box(one) for one in objects]
    assert_same_boxes(found, written_boxes(out), within_px=1.0)


def _voc_box(one: ElementTree.Element) -> tuple[str, float, float, float, float]:
    """The first pixel is the first, and the last one belongs to the object."""
    edges = (f"bndbox/{edge}" for edge in ("xmin", "ymin", "xmax", "ymax"))
    xmin, ymin, xmax, ymax = (int(str(one.findtext(edge))) for edge in edges)
    return str(one.findtext("name")), xmin - 1, ymin - 1, xmax, ymax


def test_torchvision_reads_the_voc_folder(out: Path, tmp_path: Path) -> None:
    from torchvision.datasets import VOCDetection, VOCSegmentation

    # It looks for the folder of a year in a folder of its own choice.
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "VOCdevkit" / "VOC2012").symlink_to(beside(out, "voc"))
    detection = VOCDetection(str(tmp_path), image_set="train")
    assert len(detection) == IMAGES - VALIDATION
    image, target = detection[0]
    size = target["annotation"]["size"]
    assert image.size == (int(size["width"]), int(size["height"]))
    picture, mask = VOCSegmentation(str(tmp_path), image_set="val")[0]
    assert picture.size == mask.size


def test_webdataset_reads_the_shards(out: Path) -> None:
    import webdataset

    folder = beside(out, "webdataset")
    shards = json.loads((folder / "info.json").read_text())["shards"]
    assert shards["train"] == "train-{000000..000000}.tar"
    found = {}
    for pattern in shards.values():
        samples = webdataset.WebDataset(f"{folder}/{pattern}", shardshuffle=False).decode("pil")
        for sample in samples:
            assert sample["jpg"].size == (sample["json"]["width"], sample["json"]["height"])
            assert sample["mask.png"].size == sample["jpg"].size
            found[sample["__key__"]] = sample["json"]["objects"]["bbox"]
    assert found == {Path(row["file_name"]).stem: row["objects"]["bbox"] for row in rows(out)}


@pytest.fixture(scope="module")
def records(out: Path) -> list[dict[str, Any]]:
    import mlcroissant

    dataset = mlcroissant.Dataset(str(out / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    return list(dataset.records("images"))


def test_mlcroissant_reads_pictures_with_their_rows(
    out: Path, records: list[dict[str, Any]]
) -> None:
    expected = {row["file_name"]: row for row in rows(out)}
    assert len(records) == len(expected) == IMAGES
    for record in records:
        row = expected[record["images/file_name"].decode()]
        objects = record["images/objects"]
        assert objects["images/objects/bbox"] == row["objects"]["bbox"]
        assert record["images/image"].size == (row["width"], row["height"])
        assert record["images/source_id"].decode() == row["source_id"]
