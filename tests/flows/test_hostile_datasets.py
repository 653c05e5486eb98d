"""Datasets and manifests from strangers: what they name is never written outside the output."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tests.flows.conftest import JobFolder
from tests.flows.pictures import photo
from tests.fuzz import wholes

pytestmark = pytest.mark.usefixtures("api_url")

# Where a name could lead: out of the folder, to the root, through a folder that is there.
OUTSIDE = ("../../x.png", "/tmp/gramflow-x.png", "photos/../../../x.png", "x\0.png")


def listing(folder: Path) -> set[str]:
    """Every file and folder below, and beside it."""
    inside = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return inside | {f"../{path.name}" for path in folder.parent.iterdir()}


def refused(job: JobFolder, entry: dict[str, Any], **more: Any) -> str:
    """What is said of a job with this entry of content, of which nothing must have been written."""
    job.write(content=[entry], **more)
    before = listing(job.folder)
    result = CliRunner().invoke(app, ["run", str(job.manifest)])
    assert (result.exit_code, listing(job.folder)) == (2, before)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert not Path("/tmp/gramflow-x.png").exists()
    return " ".join(result.output.split())


@pytest.mark.parametrize("name", OUTSIDE)
def test_coco_names_no_image_outside_its_folder(job: JobFolder, name: str) -> None:
    photo(1).save(job.folder.parent / "x.png")
    document = wholes.COCO | {"images": [wholes.COCO["images"][0] | {"file_name": name}]}
    (job.folder / "c.json").write_text(json.dumps(document))
    said = refused(job, {"path": "photos", "annotations": "c.json"})
    assert "images[0]" in said


@pytest.mark.parametrize("column", ["file_name", "mask_file_name", "label", "split"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_metadata_name_nothing_outside_their_folder(job: JobFolder, column: str, name: str) -> None:
    photo(1).save(job.folder / "photos" / "a.png")
    row = {"file_name": "a.png", column: name}
    (job.folder / "photos" / "metadata.jsonl").write_text(json.dumps(row))
    assert f"metadata.jsonl:1: {column}: " in refused(job, {"path": "photos"})


@pytest.mark.parametrize("place", ["path", "train", "list"])
@pytest.mark.parametrize("name", OUTSIDE[:3])
def test_yolo_names_no_image_outside_its_folder(job: JobFolder, place: str, name: str) -> None:
    photo(1).save(job.folder.parent / "x.png")
    yolo = job.folder / "yolo"
    (yolo / "images").mkdir(parents=True)
    photo(1).save(yolo / "images" / "a.png")
    (yolo / "list.txt").write_text(f"{name}\n" if place == "list" else "images/a.png\n")
    described = {"path": ".", "train": "list.txt", "names": ["cat"]}
    if place != "list":
        described[place] = name
    (yolo / "data.yaml").write_bytes(wholes.as_yaml(described))
    assert "error: " in refused(job, {"path": "yolo", "format": "yolo"})


@pytest.mark.parametrize("name", OUTSIDE[:3])
def test_voc_names_no_image_outside_its_folder(job: JobFolder, name: str) -> None:
    voc = job.folder / "voc"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (voc / folder).mkdir(parents=True)
    photo(1).save(voc / "JPEGImages" / "b.png")
    (voc / "ImageSets" / "Main" / "train.txt").write_text("a\n" + name.removesuffix(".png"))
    (voc / "Annotations" / "a.xml").write_bytes(wholes.XML.replace(b"a.png", name.encode()))
    said = refused(job, {"path": "voc"})
    assert "stays inside" in said


def test_shards_name_no_image_outside_and_their_links_are_left_alone(job: JobFolder) -> None:
    photo(1).save(job.folder.parent / "x.png")
    with tarfile.open(job.folder / "s.tar", "w") as tar:
        for name in (*OUTSIDE[:3], "a.png"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo(f"link{kind.decode()}.png")
            link.type, link.linkname = kind, "../x.png"
            tar.addfile(link)
    said = refused(job, {"path": "s.tar"})
    assert said.count("expected a file name that stays inside") == 3
    assert "link" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../x"},
        {"augment": {"recipes": {"../../x": [{"HorizontalFlip": {}}]}}},
        {"augment": {"recipes": {"a\nb": [{"HorizontalFlip": {}}]}}},
        {"output": {"path": "out", "splits": ["../x"]}},
        {"output": {"path": "out", "format": ["../x"]}},
    ],
)
def test_a_manifest_has_no_names_that_are_paths(job: JobFolder, changes: dict[str, Any]) -> None:
    assert "expected" in refused(job, {"path": "photos"}, **changes)
    assert "expected" in refused(job, {"path": "photos", "split": "../x"})


def test_odd_names_of_files_and_classes_stay_inside_the_output(job: JobFolder) -> None:
    for index, name in enumerate(
        ("a\nb", "-rf", "$(touch ran)", "a;b", "a..b..", "\x1b[2J", "é" * 60, "a'\"b")
    ):
        file = job.folder / "photos" / "cat\n-x; \x1b[31m" / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        photo(10 + index).save(file)
    photo(30).save(job.folder.parent / "beside.png")
    row = {
        "path": "../beside.png",
        "label": "a..b",
        "group_id": "../../g",
        "objects": {"bbox": [[1, 2, 9, 9]], "categories": ["../../c"]},
    }
    (job.folder / "l.jsonl").write_text(json.dumps(row))
    job.write(
        content=[{"path": "photos"}, {"path": "l.jsonl"}],
        styles=[],
        pairing={},
        output={"path": "out", "format": ["coco", "yolo", "voc", "webdataset"]},
    )
    before = listing(job.folder)
    summary = job.run()
    assert (summary.failed, summary.dataset) == (0, 13 * 3)
    made = listing(job.folder) - before
    assert {path.split("/")[0] for path in made} <= {
        *("out", "out.yolo", "out.voc", "out.webdataset", "out.prefect"),
    }


def test_a_limit_of_pixels_holds_in_a_run_and_can_be_raised(job: JobFolder) -> None:
    job.write(max_pixels=48 * 44 - 1)
    summary = job.run()
    ((path, why, images),) = summary.failures
    assert (path, images) == ("photos/dog/photo3.png", 9)
    assert why == "has 48x44 pixels, more than 2,111 (max_pixels)"
    before = job.images()
    assert job.run().failed == 0, "under the same limit it is not tried again"
    job.write(max_pixels=48 * 44)
    summary = job.run()
    assert (summary.made, summary.failures) == (9, ())
    after = job.images()
    assert (len(before), len(after)) == (27, 36)
    assert before.items() <= after.items()


def test_what_a_raised_limit_still_refuses_is_told_with_that_limit(job: JobFolder) -> None:
    for limit in (100, 200):
        job.write(max_pixels=limit, styles=[])
        summary = job.run()
        assert summary.failed == 4 * 3
        assert {why.partition("more than ")[2] for _, why, _ in summary.failures} == {
            f"{limit} (max_pixels)"
        }


def test_a_limit_of_pixels_is_for_styles_too(job: JobFolder) -> None:
    job.write(content=[{"path": "photos/cat/photo0.png"}], max_pixels=48 * 32)
    summary = job.run()
    assert {why for _, why, _ in summary.failures} == {
        "has 40x52 pixels, more than 1,536 (max_pixels)"
    }
    assert summary.dataset == 3
    job.write(content=[{"path": "photos/cat/photo0.png"}])
    summary = job.run()
    assert (summary.dataset, summary.failures) == (9, ())


def test_each_file_that_cannot_be_read_is_told_with_its_images(job: JobFolder) -> None:
    for name in ("p", "q"):
        (job.folder / "styles" / f"{name}.png").symlink_to(job.folder / "nothing.png")
    job.write(pairing={"strategy": "all"})
    summary = job.run()
    assert summary.failures == tuple(
        (f"styles/{name}.png", "No such file or directory", 4 * 3) for name in ("p", "q")
    )
    assert (summary.made, summary.failed, summary.left) == (48, 24, 0)
    again = job.run()
    assert (again.made, again.failed, again.failures) == (0, 0, summary.failures)


def test_what_steers_a_terminal_is_shown_not_done(job: JobFolder) -> None:
    (job.folder / "l.csv").write_text("path\n\x1b[2Jnone.png\n")
    (job.folder / "a\x1b[31m.csv").write_text("path,split\na.png,\x1b]0;title\x07\n")
    for entry in ({"path": "l.csv"}, {"path": "a\x1b[31m.csv"}):
        job.write(content=[entry])
        output = CliRunner().invoke(app, ["validate", str(job.manifest)]).output
        assert "\x1b" not in output
