"""Commands, their exit statuses and what they say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.cli import app
from tests.flows.conftest import JobFolder
from tests.flows.pictures import photo, write_bad_files
from tests.flows.processes import finished

pytestmark = pytest.mark.usefixtures("api_url")


def said(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and output of a command run in this process."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join(result.output.split())


def test_validate_accepts_a_right_manifest(job: JobFolder) -> None:
    assert said("validate", job.manifest) == (0, f"{job.manifest}: valid")


def test_validate_shows_every_problem_with_its_line(job: JobFolder) -> None:
    job.manifest.write_text(
        "version: 1\n"
        "name: small\n"
        "content: [{path: photos}, {path: nowhere}]\n"
        "styles: [{path: styles}]\n"
        "stylize:\n"
        "  encoder: vgg91\n"
        "  override: {learning_rate: -1}\n"
        "augment:\n"
        "  recipes:\n"
        "    a: [{Rotate: {limt: 3}}]\n"
        "    b: [{Rotat: {}}]\n"
        "output: {path: out}\n"
    )
    status, output = said("validate", job.manifest)
    assert status == 2
    for place in (
        "job.yaml:3: content[1].path: nothing at",
        "job.yaml:6: stylize.encoder: expected one of vgg19",
        "job.yaml:7: stylize.override.learning_rate: learning_rate: expected a number > 0, got -1",
        "job.yaml:10: augment.recipes.a[0].Rotate: Rotate has no argument limt",
        "job.yaml:11: augment.recipes.b[0].Rotat: Rotat is no transform",
        "8-bit images; did you mean Rotate?",
    ):
        assert place in output


def test_validate_looks_at_the_rest_of_a_manifest_with_wrong_fields(job: JobFolder) -> None:
    job.manifest.write_text(
        "version: 1\n"
        "name: small\n"
        "content: [{path: photos, fromat: coco}, {path: nowhere}]\n"
        "styles: [{path: 'odd://styles'}, {path: no_styles}]\n"
        "stylize: {encoder: vgg91, strenght: 1}\n"
        "augment:\n"
        "  min_visability: 0.5\n"
        "  recipes:\n"
        "    a: [{Rotate: {limt: 3}}]\n"
        "    b: []\n"
        "output: {path: job.yaml}\n"
    )
    result = CliRunner().invoke(app, ["validate", str(job.manifest)])
    places = [line.split("job.yaml:")[1].split(": ")[:2] for line in result.output.splitlines()]
    assert places == [
        ["3", "content[0].fromat"],
        ["5", "stylize.strenght"],
        ["7", "augment.min_visability"],
        ["10", "augment.recipes.b"],
        ["4", "styles[0].path"],
        ["9", "augment.recipes.a[0].Rotate"],
        ["11", "output.path"],
        ["3", "content[1].path"],
        ["4", "styles[1].path"],
    ]


def test_validate_invents_no_problem_of_what_has_a_wrong_field(job: JobFolder) -> None:
    right = job.manifest.read_text()
    for line in ("stylize:", "augment:", "output:", "pairing:", "content:", "styles:"):
        job.manifest.write_text(right.replace(f"\n{line}", f"\nx_{line}"))
        result = CliRunner().invoke(app, ["validate", str(job.manifest)])
        assert all(
            "unknown field" in one or "is required" in one for one in result.output.splitlines()
        )
        assert f"x_{line[:-1]}: unknown field" in result.output


def test_a_crop_larger_than_every_image_is_refused_before_anything_is_made(job: JobFolder) -> None:
    def cut(height: int, **changes: Any) -> None:
        recipes = {"cut": [{"RandomCrop": {"height": height, "width": 8}}]}
        job.write(augment={"recipes": recipes} | changes)

    cut(49)
    for command in ("validate", "plan", "run"):
        status, output = said(command, job.manifest)
        assert status == 2
        assert "augment.recipes.cut[0].RandomCrop: RandomCrop needs images of 8x49 px" in output
        assert "none has more than 48x48 px" in output
    cut(48)  # long sides are 48 px: of which photographs is not known to `validate`
    assert said("validate", job.manifest) == (0, f"{job.manifest}: valid")
    for command in ("plan", "run"):
        status, output = said(command, job.manifest)
        assert status == 2
        assert "needs images of 8x48 px" in output
    assert not job.out.exists() or not list(job.out.glob("*.json"))
    cut(49, variants={"original": 0, "stylized": 0})
    assert said("validate", job.manifest)[0] == said("plan", job.manifest)[0] == 0
    photo(70, 20, 48).save(job.folder / "photos" / "cat" / "high.png")
    cut(48)
    assert said("plan", job.manifest)[0] == 0


def test_run_refuses_a_wrong_manifest_before_it_starts_anything(job: JobFolder) -> None:
    job.write(content=[])
    status, output = said("run", job.manifest)
    assert status == 2
    assert "job.yaml:4: content" in output
    assert not job.out.exists()


def test_an_output_path_that_is_a_file_is_refused(job: JobFolder) -> None:
    job.write(output={"path": "job.yaml"})
    status, output = said("run", job.manifest)
    assert status == 2
    assert "output.path: " in output
    assert "is a file; expected a folder" in output


@pytest.mark.parametrize("command", ["run", "plan", "preview"])
def test_an_output_path_that_is_not_utf_8_is_refused(job: JobFolder, command: str) -> None:
    status, output = said(command, job.manifest, "--out", job.folder / os.fsdecode(b"o\xff"))
    assert status == 2
    assert r"/o\udcff is not UTF-8, as dataset.json is, which names it; expected another" in output
    assert not any(job.folder.glob("o?"))


@pytest.mark.parametrize("path", ["photos", "photos/out", "styles/deep/out"])
def test_an_output_folder_inside_what_is_read_is_refused(job: JobFolder, path: str) -> None:
    job.write(output={"path": path})
    status, output = said("validate", job.manifest)
    assert status == 2
    assert "output.path: " in output
    assert "expected a folder outside" in output


def test_folder_names_what_is_not_there(tmp_path: Path) -> None:
    arguments = ["folder", tmp_path, "--style", tmp_path / "nowhere", "--out", tmp_path / "out"]
    status, output = said(*arguments)
    assert status == 2
    assert "nowhere: there is no such style image or folder" in output
    assert not (tmp_path / "out").exists()


def test_plan_counts_by_state_and_estimates(job: JobFolder) -> None:
    status, before = said("plan", job.manifest)
    assert status == 0
    assert "new │ 36" in before
    assert "of disk" in before
    job.run()
    (job.folder / "photos" / "cat" / "photo0.png").unlink()
    photo(70).save(job.folder / "photos" / "dog" / "photo1.png")
    _, after = said("plan", job.manifest)
    for count in ("new │ 9", "done │ 18", "stale │ 9", "orphan │ 9"):
        assert count in after


def test_run_exits_with_1_and_names_what_failed(job: JobFolder) -> None:
    _, bad = write_bad_files(job.folder / "photos" / "dog")
    status, output = finished("run", job.manifest)
    assert status == 1
    for name in bad:
        assert f"failed: photos/dog/{name}: " in output
    assert "--retry-failed" in output
    assert "Traceback" not in output


def test_stylize_writes_one_picture(tmp_path: Path) -> None:
    photo(1, 64, 48).save(tmp_path / "content.png")
    photo(2, 80, 80).save(tmp_path / "style.png")
    images = [tmp_path / name for name in ("content.png", "style.png", "result.png")]
    arguments = ["stylize", images[0], images[1], "-o", images[2], "--encoder", "random"]
    status, output = said(*arguments, "--size", "32")
    assert status == 0
    assert "loss" in output
    assert Image.open(images[2]).size == (32, 24)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output", "x.bmp"], "expected a file ending of .jpg"),
        (["--output", "x.png", "--preset", "best"], "preset: expected one of report2019"),
        (["--output", "x.png", "--strength", "2"], "strength: expected 0..1"),
        (["--output", "x.png", "--size", "3"], "size: expected a whole number >= 16"),
        (["--output", "x.png", "--encoder", "compact", "--weights", "x"], "compact takes none"),
        (["--output", "x.png", "--encoder", "vgg"], "encoder: expected one of vgg19"),
        (["--output", "x.png", "--encoder", "vgg19", "--weights", "none.pth"], "none.pth is no"),
    ],
)
def test_stylize_explains_wrong_arguments(
    tmp_path: Path, arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(1).save("photo.png")
    extra = [] if "--encoder" in arguments else ["--encoder", "random"]
    status, output = said("stylize", "photo.png", "photo.png", *arguments, *extra)
    assert status == 2
    assert expected in output


def test_folder_stylizes_a_folder_and_then_only_what_is_new(tmp_path: Path) -> None:
    for index in range(2):
        (tmp_path / "in").mkdir(exist_ok=True)
        photo(index).save(tmp_path / "in" / f"{index}.png")
    photo(9).save(tmp_path / "style.png")
    command = ["folder", tmp_path / "in", "--style", tmp_path / "style.png"]
    command += ["--out", tmp_path / "out", "--encoder", "random", "--size", "32"]
    status, output = finished(*command)
    assert status == 0, output
    assert "2 images in" in output
    photo(5).save(tmp_path / "in" / "5.png")
    status, output = finished(*command)
    assert "3 images in" in output
    assert "(1 made in this run)" in output


def test_hours_that_are_none_are_refused_before_a_server_starts(job: JobFolder) -> None:
    for hours in ("nan", "0", "-1"):
        assert said("run", job.manifest, "--max-hours", hours) == (
            2,
            f"error: --max-hours: expected hours above 0, got {hours}",
        )
    assert not job.out.exists()


def test_help_names_the_commands() -> None:
    _, output = said("--help")
    for command in ("demo", "run", "plan", "validate", "stylize", "folder"):
        assert command in output


def write_labels(job: JobFolder, *boxes: list[float]) -> None:
    """A COCO file of one photograph with those boxes, as the job's content."""
    annotations = [
        {"id": index, "image_id": 1, "category_id": 1, "bbox": box}
        for index, box in enumerate(boxes)
    ]
    document = {
        "images": [{"id": 1, "file_name": "photo0.png", "width": 48, "height": 32}],
        "categories": [{"id": 1, "name": "spot"}],
        "annotations": annotations,
    }
    (job.folder / "coco.json").write_text(json.dumps(document))
    job.write(content=[{"path": "photos/cat", "annotations": "coco.json"}])


def test_validate_says_which_labels_leave_their_images(job: JobFolder) -> None:
    write_labels(job, [1, 1, 5, 5], [40, 1, 9, 9], [48, 0, 5, 5], [3, 3, 0, 2])
    assert said("validate", job.manifest) == (
        0,
        "boxes to be clipped: 1; objects to be dropped: 2 "
        "dropped: photos/cat/photo0.png: object 2 (spot): its box has no area in the image "
        "dropped: photos/cat/photo0.png: object 3 (spot): its box has no area in the image "
        f"{job.manifest}: valid",
    )


def test_validate_counts_images_without_objects(job: JobFolder) -> None:
    write_labels(job, [1, 1, 5, 5])
    described = json.loads((job.folder / "coco.json").read_text())
    described["images"].append({"id": 2, "file_name": "photo2.png", "width": 48, "height": 40})
    (job.folder / "coco.json").write_text(json.dumps(described))
    assert said("validate", job.manifest) == (
        0,
        f"images without objects: 1 of 2 {job.manifest}: valid",
    )


def test_validate_shows_all_problems_of_labels_and_run_a_few(job: JobFolder) -> None:
    write_labels(job, *([0, 0, 1] for _ in range(300)))
    status, output = said("validate", job.manifest)
    assert (status, output.count("bbox: expected [x, y, width, height]")) == (2, 300)
    status, output = said("run", job.manifest)
    assert (status, output.count("bbox: expected [x, y, width, height]")) == (2, 20)
    assert "… and 280 more of this kind error: `gramflow validate` shows all of them" in output
    assert not job.out.exists()


def test_a_run_writes_its_formats_and_export_writes_more(job: JobFolder) -> None:
    job.write(output={"path": "out", "format": ["coco", "webdataset"]})
    status, output = said("run", job.manifest)
    assert status == 0
    assert f"coco: {job.out}/annotations/instances_<split>.json: 36 images, 0 objects" in output
    assert f"webdataset: {job.out}.webdataset: 36 images, 0 objects" in output
    assert (job.out / "croissant.json").exists()
    images = job.images()
    status, output = said("export", job.out, "--format", "yolo", "--format", "voc")
    assert status == 0
    assert f"yolo: {job.out}.yolo: 36 images, 0 objects; classes of whole images left out" in output
    assert f"voc: {job.out}.voc: 36 images, 0 objects" in output
    assert job.images() == images


def test_export_refuses_what_is_no_dataset_or_no_format(job: JobFolder) -> None:
    status, output = said("export", job.folder, "--format", "coco")
    assert (status, "dataset.json: there is none" in output) == (2, True)
    job.run()
    status, output = said("export", job.out, "--format", "cocoa")
    assert (status, "expected formats among imagefolder, coco" in output) == (2, True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"--out": "photos"}, "--out: {0}/photos is inside {0}/photos"),
        ({"--encoder": "vgg"}, "--encoder: expected one of vgg19"),
        ({"--size": "3"}, "--size: expected a whole number >= 16"),
        ({"--strength": "2"}, "--strength: expected a number in 0..1"),
        ({"--preset": "best"}, "--preset: expected one of report2019"),
        ({"--encoder": "vgg16", "--weights": "no.pth"}, "--weights: {0}/no.pth is no file"),
        ({"--weights": "photos"}, "--weights: encoder compact takes none"),
        ({"--style": "empty"}, "--style: no image in {0}/empty"),
        ({"--out": ""}, "Invalid value for '--out': expected a path or a URL"),
    ],
)
def test_a_refused_folder_names_the_option_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    expected: str,
) -> None:
    write_some(tmp_path / "photos")
    write_some(tmp_path / "styles")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    given = {"--style": "styles", "--out": "out/x"} | options
    for command in ("folder", "watch"):
        status, output = said(command, "photos", *(part for pair in given.items() for part in pair))
        assert (status, expected.format(tmp_path) in output) == (2, True), output
        assert "folder-" not in output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_some(tmp_path / "styles")
    places = ("--style", tmp_path / "styles", "--out", tmp_path / "out")
    status, output = said("folder", tmp_path / "empty", *places)
    assert (status, f"error: {tmp_path}/empty: no image in" in output) == (2, True), output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "styles"]


def test_weights_that_are_not_there_are_told_with_their_line(job: JobFolder) -> None:
    job.write(stylize={"encoder": "vgg16", "weights": "nope.pth"})
    for command in ("validate", "run"):
        status, output = said(command, job.manifest)
        assert status == 2
        place = f"{job.manifest}:13: stylize.weights: {job.folder}/nope.pth is no file"
        assert place in output


def test_commands_in_the_output_folder_take_it_as_a_point(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.run()
    monkeypatch.chdir(job.out)
    assert said("prune", ".") == (0, "nothing to remove")
    assert said("prune", "./") == (0, "nothing to remove")
    assert f"small → {job.out} " in said("status", ".")[1]
    assert f"{job.out}: 36 images" in said("verify", ".")[1]
    assert f"report: {job.out}/report.html" in said("report", "../out/.")[1]
    assert said("preview", job.manifest, "--out", "")[0] == 2


def test_a_folder_may_be_the_present_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_some(tmp_path / "birds")
    write_some(tmp_path / "styles")
    monkeypatch.chdir(tmp_path / "birds")
    options = ("--style", "../styles", "--out", "../out", "--encoder", "random", "--size", "32")
    status, output = said("folder", ".", *options)
    assert status == 0, output
    assert f"1 image in {tmp_path}/out (1 made in this run)" in output
    (manifest,) = (tmp_path / "out" / ".gramflow").glob("folder-*.yaml")
    written = manifest.read_text()
    assert "name: birds\n" in written
    assert ".." not in written
    said_of_folder = (2, "error: .: is a folder; expected an image")
    assert said("stylize", ".", "../styles/image.png", "-o", "x.png") == said_of_folder


def write_some(folder: Path) -> None:
    folder.mkdir()
    photo(1).save(folder / "image.png")
