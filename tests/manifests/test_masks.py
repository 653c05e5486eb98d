"""Semantic masks in a folder of their own."""

from __future__ import annotations

from pathlib import Path

from tests.manifests.listing import add_photos, listed, problems


def test_each_image_gets_the_mask_of_its_name(tmp_path: Path, shared: Path) -> None:
    folder = shared / "data" / "coco48"
    entry = {"path": str(folder / "images"), "masks": str(folder / "masks")}
    images = listed(tmp_path, entry).images
    assert len(images) == 48
    for image in images:
        stem = Path(image.file).stem
        assert image.labels.semantic_mask == str(folder / "masks" / f"{stem}.png")


def test_masks_lie_in_the_folders_of_the_images(tmp_path: Path) -> None:
    add_photos(tmp_path, "p/images/x/a.b.jpg", "p/c.jpg", "m/x/a.b.png", "m/c.png")
    images = listed(tmp_path, {"path": "p", "masks": "m"}).images
    assert [(one.inside, one.labels.semantic_mask) for one in images] == [
        ("c.jpg", str(tmp_path / "m" / "c.png")),
        ("images/x/a.b.jpg", str(tmp_path / "m" / "x" / "a.b.png")),
    ]


def test_every_image_without_a_mask_is_named(tmp_path: Path) -> None:
    add_photos(tmp_path, "p/a.jpg", "p/b.jpg", "p/c.jpg", "m/b.png")
    assert problems(tmp_path, {"path": "p", "masks": "m"}) == [
        "job.yaml:5: content[0].masks: p/a.jpg has no mask m/a.png",
        "job.yaml:5: content[0].masks: p/c.jpg has no mask m/c.png",
    ]


def test_a_folder_of_masks_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    add_photos(tmp_path, "p/a.jpg", "p/b.jpg")
    assert problems(tmp_path, {"path": "p", "masks": "m"}) == [
        "job.yaml:5: content[0].masks: expected a folder of PNG files, got m"
    ]
