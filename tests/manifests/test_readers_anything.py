"""Whatever bytes stand in a dataset's files: they read, or what is wrong is said."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import ManifestError
from tests.manifests.listing import add_photos, listed

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 48, "height": 40}],
    "categories": [{"id": 1, "name": "x", "keypoints": ["left", "right"], "skeleton": [[1, 2]]}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [1, 2, 3, 4],
            "iscrowd": 0,
            "segmentation": [[1, 2, 3, 4, 5, 6]],
            "keypoints": [1, 2, 2, 3, 4, 1],
        },
        {
            "id": 2,
            "image_id": 1,
            "category_id": 1,
            "segmentation": {"size": [40, 48], "counts": [1000, 100, 820]},
        },
    ],
}
ROW = {
    "file_name": "a.png",
    "label": "cat",
    "split": "val",
    "objects": {
        "bbox": [[1, 2, 3, 4]],
        "categories": [0],
        "segmentation": ["[[1,2,3,4,5,6]]"],
        "extras": ["{}"],
    },
}
DATA_YAML = """\
train: images
val: [images]
names: {0: cat, 1: dog}
nc: 2
kpt_shape: [1, 3]
"""
XML = """\
<?xml version="1.0"?><annotation><filename>a.png</filename>
<size><width>48</width><height>40</height></size>
<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
<pose>Left</pose></object></annotation>
"""


def shard() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, member in (("a.png", b"x" * 600), ("a.json", json.dumps(ROW).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(member)
            tar.addfile(info, io.BytesIO(member))
    return data.getvalue()


# Format -> (the file that is damaged, it undamaged, the manifest's entry).
DATASETS: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "coco": (
        "c.json",
        json.dumps(COCO).encode(),
        {"path": ".", "format": "coco", "annotations": "c.json"},
    ),
    "data.yaml": ("data.yaml", DATA_YAML.encode(), {"path": "data.yaml", "format": "yolo"}),
    "yolo rows": (
        "labels/a.txt",
        b"0 0.5 0.5 1 1\n1 0 0 1 0 1 1\n",
        {"path": "good.yaml", "format": "yolo"},
    ),
    "yolo list": ("list.txt", b"images/a.png\n", {"path": "lists.yaml", "format": "yolo"}),
    "voc": ("Annotations/a.xml", XML.encode(), {"path": ".", "format": "voc"}),
    "imagefolder": (
        "metadata.jsonl",
        json.dumps(ROW).encode(),
        {"path": ".", "format": "imagefolder"},
    ),
    "dataset.json": (
        "dataset.json",
        b'{"gramflow_version": "1", "categories": [{"name": "a", "flip_idx": []}]}',
        {"path": "metadata.csv", "format": "list"},
    ),
    "shard": ("s.tar", shard(), {"path": "s.tar", "format": "webdataset"}),
}
BITS = st.sampled_from([
    b"[", b"]", b"{", b"}", b'"', b",", b":", b"null", b"NaN", b"1e999", b"-1", b"true", b"\\ud800",
    b"<", b">", b"&", b"<!DOCTYPE", b"]]>", b"\n", b" ", b"\0", b"\xff", b"0", b"9" * 400, b"../",
    b"!!set", b"~", b"- ", b"\xef\xbb\xbf", b"\xc3",
])  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anything")
    add_photos(folder, "a.png", "images/a.png", "JPEGImages/a.png")
    for name in ("labels", "Annotations"):
        (folder / name).mkdir()
    (folder / "good.yaml").write_text("train: images\nnames: [cat, dog]\n")
    (folder / "lists.yaml").write_text("train: list.txt\nnames: [cat, dog]\n")
    (folder / "metadata.csv").write_text("file_name\na.png\n")
    return folder


def reads_or_says_why(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    file, whole, entry = DATASETS[name]
    (folder / file).write_bytes(change(whole))
    try:
        content = listed(folder, entry)
    except ManifestError as error:
        problems = error.problems
    else:
        assert content.images
        return
    finally:
        (folder / file).unlink()
    assert problems
    for problem in problems:
        assert problem.message
        assert problem.line is None or problem.line >= 1


@pytest.mark.parametrize("name", DATASETS)
def test_undamaged_it_reads(folder: Path, name: str) -> None:
    file, whole, entry = DATASETS[name]
    (folder / file).write_bytes(whole)
    try:
        listed(folder, entry | ({"split": "train"} if name == "data.yaml" else {}))
    finally:
        (folder / file).unlink()


@pytest.mark.parametrize("name", DATASETS)
@given(data=st.one_of(st.binary(), st.text().map(str.encode)))
@settings(deadline=None, max_examples=50)
def test_any_bytes_read_or_it_is_said_why_not(folder: Path, name: str, data: bytes) -> None:
    reads_or_says_why(folder, name, lambda _: data)


@pytest.mark.parametrize("name", DATASETS)
@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_any_damage_reads_or_it_is_said_why_not(
    folder: Path, name: str, data: st.DataObject
) -> None:
    def damaged(whole: bytes) -> bytes:
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(whole)))
            end = min(len(whole), start + data.draw(st.integers(0, 12)))
            whole = whole[:start] + data.draw(BITS | st.binary(max_size=3)) + whole[end:]
        return whole

    reads_or_says_why(folder, name, damaged)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.sampled_from(["coco", "imagefolder"]), st.data())
@settings(deadline=None, max_examples=200)
def test_any_value_of_any_field_reads_or_it_is_said_why_not(
    folder: Path, name: str, data: st.DataObject
) -> None:
    def changed(whole: bytes) -> bytes:
        document = json.loads(whole)
        inner = document
        while isinstance(inner, (dict, list)) and inner:
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            key = data.draw(st.sampled_from(list(keys)))
            if not isinstance(inner[key], (dict, list)) or data.draw(st.booleans()):
                inner[key] = data.draw(VALUES)
                break
            inner = inner[key]
        return json.dumps(document).encode()

    reads_or_says_why(folder, name, changed)
