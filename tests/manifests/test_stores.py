"""What is read from stores, and written to them, is what it would be on a disk."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from manifests.errors import ManifestError
from manifests.exporters.finished import read_finished
from manifests.exporters.formats import FORMATS, export, formats_there
from manifests.facts import FactsCache
from manifests.images import read_file
from manifests.reading import read_manifest
from manifests.sources import ListedContent, list_content, list_styles, listed_pairs
from manifests.storage import place
from tests.flows.pictures import photo
from tests.manifests.exporters.finished import CAR, PERSON, SHAPED, made, write_finished
from tests.manifests.listing import listed
from tests.stores import Fault, Folder, Server, memory_folder, s3_folder

MASK = Image.new("L", (48, 40), 7)
IMAGES = [
    made("a", CAR, PERSON, mask=MASK, class_name="street"),
    made("b", SHAPED, mask=MASK, split="val", group="g"),
    made("c", mask=MASK, class_name="field"),
]
ENTRIES: dict[str, dict[str, Any]] = {
    "folder": {"path": "{}/out/train", "format": "folder"},
    "imagefolder": {"path": "{}/out"},
    "glob": {"path": "{}/out/**/*.jpg"},
    "coco": {"path": "{}/out/train", "annotations": "{}/out/annotations/instances_train.json"},
    "coco with masks": {
        "path": "{}/out/train",
        "annotations": "{}/out/annotations/instances_train.json",
        "masks": "{}/masks",
    },
    "yolo": {"path": "{}/out.yolo/data.yaml"},
    "voc": {"path": "{}/out.voc", "format": "voc"},
    "shards": {"path": "{}/out.webdataset"},
    "shards by pattern": {"path": "{}/out.webdataset/{{train,val}}-000000.tar"},
    "list": {"path": "{}/list.csv"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset with its exports, a list of it, and a folder of masks."""
    folder = tmp_path_factory.mktemp("dataset")
    write_finished(folder / "out", IMAGES)
    list(export(folder / "out", list(FORMATS)))
    data = folder / "out.yolo" / "data.yaml"
    described = yaml.safe_load(data.read_text())
    del described["path"]  # it is that of this machine
    data.write_text(yaml.safe_dump(described))
    train = folder / "out" / "train"
    images = sorted(train.glob("*/*.jpg"))
    lines = [f"out/train/{image.relative_to(train)},{image.parent.name}" for image in images]
    (folder / "list.csv").write_text("\n".join(["path,label", *lines]))
    for image in images:
        mask = folder / "masks" / image.relative_to(train).with_suffix(".png")
        mask.parent.mkdir(parents=True, exist_ok=True)
        MASK.save(mask)
    return folder


def entry(name: str, root: str | Path) -> dict[str, Any]:
    return {key: value.format(root) for key, value in ENTRIES[name].items()}


def comparable(content: ListedContent, root: str, folder: Path) -> list[Any]:
    """All that is found, but for where it lies; with the bytes' hashes."""
    facts = FactsCache(folder / "facts.sqlite")
    hashes = facts.of_files(one.file for one in content.images)
    found = []
    for one, of_file in zip(content.images, hashes, strict=True):
        assert of_file.sha256
        mask = one.labels.semantic_mask
        assert not mask or read_file(mask)[0]
        labels = replace(one.labels, semantic_mask=mask.removeprefix(root))
        name = one.name.removeprefix(root)
        found.append((one.file.removeprefix(root), name, one.inside, one.split, one.group, labels))
        found.append(of_file)
    facts.close()
    return [*found, content.categories]


@pytest.fixture(scope="module", params=[memory_folder, s3_folder])
def there(request: pytest.FixtureRequest, dataset: Path, s3: Server) -> Folder:
    """The dataset in a store."""
    folder: Folder = request.param()
    folder.put(dataset)
    return folder


@pytest.mark.parametrize("name", ENTRIES)
def test_a_dataset_in_a_store_is_that_on_disk(
    there: Folder, dataset: Path, tmp_path: Path, name: str
) -> None:
    on_disk = comparable(listed(tmp_path, entry(name, dataset)), str(dataset), tmp_path)
    in_store = comparable(listed(tmp_path, entry(name, there.url)), there.url, tmp_path)
    assert len(on_disk) > 2
    assert in_store == on_disk


def test_exports_in_a_store_are_those_on_disk(there: Folder, dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset / "out", tmp_path / "out")
    again = type(there)(there.url + "-again")
    again.put(dataset / "out", "out")
    again.remove("out/croissant.json")
    lines = [str(one) for one in export(place(again.file("out")), list(FORMATS))]
    assert [line.replace(again.url, str(tmp_path)) for line in lines] == [
        str(one) for one in export(tmp_path / "out", list(FORMATS))
    ]
    for inside in ("out", "out.yolo", "out.voc", "out.webdataset"):
        on_disk = {
            str(file.relative_to(tmp_path / inside)): file.read_bytes()
            for file in (tmp_path / inside).rglob("*")
            if file.is_file() and ".gramflow" not in file.parts
        }
        if inside == "out.yolo":
            del on_disk["data.yaml"]
        in_store = again.files(inside)
        described = yaml.safe_load(in_store.pop("data.yaml", b"{}"))
        assert "path" not in described
        assert in_store == on_disk
    assert formats_there(place(again.file("out"))) == ["coco", "yolo", "voc", "webdataset"]


def test_what_an_older_export_had_goes(there: Folder, dataset: Path) -> None:
    again = type(there)(there.url + "-older")
    again.put(dataset / "out", "out")
    list(export(place(again.file("out")), ["voc", "coco"]))
    gone = again.file("out.voc/JPEGImages/old-original-aaaaaaaaaaaa.jpg")
    again.write(gone.removeprefix(again.url + "/"), b"")
    again.write("out.voc/JPEGImages/mine.jpg", b"")
    again.write("out/annotations/instances_old.json", b"")
    again.write("out/annotations/mine.json", b"")
    list(export(place(again.file("out")), ["voc", "coco"]))
    names = again.names()
    assert gone.removeprefix(again.url + "/") not in names
    assert "out/annotations/instances_old.json" not in names
    assert {"out.voc/JPEGImages/mine.jpg", "out/annotations/mine.json"} <= set(names)


def test_a_folder_is_asked_for_once_and_each_image_once(s3: Server, tmp_path: Path) -> None:
    folder = s3_folder()
    for index in range(30):
        file = tmp_path / "images" / f"class{index % 3}" / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        photo(index).save(file)
    folder.put(tmp_path / "images", "images")
    with s3.counted() as asked:
        content = listed(tmp_path, {"path": folder.file("images")})
    assert len(content.images) == 30
    assert len(asked) == 1
    with s3.counted() as asked:
        first = comparable(content, folder.url, tmp_path)
    assert sorted(line.partition(" ")[0] for line in asked) == ["GET"] * 30
    with s3.counted() as asked:
        second = comparable(listed(tmp_path, {"path": folder.file("images")}), folder.url, tmp_path)
    assert len(asked) == 1
    assert second == first
    folder.write("images/class0/0.png", (tmp_path / "images/class1/1.png").read_bytes())
    with s3.counted() as asked:
        third = comparable(listed(tmp_path, {"path": folder.file("images")}), folder.url, tmp_path)
    assert len(asked) == 2
    assert third[1] == third[21] != second[1]


def test_a_shard_in_a_store_is_not_read_whole(s3: Server, tmp_path: Path) -> None:
    """Members of many bytes are skipped while the shard is listed."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for index in range(3):
            for name, size in ((f"{index}.jpg", 4_000_000), (f"{index}.cls", 1)):
                member = tarfile.TarInfo(name)
                member.size = size
                tar.addfile(member, io.BytesIO(b"1" * size))
    folder = s3_folder()
    folder.write("s.tar", data.getvalue())
    sent = s3.sent_bytes
    content = listed(tmp_path, {"path": folder.file("s.tar")})
    assert [image.labels.class_name for image in content.images] == ["1"] * 3
    assert s3.sent_bytes - sent < len(data.getvalue()) / 2
    assert read_file(content.images[1].file)[0] == b"1" * 4_000_000


def test_a_store_that_fails_for_a_while_is_asked_again(s3: Server, tmp_path: Path) -> None:
    folder = s3_folder()
    photo(1).save(tmp_path / "a.png")
    folder.write("a.png", (tmp_path / "a.png").read_bytes())
    lists, reads = Fault("GET", "list-type", times=1), Fault("GET", "a.png", times=1)
    with s3.failing(lists, reads):
        content = listed(tmp_path, {"path": folder.url})
        comparable(content, folder.url, tmp_path)
    assert lists.hits == reads.hits == 1


def test_a_missing_bucket_is_said_at_the_manifests_field(s3: Server, tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        listed(tmp_path, {"path": "s3://nobody-has-this/photos"})
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (4, "content[0].path")
    assert problem.message.endswith("s3://nobody-has-this does not exist")


def test_what_cannot_be_a_store_is_said_at_its_field(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        listed(tmp_path, {"path": "nowhere://x"}, {"path": "s3://"})
    first, second = caught.value.problems
    assert (first.field, second.field) == ("content[0].path", "content[1].path")
    assert "expected a path or a URL of a store" in first.message
    assert "expected a bucket" in second.message


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ManifestError, match=r"install gramflow\[gcs\]"):
        listed(tmp_path, {"path": "gs://bucket/x"})


def test_a_list_in_a_store_stays_in_its_bucket(tmp_path: Path) -> None:
    folder = memory_folder()
    folder.write("deep/list.csv", b"path\n../a.png\n/etc/passwd.png\n../../x/b.png\n")
    with pytest.raises(ManifestError) as caught:
        listed(tmp_path, {"path": folder.file("deep/list.csv")})
    assert [problem.line for problem in caught.value.problems] == [3, 4]


def test_pairs_are_listed_by_url(tmp_path: Path) -> None:
    folder = memory_folder()
    photo(1).save(tmp_path / "a.png")
    folder.write("a.png", (tmp_path / "a.png").read_bytes())
    described = {
        "version": 1,
        "name": "x",
        "content": [{"path": folder.file("a.png")}],
        "styles": [{"path": "a.png"}],
        "pairing": {
            "strategy": "listed",
            "pairs": [{"content": folder.file("./a.png"), "style": "a.png"}],
        },
        "output": {"path": "o"},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(described))
    read = read_manifest(tmp_path / "job.yaml")
    (content,), (style,) = list_content(read).images, list_styles(read)
    assert listed_pairs(read) == [(content.file, style.file)]


def test_an_output_is_read_back_from_where_it_was_written(there: Folder) -> None:
    dataset = read_finished(place(there.file("out")))
    assert dataset.splits == ("train", "val")
    assert [row["split"] for row in dataset.rows("val")] == ["val"]
