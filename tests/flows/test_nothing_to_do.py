"""A run with nothing to do leaves indexes and exports as they are, and sees what is other."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.conftest import JobFolder
from tests.flows.pictures import photo
from tests.flows.processes import finished


def written_ns(out: Path) -> dict[str, int]:
    """Index -> when it was written."""
    indexes = [file for file in out.iterdir() if file.is_file()]
    indexes += out.glob("[!.]*/metadata.jsonl")
    beside = out.parent.glob(f"{out.name}.*/export.json")
    return {str(file): file.stat().st_mtime_ns for file in (*indexes, *beside)}


def test_indexes_and_exports_are_left_as_they_are(job: JobFolder) -> None:
    job.write(output={"path": "out", "format": ["imagefolder", "coco", "yolo"]})
    (job.folder / "photos" / "cat" / "broken.png").parent.mkdir(exist_ok=True)
    (job.folder / "photos" / "cat" / "broken.png").write_bytes(b"none")
    first = job.run()
    before = written_ns(job.out)
    second = job.run()
    assert written_ns(job.out) == before
    assert (second.made, second.dataset, second.left) == (0, first.dataset, 0)
    assert second.failures == first.failures
    assert len(second.failures) == 1
    assert second.exports == first.exports
    assert len(second.exports) == 2


def test_a_dataset_is_whole_by_the_names_that_its_sources_have_now(job: JobFolder) -> None:
    job.run()
    rename_a_style(job)
    move_the_photographs(job)
    assert job.run().made == 0
    status, output = finished("verify", job.out, "--sample", "36")
    assert status == 0, output
    assert "36 made again" in output
    rows = (job.out / "train" / "metadata.jsonl").read_text()
    assert '"photos/' not in rows
    assert '"styles/style0.png"' not in rows


def test_copies_are_counted_once_and_said(job: JobFolder) -> None:
    shutil.copytree(job.folder / "photos", job.folder / "again")
    for index in range(3):
        style = job.folder / "styles" / f"style{index}.png"
        shutil.copy(style, style.with_name(f"z{index}.png"))
    job.write(content=[{"path": "photos"}, {"path": "again"}])
    said = "7 files left out: they have the bytes of another, which gives the same images"
    status, output = finished("plan", job.manifest)
    assert (status, said in output) == (0, True), output
    first = job.run()
    assert (first.made, first.dataset, first.left, first.copies) == (36, 36, 0, 7)
    before = written_ns(job.out)
    status, output = finished("run", job.manifest)
    assert (status, said in output) == (0, True), output
    assert "0 of 36 images to make" in output
    assert written_ns(job.out) == before, "a run that finds nothing to do is done"


def remove_an_index(job: JobFolder) -> None:
    (job.out / "failures.jsonl").unlink()


def remove_a_split_s_index(job: JobFolder) -> None:
    (job.out / "train" / "metadata.jsonl").unlink()


def change_an_index(job: JobFolder) -> None:
    with (job.out / "train" / "metadata.jsonl").open("a") as index:
        index.write("{}\n")


def put_an_older_image_there(job: JobFolder) -> None:
    image = next(job.out.glob("train/*/*.jpg"))
    shutil.copy(image, image.with_name("a-stylized-aaaaaaaaaaaa.jpg"))


def remove_a_photograph(job: JobFolder) -> None:
    next(job.folder.glob("photos/*/*")).unlink()


def rename_the_dataset(job: JobFolder) -> None:
    job.write(name="other")


def ask_for_a_format(job: JobFolder) -> None:
    job.write(output={"path": "out", "format": ["imagefolder", "yolo"]})


def remove_an_export(job: JobFolder) -> None:
    shutil.rmtree(job.folder / "out.webdataset")


def remove_a_shard(job: JobFolder) -> None:
    next(job.folder.glob("out.webdataset/*.tar")).unlink()


def remove_a_label(job: JobFolder) -> None:
    next(job.folder.glob("out.yolo/labels/*/*")).unlink()


def remove_a_coco_file(job: JobFolder) -> None:
    shutil.rmtree(job.out / "annotations")


@pytest.mark.parametrize(
    "remove", [remove_an_export, remove_a_shard, remove_a_label, remove_a_coco_file]
)
def test_an_export_that_is_not_whole_is_written_again(
    job: JobFolder, remove: Callable[[JobFolder], None]
) -> None:
    job.write(output={"path": "out", "format": ["coco", "yolo", "webdataset"]})
    job.run()
    before = sorted(map(str, job.folder.rglob("out*/**/*")))
    remove(job)
    assert sorted(map(str, job.folder.rglob("out*/**/*"))) != before
    job.run()
    assert sorted(map(str, job.folder.rglob("out*/**/*"))) == before


def test_files_of_the_user_s_in_an_export_are_no_change(job: JobFolder) -> None:
    job.write(output={"path": "out", "format": ["yolo"]})
    job.run()
    before = written_ns(job.out)
    (job.folder / "out.yolo" / "labels" / "train.cache").write_bytes(b"of a training")
    job.run()
    assert written_ns(job.out) == before


def rename_a_style(job: JobFolder) -> None:
    style = job.folder / "styles" / "style0.png"
    style.rename(style.with_name("wave.png"))


def move_the_photographs(job: JobFolder) -> None:
    (job.folder / "photos").rename(job.folder / "pictures")
    job.write(content=[{"path": "pictures"}])


def begin_an_export(job: JobFolder) -> None:
    from manifests.exporters.formats import export

    next(export(job.out, ["coco"]))


def be_killed_before_the_end(job: JobFolder) -> None:
    (job.out / ".gramflow" / "settled.json").unlink()


def damage_the_record(job: JobFolder) -> None:
    (job.out / ".gramflow" / "settled.json").write_text('{"format": 1}')


@pytest.mark.parametrize(
    "change",
    [
        remove_an_index,
        remove_a_split_s_index,
        change_an_index,
        put_an_older_image_there,
        remove_a_photograph,
        rename_a_style,
        move_the_photographs,
        rename_the_dataset,
        ask_for_a_format,
        begin_an_export,
        be_killed_before_the_end,
        damage_the_record,
    ],
)
def test_what_is_other_is_written_again(
    job: JobFolder, change: Callable[[JobFolder], None]
) -> None:
    job.run()
    before = written_ns(job.out)
    change(job)
    summary = job.run()
    after = written_ns(job.out)
    before.pop(str(job.out / "report.html"))  # left as it is where it would have the same bytes
    assert all(after[name] != when for name, when in before.items())
    assert summary.made == 0
    rows = [json.loads(line) for line in (job.out / "train" / "metadata.jsonl").open()]
    assert {f"train/{row['file_name']}" for row in rows} == set(job.images())
    # And that is left as it is, then.
    job.run()
    assert written_ns(job.out) == after


def test_what_failed_is_tried_again_all_the_same(job: JobFolder) -> None:
    broken = next(job.folder.glob("photos/*/*"))
    broken.write_bytes(b"none")
    assert job.run().failures
    photo(500, 64, 48).save(broken)
    assert job.run().made == 9
    broken.write_bytes(b"none")
    job.run()
    assert job.run(retry_failed=True).failed > 0


def test_at_the_command_line_it_is_no_run_of_prefects(tmp_path: Path) -> None:
    job = JobFolder.of_small_job(tmp_path)
    own = {"PREFECT_API_URL": "", "PREFECT_HOME": str(tmp_path / "prefect")}
    assert finished("run", job.manifest, **own)[0] == 0
    before = written_ns(job.out)
    status, said = finished("run", job.manifest, **own)
    assert (status, said) == (
        0,
        f"0 of 36 images to make\n36 images in {job.out} (0 made in this run)\n"
        f"report: {job.out}/report.html\n",
    )
    assert written_ns(job.out) == before
    last = job.out / ".gramflow" / "progress.json"
    last.write_text(json.dumps(json.loads(last.read_text()) | {"outcome": None}))  # as if killed
    assert finished("run", job.manifest, **own)[0] == 0
    assert json.loads(last.read_text())["outcome"]["end"] == "finished"
    with sqlite3.connect(tmp_path / "prefect" / "prefect.db") as records:
        assert records.execute("select count(*) from flow_run").fetchone() == (1,)
