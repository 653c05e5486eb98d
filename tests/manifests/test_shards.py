"""WebDataset: tar shards, read without unpacking."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import webdataset

from manifests.facts import FactsCache
from manifests.images import UnusableImage, read_file
from manifests.labels import Object
from manifests.members import read_shard
from manifests.readers.shard_names import expand_braces
from tests.flows.pictures import photo
from tests.manifests.listing import add_photos, listed, only_image, problems

ENTRY = {"path": "d"}
LONG_AGO_NS = 10**18


def png(seed: int) -> bytes:
    data = io.BytesIO()
    photo(seed).save(data, "PNG")
    return data.getvalue()


def write(folder: Path, *samples: dict[str, Any], to: str = "d/s-000000.tar") -> Path:
    """A shard as webdataset writes it."""
    file = folder / to
    file.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(file)) as writer:
        for sample in samples:
            writer.write(sample)
    return file


def write_members(folder: Path, *members: tuple[str, bytes]) -> Path:
    """A shard with members as they are given."""
    file = folder / "d" / "s-000000.tar"
    file.parent.mkdir(exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def test_samples_have_classes_and_labels(tmp_path: Path) -> None:
    objects = {"bbox": [[1, 2, 3.5, 4]], "categories": ["dog"]}
    row = {"label": "my cat", "split": "val", "group_id": "g", "objects": objects}
    row |= {"mask_file_name": "elsewhere.png"}
    write(
        tmp_path,
        {"__key__": "a/000", "png": png(1), "cls": 3},
        {"__key__": "a/001", "png": png(2), "json": row, "mask.png": png(3), "txt": "a caption"},
    )
    first, second = listed(tmp_path, ENTRY).images
    tar = f"{tmp_path}/d/s-000000.tar"
    assert first.file == f"{tar}!/a/000.png"
    assert (first.name, first.inside) == ("d/s-000000.tar!/a/000.png", "s-000000.tar!/a/000.png")
    assert (first.labels.class_name, first.split) == ("3", "train")
    assert (second.labels.class_name, second.split, second.group) == ("my cat", "val", "g")
    assert second.labels.objects == (Object("dog", (1, 2, 4.5, 6)),)
    assert second.labels.semantic_mask == f"{tar}!/a/001.mask.png"


def test_members_are_read_and_hashed_as_files_are(tmp_path: Path) -> None:
    images = [png(index) for index in range(300)]
    samples = [{"__key__": f"{n:03}", "png": image} for n, image in enumerate(images)]
    tar = write(tmp_path, *samples)
    os.utime(tar, ns=(LONG_AGO_NS, LONG_AGO_NS))
    files = [image.file for image in listed(tmp_path, ENTRY).images]
    assert [read_file(file)[0] for file in files] == images
    cache = FactsCache(tmp_path / "facts.sqlite")
    for _ in range(2):
        facts = list(cache.of_files(files))
        assert [one.sha256 for one in facts] == [hashlib.sha256(one).digest() for one in images]
        assert {(one.width, one.height) for one in facts} == {(48, 40)}
    cache.close()


def test_a_shard_that_changes_is_looked_through_again(tmp_path: Path) -> None:
    write(tmp_path, {"__key__": "a", "png": png(1)})
    file = only_image(tmp_path, ENTRY).file
    tar = write(tmp_path, {"__key__": "0", "png": png(2)}, {"__key__": "a", "png": png(3)})
    os.utime(tar, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert read_file(file)[0] == png(3)
    tar.unlink()
    with pytest.raises(UnusableImage, match="No such file"):
        read_file(file)
    write(tmp_path, {"__key__": "b", "png": png(2)})
    with pytest.raises(UnusableImage, match=r"is not in .*s-000000\.tar"):
        read_file(file)


@pytest.mark.parametrize(
    ("path", "shards"),
    [
        ("d", ["d/s-000000.tar", "d/s-000001.tar", "d/s-000002.tar", "d/val/s.tar"]),
        ("d/s-000001.tar", ["d/s-000001.tar"]),
        ("d/s-*.tar", ["d/s-000000.tar", "d/s-000001.tar", "d/s-000002.tar"]),
        ("d/s-{000001..000002}.tar", ["d/s-000001.tar", "d/s-000002.tar"]),
        ("d/{s-000002,val/s}.tar", ["d/s-000002.tar", "d/val/s.tar"]),
    ],
)
def test_shards_are_named_by_folder_glob_and_braces(
    tmp_path: Path, path: str, shards: list[str]
) -> None:
    for name in ("s-000000", "s-000001", "s-000002", "val/s"):
        write(tmp_path, {"__key__": "a", "png": png(1)}, to=f"d/{name}.tar")
    images = listed(tmp_path, {"path": path}).images
    assert [image.name.partition("!/")[0] for image in images] == shards
    assert [image.split for image in images] == [
        "val" if "val" in shard else "train" for shard in shards
    ]


def test_a_tar_among_images_hides_none_of_them(tmp_path: Path) -> None:
    add_photos(tmp_path, "d/cat/a.png", "d/dog/b.png")
    write(tmp_path, {"__key__": "a", "png": png(1)}, to="d/backup.tar")
    assert problems(tmp_path, ENTRY) == [
        "job.yaml:4: content[0].path: d has images and tar files; name `format: folder` to read "
        "the images, `format: webdataset` to read the tar files"
    ]
    in_folder = listed(tmp_path, ENTRY | {"format": "folder"}).images
    assert [one.labels.class_name for one in in_folder] == ["cat", "dog"]
    in_shards = listed(tmp_path, ENTRY | {"format": "webdataset"}).images
    assert [one.inside for one in in_shards] == ["backup.tar!/a.png"]


@pytest.mark.parametrize(
    ("image", "texts"),
    [
        ("a.png", {"metadata.jsonl": '{"file_name": "a.png"}'}),
        ("JPEGImages/a.png", {"Annotations/a.xml": "<annotation/>"}),
        (
            "images/a.png",
            {"data.yaml": "{train: images, names: [cat]}", "labels/a.txt": "0 0.5 0.5 0.1 0.1"},
        ),
    ],
)
def test_a_tar_beside_a_labelled_dataset_is_none_of_it(
    tmp_path: Path, image: str, texts: dict[str, str]
) -> None:
    add_photos(tmp_path / "d", image)
    for name, text in texts.items():
        (tmp_path / "d" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "d" / name).write_text(text)
    write(tmp_path, {"__key__": "z", "png": png(1)}, to="d/backup.tar")
    assert only_image(tmp_path, ENTRY).file == str(tmp_path / "d" / image)


def test_braces_are_expanded_as_webdataset_does() -> None:
    for pattern in ("a-{08..11}.tar", "{a,b}/{0..2}.tar", "a.tar", "{x}.tar"):
        theirs = webdataset.shardlists.expand_urls(pattern)
        assert expand_braces(pattern) == theirs or pattern == "{x}.tar"
    with pytest.raises(ValueError, match="names more than 100,000 shards"):
        expand_braces("{0..999999}-{0..999999}.tar")


def test_names_of_categories_are_in_the_dataset_json_beside(tmp_path: Path) -> None:
    objects = {"bbox": [[1, 2, 3, 4]], "categories": [1]}
    write(tmp_path, {"__key__": "a", "png": png(1), "json": {"objects": objects}})
    about = {"gramflow_version": "0.1", "categories": [{"name": "cat"}, {"name": "dog"}]}
    (tmp_path / "d" / "dataset.json").write_text(json.dumps(about))
    assert only_image(tmp_path, ENTRY).labels.objects[0].category == "dog"


PNG = ("a.png", png(1))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([PNG, PNG], "d/s-000000.tar: a.png: is in the shard more than once"),
        ([PNG, ("a.jpg", b"")], "d/s-000000.tar: a: expected one image, got 2"),
        ([PNG, ("b.json", b"{}")], "d/s-000000.tar: b: expected one image, got 0"),
        ([PNG, ("../b.png", b"")], "d/s-000000.tar: expected a file name that stays inside"),
        ([PNG, ("/b.png", b"")], "d/s-000000.tar: expected a file name that stays inside"),
        ([PNG, ("a.json", b"{\n3")], "d/s-000000.tar!/a.json:2: is not JSON"),
        ([PNG, ("a.json", b"\xff")], "d/s-000000.tar!/a.json:1: is not UTF-8"),
        ([PNG, ("a.json", b'{"label": ".."}')], "d/s-000000.tar!/a.json: label: expected a class"),
        ([PNG, ("a.cls", b"a/b")], "d/s-000000.tar: label: expected a class name"),
        ([PNG, ("a.json", b'{"objects": 3}')], "d/s-000000.tar!/a.json: objects: expected {bbox"),
    ],
)
def test_what_is_wrong_with_a_sample_is_named_with_its_member(
    tmp_path: Path, members: list[tuple[str, bytes]], expected: str
) -> None:
    write_members(tmp_path, *members)
    (problem,) = problems(tmp_path, ENTRY)
    assert problem.startswith(expected)


def test_a_file_that_is_no_shard_is_named_and_the_others_are_looked_through(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"__key__": "a", "json": {}})
    whole = write(tmp_path, {"__key__": "a", "png": png(1)}, to="d/cut.tar").read_bytes()
    (tmp_path / "d" / "cut.tar").write_bytes(whole[: 512 + 100])
    (tmp_path / "d" / "text.tar").write_text("no tar" * 100)
    (tmp_path / "d" / "pipe.tar").unlink(missing_ok=True)
    os.mkfifo(tmp_path / "d" / "pipe.tar")
    found = problems(tmp_path, ENTRY)
    assert [problem.partition(": ")[0] for problem in found] == [
        f"d/{name}.tar" for name in ("cut", "pipe", "s-000000", "text")
    ]


def test_a_shard_of_a_pattern_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"__key__": "a", "png": png(1)})
    found = problems(tmp_path, {"path": "d/s-{000000..000001}.tar"})
    assert found == ["d/s-000001.tar: No such file or directory"]


def test_facts_of_members_are_remembered_by_size_and_time_of_their_shard(tmp_path: Path) -> None:
    tar = write(tmp_path, {"__key__": "a", "png": png(1)})
    file = only_image(tmp_path, ENTRY).file

    def sha256(time_ns: int) -> bytes:
        os.utime(tar, ns=(time_ns, time_ns))
        cache = FactsCache(tmp_path / "facts.sqlite")
        (facts,) = cache.of_files([file])
        cache.close()
        return facts.sha256

    before = sha256(LONG_AGO_NS)
    data = bytearray(tar.read_bytes())
    place = read_shard(str(tar)).places["a.png"]
    data[place.offset + place.size_bytes - 1] ^= 1
    tar.write_bytes(data)
    assert sha256(LONG_AGO_NS) == before, "same size, same time: not read again"
    assert sha256(LONG_AGO_NS + 1) != before


def test_masks_beside_shards_have_the_paths_of_the_members(tmp_path: Path) -> None:
    write(tmp_path, {"__key__": "x/a", "png": png(1)})
    add_photos(tmp_path, "m/x/a.png")
    labels = only_image(tmp_path, ENTRY | {"masks": "m"}).labels
    assert labels.semantic_mask == str(tmp_path / "m" / "x" / "a.png")
