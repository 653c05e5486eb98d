"""Each example manifest, unchanged, over a small dataset laid out as it says, read as it says."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from flows.cli import app
from tests.flows.pictures import photo
from tests.stores import Server

EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"
WIDTH, HEIGHT = 64, 48
BUCKET = "my-bucket"


def beside_its_data(folder: Path, name: str) -> Path:
    """The example `name`, copied beside what it names."""
    write = {
        "classification": write_class_folders,
        "coco": write_coco,
        "demo": write_demo,
        "s3": write_shards_and_photos,
        "scheduled": write_list,
        "segmentation": write_masks,
        "yolo": write_yolo,
    }
    write[name](folder)
    manifest = folder / f"{name}.yaml"
    manifest.write_bytes((EXAMPLES / manifest.name).read_bytes())
    return manifest


def write_photos(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        photo(zlib.crc32(f"{folder.name}/{name}".encode()), WIDTH, HEIGHT).save(folder / name)


def write_class_folders(folder: Path) -> None:
    for split in ("train", "test"):
        write_photos(folder / "photos" / split, "cat/1.jpg", "dog/1.jpg")
    write_photos(folder / "paintings", "one.jpg", "two.jpg")
    write_photos(folder / "sketches", "three.jpg")


def write_demo(folder: Path) -> None:
    write_photos(folder / "photos", "cat/1.jpg")
    write_photos(folder / "styles", "one.jpg", "two.jpg")


def write_coco(folder: Path) -> None:
    write_photos(folder / "paintings", "one.jpg")
    (folder / "coco" / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        write_photos(folder / "coco" / f"{split}2017", "7.jpg")
        box = {"bbox": [16, 8, 32, 32], "area": 1024, "iscrowd": 0, "segmentation": []}
        described = {
            "images": [{"id": 7, "file_name": "7.jpg", "width": WIDTH, "height": HEIGHT}],
            "annotations": [box | {"id": 1, "image_id": 7, "category_id": 3}],
            "categories": [{"id": 3, "name": "car"}],
        }
        file = folder / "coco" / "annotations" / f"instances_{split}2017.json"
        file.write_text(json.dumps(described))


def write_yolo(folder: Path) -> None:
    write_photos(folder / "paintings", "one.jpg")
    described = {"train": "images/train", "val": "images/val", "names": {0: "circle", 1: "star"}}
    for split in ("train", "val"):
        write_photos(folder / "shapes" / "images" / split, "1.jpg")
        (folder / "shapes" / "labels" / split).mkdir(parents=True)
        (folder / "shapes" / "labels" / split / "1.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (folder / "shapes" / "data.yaml").write_text(yaml.safe_dump(described))


def write_masks(folder: Path) -> None:
    write_photos(folder / "paintings", "one.jpg", "two.jpg")
    classes = np.zeros((HEIGHT, WIDTH), np.uint8)
    classes[HEIGHT // 2 :] = 7
    for split in ("train", "val"):
        write_photos(folder / "city" / "images" / split, "a.jpg")
        (folder / "city" / "masks" / split).mkdir(parents=True)
        Image.fromarray(classes).save(folder / "city" / "masks" / split / "a.png")


def write_list(folder: Path) -> None:
    write_photos(folder / "paintings", *(f"{index}.jpg" for index in range(4)))
    write_photos(folder / "drives", "monday/1.jpg", "monday/2.jpg", "tuesday/1.jpg")
    with (folder / "photographs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split", "group_id"])
        rows.writerow(["drives/monday/1.jpg", "dry", "train", "monday"])
        rows.writerow(["drives/monday/2.jpg", "dry", "train", "monday"])
        rows.writerow(["drives/tuesday/1.jpg", "wet", "val", "tuesday"])


def write_shards_and_photos(folder: Path) -> None:
    write_photos(folder / "paintings", "our-own.jpg")
    store = fsspec.filesystem("s3", use_listings_cache=False)
    store.mkdir(BUCKET)
    store.pipe_file(f"{BUCKET}/street/photos/dry/1.jpg", jpeg(1))
    store.pipe_file(f"{BUCKET}/paintings/one.jpg", jpeg(2))
    for number in range(12):
        shard = io.BytesIO()
        with tarfile.open(fileobj=shard, mode="w") as tar:
            for name, data in ((f"{number}.jpg", jpeg(10 + number)), (f"{number}.cls", b"1")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        inside = f"street/shards/train-{number:06d}.tar"
        store.pipe_file(f"{BUCKET}/{inside}", shard.getvalue())


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    photo(seed, WIDTH, HEIGHT).save(file, "jpeg")
    return file.getvalue()


def made(manifest: Path, limit: int | None = None) -> Path:
    """The dataset's folder after a run of the manifest."""
    from flows.dataset import stylize_dataset

    summary = stylize_dataset(manifest, encoder="random", limit=limit)
    assert (summary.failed, summary.stopped) == (0, False)
    assert summary.made == summary.dataset
    return manifest.parent / yaml.safe_load(manifest.read_text())["output"]["path"]


def kinds(out: Path, split: str) -> Counter[str]:
    lines = (out / split / "metadata.jsonl").read_text().splitlines()
    return Counter(json.loads(line)["kind"] for line in lines)


@pytest.mark.parametrize("name", sorted(file.stem for file in EXAMPLES.glob("*.yaml")))
def test_each_example_is_valid_beside_its_data(name: str, tmp_path: Path, s3: Server) -> None:
    manifest = beside_its_data(tmp_path, name)
    result = CliRunner().invoke(app, ["validate", str(manifest)])
    assert result.output == f"{manifest}: valid\n"
    if name == "s3":
        fsspec.filesystem("s3", use_listings_cache=False).rm(BUCKET, recursive=True)


def test_classification(api_url: str, tmp_path: Path) -> None:
    from datasets import load_dataset
    from torchvision.datasets import ImageFolder

    out = made(beside_its_data(tmp_path, "classification"))
    loaded = load_dataset("imagefolder", data_dir=str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in loaded.items()} == {
        "train": 2 * (1 + 2 * 2 + 2 + 2 * 2),
        "test": 2,
    }
    assert kinds(out, "test") == {"original": 2}
    assert ImageFolder(str(out / "train")).classes == ["cat", "dog"]


def test_coco(api_url: str, tmp_path: Path) -> None:
    from torchvision.datasets import CocoDetection

    out = made(beside_its_data(tmp_path, "coco"))
    for split, images in (("train", 2 + 2 * 2), ("val", 1)):
        coco = CocoDetection(str(out / split), str(out / f"annotations/instances_{split}.json"))
        assert len(coco) == images
        for _, boxes in coco:
            assert [box["category_id"] for box in boxes] == [3]


def test_yolo(api_url: str, tmp_path: Path) -> None:
    out = made(beside_its_data(tmp_path, "yolo"))
    folder = out.with_name("shapes.yolo")
    described = yaml.safe_load((folder / "data.yaml").read_text())
    assert described["names"] == {0: "circle", 1: "star"}
    for split, fewest in (("train", 2), ("val", 1)):
        images = sorted(Path(described["path"], described[split]).rglob("*.jpg"))
        assert len(images) >= fewest
        for image in images:
            labels = Path(str(image).replace("/images/", "/labels/")).with_suffix(".txt")
            number, *box = labels.read_text().split()
            assert number == "1"
            assert [float(one) for one in box] == pytest.approx([0.5, 0.5, 0.25, 0.5], abs=0.01)


def test_segmentation(api_url: str, tmp_path: Path) -> None:
    from datasets import load_dataset

    out = made(beside_its_data(tmp_path, "segmentation"))
    loaded = load_dataset("imagefolder", data_dir=str(out), cache_dir=str(tmp_path / "cache"))
    assert kinds(out, "val") == {"original": 1}
    found: set[Any] = set()
    for row in loaded["train"]:
        assert row["image"].format == "PNG"
        assert row["image"].size == row["mask"].size
        found |= set(np.unique(np.asarray(row["mask"])).tolist())
    assert found == {0, 7, 255}


def test_scheduled(api_url: str, tmp_path: Path) -> None:
    import webdataset

    manifest = beside_its_data(tmp_path, "scheduled")
    out = made(manifest, limit=12)
    shards = json.loads((out.with_name("street.webdataset") / "info.json").read_text())["shards"]
    pattern = f"{out}.webdataset/{shards['train']}"
    samples = list(webdataset.WebDataset(pattern, shardshuffle=False).decode("pil"))
    assert len(samples) == sum(kinds(out, "train").values()) > 0
    assert {sample["json"]["group_id"] for sample in samples} == {"monday"}


def test_s3(api_url: str, s3: Server, tmp_path: Path) -> None:
    from flows.dataset import stylize_dataset

    summary = stylize_dataset(beside_its_data(tmp_path, "s3"), encoder="random", limit=4)
    assert (summary.made, summary.failed) == (4, 0)
    store = fsspec.filesystem("s3", use_listings_cache=False)
    lines = store.cat_file(f"{BUCKET}/datasets/street-painted/train/metadata.jsonl").splitlines()
    assert len(lines) == 4
    shard = store.cat_file(f"{BUCKET}/datasets/street-painted.webdataset/train-000000.tar")
    with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
        assert sum(name.endswith(".jpg") for name in tar.getnames()) == 4
    store.rm(BUCKET, recursive=True)


def test_the_demos_manifest_finds_its_schema(tmp_path: Path) -> None:
    from flows.demo import prepare_demo

    first = prepare_demo(tmp_path).read_text().partition("\n")[0]
    named = tmp_path / first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads(named.read_text())["title"] == "Manifest"
