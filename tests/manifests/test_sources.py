"""Folders, globs and lists turned into images; facts about the files."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from manifests.errors import ManifestError
from manifests.facts import FactsCache
from manifests.reading import read_manifest
from manifests.sources import ContentImage, list_content, list_styles
from tests.flows.pictures import photo
from tests.manifests.listing import listed


def content(folder: Path, *entries: dict[str, str]) -> list[ContentImage]:
    described = {"version": 1, "name": "x", "content": list(entries), "output": {"path": "o"}}
    (folder / "job.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    return list_content(read_manifest(folder / "job.yaml")).images


def named(images: list[ContentImage]) -> list[tuple[str, str | None]]:
    return [(image.name, image.labels.class_name) for image in images]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("p/b.png", "p/cat/a.png", "p/cat/deep/c.jpg", "p/dog/d.PNG", "p/.hidden/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photo(1).save(tmp_path / name)
    (tmp_path / "p" / "notes.txt").write_text("no image")
    (tmp_path / "p" / "dog" / ".thumb.png").write_bytes(b"hidden")
    return tmp_path


def test_class_folders_of_a_folder_become_labels(folder: Path) -> None:
    (folder / "p" / "ring").symlink_to(folder / "p", target_is_directory=True)
    assert named(content(folder, {"path": "p/"})) == [
        ("p/b.png", None),
        ("p/cat/a.png", "cat"),
        ("p/cat/deep/c.jpg", "cat"),
        ("p/dog/d.PNG", "dog"),
    ]


def test_classes_that_differ_in_case_alone_are_told(folder: Path) -> None:
    (folder / "p" / "Cat").mkdir()
    photo(2).save(folder / "p" / "Cat" / "e.png")
    (note,) = listed(folder, {"path": "p/"}).notes
    assert note.startswith("classes that differ in case alone: Cat, cat; on disks that take no")
    assert listed(folder, {"path": "p/cat"}).notes == ()


def test_a_glob_begins_where_its_first_wildcard_is(folder: Path) -> None:
    assert named(content(folder, {"path": "p/*/*.png"})) == [("p/cat/a.png", "cat")]
    assert named(content(folder, {"path": "p/cat/*.png"})) == [("p/cat/a.png", None)]
    assert named(content(folder, {"path": "p/**/*.jpg"})) == [("p/cat/deep/c.jpg", "cat")]


def test_a_glob_takes_links_that_lead_nowhere_so_that_they_fail_by_name(folder: Path) -> None:
    (folder / "p" / "gone.png").symlink_to(folder / "nothing.png")
    assert named(content(folder, {"path": "p/*.png"})) == [("p/b.png", None), ("p/gone.png", None)]


def test_a_single_file_is_an_image(folder: Path) -> None:
    assert named(content(folder, {"path": "p/b.png"})) == [("p/b.png", None)]


def test_lists_give_paths_labels_and_splits(folder: Path) -> None:
    (folder / "l.csv").write_text("path,label,split\np/b.png,my cat,val\np/cat/a.png,,\n")
    (folder / "l.jsonl").write_text('{"file_name": "p/dog/d.PNG", "label": 3}\n\n')
    images = content(folder, {"path": "l.csv"}, {"path": "l.jsonl", "split": "test"})
    assert [(i.name, i.labels.class_name, i.split) for i in images] == [
        ("p/b.png", "my cat", "val"),
        ("p/cat/a.png", None, "train"),
        ("p/dog/d.PNG", "3", "test"),
    ]


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("l.csv", "label\ncat\n", "l.csv:2: path: is required"),
        ("l.csv", "path,label\np/b.png,../x\n", "l.csv:2: label: expected a class"),
        ("l.csv", "path,label\np/b.png,.x\n", "l.csv:2: label: expected a class"),
        ("l.csv", "path,split\np/b.png,a/b\n", "l.csv:2: split: expected letters"),
        ("l.csv", "path\np/b.png,3,4\n", "l.csv:2: has more values"),
        ("l.csv", 'path\n"p/b.png\n', "is not CSV: unexpected end of data"),
        ("l.jsonl", '{"path": "p/b.png"}\n{"path"\n', "l.jsonl:2: is not JSON"),
        ("l.jsonl", "3\n", "l.jsonl:1: expected an object, got 3"),
        ("l.jsonl", "[" * 100_000 + "\n", "l.jsonl:1: is not JSON"),
    ],
)
def test_wrong_rows_are_named_with_their_line(
    folder: Path, file: str, text: str, expected: str
) -> None:
    (folder / file).write_text(text)
    with pytest.raises(ManifestError) as error:
        content(folder, {"path": file})
    assert any(expected in str(problem) for problem in error.value.problems)


def test_a_list_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "l.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(ManifestError, match="not UTF-8"):
        content(folder, {"path": "l.csv"})


def test_entries_without_images_are_all_named(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(ManifestError) as error:
        content(folder, {"path": "empty"}, {"path": "none/*.png"}, {"path": "none"})
    assert [problem.field for problem in error.value.problems] == [
        f"content[{index}].path" for index in range(3)
    ]


def test_a_file_counts_once_and_cannot_be_in_two_splits(folder: Path) -> None:
    twice = content(folder, {"path": "p/b.png"}, {"path": "p/b.png"})
    assert len(twice) == 1
    with pytest.raises(ManifestError, match=r": p/b\.png \(val, first train\); give each"):
        content(folder, {"path": "p/b.png"}, {"path": "p/b.png", "split": "val"})


def test_many_images_in_two_splits_are_told_in_one_sentence(folder: Path) -> None:
    for number in range(12):
        photo(number).save(folder / "p" / f"c{number:02}.png")
    with pytest.raises(ManifestError) as error:
        content(folder, {"path": "p/c*.png"}, {"path": "p/c*.png", "split": "val"})
    (problem,) = error.value.problems
    assert problem.field == "content[1].path"
    assert problem.message.startswith("12 images have another split here than where they are")
    assert problem.message.count("(val, first train)") == 10
    assert problem.message.endswith("p/c09.png (val, first train), …; give each image one split")


def test_the_group_of_a_file_is_that_of_the_entry_which_says_it(folder: Path) -> None:
    plain, grouped = {"path": "p/b.png"}, {"path": "p/b.png", "group": "^b"}
    for entries in ((plain, grouped), (grouped, plain), (grouped, dict(grouped))):
        assert [image.group for image in content(folder, *entries)] == ["b"]
    with pytest.raises(ManifestError, match=r"p/b\.png \(png, first b\); give each"):
        content(folder, grouped, plain | {"group": "png$"})


def test_styles_keep_their_weight(folder: Path) -> None:
    described = {
        "version": 1,
        "name": "x",
        "content": [{"path": "p"}],
        "styles": [{"path": "p/cat/*.png", "weight": 2}, {"path": "p/b.png"}],
        "output": {"path": "o"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(described))
    styles = list_styles(read_manifest(folder / "job.yaml"))
    assert [(style.name, style.weight) for style in styles] == [("p/cat/a.png", 2), ("p/b.png", 1)]


LONG_AGO_NS = 10**18


def facts_of(cache: Path, *files: Path) -> list[bytes]:
    opened = FactsCache(cache)
    found = [facts.sha256 for facts in opened.of_files(map(str, files))]
    opened.close()
    return found


def test_facts_are_remembered_by_size_and_time(folder: Path) -> None:
    file, cache = folder / "p" / "b.png", folder / "facts.sqlite"
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    before = facts_of(cache, file)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert facts_of(cache, file) == before, "same size, same time: not read again"
    os.utime(file, ns=(LONG_AGO_NS + 1, LONG_AGO_NS + 1))
    assert facts_of(cache, file) != before


def test_a_file_changed_just_now_is_not_remembered(folder: Path) -> None:
    file, cache = folder / "p" / "b.png", folder / "facts.sqlite"
    file.write_bytes(file.read_bytes())
    before, state = facts_of(cache, file), file.stat()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert facts_of(cache, file) != before


@pytest.mark.parametrize(
    "damage", [b"no database at all, of any kind", b"", "another table", "a folder"]
)
def test_a_cache_that_cannot_be_used_is_begun_anew(folder: Path, damage: bytes | str) -> None:
    file, cache = folder / "p" / "b.png", folder / "facts.sqlite"
    expected = facts_of(folder / "other.sqlite", file)
    if isinstance(damage, bytes):
        cache.write_bytes(damage)
    elif damage == "a folder":
        cache.mkdir()
    else:
        with closing(sqlite3.connect(cache)) as database:
            database.execute("create table facts (a)")
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert facts_of(cache, file) == expected
    if damage != "a folder":
        with closing(sqlite3.connect(cache)) as database:
            assert database.execute("select count(*) from facts").fetchone() == (1,)


def test_a_cache_that_is_locked_is_left_alone(folder: Path) -> None:
    file, cache = folder / "p" / "b.png", folder / "facts.sqlite"
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    expected, state = facts_of(cache, file), cache.stat()
    with closing(sqlite3.connect(cache, isolation_level=None)) as database:
        database.execute("begin exclusive")
        assert facts_of(cache, file) == expected
        assert os.path.samestat(cache.stat(), state), "the same file, not one begun anew"


def test_facts_come_in_order_and_without_a_hash_for_what_cannot_be_read(folder: Path) -> None:
    files = []
    for index in range(300):
        files.append(folder / f"{index}.bin")
        files[-1].write_bytes(str(index).encode())
    files[7].unlink()
    found = facts_of(folder / "facts.sqlite", *files)
    assert len(set(found)) == 300
    assert [index for index, sha256 in enumerate(found) if not sha256] == [7]


def test_a_name_that_is_no_utf8_is_shown_with_escapes(folder: Path) -> None:
    odd = os.fsdecode(os.fsencode(folder / "p" / "cat") + b"/z\xff.png")
    photo(1).save(odd)
    facts = FactsCache(folder / "facts.sqlite")
    (image,) = [one for one in content(folder, {"path": "p/"}) if "z" in one.name]
    assert (image.file, image.name) == (odd, "p/cat/z\\xff.png")
    assert next(facts.of_files([image.file])).width > 0
    facts.close()


def test_a_pipe_is_unreadable_and_nothing_waits_for_it(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    facts = FactsCache(folder / "facts.sqlite")
    assert next(facts.of_files([str(folder / "pipe.png")])).sha256 == b""
    facts.close()
