"""Each way by which input comes in, and what may become of any: it is used, or refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from typer.testing import CliRunner

from flows.cli import app
from flows.report import write_report
from manifests.errors import ManifestError
from manifests.exporters.finished import read_finished
from manifests.exporters.formats import FORMATS, export
from manifests.images import UnusableImage, decode_class_indices, decode_image, image_size
from manifests.lineage import LineageError
from manifests.reading import read_manifest
from manifests.verification import Seen, verify
from tests.fuzz import wholes
from tests.fuzz.damage import (
    VALUES,
    Inputs,
    any_bytes,
    damaged,
    with_other_values,
    with_png_checksums,
    with_tar_checksums,
)
from tests.manifests.listing import add_photos, listed


@dataclass(frozen=True)
class Target:
    """Attributes:
    whole: undamaged, which is used.
    inputs: damaged ones.
    used: takes a folder of the target's own and an input; whether it was used, and not refused.
        Whatever else becomes of it is an error.
    """

    name: str
    whole: bytes
    inputs: Inputs
    used: Callable[[Path, bytes], bool]


def prepare(folder: Path) -> None:
    """Write what the inputs of all targets are read beside."""
    add_photos(folder, "a.png", "images/a.png", "JPEGImages/a.png", "photos/p.png")
    for name in ("labels", "Annotations", "masks", "pairs"):
        (folder / name).mkdir()
    for mask in ("m.png", "masks/a.png"):
        add_photos(folder, mask)
    (folder / "good.yaml").write_text("train: images\nnames: [cat, dog]\n")
    (folder / "pose.yaml").write_text(
        "train: images\nnames: [cat]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\n"
    )
    (folder / "lists.yaml").write_text("train: list.txt\nnames: [cat, dog]\n")
    (folder / "metadata.csv").write_text("file_name\na.png\n")
    (folder / "masked.csv").write_text("file_name\nimages/a.png\n")
    (folder / "c.json").write_text(json.dumps(wholes.COCO))
    add_photos(folder, "lists/ImageSets/none.png", "lists/JPEGImages/a.png", "rows/a.png")
    (folder / "rows" / "m.png").write_bytes((folder / "m.png").read_bytes())
    for name in ("ImageSets/Main", "Annotations"):
        (folder / "lists" / name).mkdir(parents=True, exist_ok=True)
    (folder / "lists" / "Annotations" / "a.xml").write_bytes(wholes.XML)


def targets() -> Iterator[Target]:
    """All of them."""
    yield from _images()
    yield from _annotations()
    yield from _finished()
    yield _manifest("manifest", _manifest_is_used)
    yield _manifest("validate", _validated)


def _images() -> Iterator[Target]:
    for name, whole in wholes.images().items():
        inputs = damaged([whole], tokens=(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff", b"\x01"))
        if whole.startswith(b"\x89PNG"):
            inputs |= inputs.map(with_png_checksums)
        yield Target(f"image: {name}", whole, inputs, _image_is_used)


def _image_is_used(folder: Path, data: bytes) -> bool:
    used = False
    try:
        size = image_size(data)
        image = decode_image(data).image
        assert (image.mode, image.size) == ("RGB", size)
        used = True
    except UnusableImage as error:
        _check_sentence(str(error))
    try:
        assert decode_class_indices(data).mode == "L"
    except UnusableImage as error:
        _check_sentence(str(error))
    return used


def _check_sentence(said: str) -> None:
    assert said


def _annotations() -> Iterator[Target]:
    coco = {"path": ".", "format": "coco", "annotations": "d.json"}
    yield _annotation("coco", "d.json", coco, _json_inputs(wholes.COCO), _json(wholes.COCO))
    rows = {"path": "rows", "format": "imagefolder"}
    for suffix, written in (
        ("jsonl", wholes.as_jsonl),
        ("csv", wholes.as_csv),
        ("parquet", wholes.as_parquet),
    ):
        row = wholes.ROW | {"label": "", "objects": None} if suffix == "csv" else wholes.ROW
        whole = written(row)
        inputs = damaged([whole]) | any_bytes()
        if suffix != "parquet":  # its columns have one type each
            inputs |= with_other_values(wholes.ROW, written)
        yield _annotation(f"rows: {suffix}", f"rows/metadata.{suffix}", rows, inputs, whole)
    about = {"path": "metadata.csv", "format": "list"}
    yield _annotation(
        "dataset.json", "dataset.json", about, _json_inputs(wholes.ABOUT), _json(wholes.ABOUT)
    )
    listing = b"path,label,objects,split\na.png,cat,,train\n"
    yield _annotation("list", "l.csv", {"path": "l.csv"}, damaged([listing]), listing)
    shard = wholes.as_shard(wholes.ROW)
    shards = (damaged([shard]) | with_other_values(wholes.ROW, wholes.as_shard)).flatmap(
        lambda data: st.sampled_from([data, with_tar_checksums(data)])
    )
    yield _annotation("shard", "s.tar", {"path": "s.tar", "format": "webdataset"}, shards, shard)
    xml = {"path": ".", "format": "voc"}
    yield _annotation("voc", "Annotations/a.xml", xml, damaged([wholes.XML]), wholes.XML)
    yield _annotation(
        "voc list",
        "lists/ImageSets/Main/train.txt",
        {"path": "lists", "format": "voc"},
        damaged([b"a 1\n"]) | any_bytes(),
        b"a 1\n",
    )
    data_yaml = wholes.as_yaml(wholes.DATA_YAML)
    yield _annotation(
        "data.yaml",
        "data.yaml",
        {"path": "data.yaml", "format": "yolo", "split": "train"},
        damaged([data_yaml]) | with_other_values(wholes.DATA_YAML, wholes.as_yaml) | any_bytes(),
        data_yaml,
    )
    for name, rows_of, of in (
        ("yolo rows", b"0 0.5 0.5 1 1\n1 0 0 1 0 1 1\n", "good.yaml"),
        ("yolo pose", b"0 0.5 0.5 1 1 0 0 2 1 1 0\n", "pose.yaml"),
    ):
        entry = {"path": of, "format": "yolo"}
        yield _annotation(name, "labels/a.txt", entry, damaged([rows_of]) | any_bytes(), rows_of)
    yield _annotation(
        "yolo list",
        "list.txt",
        {"path": "lists.yaml", "format": "yolo"},
        damaged([b"images/a.png\n"]) | any_bytes(),
        b"images/a.png\n",
    )


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _json_inputs(document: Any) -> Inputs:
    return damaged([_json(document)]) | with_other_values(document) | any_bytes()


def _annotation(
    name: str, file: str, entry: dict[str, Any], inputs: Inputs, whole: bytes
) -> Target:
    return Target(f"labels: {name}", whole, inputs, partial(_labels_are_used, file, entry))


def _labels_are_used(file: str, entry: dict[str, Any], folder: Path, data: bytes) -> bool:
    (folder / file).write_bytes(data)
    try:
        content = listed(folder, entry)
    except ManifestError as error:
        _check_said(error)
        return False
    finally:
        (folder / file).unlink()
    assert content.images
    # What follows writes them as UTF-8.
    json.dumps([repr(content)], ensure_ascii=False)
    for image in content.images:
        f"{image.name} {image.inside} {image.group} {image.labels.class_name}".encode()
    for category in content.categories:
        f"{category.name} {category.supercategory} {category.keypoints}".encode()
    return True


def _check_said(error: ManifestError, file: str = "") -> None:
    assert error.problems
    for problem in error.problems:
        _check_sentence(problem.message)
        assert str(problem).startswith(file)
        assert problem.line is None or problem.line >= 1


def _finished() -> Iterator[Target]:
    """What a finished dataset says of itself, reported, exported to each format and verified."""
    files = wholes.finished()
    for name in ("dataset.json", "train/metadata.jsonl"):
        document = json.loads(files[name])
        yield Target(
            f"finished: {name}", files[name], _json_inputs(document), partial(_is_exported, name)
        )


def _is_exported(name: str, folder: Path, data: bytes) -> bool:
    out = folder / "finished"
    for inside, whole in (wholes.finished() | {name: data}).items():
        (out / inside).parent.mkdir(parents=True, exist_ok=True)
        (out / inside).write_bytes(whole)
    used = True
    try:
        dataset = read_finished(out)
        for finding in verify(dataset, Seen()):
            _check_sentence(finding.message)
        write_report(out, asks_stores=False)
        list(export(out, list(FORMATS)))
    except ManifestError as error:
        _check_said(error)
        used = False
    except (LineageError, FileNotFoundError) as error:
        _check_sentence(str(error))
        used = False
    finally:
        for made in (out, *folder.glob("finished.*")):
            shutil.rmtree(made)
    return used


_NAMES = st.sampled_from(
    [
        *("version", "name", "seed", "max_pixels", "content", "styles", "pairing", "stylize"),
        *("augment", "output", "path", "split", "weight", "strategy", "pairs", "recipes"),
        *("variants", "image", "splits", "strength", "override", "type", "quality"),
    ]
)
_STRUCTURES: st.SearchStrategy[Any] = st.recursive(
    VALUES | st.dates() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_NAMES | st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def _manifest(name: str, used: Callable[[Path, bytes], bool]) -> Target:
    whole = wholes.as_yaml(wholes.MANIFEST)
    other = wholes.MANIFEST | {"pairing": wholes.PAIRS}
    inputs = (
        damaged([whole, wholes.as_yaml(other)])
        | with_other_values(wholes.MANIFEST, wholes.as_yaml)
        | with_other_values(other, wholes.as_yaml)
        | _STRUCTURES.map(wholes.as_yaml)
        | any_bytes()
    )
    return Target(name, whole, inputs, used)


def _manifest_is_used(folder: Path, data: bytes) -> bool:
    (folder / "job.yaml").write_bytes(data)
    try:
        read = read_manifest(folder / "job.yaml")
    except ManifestError as error:
        _check_said(error, str(folder / "job.yaml"))
        return False
    assert read.manifest.version == 1
    return True


def _validated(folder: Path, data: bytes) -> bool:
    (folder / "job.yaml").write_bytes(data)
    result = CliRunner().invoke(app, ["validate", str(folder / "job.yaml")])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 2)
    assert "Traceback" not in result.output
    assert result.exit_code == 0 or "error: " in result.output
    return result.exit_code == 0
