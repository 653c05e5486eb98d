"""What holds for the export to any format: whole, repeatable, tidy, refusing what is not true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import durable
from manifests.errors import ManifestError
from manifests.exporters import folder, numbers
from manifests.exporters.formats import FORMATS, export, formats_there, remove_exports
from manifests.exporters.numbers import Numbers, clashing_numbers
from manifests.labels import Object
from manifests.lineage import LineageError
from tests.manifests.exporters.finished import CATEGORIES, made, write_finished

CAR = Object("car", (2.0, 4.0, 26.0, 24.0))
BESIDE = ("yolo", "voc", "webdataset")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write_finished(
        tmp_path / "out", [made("a", CAR), made("b", CAR, CAR), made("c", CAR, split="val")]
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_exporting_again_gives_the_same_bytes(out: Path, tmp_path: Path) -> None:
    list(export(out, list(FORMATS)))
    before = contents(tmp_path)
    assert len(before) > 20
    list(export(out, list(FORMATS)))
    assert contents(tmp_path) == before


def test_files_of_an_older_export_go_and_those_of_the_user_stay(out: Path, tmp_path: Path) -> None:
    list(export(out, list(FORMATS)))
    own = [tmp_path / f"out.{format}" / "notes.txt" for format in BESIDE]
    own += [tmp_path / "out.yolo/labels/train.cache", tmp_path / "out.yolo/images/val/mine.jpg"]
    own += [out / "annotations/mine.json", out / "mine.parquet"]
    for file in own:
        file.write_text("mine")
    write_finished(out, [made("b", CAR), made("d", CAR)])
    list(export(out, list(FORMATS)))
    found = contents(tmp_path)
    assert all(file.read_text() == "mine" for file in own)
    exported = [name for name in found if not name.startswith(("out/train", "out/val"))]
    assert not [name for name in exported if "a-original" in name or "c-original" in name]
    assert not [name for name in exported if "val" in name and "mine" not in name]
    assert [name for name in exported if "b-original" in name]


@pytest.mark.parametrize("files_together", [1, 1000])
@pytest.mark.parametrize("format", BESIDE)
def test_an_export_that_breaks_off_has_nothing_to_begin_with(
    out: Path,
    tmp_path: Path,
    format: str,
    files_together: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(durable, "_FILES_TOGETHER", files_together)
    list(export(out, [format]))
    folder = tmp_path / f"out.{format}"
    before = contents(folder)
    write_finished(out, [made("b", CAR, CAR), made("e"), made("f")], CATEGORIES[::-1])
    (gone,) = (out / "train").glob("f-*.jpg")
    gone.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{gone.name} is gone.*`gramflow run` makes it"):
        list(export(out, [format]))
    after = contents(folder)
    assert set(before) - set(after) == set(before) & {"export.json", "data.yaml", "info.json"}
    replaced = [name for name in before if name in after and after[name] != before[name]]
    assert bool(replaced) == (format == "yolo" and files_together == 1)
    assert not list(tmp_path.rglob(".tmp"))
    write_finished(out, [made("b", CAR, CAR), made("e"), made("f")], CATEGORIES[::-1])
    list(export(out, [format]))
    assert {"export.json"} < set(contents(folder))


def test_formats_that_are_there_are_those_that_were_exported(out: Path, tmp_path: Path) -> None:
    (out / "annotations").mkdir()
    (out / "annotations/mine.json").write_text("mine")
    (tmp_path / "out.voc").mkdir()
    list(export(out, ["imagefolder"]))
    assert formats_there(out) == []
    list(export(out, ["webdataset", "coco", "yolo"]))
    assert formats_there(out) == ["coco", "yolo", "webdataset"]


def test_all_exports_are_removed_and_the_users_files_stay(out: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    own = {"out/annotations/mine.json": b"mine", "out/mine.parquet": b"mine"}
    own |= {f"out.{format}/notes.txt": b"mine" for format in BESIDE}
    own |= {"out.yolo/labels/train.cache": b"mine", "out.yolo/images/val/mine.jpg": b"mine"}
    list(export(out, list(FORMATS)))
    for name, data in own.items():
        (tmp_path / name).write_bytes(data)
    remove_exports(out, ["imagefolder", "coco"])
    assert contents(tmp_path) == before | own
    assert formats_there(out) == []
    folders = {str(one.relative_to(tmp_path)) for one in tmp_path.glob("out.*/**") if one.is_dir()}
    within = {"out.yolo/images", "out.yolo/images/val", "out.yolo/labels"}
    assert folders == {f"out.{format}" for format in BESIDE} | within


def test_only_exports_and_what_the_manifest_asks_for_are_removed(out: Path, tmp_path: Path) -> None:
    """Without export.json a folder of that name may be the user's own."""
    list(export(out, ["yolo", "webdataset"]))
    for format in ("yolo", "webdataset"):
        (tmp_path / f"out.{format}" / "export.json").unlink()
    whole = contents(tmp_path / "out.webdataset")
    remove_exports(out, ["yolo"])
    assert contents(tmp_path / "out.webdataset") == whole
    assert contents(tmp_path / "out.yolo") == {}


def test_an_export_that_is_being_removed_is_none_any_more(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*_: object) -> None:
        raise KeyboardInterrupt

    list(export(out, ["webdataset"]))
    monkeypatch.setattr(folder, "_made_files", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        remove_exports(out, ["webdataset"])
    assert not {"export.json", "info.json"} & set(contents(tmp_path / "out.webdataset"))


def test_images_are_links_to_those_of_the_dataset(out: Path, tmp_path: Path) -> None:
    list(export(out, ["yolo", "voc"]))
    (image,) = (out / "train").glob("a-*.jpg")
    for inside in ("out.yolo/images/train", "out.voc/JPEGImages"):
        assert (tmp_path / inside / image.name).samefile(image)


@pytest.mark.parametrize("format", FORMATS)
def test_groups_in_two_splits_are_refused_before_anything_is_written(
    tmp_path: Path, format: str
) -> None:
    groups = [f"camera {index:02}" for index in range(12)]
    images = [
        made(f"{split}{index}", split=split, group=group)
        for index, group in enumerate(groups)
        for split in ("train", "val")
    ]
    out = write_finished(tmp_path / "out", [*images, made("single", group="one split")])
    before = contents(tmp_path)
    with pytest.raises(LineageError) as refused:
        list(export(out, [format]))
    message = str(refused.value)
    assert "12 groups are in more than one split" in message
    assert "camera 00 (train, val)" in message
    assert "camera 09 (train, val), …" in message
    assert "camera 10" not in message
    assert "one split (" not in message
    assert contents(tmp_path) == before


def test_one_photograph_in_two_splits_is_refused_by_name(tmp_path: Path) -> None:
    images = [made("a"), made("b"), made("b", split="val"), made("c", split="test")]
    out = write_finished(tmp_path / "out", images)
    with pytest.raises(LineageError, match=r"1 content images .*\(train: photos/b.png, val: ph"):
        list(export(out, ["coco"]))


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"dataset.json: there is none; expected the folder"):
        list(export(tmp_path, ["coco"]))
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(ManifestError, match=r"dataset.json: does not describe a dataset"):
        list(export(tmp_path, ["coco"]))


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("car", r"categories\[0\]: expected an object with a name, got 'car'"),
        ({"name": "a\nb"}, r"categories\[0\]: .* without control characters"),
        ({"name": "car", "keypoints": ["a"], "flip_idx": [1]}, r"categories\[0\]: flip_idx: "),
        ({"name": "car", "keypoints": ["a"], "skeleton": [[0, 1]]}, r"\[0\]: skeleton: "),
    ],
)
def test_odd_categories_are_refused(out: Path, described: object, expected: str) -> None:
    file = out / "dataset.json"
    about = json.loads(file.read_text()) | {"categories": [described, {"name": "person"}]}
    file.write_text(json.dumps(about))
    with pytest.raises(ManifestError, match=expected):
        list(export(out, ["coco"]))


def test_indexes_that_are_missing_are_all_named(out: Path) -> None:
    for index in out.glob("*/metadata.jsonl"):
        index.unlink()
    with pytest.raises(ManifestError) as refused:
        list(export(out, ["coco"]))
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize("line", ["{", "[]", '{"no": 1}'])
def test_a_damaged_row_is_named_with_its_line(out: Path, line: str) -> None:
    index = out / "train" / "metadata.jsonl"
    index.write_text(index.read_text() + line + "\n")
    with pytest.raises(ManifestError, match=rf"{index}:3: "):
        list(export(out, ["coco"]))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("file_name", name) for name in ("../../x.jpg", "/etc/hostname", "a/../..", "a\0b", 3)),
        *(("file_name", name) for name in ("a.tiff", "a", 300 * "a" + ".jpg")),
        *(("variant_id", text) for text in ("a;reboot #", "", 26 * "A", 26 * "a" + "\n")),
        ("file_name", 500 * "long/name/" + "a.jpg"),
        *(("mask_path", name) for name in ("../../x.png", "/etc/hostname")),
        *(("label", name) for name in ("../x", "no such class")),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_a_row_that_leads_out_of_the_dataset_is_refused_and_nothing_written(
    out: Path, format: str, column: str, value: object, tmp_path: Path
) -> None:
    index = out / "train" / "metadata.jsonl"
    first, *others = index.read_text().splitlines()
    index.write_text("\n".join([json.dumps(json.loads(first) | {column: value}), *others]))
    with pytest.raises(ManifestError, match=rf"{index}:1: .*`gramflow run` mends it"):
        list(export(out, [format]))
    assert {file.name.partition(".")[0] for file in tmp_path.iterdir()} == {"out"}


def test_a_split_that_leads_out_of_the_dataset_is_refused(out: Path) -> None:
    about = json.loads((out / "dataset.json").read_text())
    about["counts"]["split"]["../x"] = 1
    (out / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(ManifestError, match=r"does not describe a dataset .*got '\.\./x'"):
        list(export(out, ["yolo"]))


@pytest.mark.parametrize("category", [2, -1, "car", None])
@pytest.mark.parametrize("format", FORMATS)
def test_a_category_that_there_is_not_is_named_with_its_line(
    out: Path, format: str, category: object
) -> None:
    index = out / "train" / "metadata.jsonl"
    first, second = map(json.loads, index.read_text().splitlines())
    second["objects"]["categories"][1] = category
    index.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    message = f"expected one of the 2 categories .*, got {category!r}; `gramflow run`"
    expected = rf"{index}:2: objects\[1\]: {message}"
    with pytest.raises(ManifestError, match=expected):
        list(export(out, [format]))


def test_an_unknown_format_is_refused_with_those_that_there_are(out: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected formats among imagefolder, coco, yolo"):
        list(export(out, ["coco", "cocoa"]))
    assert not (out / "annotations").exists()


def test_what_is_said_of_an_export_is_kept_beside_it(out: Path, tmp_path: Path) -> None:
    write_finished(out, [made("a", CAR, Object("car", CAR.box, crowd=True))])
    list(export(out, ["yolo"]))
    told = json.loads((tmp_path / "out.yolo/export.json").read_text())
    assert told["notes"]["crowd objects left out"] == 1
    assert (told["images"], told["objects"]) == (1, 1)


@given(st.sets(st.text(max_size=3), max_size=60), st.integers(7, 9))
def test_numbers_are_unique_and_those_without_a_twin_depend_on_their_key(
    keys: set[str], bits: int
) -> None:
    with pytest.MonkeyPatch.context() as few:
        few.setattr(numbers, "_BITS", bits)
        clashing = clashing_numbers(keys)
        unique, alone = Numbers(clashing), Numbers(frozenset())
        of = {key: unique.of(key) for key in sorted(keys)}
        by_key = {key: alone.of(key) for key in keys}
    assert len(set(of.values())) == len(keys)
    assert all(0 < number <= 2 ** (bits + 1) for number in of.values())
    assert all(of[key] == by_key[key] for key in keys if by_key[key] not in clashing)
