"""A preview: what it chooses, that its bytes are those of a run, and its contact sheet."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.preview import preview, preview_folder
from flows.progress import Control, Started, Stopped
from flows.reading import read_for_run
from manifests.storage import place
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo, write_bad_files
from tests.flows.processes import finished
from tests.flows.test_labelled_run import write, write_coco


@pytest.fixture
def small(tmp_path: Path) -> JobFolder:
    """Four photos in two classes and three styles; no server."""
    return JobFolder.of_small_job(tmp_path)


def previewed(job: JobFolder, count: int = 12, control: Control | None = None) -> Any:
    read = read_for_run(job.manifest, job.folder / "out.preview")
    return preview(read, count, control or Control())


def rows(job: JobFolder, split: str = "train") -> dict[str, dict[str, Any]]:
    lines = (job.folder / "out.preview" / split / "metadata.jsonl").open()
    return {row["variant_id"]: row for row in map(json.loads, lines)}


def test_a_preview_has_every_class_style_kind_and_recipe(small: JobFolder) -> None:
    small.write(stylize=TINY | {"strength": [0.2, 1.0]})
    done = previewed(small)
    assert (done.images, done.made, done.failures) == (12, 12, ())
    shown = list(rows(small).values())
    assert {row["label"] for row in shown} == {"cat", "dog"}
    assert len({row["style_path"] for row in shown} - {""}) == 3
    assert {row["kind"] for row in shown} == {
        *("original", "augmented", "stylized", "stylized_augmented")
    }
    assert {row["recipe"] for row in shown} == {"", "turn", "light"}
    assert len({row["content_path"] for row in shown}) == 4
    assert not small.out.exists()


def test_a_preview_has_the_bytes_and_rows_of_the_run(job: JobFolder) -> None:
    previewed(job, 9)
    job.run()
    shown = job.images(job.folder / "out.preview")
    assert len(shown) == 9
    whole = job.images()
    assert shown.items() <= whole.items()
    run = {
        row["variant_id"]: row
        for row in map(json.loads, (job.out / "train" / "metadata.jsonl").open())
    }
    for variant_id, row in rows(job).items():
        assert row == run[variant_id]


def test_pairs_of_zip_and_of_lists_are_those_of_the_run(small: JobFolder) -> None:
    for index in range(20):
        photo(200 + index, 40, 30).save(small.folder / "photos" / "cat" / f"more{index}.png")
    photos = sorted((small.folder / "photos").glob("*/*"))
    pairs = [{"content": str(one), "style": "styles/style1.png"} for one in photos[::2]]
    small.write(pairing={"strategy": "listed", "pairs": pairs}, augment={"include_original": False})
    previewed(small, 2)
    assert {row["style_path"] for row in rows(small).values()} == {"styles/style1.png"}
    for index in range(3, len(photos)):
        photo(300 + index, 40, 40).save(small.folder / "styles" / f"style{index:02}.png")
    small.write(pairing={"strategy": "zip"}, augment={"include_original": False})
    previewed(small, 2)
    styles = sorted((small.folder / "styles").glob("*"))
    for row in rows(small).values():
        place_of_content = photos.index(small.folder / row["content_path"])
        assert small.folder / row["style_path"] == styles[place_of_content]


def test_only_some_of_many_photographs_are_read(small: JobFolder) -> None:
    for index in range(60):
        photo(index, 24, 24).save(small.folder / "photos" / "cat" / f"many{index}.png")
    hashed: list[object] = []
    previewed(small, 3, Control(tell=hashed.append))
    assert len(hashed) < 40


def test_giving_it_again_makes_only_what_is_new(small: JobFolder) -> None:
    first = previewed(small, 5)
    before = small.images(first.out)
    told: list[object] = []
    assert previewed(small, 5, Control(tell=told.append)).made == 0
    assert [one.to_do for one in told if isinstance(one, Started)] == [0]
    assert previewed(small, 8).made == 3
    after = small.images(first.out)
    assert before.items() <= after.items(), "a larger one is the smaller one and more"
    assert previewed(small, 2).images == 2
    assert len(small.images(first.out)) == 2
    aside = small.images(first.out / ".gramflow" / "set_aside")
    assert len(aside) == 6, "the others are set aside"


def test_a_dataset_is_not_taken_for_a_preview(job: JobFolder) -> None:
    job.run(limit=3)
    before = job.images()
    status, output = finished("preview", job.manifest, "--out", job.out)
    assert status == 2
    assert "holds a dataset, no preview" in output
    assert job.images() == before


def test_files_of_others_are_not_written_over(job: JobFolder) -> None:
    folder = job.folder / "out.preview"
    folder.mkdir()
    (folder / "report.html").write_text("mine")
    status, output = finished("preview", job.manifest, "-n", "2")
    assert (status, output.count("holds files of others")) == (2, 1), output
    assert [file.name for file in folder.iterdir()] == ["report.html"]
    assert (folder / "report.html").read_text() == "mine"


def test_a_run_makes_a_dataset_of_a_preview(job: JobFolder) -> None:
    read = read_for_run(job.manifest, job.out)
    assert preview(read, 2, Control()).images == 2
    mark = job.out / ".gramflow" / "preview.json"
    of_preview = mark.read_bytes()
    job.run(limit=10)
    before = job.images()
    assert len(before) == 12, "those of the preview are of the run, too"
    with pytest.raises(ValueError, match="holds a dataset, no preview"):
        preview(read, 2, Control())
    mark.write_bytes(of_preview)
    with pytest.raises(ValueError, match="holds a dataset, no preview"):
        preview(read, 2, Control())
    assert job.images() == before, "nothing was set aside"


def test_a_run_that_makes_nothing_keeps_what_the_preview_made(job: JobFolder) -> None:
    read = read_for_run(job.manifest, job.out)
    preview(read, 100, Control())
    assert job.run().made == 0
    with pytest.raises(ValueError, match="holds a dataset, no preview"):
        preview(read, 2, Control())
    assert len(job.images()) == 36


def test_damaged_files_of_an_earlier_preview_are_made_again(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco")
    (tmp_path / "styles").mkdir()
    photo(100, 40, 52).save(tmp_path / "styles" / "style.png")
    masked = JobFolder(tmp_path)
    write(masked)
    done = previewed(masked, 4)
    before = masked.images(done.out)
    masks = sorted(done.out.glob("train/masks/*"))
    mask_before = masks[0].read_bytes()
    for name in list(before)[:2]:
        (done.out / name).write_bytes(before[name][:300])
    masks[0].write_bytes(b"")
    again = previewed(masked, 4)
    assert (again.damaged, again.images, again.failures) == (3, 4, ())
    assert again.sheet is not None
    assert masked.images(done.out) == before
    assert masks[0].read_bytes() == mask_before
    assert len(list((done.out / ".gramflow" / "set_aside").rglob("*.*"))) == 3
    assert previewed(masked, 4).damaged == 0


def test_files_that_cannot_be_used_are_told_of(small: JobFolder) -> None:
    _, bad = write_bad_files(small.folder / "photos" / "dog")
    done = previewed(small, 60)
    at_fault = {path for path, _ in done.failures}
    assert done.unusable + len(at_fault) == len(bad)
    assert done.images + sum(1 for _ in at_fault) > 40
    assert done.sheet is not None
    assert done.report == done.out / "report.html"
    assert (done.out / "report.html").exists()


def test_where_no_photograph_can_be_opened_nothing_comes_next(small: JobFolder) -> None:
    for file in (small.folder / "photos").rglob("*.png"):
        file.write_bytes(b"no picture")
    status, output = finished("preview", small.manifest)
    assert status == 1
    assert "0 images in" in output
    assert "4 of the photographs looked at cannot be opened" in output
    assert "next:" not in output


def test_a_preview_can_be_stopped(small: JobFolder) -> None:
    control = Control()

    def stop(event: object) -> None:
        if isinstance(event, Started):
            control.stop.set()

    with pytest.raises(Stopped):
        previewed(small, 4, Control(tell=stop, stop=control.stop))
    assert previewed(small, 4).images == 4


def test_the_command_says_where_things_are_and_what_comes_next(small: JobFolder) -> None:
    status, output = finished("preview", small.manifest, "-n", "3", PREFECT_HOME="/nowhere")
    assert status == 0
    sheet = small.folder / "out.preview" / "contact_sheet.jpg"
    assert f"contact sheet: {sheet}" in output
    report = small.folder / "out.preview" / "report.html"
    assert f"report: {report}" in output
    assert report.read_text().startswith("<!doctype html>")
    assert "gramflow plan" in output
    assert Image.open(sheet).format == "JPEG"
    assert finished("preview", small.manifest, "-n", "101")[0] == 2


def test_the_preview_of_a_store_lies_in_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert preview_folder(place("memory://bucket/data/street")) == tmp_path / "street.preview"
    assert preview_folder(Path("/data/out/street")) == Path("/data/out/street.preview")
    assert os.getcwd() == str(tmp_path)
