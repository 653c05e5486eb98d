"""Labels through the whole flow: read with their image, at the output size, moved, written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from manifests.errors import ManifestError
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo

WIDTH, HEIGHT = 80, 64
BOXES = [[10, 8, 20, 16], [40, 20, 30, 30], [60, -4, 30, 20], [90, 10, 5, 5]]
POLYGON = [40, 20, 70, 20, 70, 50, 40, 50]
HALF = TINY | {"size": 40}
FLIP = {"flip": [{"HorizontalFlip": {"p": 1.0}}]}


def write_coco(folder: Path, photos: int = 2, width: int = WIDTH) -> None:
    """Photos of 80 x 64 px with four objects each (one is outside), and semantic masks."""
    annotations = []
    for index in range(photos):
        (folder / "masks").mkdir(parents=True, exist_ok=True)
        (folder / "images").mkdir(exist_ok=True)
        photo(index, WIDTH, HEIGHT).save(folder / "images" / f"photo{index}.png")
        classes = np.zeros((HEIGHT, WIDTH), np.uint8)
        classes[20:50, 40:70] = 7
        Image.fromarray(classes).save(folder / "masks" / f"photo{index}.png")
        for place, box in enumerate(BOXES):
            annotations.append(
                {
                    "id": 10 * index + place + 1,
                    "image_id": index + 1,
                    "category_id": 3 if place else 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "segmentation": [POLYGON] if place == 1 else [],
                }
            )
    images = [
        {"id": index + 1, "file_name": f"photo{index}.png", "width": width, "height": HEIGHT}
        for index in range(photos)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    described = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(described))


@pytest.fixture
def coco(job: JobFolder) -> JobFolder:
    """A job of two such photos, each stylized once, at half their size."""
    write_coco(job.folder / "coco")
    write(job)
    return job


def write(job: JobFolder, **changes: Any) -> None:
    entry = {"path": "coco/images", "format": "coco", "annotations": "coco/instances.json"}
    described: dict[str, Any] = {
        "content": [entry | {"masks": "coco/masks"}],
        "pairing": {"strategy": "random", "styles_per_content": 1},
        "stylize": HALF,
        "augment": {"recipes": FLIP},
    }
    job.write(**(described | changes))


def rows(job: JobFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.out / "train" / "metadata.jsonl").open()]


def failures(job: JobFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.out / "failures.jsonl").open()]


def classes(job: JobFolder, row: dict[str, Any]) -> np.ndarray:
    with Image.open(job.out / "train" / row["mask_file_name"]) as mask:
        assert mask.mode == "L"
        return np.asarray(mask)


def test_labels_are_scaled_with_their_image_and_follow_its_pixels(coco: JobFolder) -> None:
    summary = coco.run()
    assert (summary.made, summary.failed) == (2 * 4, 0)
    for row in rows(coco):
        objects = row["objects"]
        assert (row["width"], row["height"]) == (40, 32)
        assert objects["categories"] == [0, 1, 1]
        if row["recipe"]:
            assert objects["bbox"] == [[25, 4, 10, 8], [5, 10, 15, 15], [0, 0, 10, 8]]
            assert json.loads(objects["segmentation"][1])["size"] == [32, 40]
        else:
            assert objects["bbox"] == [[5, 4, 10, 8], [20, 10, 15, 15], [30, 0, 10, 8]]
            assert json.loads(objects["segmentation"][1]) == [[value / 2 for value in POLYGON]]
        assert objects["area"] == [80, 225, 80]
    assert {row["kind"] for row in rows(coco) if not row["recipe"]} == {"original", "stylized"}


def test_what_was_clipped_and_dropped_on_the_way_is_said(coco: JobFolder) -> None:
    write(coco, augment={"recipes": FLIP, "min_area": 100})
    coco.run()
    outside = {"object": 3, "category": "dog", "why": "its box has no area in the image"}
    for row in rows(coco):
        assert row["notes"] == "1 boxes clipped to the image"
        dropped = json.loads(row["dropped_objects"])
        assert dropped[0] == outside
        assert [one["object"] for one in dropped[1:]] == ([0, 2] if row["recipe"] else [])
        assert len(row["objects"]["bbox"]) == (1 if row["recipe"] else 3)


def test_semantic_masks_go_beside_their_images(coco: JobFolder, tmp_path: Path) -> None:
    from datasets import load_dataset

    coco.run()
    expected = np.zeros((32, 40), np.uint8)
    expected[10:25, 20:35] = 7
    for row in rows(coco):
        moved = expected[:, ::-1] if row["recipe"] else expected
        assert np.array_equal(classes(coco, row), moved)
    loaded = load_dataset(
        "imagefolder", data_dir=str(coco.out), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert len(loaded) == 8
    assert {one["mask"].size for one in loaded} == {one["image"].size for one in loaded}
    assert np.asarray(loaded[0]["mask"]).max() == 7


def test_an_image_whose_mask_is_gone_is_made_again_with_it(coco: JobFolder) -> None:
    coco.run()
    before = {file: file.read_bytes() for file in coco.out.glob("train/**/*.*g")}
    gone = coco.out / "train" / rows(coco)[0]["mask_file_name"]
    gone.unlink()
    assert coco.run().made == 1
    assert {file: file.read_bytes() for file in coco.out.glob("train/**/*.*g")} == before
    assert coco.run().made == 0


def test_masks_that_the_plan_no_longer_wants_are_set_aside(coco: JobFolder) -> None:
    coco.run()
    write(coco, augment={"recipes": {}})
    assert coco.run().set_aside == 8, "four variants and their masks"
    assert len(rows(coco)) == len(list(coco.out.glob("train/masks/*.png"))) == 4


def test_a_changed_label_makes_its_images_again(coco: JobFolder) -> None:
    coco.run()
    described = json.loads((coco.folder / "coco" / "instances.json").read_text())
    described["annotations"][0]["bbox"] = [12, 8, 20, 16]
    (coco.folder / "coco" / "instances.json").write_text(json.dumps(described))
    assert coco.run().made == 4
    assert sorted(row["objects"]["bbox"][0][0] for row in rows(coco) if not row["recipe"]) == [
        *(5, 5, 6, 6)
    ]


def test_a_mask_of_another_size_fails_its_images_alone(coco: JobFolder) -> None:
    mask = coco.folder / "coco" / "masks" / "photo0.png"
    Image.new("L", (40, 32)).save(mask)
    assert coco.run().failed == 4
    ((failure),) = failures(coco)
    assert os.path.samefile(failure["path"], mask)
    assert failure["error"] == "is a mask of 40x32 px, its image has 80x64 px"
    assert len(rows(coco)) == 4


def test_a_mask_of_colours_says_what_was_expected(coco: JobFolder) -> None:
    photo(1, WIDTH, HEIGHT).save(coco.folder / "coco" / "masks" / "photo0.png")
    coco.run()
    assert failures(coco)[0]["error"].startswith(
        "has pixels of mode RGB; expected a class index a pixel"
    )


def test_the_indices_of_a_mask_with_a_palette_are_its_classes(coco: JobFolder) -> None:
    coloured = Image.new("P", (WIDTH, HEIGHT), 5)
    coloured.putpalette([value for index in range(256) for value in (index, 255 - index, 0)])
    coloured.save(coco.folder / "coco" / "masks" / "photo0.png")
    coco.run()
    assert {int(classes(coco, row).max()) for row in rows(coco)} == {5, 7}


def test_labels_of_another_size_fail_their_images_alone(job: JobFolder) -> None:
    write_coco(job.folder / "coco", width=64)
    write_coco(job.folder / "good", photos=1)
    coco = {"path": "coco/images", "format": "coco", "annotations": "coco/instances.json"}
    good = {"path": "good/images", "format": "coco", "annotations": "good/instances.json"}
    write(job, content=[coco, good])
    summary = job.run()
    assert (summary.made, summary.failed) == (4, 8)
    assert {line["error"] for line in failures(job)} == {
        "labels are for 64x64 px, the image has 80x64 px"
    }


def turn(folder: Path, orientation: int, stored: Image.Transpose) -> None:
    """Store photo0 turned, with the EXIF orientation that turns it back."""
    file = folder / "images" / "photo0.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(file) as image:
        image.transpose(stored).save(file, exif=exif)


def test_labels_of_a_turned_image_are_taken_as_of_the_upright_one_and_it_is_said(
    coco: JobFolder,
) -> None:
    coco.run()
    upright = [row["objects"]["bbox"] for row in rows(coco) if not row["recipe"]]
    turn(coco.folder / "coco", 3, Image.Transpose.ROTATE_180)
    coco.run()
    assert [row["objects"]["bbox"] for row in rows(coco) if not row["recipe"]] == upright
    for row in rows(coco):
        said = row["notes"].startswith(
            "turned upright by EXIF; labels taken as of the upright image"
        )
        assert said == row["content_path"].endswith("photo0.png")


def test_labels_of_the_stored_size_of_a_turned_image_say_so(coco: JobFolder) -> None:
    turn(coco.folder / "coco", 6, Image.Transpose.ROTATE_90)
    assert coco.run().failed == 0, "labels and upright image have one size"
    file = coco.folder / "coco" / "instances.json"
    described = json.loads(file.read_text())
    described["images"][0] |= {"width": HEIGHT, "height": WIDTH}
    file.write_text(json.dumps(described))
    assert coco.run().failed == 4
    assert failures(coco)[0]["error"].startswith(
        "labels are for 64x80 px, as the image is stored; its EXIF turns it to 80x64 px"
    )


def test_a_transform_that_cannot_move_objects_is_refused_before_any_work(coco: JobFolder) -> None:
    write(coco, augment={"recipes": {"cut": [{"RandomGridShuffle": {}}]}})
    with pytest.raises(ManifestError, match="RandomGridShuffle cuts objects apart"):
        coco.run()


def test_categories_stand_in_the_order_of_their_numbers(coco: JobFolder) -> None:
    coco.run()
    about = json.loads((coco.out / "dataset.json").read_text())
    assert [category["name"] for category in about["categories"]] == ["cat", "dog"]
    assert [category["coco_id"] for category in about["categories"]] == [1, 3]


def test_datasets_without_objects_have_the_same_columns(job: JobFolder) -> None:
    job.run()
    for row in rows(job):
        assert row["objects"]["bbox"] == row["objects"]["categories"] == []
        assert (row["dropped_objects"], row["group_id"], row["mask_path"]) == ("[]", "", "")
