"""YOLO datasets: data.yaml, label files, and where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.labels import Category, Object
from manifests.readers.yolo import label_file
from manifests.readers.yolo_rows import read_rows
from tests.manifests.listing import add_photos, listed, only_image, problems

ENTRY = {"path": "d/data.yaml"}


def write(folder: Path, rows: str = "", **fields: Any) -> None:
    """One image of split train with those rows, one of val without a label file."""
    add_photos(folder, "d/images/train/a.png", "d/images/val/b.png")
    for split in ("train", "val"):
        (folder / "d" / "labels" / split).mkdir(parents=True, exist_ok=True)
    described = {"train": "images/train", "val": "images/val", "names": ["cat", "dog"]} | fields
    (folder / "d" / "data.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    if rows:
        (folder / "d" / "labels" / "train" / "a.txt").write_text(rows)


def objects(folder: Path) -> tuple[Object, ...]:
    return only_image(folder, ENTRY | {"split": "train"}).labels.objects


def test_rows_are_boxes_or_polygons_in_shares_of_the_image(tmp_path: Path) -> None:
    write(tmp_path, "1 0.5 0.5 0.25 0.5\n\n0 0.1 0.2 0.9 0.2 0.9 0.8\r\n")
    train, val = listed(tmp_path, ENTRY).images
    assert (train.name, train.inside, train.split) == (
        "d/images/train/a.png",
        "images/train/a.png",
        "train",
    )
    assert (val.split, val.labels.objects) == ("val", ())
    assert (train.labels.width, train.labels.height) == (1, 1)
    assert train.labels.objects == (
        Object("dog", (0.375, 0.25, 0.625, 0.75)),
        Object("cat", (0.1, 0.2, 0.9, 0.8), ((0.1, 0.2, 0.9, 0.2, 0.9, 0.8),)),
    )


def test_poses_have_as_many_keypoints_as_kpt_shape_says(tmp_path: Path) -> None:
    shape = {"kpt_shape": [2, 3], "flip_idx": [1, 0]}
    write(tmp_path, "0 0.5 0.5 1 1 0.1 0.2 2 0 0 0\n", **shape)
    (one,) = objects(tmp_path)
    assert one.keypoints == ((0.1, 0.2, 2), (0, 0, 0))
    assert listed(tmp_path, ENTRY).categories[0] == Category(
        "cat", keypoints=("0", "1"), flip_idx=(1, 0)
    )


def test_keypoints_without_visibility_are_unlabelled_outside_the_image(tmp_path: Path) -> None:
    write(tmp_path, "0 0.5 0.5 1 1 0.1 0.2 -1 -1\n", kpt_shape=[2, 2], flip_idx=[0, 1])
    (one,) = objects(tmp_path)
    assert one.keypoints == ((0.1, 0.2, 2), (-1, -1, 0))


def test_names_of_keypoints_say_which_are_each_other_in_a_mirror(tmp_path: Path) -> None:
    names = {0: ["left", "right", "nose"], 1: ["head", "left ear", "right ear"]}
    write(tmp_path, kpt_shape=[3, 3], kpt_names=names)
    assert [one.flip_idx for one in listed(tmp_path, ENTRY).categories] == [(1, 0, 2), (0, 2, 1)]


def test_names_are_a_list_or_a_mapping(tmp_path: Path) -> None:
    write(tmp_path, names={1: "dog", 0: "cat"}, nc=2)
    assert [one.name for one in listed(tmp_path, ENTRY).categories] == ["cat", "dog"]


def test_splits_are_folders_lists_of_folders_or_lists_in_a_file(tmp_path: Path) -> None:
    add_photos(tmp_path, "d/more/c.png", "d/images/train/x/e.png")
    (tmp_path / "d" / "val.txt").write_text("./images/val/b.png\n\nmore/c.png\n")
    write(tmp_path, train=["images/train", "images/val"], val=None, test="val.txt")
    (tmp_path / "d" / "more" / "c.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    by_split = {
        split: [
            (one.inside, len(one.labels.objects))
            for one in listed(tmp_path, {"path": "d", "split": split}).images
        ]
        for split in ("train", "test")
    }
    assert by_split == {
        "train": [("images/train/a.png", 0), ("images/train/x/e.png", 0), ("images/val/b.png", 0)],
        "test": [("images/val/b.png", 0), ("more/c.png", 1)],
    }


def test_labels_are_where_the_last_folder_images_would_be_labels() -> None:
    root = Path("/images/d")
    assert label_file("/images/d/images/x/a.b.png", root) == "/images/d/labels/x/a.b.txt"
    assert label_file("/images/d/images/images/a.png", root) == "/images/d/images/labels/a.txt"
    assert label_file("/images/d/photos/a.png", root) == "/images/d/photos/a.txt"
    assert label_file("/images/d/my images/a.png", root) == "/images/d/my images/a.txt"


@pytest.mark.parametrize("images", ["d/train/img", "d/Images/train", "d/images/test"])
def test_a_split_without_any_label_file_is_a_problem(tmp_path: Path, images: str) -> None:
    write(tmp_path, "0 0.5 0.5 1 1\n", train=images.removeprefix("d/"))
    add_photos(tmp_path, f"{images}/a.png", f"{images}/b.png")
    (tmp_path / "d" / "train" / "labels").mkdir(parents=True)
    (tmp_path / "d" / "train" / "labels" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    (problem,) = problems(tmp_path, ENTRY)
    first = f"{images}/a.txt".replace("/images/", "/labels/")
    assert problem.startswith("d/data.yaml:1: train: no image has labels; those of the first were")
    assert f"looked for at {first}, since the last folder images of its path becomes" in problem
    (tmp_path / first).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / first).touch()
    assert len(listed(tmp_path, ENTRY).images) == 3


def test_a_folder_of_labels_without_any_says_that_there_are_no_objects(tmp_path: Path) -> None:
    write(tmp_path)
    assert [one.labels.objects for one in listed(tmp_path, ENTRY).images] == [(), ()]


def test_folders_above_the_dataset_are_no_folders_of_images(tmp_path: Path) -> None:
    above = tmp_path / "images"
    write(above, train="photos")
    add_photos(above, "d/photos/a.png")
    (above / "d" / "photos" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    assert len(objects(above)) == 1


def test_path_is_the_folder_of_the_dataset(tmp_path: Path) -> None:
    write(tmp_path, "0 0.5 0.5 1 1\n", path="../d")
    (tmp_path / "yaml").mkdir()
    (tmp_path / "d" / "data.yaml").rename(tmp_path / "yaml" / "mine.yml")
    image = only_image(tmp_path, {"path": "yaml/mine.yml", "split": "train"})
    assert (image.name, image.inside) == ("d/images/train/a.png", "images/train/a.png")
    assert len(image.labels.objects) == 1


def test_a_split_one_folder_too_high_is_the_one_that_is_there(tmp_path: Path) -> None:
    write(tmp_path, train="../images/train")
    assert len(listed(tmp_path, ENTRY).images) == 2


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("2 0.5 0.5 1 1", "expected a class number, 0..1 for the names there are, got 2"),
        ("-1 0.5 0.5 1 1", "expected a class number, 0..1 for the names there are, got -1"),
        ("0.5 0.5 0.5 1 1", "expected a class number, 0..1 for the names there are, got 0.5"),
        ("cat 0.5 0.5 1 1", "expected finite numbers, got 'cat'"),
        ("0 0.5 0.5 1", "expected 5 columns (class and box) or 7, 9, … (class and polygon), got 4"),
        ("0 0.5 0.5 1 1 0.9", "expected 5 columns (class and box) or 7, 9"),
        ("0 0.5 nan 1 1", "expected finite numbers, got '0.5 nan 1 1'"),
        ("0 0.5 0.5 1 inf", "expected finite numbers"),
        ("0 320 240 20 20", "expected shares of the image's width and height, 0..1, got 320"),
    ],
)
def test_wrong_rows_are_named_with_their_line(tmp_path: Path, row: str, expected: str) -> None:
    write(tmp_path, f"0 0.5 0.5 1 1\n{row}\n{row}\n")
    found = problems(tmp_path, ENTRY)
    assert len(found) == 2
    assert found[1].startswith(f"d/labels/train/a.txt:3: {expected}")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "0 0.5 0.5 1 1",
            "expected 11 columns, for class, box and 2 keypoints of 3 numbers, got 5",
        ),
        ("0 0.5 0.5 1 1 0 0 3 0 0 0", "expected visibilities 0, 1 or 2, got [3.0, 0.0]"),
    ],
)
def test_wrong_poses_are_named_with_their_line(tmp_path: Path, row: str, expected: str) -> None:
    write(tmp_path, row, kpt_shape=[2, 3], flip_idx=[0, 1])
    assert problems(tmp_path, ENTRY) == [f"d/labels/train/a.txt:1: {expected}"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"train": "nowhere"},
            "1: train: expected a folder or .txt list, and there is none at d/n",
        ),
        ({"train": "/etc"}, "1: train: expected a folder or .txt list inside d, got '/etc'"),
        ({"val": "../.."}, "2: val: expected a folder or .txt list inside d, got '../..'"),
        ({"val": [["a"]]}, "2: val: expected a path, got ['a']"),
        ({"names": None}, "3: names: expected a list, or a mapping of numbers to names, got None"),
        (
            {"names": {0: "a", 2: "b"}},
            "3: names: expected numbers from 0, none left out, got [0, 2]",
        ),
        ({"names": ["a", False]}, "3: names: expected the name of a category, text, got False"),
        ({"names": ["a", "b", "a"]}, "3: names: expected each name once, got 'a' twice"),
        ({"nc": 3}, "3: names: there are 2 names, but nc is 3"),
        ({"path": "nowhere"}, "6: path: there is no folder d/nowhere"),
        ({"kpt_shape": [0, 3]}, "6: kpt_shape: expected [number of keypoints, 2 or 3], got [0, 3]"),
        ({"kpt_shape": [2, 3]}, "6: kpt_shape: expected flip_idx, for each of the 2 keypoints"),
        ({"kpt_shape": [2, 3], "flip_idx": [0, 0]}, "6: kpt_shape: expected flip_idx, for each"),
        ({"kpt_shape": [2, 2], "kpt_names": {0: ["a"]}}, "6: kpt_shape: expected 2 kpt_names of"),
        ({"test": "images/train"}, "6: test: is the same as train; choose one"),
        ({"val": ["images/train", "images/val"]}, "2: val: is the same as train; choose one"),
    ],
)
def test_what_is_wrong_with_the_data_yaml_is_named_with_its_line(
    tmp_path: Path, fields: dict[str, Any], expected: str
) -> None:
    write(tmp_path, **fields)
    assert [one for one in problems(tmp_path, ENTRY) if one.startswith(f"d/data.yaml:{expected}")]


def test_all_problems_of_a_data_yaml_are_listed(tmp_path: Path) -> None:
    write(tmp_path, train="nowhere", val="/etc", names=[], kpt_shape=3)
    assert len(problems(tmp_path, ENTRY)) == 4


def test_a_val_that_is_train_is_train_alone(tmp_path: Path) -> None:
    write(tmp_path, "0 0.5 0.5 1 1", val="images/train")
    found = listed(tmp_path, ENTRY)
    assert [(one.name, one.split) for one in found.images] == [("d/images/train/a.png", "train")]
    (note,) = found.notes
    assert note.endswith("/d/data.yaml:2: val: is the same as train, so it is read as train")
    assert only_image(tmp_path, ENTRY | {"split": "val"}).split == "val"


def test_without_splits_or_without_a_data_yaml_it_is_said_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path, "0 0.5 0.5 1 1", train=None, val=None)
    assert problems(tmp_path, ENTRY) == ["d/data.yaml: expected at least one of train, val, test"]
    (tmp_path / "d" / "data.yaml").unlink()
    assert problems(tmp_path, {"path": "d"}) == [
        "job.yaml:4: content[0].path: expected a data.yaml, which names classes and splits, in d"
    ]


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write(tmp_path)
    (problem,) = problems(tmp_path, ENTRY | {"split": "validation"})
    assert problem.endswith("d/data.yaml has no split validation; it has train, val")


def test_labels_without_an_image_are_problems(tmp_path: Path) -> None:
    write(tmp_path, "0 0.5 0.5 1 1\n")
    labels = tmp_path / "d" / "labels" / "train"
    (labels / "gone.txt").write_text("0 0.5 0.5 1 1\n")
    (labels / "classes.txt").write_text("cat\ndog\n")
    assert problems(tmp_path, ENTRY) == [
        "d/labels/train/gone.txt: there is no image for it in d/images/train"
    ]


def test_other_text_beside_the_images_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, train="more", val=None)
    add_photos(tmp_path, "d/more/c.png")
    (tmp_path / "d" / "more" / "c.txt").touch()
    (tmp_path / "d" / "more" / "README.txt").write_text("Of cats.")
    assert only_image(tmp_path, ENTRY).inside == "more/c.png"


def test_wrong_lines_of_a_list_are_named(tmp_path: Path) -> None:
    rows = ["images/val/b.png", "none.png", "../job.yaml", "/etc/passwd", "./images/val/b.png"]
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.txt").write_text("\n".join(rows))
    write(tmp_path, train="train.txt")
    found = problems(tmp_path, ENTRY | {"split": "train"})
    assert [problem.split(":")[1] for problem in found] == ["2", "3", "4", "5"]
    for problem, expected in zip(
        found,
        (
            "there is no image 'none.png' in d",
            "stays inside d, got '../job.yaml'",
            "stays inside d, got '../",
            "is named in line 1, too",
        ),
    ):
        assert expected in problem


def test_a_label_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    write(tmp_path, "0")
    (tmp_path / "d" / "labels" / "train" / "a.txt").write_bytes(b"0 0.5 0.5 1 1\n\xff")
    assert problems(tmp_path, ENTRY) == ["d/labels/train/a.txt:2: is not UTF-8 text (byte 14)"]


NUMBERS = st.floats(-1, 2).map(lambda number: round(number, 6))


@given(st.lists(st.tuples(st.integers(0, 1), NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=5))
def test_boxes_that_were_written_are_read_back(rows: list[tuple[float, ...]]) -> None:
    text = "\n".join(" ".join(map(str, row)) for row in rows)
    wrong: list[int] = []
    found = read_rows(text, [Category("a"), Category("b")], 0, lambda line, _: wrong.append(line))
    assert wrong == []
    for (number, x, y, width, height), one in zip(rows, found, strict=True):
        assert one.category == "ab"[int(number)]
        x1, y1, x2, y2 = one.box
        again = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        assert again == pytest.approx((x, y, width, height), abs=1e-9)


@given(
    st.text(st.sampled_from("0123456789.- \n\tnaife+_"), max_size=60), st.sampled_from([0, 2, 3])
)
@settings(deadline=None)
def test_any_row_is_an_object_or_a_problem(text: str, keypoint_numbers: int) -> None:
    wrong: list[int] = []
    category = Category("a", keypoints=("x",) if keypoint_numbers else ())
    found = read_rows(text, [category], keypoint_numbers, lambda line, _: wrong.append(line))
    rows = [line for line, row in enumerate(text.split("\n"), start=1) if row.split()]
    assert len(found) + len(wrong) == len(rows)
    assert set(wrong) <= set(rows)


def test_real_boxes_are_those_of_the_coco_file(tmp_path: Path, shared: Path) -> None:
    real = shared / "data" / "coco48"
    (tmp_path / "d").mkdir()
    for name in ("images", "labels"):
        (tmp_path / "d" / name).symlink_to(real / name)
    names = yaml.safe_load((real / "yolo.yaml").read_text())["names"]
    (tmp_path / "d" / "data.yaml").write_text(yaml.safe_dump({"train": "images", "names": names}))
    coco_entry = {
        "path": str(real / "images"),
        "annotations": str(real / "annotations" / "instances.json"),
    }
    coco = {image.inside: image.labels for image in listed(tmp_path, coco_entry).images}
    yolo = listed(tmp_path, ENTRY).images
    assert len(yolo) == 48
    for image in yolo:
        theirs = coco[Path(image.inside).name]
        size = (theirs.width, theirs.height) * 2
        boxes = [
            (one.category, *(share * side for share, side in zip(one.box, size)))
            for one in image.labels.objects
        ]
        of_coco = [(one.category, *one.box) for one in theirs.objects if not one.crowd]
        assert len(boxes) == len(of_coco)
        for ours, others in zip(sorted(boxes, key=coarsely), sorted(of_coco, key=coarsely)):
            assert ours[0] == others[0]
            assert ours[1:] == pytest.approx(others[1:], abs=1.0)


def coarsely(box: tuple[Any, ...]) -> list[Any]:
    return [box[0], *map(round, box[1:])]
