"""Hugging Face's imagefolder and lists with objects; gramflow's own output read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from manifests.label_rows import numbered, objects_column
from manifests.labels import Category, Object, Rle
from tests.manifests.listing import add_photos, listed, only_image, problems

ENTRY = {"path": "d"}
OBJECTS = {"bbox": [[1, 2, 3.5, 4]], "categories": [1]}


def write(folder: Path, *rows: dict[str, Any], to: str = "d/metadata.jsonl") -> None:
    """Metadata, and a photograph for each of their rows that names one."""
    file = folder / to
    add_photos(file.parent, "a.png", "b.png")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def about(folder: Path, *categories: dict[str, Any]) -> None:
    text = json.dumps({"gramflow_version": "0.1", "categories": categories})
    (folder / "d" / "dataset.json").write_text(text)


def test_rows_give_labels_splits_and_groups(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"file_name": "a.png", "label": "my cat", "split": "val", "group_id": 7},
        {"file_name": "b.png", "label": "", "objects": OBJECTS, "mask_file_name": "a.png"},
    )
    first, second = listed(tmp_path, ENTRY).images
    assert (first.name, first.inside, first.split) == ("d/a.png", "a.png", "val")
    assert (first.labels.class_name, first.group) == ("my cat", "7")
    assert (second.labels.class_name, second.split) == (None, "train")
    assert second.labels.objects == (Object("1", (1, 2, 4.5, 6)),)
    assert second.labels.semantic_mask == first.file


def test_split_chooses_among_the_rows_that_say_theirs(tmp_path: Path) -> None:
    write(tmp_path, {"file_name": "a.png", "split": "val"}, {"file_name": "b.png"})
    content = listed(tmp_path, ENTRY | {"split": "test"})
    assert [(one.inside, one.split) for one in content.images] == [("b.png", "test")]


def test_folders_named_as_splits_are_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "more"):
        write(tmp_path, {"file_name": "a.png"}, to=f"d/{split}/metadata.jsonl")
    found = {one.inside: one.split for one in listed(tmp_path, ENTRY).images}
    assert found == {"more/a.png": "train", "train/a.png": "train", "val/a.png": "val"}


def test_metadata_of_the_folder_and_of_its_folders_are_read(tmp_path: Path) -> None:
    write(tmp_path, {"file_name": "a.png", "label": "cat"}, to="d/val/metadata.jsonl")
    add_photos(tmp_path, "d/test/a.png")
    named = ("a.png", "test/a.png", "val/a.png", "val/b.png")
    rows = [{"file_name": name, "label": "cat"} for name in named]
    write(tmp_path, *rows)
    found = {one.inside: one.split for one in listed(tmp_path, ENTRY).images}
    assert found == dict(zip(named, ("train", "train", "val", "val")))
    in_train = listed(tmp_path, ENTRY | {"split": "train"}).images
    assert [one.inside for one in in_train] == ["a.png", "test/a.png"]
    write(tmp_path, *rows[:2], {"file_name": "val/a.png", "label": "dog"})
    (problem,) = problems(tmp_path, ENTRY)
    assert problem.endswith(
        "1 image has another class here than where it is named first: "
        "d/val/a.png (cat, first dog); give each image one class"
    )


def test_csv_and_parquet_are_metadata_too(tmp_path: Path) -> None:
    add_photos(tmp_path / "csv", "a.png")
    text = json.dumps(OBJECTS).replace('"', '""')
    (tmp_path / "csv" / "metadata.csv").write_text(f'file_name,label,objects\na.png,3,"{text}"\n')
    add_photos(tmp_path / "parquet", "a.png")
    table = pyarrow.table({"file_name": ["a.png"], "label": [3], "objects": [OBJECTS]})
    pyarrow.parquet.write_table(table, tmp_path / "parquet" / "metadata.parquet")
    for folder in ("csv", "parquet"):
        labels = only_image(tmp_path, {"path": folder}).labels
        assert labels.class_name == "3"
        assert labels.objects == (Object("1", (1, 2, 4.5, 6)),)


def test_numbers_without_names_are_their_own_names_in_their_order(tmp_path: Path) -> None:
    boxes = [[0, 0, 1, 1]] * 3
    write(tmp_path, {"file_name": "a.png", "objects": {"bbox": boxes, "categories": [10, 2, 0]}})
    assert [one.name for one in listed(tmp_path, ENTRY).categories] == ["0", "2", "10"]


def test_other_lists_of_objects_are_passed_through(tmp_path: Path) -> None:
    objects = OBJECTS | {"id": [114], "area": [14], "iscrowd": [1]}
    write(tmp_path, {"file_name": "a.png", "objects": objects})
    (one,) = only_image(tmp_path, ENTRY).labels.objects
    assert (one.crowd, json.loads(one.extras)) == (True, {"id": 114})


def test_what_gramflow_wrote_it_reads_again(tmp_path: Path) -> None:
    categories = (
        Category("dog", "animal", coco_id=18),
        Category("person", keypoints=("l", "r"), skeleton=((0, 1),), flip_idx=(1, 0)),
    )
    objects = (
        Object("person", (1, 2, 4.5, 6), keypoints=((1, 2, 2), (0, 0, 0)), extras='{"id":3}'),
        Object("dog", (0, 0, 9, 9), polygons=((0, 0, 9, 0, 9, 9),)),
        Object(
            "dog", (0, 0, 2, 2), polygons=((0, 0, 2, 0, 2, 2),), rle=Rle(2, 2, "04"), crowd=True
        ),
    )
    column = objects_column(objects, [1.0] * 3, [1.0] * 3)
    column = numbered(column, {"dog": 0, "person": 1})
    write(tmp_path, {"file_name": "a.png", "objects": column}, to="d/train/metadata.jsonl")
    about(tmp_path, *map(asdict, categories))
    content = listed(tmp_path, ENTRY)
    assert content.images[0].labels.objects == objects
    assert content.categories == categories
    # Each of its folders and tables is a dataset, too.
    assert listed(tmp_path, {"path": "d/train"}).images[0].labels.objects == objects
    as_list = listed(tmp_path, {"path": "d/train/metadata.jsonl"})
    assert as_list.images[0].labels.objects == objects
    assert as_list.categories == categories


def row(**objects: Any) -> dict[str, Any]:
    return {"file_name": "a.png", "objects": OBJECTS | objects}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"label": "a"}, "file_name: is required; for class folders beside other metadata, name"),
        ({"file_name": "none.png"}, "file_name: there is no image 'none.png' in d"),
        ({"file_name": "../job.yaml"}, "file_name: expected a file name that stays inside d"),
        ({"file_name": "/etc/passwd"}, "file_name: expected a file name that stays inside d"),
        ({"file_name": ["a.png"]}, "file_name: expected a path, got ['a.png']"),
        ({"file_name": "\ud800"}, "file_name: expected a path, got half a character"),
        ({"file_name": "b.png"}, "file_name: is that of line 1, too"),
        ({"file_name": "a.png", "label": "../x"}, "label: expected a class name"),
        ({"file_name": "a.png", "split": "a/b"}, "split: expected letters, digits"),
        ({"file_name": "a.png", "mask_file_name": "no.png"}, "mask_file_name: there is no image"),
        (
            {"file_name": "a.png", "objects": 3},
            "objects: expected {bbox: [...], categories: [...]}",
        ),
        ({"file_name": "a.png", "objects": {"bbox": []}}, "objects: expected bbox and categories"),
        ({"file_name": "a.png", "objects": "{"}, "objects: is not JSON"),
        (row(categories=[0, 1]), "objects: expected lists of one length, got 1 bbox, 2 categories"),
        (row(categories=[-1]), "objects[0]: categories: expected numbers >= 0 or names, got -1"),
        (row(categories=[None]), "objects[0]: expected the name of a category, text, got None"),
        (row(bbox=[[1, 2, 3]]), "objects[0]: bbox: expected [x, y, width, height], 4 finite"),
        (row(bbox=[[1, 2, float("nan"), 4]]), "objects[0]: bbox: expected [x, y, width, height]"),
        (row(iscrowd=[2]), "objects[0]: iscrowd: expected 0 or 1, got 2"),
        (row(segmentation=["3"]), "objects[0]: segmentation: expected polygons or run lengths"),
        (row(segmentation=['{"size": [2, 2], "counts": "01"}']), "objects[0]: segmentation: exp"),
        (row(keypoints=[[1, 2, 2]]), "objects[0]: keypoints: expected none, for dataset.json"),
        (row(extras=["[]"]), "objects[0]: extras: expected a JSON object as text, got '[]'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, wrong: dict[str, Any], expected: str
) -> None:
    write(tmp_path, {"file_name": "b.png"}, wrong)
    (problem,) = problems(tmp_path, ENTRY)
    assert problem.startswith(f"d/metadata.jsonl:2: {expected}")


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"file_name": "a.png"})
    with (tmp_path / "d" / "metadata.jsonl").open("a") as lines:
        lines.write('{"file_name": "none.png"}\n{\n3\n{"file_name": "b.png"}\n{"x": 1}\n')
    assert [one.split(":")[1] for one in problems(tmp_path, ENTRY)] == ["2", "6", "3", "4"]


@pytest.mark.parametrize(
    ("categories", "objects", "expected"),
    [
        ([{"name": "cat"}], OBJECTS, "d/metadata.jsonl:1: objects[0]: categories: expected 0..0"),
        ([{"name": "cat"}], OBJECTS | {"categories": ["dog"]}, "'dog' is not among those of datas"),
        (
            [{"name": "cat"}] * 2,
            OBJECTS,
            "d/dataset.json: categories[1]: name 'cat' is given twice",
        ),
        ([{}], OBJECTS, "d/dataset.json: categories[0]: expected the name of a category"),
        ([{"name": "a", "flip_idx": [1]}], OBJECTS, "d/dataset.json: categories[0]: flip_idx: exp"),
        ([{"name": "a", "skeleton": [1]}], OBJECTS, "d/dataset.json: categories[0]: skeleton: exp"),
    ],
)
def test_categories_that_do_not_fit_are_problems(
    tmp_path: Path, categories: list[dict[str, Any]], objects: dict[str, Any], expected: str
) -> None:
    write(tmp_path, {"file_name": "a.png", "objects": objects})
    about(tmp_path, *categories)
    assert expected in problems(tmp_path, ENTRY)[0]


def test_a_dataset_json_of_others_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {"file_name": "a.png", "objects": OBJECTS})
    (tmp_path / "d" / "dataset.json").write_text('{"categories": 3}')
    assert [one.name for one in listed(tmp_path, ENTRY).categories] == ["1"]


def test_metadata_that_are_no_parquet_are_named(tmp_path: Path) -> None:
    add_photos(tmp_path / "d", "a.png")
    (tmp_path / "d" / "metadata.parquet").write_bytes(b"PAR1 no")
    (problem,) = problems(tmp_path, ENTRY)
    assert problem.startswith("d/metadata.parquet: is not Parquet")


def test_format_folder_takes_images_as_they_lie_beside_metadata(tmp_path: Path) -> None:
    write(tmp_path, {"note": "no imagefolder"})
    assert len(listed(tmp_path, ENTRY | {"format": "folder"}).images) == 2


def test_lists_have_objects_too(tmp_path: Path) -> None:
    write(tmp_path, {"path": "d/a.png", "objects": OBJECTS | {"categories": ["cat"]}}, to="l.jsonl")
    add_photos(tmp_path, "d/a.png")
    content = listed(tmp_path, {"path": "l.jsonl"})
    assert content.images[0].labels.objects == (Object("cat", (1, 2, 4.5, 6)),)
    assert content.categories == (Category("cat"),)
