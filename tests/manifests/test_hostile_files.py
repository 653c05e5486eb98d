"""Files made to hang, to fill memory, to lead elsewhere or to come out as code are refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import ManifestError, Problem, few_of_each_kind
from manifests.members import UnusableShard, read_shard
from manifests.readers.xml_tree import read_xml
from manifests.reading import read_manifest
from tests.fuzz.damage import with_tar_checksums
from tests.fuzz.wholes import COCO, MANIFEST, ROW, as_jsonl, as_shard, as_yaml
from tests.manifests.listing import add_photos, only_image, problems

MUCH = 500_000


def refused(folder: Path, text: str) -> str:
    """Why a manifest with these lines at its end is."""
    (folder / "job.yaml").write_bytes(as_yaml({"version": 1, "name": "x"}) + text.encode())
    with pytest.raises(ManifestError) as caught:
        read_manifest(folder / "job.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch ran']",
        "!!python/name:os.system",
        "!!python/object/new:subprocess.Popen [[touch, ran]]",
    ],
)
def test_yaml_cannot_be_code(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "could not determine a constructor" in refused(tmp_path, f"styles: {value}\n")
    (tmp_path / "data.yaml").write_text(f"train: images\nnames: {value}\n")
    (said,) = problems(tmp_path, {"path": "data.yaml", "format": "yolo"})
    assert said.startswith("data.yaml:2: could not determine a constructor")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("0x" + "f" * 6_000, "is a number of more than 1,000 digits"),
        ("1" + ":1" * MUCH, "is a number of more than 1,000 digits"),
        ("1" + ":1" * MUCH + ".5", "is a number of more than 1,000 digits"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_yaml_cannot_take_minutes(value: str, why: str, tmp_path: Path) -> None:
    began_s = time.perf_counter()
    assert why in refused(tmp_path, f"content: {value}\n")
    assert time.perf_counter() - began_s < 10


def test_aliases_cannot_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 x"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert "is a YAML alias" in refused(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("field", ["content", "styles", "weights", "masks", "output", "pairs"])
def test_a_path_that_none_can_be_is_named(field: str, tmp_path: Path) -> None:
    document: dict[str, Any] = dict(MANIFEST)
    bad = "a\0b"
    document |= {
        "content": {"content": [{"path": bad}]},
        "styles": {"styles": [{"path": bad}]},
        "weights": {"stylize": {"weights": bad}},
        "masks": {"content": [{"path": "photos", "masks": bad}]},
        "output": {"output": {"path": bad}},
        "pairs": {"pairing": {"strategy": "listed", "pairs": bad}},
    }[field]
    (tmp_path / "job.yaml").write_bytes(as_yaml(document))
    with pytest.raises(ManifestError, match=r"job\.yaml:\d+: .*: expected a path, got 'a\\x00b'"):
        read_manifest(tmp_path / "job.yaml")


def test_a_home_folder_that_none_is_is_named(tmp_path: Path) -> None:
    said = refused(tmp_path, "content: [{path: ~nobody-of-this-name/x}]\n")
    assert "content[0].path: there is no home folder ~nobody-of-this-name" in said


@pytest.mark.parametrize("pattern", ["a{99999999999999999999}", "(" * 3_000 + ")" * 3_000, "("])
def test_a_pattern_that_none_is_is_named(pattern: str, tmp_path: Path) -> None:
    said = refused(tmp_path, f"content: [{{path: x, group: '{pattern}'}}]\n")
    assert "content[0].group: expected a regular expression, got '" in said


def test_a_glob_of_all_folders_many_times_means_all_folders(tmp_path: Path) -> None:
    add_photos(tmp_path, "photos/a/b/c/d/x.png")
    began_s = time.perf_counter()
    assert only_image(tmp_path, {"path": "photos/" + "**/" * 300 + "*.png"}).name.endswith(
        "d/x.png"
    )
    assert time.perf_counter() - began_s < 5


def test_xml_of_many_lines_takes_no_longer_than_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"<a>" + b"\n" * 4 * MUCH + b"</a>")
    began_s = time.perf_counter()
    assert read_xml(str(tmp_path / "a.xml")).text == ""
    assert time.perf_counter() - began_s < 10


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY b "bbb"><!ENTITY c "&b;&b;&b;">]>',
        '<!DOCTYPE a [<!ENTITY c SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a [<!ENTITY % c SYSTEM "http://127.0.0.1:9/x"> %c;]>',
    ],
)
def test_xml_has_no_entities(doctype: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(f"{doctype}<a>&c;</a>")
    with pytest.raises(ManifestError, match="declares entities"):
        read_xml(str(tmp_path / "a.xml"))


def test_a_tar_whose_sizes_go_backwards_is_refused(tmp_path: Path) -> None:
    shard = as_shard(ROW)
    size = (-1536).to_bytes(12, "big", signed=True)
    (tmp_path / "s.tar").write_bytes(with_tar_checksums(shard[:124] + size + shard[136:]))
    with pytest.raises(UnusableShard, match="size below 0"):
        read_shard(str(tmp_path / "s.tar"))


def test_a_glob_that_leads_out_again_has_no_class_for_its_images(tmp_path: Path) -> None:
    add_photos(tmp_path, "photos/cat/a.png", "elsewhere/b.png")
    (said,) = problems(tmp_path, {"path": "photos/*/../../elsewhere/*.png"})
    assert "leads out of photos again, to " in said.replace(f"{tmp_path}/", "")


@pytest.mark.parametrize("entry", [{"path": "rows"}, {"path": "s.tar"}, {"path": "l.jsonl"}])
def test_text_that_cannot_be_written_is_named(entry: dict[str, str], tmp_path: Path) -> None:
    add_photos(tmp_path, "rows/a.png", "rows/m.png", "a.png", "m.png")
    row = {"path": "a.png"} | ROW | {"group_id": "\ud800"}
    (tmp_path / "rows" / "metadata.jsonl").write_bytes(as_jsonl(row))
    (tmp_path / "l.jsonl").write_bytes(as_jsonl(row))
    (tmp_path / "s.tar").write_bytes(as_shard(row))
    (said,) = problems(tmp_path, entry)
    assert said.endswith(r"group_id: expected text, got half a character: '\ud800'")


def test_a_supercategory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    add_photos(tmp_path, "a.png")
    categories = [COCO["categories"][0] | {"supercategory": "\ud800"}]
    (tmp_path / "c.json").write_bytes(as_jsonl(COCO | {"categories": categories}))
    said = problems(tmp_path, {"path": ".", "format": "coco", "annotations": "c.json"})
    assert "half a character" in said[0]


def test_a_csv_that_is_wrong_from_its_header_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text('path,""a\n')
    (said,) = problems(tmp_path, {"path": "l.csv"})
    assert said.startswith("l.csv:1: is not CSV")


def test_what_a_message_quotes_is_cut_and_its_kind_is_soon_found() -> None:
    problem = Problem("f", 1, "label", "got " + "\"'" + "x" * MUCH)
    began_s = time.perf_counter()
    (line,) = few_of_each_kind([problem], 20)
    assert time.perf_counter() - began_s < 1
    assert len(line) < 3_000
