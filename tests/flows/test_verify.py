"""Whether a finished dataset is whole: what is found, how it is mended, what is made again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.sample import Sampled, sampled
from manifests.durable import LeadsOut
from manifests.errors import ManifestError
from manifests.exporters.finished import read_finished
from manifests.in_use import in_use
from manifests.ledger import Ledger
from manifests.verification import Finding, Seen, set_aside, verify
from tests.flows.conftest import JobFolder
from tests.flows.pictures import photo
from tests.flows.processes import finished
from tests.flows.test_labelled_run import HALF, write, write_coco

RECIPES = {
    "turn": [{"Rotate": {"limit": 15, "p": 1.0}}],
    "crop": [{"BBoxSafeRandomCrop": {"p": 1.0}}],
}


@dataclass(frozen=True)
class Dataset:
    """A finished dataset and the job that made it."""

    job: JobFolder

    @property
    def out(self) -> Path:
        return self.job.out

    @property
    def index(self) -> Path:
        return self.out / "train" / "metadata.jsonl"

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.index.read_text().splitlines()]

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        self.index.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def findings(self) -> list[Finding]:
        return list(verify(read_finished(self.out), Seen()))

    def kinds(self) -> list[str]:
        return [one.kind for one in self.findings()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, api_url: str) -> JobFolder:
    """Two labelled photos with masks, each stylized once, in every format."""
    folder = tmp_path_factory.mktemp("made") / "job"
    write_coco(folder / "coco")
    (folder / "styles").mkdir()
    photo(100, 40, 52).save(folder / "styles" / "style.png")
    job = JobFolder(folder)
    formats = ["imagefolder", "coco", "yolo", "voc", "webdataset"]
    write(job, augment={"recipes": RECIPES}, output={"path": "out", "format": formats})
    assert job.run().made == 12
    return job


@pytest.fixture
def dataset(made: JobFolder, tmp_path: Path) -> Dataset:
    """A copy that a test may damage; it lies elsewhere, with all that it was made from."""
    shutil.copytree(made.folder, tmp_path / "moved", symlinks=True)
    return Dataset(JobFolder(tmp_path / "moved"))


def test_nothing_is_wrong_with_what_a_run_left(dataset: Dataset) -> None:
    seen = Seen()
    assert list(verify(read_finished(dataset.out), seen)) == []
    assert seen.images == 12
    assert seen.objects == sum(len(row["objects"]["bbox"]) for row in dataset.rows())


def test_every_file_is_made_again_byte_for_byte(dataset: Dataset) -> None:
    told = Sampled()
    assert list(sampled(read_finished(dataset.out), 100, told)) == []
    assert (told.images, told.same, told.lowest_psnr_db) == (12, 12, None)


def _first(dataset: Dataset) -> Path:
    return dataset.out / "train" / dataset.rows()[0]["file_name"]


def _mask(dataset: Dataset) -> Path:
    return dataset.out / "train" / dataset.rows()[0]["mask_file_name"]


def _change_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _edit_row(dataset: Dataset, **changes: Any) -> None:
    first, *others = dataset.rows()
    dataset.write_rows([first | changes, *others])


def _box_outside(dataset: Dataset) -> None:
    objects = dataset.rows()[0]["objects"]
    objects["bbox"][0][2] = 41.0
    _edit_row(dataset, objects=objects)


def _edit_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _copy_to(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.read_bytes())


def _export(dataset: Dataset, pattern: str) -> Path:
    """The first file of OUT.FORMAT/…"""
    return min(dataset.job.folder.glob(f"out.{pattern}"))


def _coco(dataset: Dataset) -> Path:
    return dataset.out / "annotations" / "instances_train.json"


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


DAMAGES: dict[str, tuple[Callable[[Dataset], Any], list[str]]] = {
    "an image is gone": (lambda d: _first(d).unlink(), ["missing"]),
    "an image is empty": (lambda d: os.truncate(_first(d), 0), ["damaged"]),
    "one bit of an image": (lambda d: _change_byte(_first(d)), ["damaged"]),
    "a mask is gone": (lambda d: _mask(d).unlink(), ["missing"]),
    "one bit of a mask": (lambda d: _change_byte(_mask(d)), ["damaged"]),
    "another width": (lambda d: _edit_row(d, width=41), ["size", "size"]),
    "a folder for an image": (lambda d: (_first(d).unlink(), _first(d).mkdir()), ["unreadable"]),
    "a box outside": (_box_outside, ["label"]),
    "an image without a row": (
        lambda d: _copy_to(_first(d), d.out / "train" / "x-original-abcdefghijkl.png"),
        ["no row"],
    ),
    "an image in another folder": (
        lambda d: _copy_to(_first(d), d.out / "val" / "cat" / _first(d).name),
        ["no row"],
    ),
    "a row twice": (
        lambda d: d.write_rows([*d.rows(), d.rows()[0]]),
        # Its image and its mask; then all that counts.
        ["twice", "twice", "count", "count", "count", "export", "export", "export", "export"],
    ),
    "a count": (lambda d: _edit_json(d.out / "dataset.json", images=13), ["count"]),
    "a leftover": (
        lambda d: _copy_to(_first(d), d.out / ".gramflow" / "tmp" / "12-0123456789abcdef"),
        ["leftover"],
    ),
    "the ledger": (lambda d: shutil.rmtree(d.out / ".gramflow" / "ledger"), ["ledger"]),
    "a record": (
        lambda d: next((d.out / ".gramflow" / "ledger").iterdir()).write_text("?"),
        ["ledger"],
    ),
    "the Parquet file": (
        lambda d: os.truncate(d.out / "metadata_train.parquet", 100),
        ["changed"],
    ),
    "one bit of croissant.json": (lambda d: _change_byte(d.out / "croissant.json"), ["changed"]),
    "croissant.json": (lambda d: (d.out / "croissant.json").unlink(), ["export"]),
    "one bit of the COCO file": (lambda d: _change_byte(_coco(d)), ["changed"]),
    "labels of YOLO": (lambda d: _export(d, "yolo/labels/*/*.txt").write_text(""), ["changed"]),
    "names of YOLO": (
        lambda d: _edit(_export(d, "yolo/data.yaml"), "names:", "name:"),
        ["changed"],
    ),
    "one bit of an image of an export": (
        lambda d: _change_byte(_export(d, "yolo/images/*/*")),
        ["changed"],
    ),
    "one bit of a mask of an export": (
        lambda d: _change_byte(_export(d, "voc/SegmentationClass/*")),
        ["changed"],
    ),
    "a box of VOC": (
        lambda d: _edit(_export(d, "voc/Annotations/*"), "<xmin>", "<xmin>1"),
        ["changed"],
    ),
    "a list of VOC": (lambda d: _export(d, "voc/ImageSets/Main/*").write_text("a\n"), ["changed"]),
    "one bit of a shard": (lambda d: _change_byte(_export(d, "webdataset/*.tar")), ["changed"]),
    "what the files of an export were": (
        lambda d: (d.out / ".gramflow" / "exports" / "coco.sha256").write_text("?\n"),
        ["export"],
    ),
    "an image of an export": (
        lambda d: next(d.job.folder.glob("out.yolo/images/*/*")).unlink(),
        ["export"],
    ),
    "a shard": (
        lambda d: next(d.job.folder.glob("out.webdataset/*.tar")).unlink(),
        ["export"],
    ),
    "all shards": (
        lambda d: shutil.rmtree(d.job.folder / "out.webdataset"),
        ["export"],
    ),
    "the COCO file": (
        lambda d: (d.out / "annotations" / "instances_train.json").unlink(),
        ["export"],
    ),
    "an older export": (
        lambda d: _edit_json(d.job.folder / "out.yolo" / "export.json", images=3),
        ["export"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found(damage: str, dataset: Dataset) -> None:
    harm, kinds = DAMAGES[damage]
    harm(dataset)
    found = dataset.findings()
    assert [one.kind for one in found] == kinds
    assert all("gramflow" in one.message or "delete it" in one.message for one in found)


def test_a_photograph_in_two_splits_is_found(dataset: Dataset) -> None:
    first, *others = dataset.rows()
    dataset.write_rows(others)
    (dataset.out / "val").mkdir()
    (dataset.out / "val" / "metadata.jsonl").write_text(json.dumps(first | {"split": "val"}) + "\n")
    for name in (first["file_name"], first["mask_file_name"]):
        _copy_to(dataset.out / "train" / name, dataset.out / "val" / name)
        (dataset.out / "train" / name).unlink()
    about = json.loads((dataset.out / "dataset.json").read_text())
    about["counts"]["split"] = {"train": 11, "val": 1}
    (dataset.out / "dataset.json").write_text(json.dumps(about))
    (split,) = (one for one in dataset.findings() if one.kind == "split")
    assert "content images are in more than one split" in split.message


def test_images_of_the_users_are_told_of_and_other_files_are_theirs(dataset: Dataset) -> None:
    for name in ("notes.txt", "holiday.jpg"):
        (dataset.out / "train" / name).write_text("mine")
    (found,) = dataset.findings()
    assert (found.kind, found.file) == ("no row", "train/holiday.jpg")
    assert found.message.endswith("take it for one of the dataset; move it out")


def test_what_is_damaged_is_set_aside_and_made_again(dataset: Dataset) -> None:
    before = dataset.job.images()
    _change_byte(_first(dataset))
    os.truncate(dataset.out / "train" / dataset.rows()[3]["file_name"], 0)
    _change_byte(dataset.out / "train" / dataset.rows()[5]["mask_file_name"])
    status, output = finished("verify", dataset.out, "--mend")
    assert status == 1, output
    assert "3 problems" in output
    assert "3 files set aside" in output
    assert dataset.job.run().made == 3
    assert dataset.job.images() == before
    assert dataset.kinds() == []


def test_changed_files_of_exports_are_set_aside_and_written_again(dataset: Dataset) -> None:
    patterns = ("yolo/labels/*/*.txt", "yolo/data.yaml", "voc/Annotations/*", "webdataset/*.tar")
    files = [_coco(dataset), *(_export(dataset, pattern) for pattern in patterns)]
    before = [file.read_bytes() for file in files]
    for file in files:
        _change_byte(file)
    changed = [file.read_bytes() for file in files]
    assert dataset.kinds() == ["changed"] * 5
    status, output = finished("verify", dataset.out, "--mend")
    assert status == 1, output
    assert "5 files set aside" in output
    assert (
        "out.yolo/data.yaml: its bytes are not those that were written; set aside, and "
        "`gramflow export OUT --format yolo` writes it again"
    ) in output
    aside = dataset.out / ".gramflow" / "set_aside" / "exports"
    kept = [aside / "annotations" / files[0].name]
    kept += [aside / file.relative_to(dataset.job.folder) for file in files[1:]]
    assert [file.read_bytes() for file in kept] == changed
    assert dataset.job.run().made == 0
    assert [file.read_bytes() for file in files[:1]] == before[:1]
    assert dataset.kinds() == []


def test_nothing_outside_of_an_export_is_moved(dataset: Dataset) -> None:
    mine = dataset.job.folder / "mine.txt"
    mine.write_text("mine")
    record = dataset.out / ".gramflow" / "exports" / "yolo.sha256"
    record.write_text(f"{'0' * 64}  ../mine.txt\n")
    assert dataset.kinds() == ["changed"]
    with pytest.raises(LeadsOut):
        _findings_set_aside(dataset)
    assert mine.read_text() == "mine"


def test_the_path_in_data_yaml_is_the_users_to_change(dataset: Dataset) -> None:
    data_yaml = _export(dataset, "yolo/data.yaml")
    lines = data_yaml.read_text().splitlines(keepends=True)
    for path in (["path: /elsewhere\n"], []):
        data_yaml.write_text("".join(path + [one for one in lines if "path:" not in one]))
        assert dataset.kinds() == []


def test_a_damaged_image_is_told_once_and_not_for_each_link_to_it(dataset: Dataset) -> None:
    first = _first(dataset)
    (link,) = dataset.job.folder.glob(f"out.yolo/images/*/{first.name}")
    _change_byte(first)
    _copy_to(first, link)
    assert dataset.kinds() == ["damaged", "changed"]
    link.unlink()
    os.link(first, link)
    assert dataset.kinds() == ["damaged"]


def test_exports_of_before_are_not_compared_and_it_is_said(dataset: Dataset) -> None:
    shutil.rmtree(dataset.out / ".gramflow" / "exports")
    _change_byte(_coco(dataset))
    status, output = finished("verify", dataset.out)
    assert status == 0, output
    assert "bytes of imagefolder, coco, yolo, voc, webdataset not compared: nothing says" in output
    assert finished("export", dataset.out, "--format", "coco")[0] == 0
    _change_byte(_coco(dataset))
    _, output = finished("verify", dataset.out, "--json")
    summary = json.loads(output.splitlines()[-1])
    assert summary["not_compared"] == ["imagefolder", "yolo", "voc", "webdataset"]
    assert summary["problems"] == {"changed": 1}


def test_a_file_that_another_machine_made_again_has_its_own_row(dataset: Dataset) -> None:
    """There its last bits may be others: the row must be of the bytes that are there."""
    file, record = _first(dataset), min((dataset.out / ".gramflow" / "ledger").iterdir())
    sha256 = dataset.rows()[0]["sha256"]
    for record in (dataset.out / ".gramflow" / "ledger").iterdir():
        record.write_text(record.read_text().replace(sha256, "0" * 64))
    file.unlink()
    assert dataset.job.run().made == 1
    assert len([row for row in Ledger(dataset.out).rows() if row["sha256"] == "0" * 64]) == 1
    assert dataset.kinds() == []


def test_other_bytes_are_a_problem_only_where_nothing_explains_them(dataset: Dataset) -> None:
    dataset.write_rows([row | {"sha256": "0" * 64} for row in dataset.rows()])
    told = Sampled()
    found = list(sampled(read_finished(dataset.out), 2, told))
    assert (told.images, told.same) == (2, 0)
    assert all("PSNR inf dB" in one.message for one in found)
    assert len(found) == 2
    made_with = json.loads(dataset.rows()[0]["made_with"]) | {"torch": "1"}
    dataset.write_rows([row | {"made_with": json.dumps(made_with)} for row in dataset.rows()])
    elsewhere = Sampled()
    assert list(sampled(read_finished(dataset.out), 2, elsewhere)) == []
    assert "PSNR of inf dB or more; torch 1 there, " in str(elsewhere)


def test_the_command_says_what_is_wrong_and_how_to_mend_it(dataset: Dataset) -> None:
    status, output = finished("verify", dataset.out, "--sample", "2")
    assert status == 0, output
    assert "12 images, " in output
    assert "0 problems" in output
    assert "2 made again, 2 of them byte for byte" in output
    _first(dataset).unlink()
    status, output = finished("verify", dataset.out, "--json")
    problem, summary = map(json.loads, output.splitlines())
    assert status == 1
    assert problem["kind"] == "missing"
    assert problem["file"] == f"train/{dataset.rows()[0]['file_name']}"
    assert problem["message"].endswith("`gramflow run` with its manifest makes it again")
    assert summary["images"] == 12
    assert summary["problems"] == {"missing": 1}


def test_what_was_set_aside_says_so(dataset: Dataset) -> None:
    first = _first(dataset)
    _change_byte(first)
    status, output = finished("verify", dataset.out, "--mend")
    assert status == 1
    inside = first.relative_to(dataset.out)
    line, counts, aside = output.splitlines()
    assert line == (
        f"{inside}: its bytes are not those of its row; set aside, and `gramflow run` with its "
        "manifest makes it again"
    )
    assert counts == f"{dataset.out}: 12 images, 36 objects, 1 problem"
    assert aside == "1 file set aside; `gramflow run` with the manifest makes it again"


def _findings_set_aside(dataset: Dataset) -> int:
    found = read_finished(dataset.out)
    return sum([set_aside(found.out, one) is not None for one in verify(found, Seen())])


def test_a_file_that_only_could_not_be_read_stays(dataset: Dataset) -> None:
    first = _first(dataset)
    first.unlink()
    first.mkdir()
    (finding,) = dataset.findings()
    assert "--mend" not in finding.message
    assert _findings_set_aside(dataset) == 0
    assert first.is_dir()


def test_a_damaged_file_that_two_rows_name_is_set_aside_once(dataset: Dataset) -> None:
    _change_byte(_first(dataset))
    dataset.write_rows([*dataset.rows(), dataset.rows()[0]])
    assert _findings_set_aside(dataset) == 1
    assert not _first(dataset).exists()


def test_what_is_not_named_as_gramflows_is_not_moved(dataset: Dataset) -> None:
    mine = dataset.out / "train" / "mine.jpg"
    mine.write_text("mine")
    _edit_row(dataset, file_name="mine.jpg")
    assert "damaged" in dataset.kinds()
    assert _findings_set_aside(dataset) == 0
    assert mine.read_text() == "mine"


def test_nothing_is_moved_out_of_a_folder_that_a_link_leads_to(dataset: Dataset) -> None:
    _change_byte(_first(dataset))
    elsewhere = dataset.job.folder / "elsewhere"
    (dataset.out / "train").rename(elsewhere)
    (dataset.out / "train").symlink_to(elsewhere)
    with pytest.raises(LeadsOut, match="put a folder in its place"):
        _findings_set_aside(dataset)
    assert _first(dataset).exists()


def test_rows_name_nothing_in_a_hidden_folder(dataset: Dataset) -> None:
    for name in ("../.gramflow/x-original-abcdefghijkl.png", ".mine/a.png"):
        _edit_row(dataset, mask_file_name=name)
        with pytest.raises(ManifestError, match=r"jsonl:1: expected no file in a hidden folder"):
            dataset.findings()


def test_who_writes_is_said_before_that_there_is_no_dataset(dataset: Dataset) -> None:
    (dataset.out / "dataset.json").unlink()
    with in_use(dataset.out):
        for command in (("verify", dataset.out), ("export", dataset.out, "--format", "coco")):
            result = CliRunner().invoke(app, list(map(str, command)))
            assert result.exit_code == 2
            assert "another run or export writes there" in result.output


def test_a_dataset_without_images_is_whole_and_nothing_to_report(job: JobFolder) -> None:
    job.write(styles=[], augment={}, output={"path": "out", "format": ["coco", "yolo"]})
    for file in (job.folder / "photos").rglob("*.png"):
        file.write_bytes(b"no picture")
    assert job.run().dataset == 0

    def said(*command: str | Path) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(map(str, command)))
        return result.exit_code, " ".join(result.output.split())

    status, output = said("verify", job.out, "--json")
    summary = json.loads(output)
    assert (status, summary["images"], summary["problems"]) == (0, 0, {})
    assert said("verify", job.out) == (0, f"{job.out}: 0 images, 0 objects, 0 problems")
    for command in (["report", job.out], ["export", job.out, "--format", "coco"]):
        status, output = said(*command)
        nothing = f"the dataset has no images; there is nothing to {command[0]}"
        assert (status, output) == (2, f"error: {job.out}/dataset.json: {nothing}")


def test_another_dataset_inside_is_left_alone(dataset: Dataset) -> None:
    other = dataset.out / "other"
    shutil.copytree(dataset.out, other, ignore=lambda *_: {"other"})
    before = sorted(other.rglob("*"))
    assert dataset.findings() == []
    assert dataset.job.run().set_aside == 0
    assert sorted(other.rglob("*")) == before


def test_a_folder_without_a_dataset_is_wrong_use(tmp_path: Path) -> None:
    status, output = finished("verify", tmp_path)
    assert status == 2
    assert "expected the folder of a finished dataset" in output


def test_the_polygons_and_keypoints_of_half_sized_labels_are_no_problem(dataset: Dataset) -> None:
    assert HALF["size"] == 40
    assert {row["width"] for row in dataset.rows() if row["recipe"] != "crop"} == {40}
