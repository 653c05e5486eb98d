"""COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools.coco import COCO

from manifests.labels import Category, Object
from manifests.readers.shapes import rle_of
from tests.manifests.listing import add_photos, listed, only_image, problems

ENTRY = {"path": "images", "annotations": "coco.json"}
MASK = np.zeros((40, 48), np.uint8)
MASK[10:20, 5:25] = 1


def document() -> dict[str, Any]:
    """Two images, three objects, one of them a person with three keypoints."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 48, "height": 40},
            {"id": 9, "file_name": "deep/b.png", "width": 48, "height": 40, "license": 3},
        ],
        "categories": [
            {"id": 18, "name": "dog", "supercategory": "animal"},
            {
                "id": 1,
                "name": "person",
                "keypoints": ["nose", "left_eye", "right_eye"],
                "skeleton": [[1, 2], [1, 3]],
            },
        ],
        "annotations": [
            {
                "id": 4021,
                "image_id": 7,
                "category_id": 18,
                "bbox": [4.5, 6, 20, 10.25],
                "area": 200,
                "iscrowd": 0,
                "segmentation": [[4.5, 6, 24.5, 6, 24.5, 16.25], [5, 7, 6, 7, 6, 9]],
                "confidence": 0.5,
            },
            {
                "id": 4022,
                "image_id": 7,
                "category_id": 1,
                "bbox": [0, 0, 10, 30],
                "num_keypoints": 2,
                "keypoints": [5, 2, 2, 7, 3.5, 1, 0, 0, 0],
            },
            {
                "id": 4023,
                "image_id": 9,
                "category_id": 18,
                "bbox": [5, 10, 20, 10],
                "iscrowd": 1,
                "segmentation": {"size": [40, 48], "counts": run_lengths(MASK)},
            },
        ],
    }


def run_lengths(mask: np.ndarray) -> list[int]:
    """Column by column, beginning with zeros."""
    values = mask.flatten(order="F")
    ends = np.flatnonzero(np.diff(values)) + 1
    lengths = np.diff([0, *ends, len(values)]).tolist()
    return [0, *lengths] if values[0] else lengths


def write(folder: Path, whole: Any, indent: int | None = None) -> None:
    add_photos(folder, "images/a.png", "images/deep/b.png")
    (folder / "coco.json").write_text(json.dumps(whole, indent=indent))


def test_objects_come_with_all_that_the_file_says(tmp_path: Path) -> None:
    write(tmp_path, document())
    content = listed(tmp_path, ENTRY)
    first, second = content.images
    assert (first.name, first.inside, first.split) == ("images/a.png", "a.png", "train")
    assert (second.name, second.inside) == ("images/deep/b.png", "deep/b.png")
    assert (first.labels.width, first.labels.height) == (48, 40)
    assert first.labels.objects == (
        Object(
            "dog",
            (4.5, 6, 24.5, 16.25),
            polygons=((4.5, 6, 24.5, 6, 24.5, 16.25), (5, 7, 6, 7, 6, 9)),
            extras='{"confidence":0.5,"id":4021}',
        ),
        Object(
            "person",
            (0, 0, 10, 30),
            keypoints=((5.5, 2.5, 2), (7.5, 4, 1), (0, 0, 0)),
            extras='{"id":4022}',
        ),
    )
    (crowd,) = second.labels.objects
    assert crowd.crowd
    assert crowd.rle is not None
    packed = {"size": [crowd.rle.height, crowd.rle.width], "counts": crowd.rle.counts}
    np.testing.assert_array_equal(pycocotools.mask.decode(packed), MASK)


def test_categories_keep_order_id_skeleton_and_get_the_mirror_of_their_keypoints(
    tmp_path: Path,
) -> None:
    write(tmp_path, document())
    assert listed(tmp_path, ENTRY).categories == (
        Category("dog", "animal", coco_id=18),
        Category(
            "person",
            keypoints=("nose", "left_eye", "right_eye"),
            skeleton=((0, 1), (0, 2)),
            flip_idx=(0, 2, 1),
            coco_id=1,
        ),
    )


def test_an_object_without_a_box_gets_that_of_its_area(tmp_path: Path) -> None:
    whole = document()
    for annotation in whole["annotations"]:
        annotation["bbox"] = None
    del whole["annotations"][1]
    write(tmp_path, whole)
    boxes = [image.labels.objects[0].box for image in listed(tmp_path, ENTRY).images]
    assert boxes == [(4.5, 6, 24.5, 16.25), (5, 10, 25, 20)]


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("coco.json", "."),
        ("coco.json", "images"),
        ("annotations/coco.json", "."),
        ("annotations/coco.json", "images"),
        ("annotations/instances_train.json", "train"),
    ],
)
def test_a_path_to_the_json_finds_the_images_near_it(
    tmp_path: Path, file: str, images: str
) -> None:
    add_photos(tmp_path, f"d/{images}/a.png", f"d/{images}/deep/b.png")
    (tmp_path / "d" / file).parent.mkdir(exist_ok=True)
    (tmp_path / "d" / file).write_text(json.dumps(document()))
    names = [image.name for image in listed(tmp_path, {"path": f"d/{file}"}).images]
    assert names == [str(Path("d", images, name)) for name in ("a.png", "deep/b.png")]


Change = Callable[[dict[str, Any]], object]


def of_annotation(**values: Any) -> Change:
    return lambda whole: whole["annotations"][0].update(values)


WRONG: dict[str, tuple[Change, str]] = {
    "missing image": (
        lambda whole: whole["images"][0].update(file_name="none.png"),
        "images[0] (id 7): there is no image 'none.png' in images",
    ),
    "out of the folder": (
        lambda whole: whole["images"][0].update(file_name="../coco.json"),
        "images[0] (id 7): expected a file name that stays inside images, got '../coco.json'",
    ),
    "absolute": (
        lambda whole: whole["images"][0].update(file_name="/etc/passwd"),
        "images[0] (id 7): expected a file name that stays inside images, got '/etc/passwd'",
    ),
    "no name": (
        lambda whole: whole["images"][0].update(file_name=None),
        "images[0] (id 7): is required",
    ),
    "image twice": (
        lambda whole: whole["images"][1].update(file_name="./a.png"),
        "images[1] (id 9): file_name 'a.png' is that of another image, too",
    ),
    "image id twice": (
        lambda whole: whole["images"].append(whole["images"][0]),
        "images[2] (id 7): id 7 is given twice",
    ),
    "image size": (
        lambda whole: whole["images"][0].update(width=-1),
        "images[0] (id 7): expected width and height in pixels, got [-1, 40]",
    ),
    "category id twice": (
        lambda whole: whole["categories"][1].update(id=18),
        "categories[1] (id 18): id 18 is given twice",
    ),
    "category name twice": (
        lambda whole: whole["categories"].append({"id": 2, "name": "dog"}),
        "categories[2] (id 2): name 'dog' is that of another category, too",
    ),
    "skeleton": (
        lambda whole: whole["categories"][1].update(skeleton=[[0, 1]]),
        "categories[1] (id 1): skeleton: expected pairs of numbers of keypoints, got [[0, 1]]",
    ),
    "annotation id twice": (
        lambda whole: whole["annotations"][1].update(id=4021),
        "annotations[1] (id 4021): id 4021 is given twice",
    ),
    "annotation of no image": (
        of_annotation(image_id=99),
        "annotations[0] (id 4021): image_id 99 is not among the images",
    ),
    "unknown category": (
        of_annotation(category_id=2),
        "annotations[0] (id 4021): category_id 2 is not among the categories",
    ),
    "box with NaN": (
        of_annotation(bbox=[0, 0, float("nan"), 3]),
        "annotations[0] (id 4021): bbox: expected [x, y, width, height], 4 finite numbers, got "
        "[0, 0, nan, 3]",
    ),
    "box of text": (of_annotation(bbox=["0", 0, 1, 3]), "4 finite numbers, got ['0', 0, 1, 3]"),
    "box of truth": (of_annotation(bbox=[True, 0, 1, 3]), "4 finite numbers, got [True, 0, 1, 3]"),
    "box too large": (of_annotation(bbox=[1e308, 0, 1e308, 3]), "4 finite numbers, got [1e+308"),
    "box of a huge whole number": (of_annotation(bbox=[10**400, 0, 1, 1]), "4 finite numbers"),
    "no box at all": (
        lambda whole: whole["annotations"][1].pop("bbox"),
        "annotations[1] (id 4022): bbox: is required where there is no segmentation",
    ),
    "polygon of two points": (
        of_annotation(segmentation=[[1, 2, 3, 4]]),
        "segmentation: expected polygons of 3 or more points, x and y of each, got 4 numbers",
    ),
    "polygon of text": (
        of_annotation(segmentation=["1 2 3 4 5 6"]),
        "segmentation: expected polygons [x1, y1, …] of finite numbers, got '1 2 3 4 5 6'",
    ),
    "run lengths of another size": (
        of_annotation(segmentation={"size": [48, 40], "counts": [1920]}),
        "segmentation: its run lengths are of 40x48 px, the image has 48x40",
    ),
    "run lengths that end too early": (
        of_annotation(segmentation={"size": [40, 48], "counts": [1919]}),
        "segmentation: expected counts, none below 0, that fill 48x40 px, got [1919]",
    ),
    "packed run lengths that go too far": (
        of_annotation(segmentation={"size": [40, 48], "counts": "PPPPPPPPP1"}),
        "segmentation: counts are no run lengths: 'PPPPPPPPP1'",
    ),
    "packed run lengths that end too early": (
        of_annotation(segmentation={"size": [40, 48], "counts": "P"}),
        "segmentation: counts end too early: 'P'",
    ),
    "a crowd of two": (of_annotation(iscrowd=2), "iscrowd: expected 0 or 1, got 2"),
    "keypoints of a category without": (
        of_annotation(keypoints=[1, 2, 2]),
        "keypoints: category 'dog' names none",
    ),
    "too few keypoints": (
        lambda whole: whole["annotations"][1].update(keypoints=[1, 2, 2]),
        "keypoints: expected 3 of x, y, visibility, so 9 numbers, got 3",
    ),
    "visibility": (
        lambda whole: whole["annotations"][1].update(keypoints=[1, 2, 3] * 3),
        "keypoints: expected finite numbers with visibilities 0, 1 or 2, got [1, 2, 3",
    ),
    "NaN in an unknown field": (
        of_annotation(confidence=float("nan")),
        "annotations[0] (id 4021): a field besides COCO's has no JSON value",
    ),
    "no list": (
        lambda whole: whole.update(annotations={}),
        "coco.json: annotations: expected a list",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, name: str) -> None:
    change, expected = WRONG[name]
    whole = document()
    change(whole)
    write(tmp_path, whole)
    assert [problem for problem in problems(tmp_path, ENTRY) if expected in problem]


def test_all_problems_are_listed_each_with_its_line(tmp_path: Path) -> None:
    whole = document()
    whole["images"][1]["file_name"] = "none.png"
    whole["annotations"][0]["category_id"] = 5
    whole["annotations"][2]["bbox"] = None
    whole["annotations"][2]["segmentation"]["size"] = [1, 1]
    write(tmp_path, whole, indent=1)
    lines = (tmp_path / "coco.json").read_text().split("\n")
    found = problems(tmp_path, ENTRY)
    assert [problem.partition(": ")[2].partition(":")[0] for problem in found] == [
        "images[1] (id 9)",
        "annotations[0] (id 4021)",
        "annotations[2] (id 4023)",
    ]
    for problem, id_ in zip(found, (9, 4021, 4023)):
        line = int(problem.split(":")[1])
        assert lines[line - 1] == "  {"
        assert f'   "id": {id_},' in lines[line : line + 7]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"images": [],\n"annotations": [}', "coco.json:2: is not JSON"),
        ("[]", "coco.json: expected a COCO file"),
        ("[" * 100_000, "coco.json: is not JSON"),
        ("", "coco.json:1: is not JSON"),
    ],
)
def test_a_file_that_is_no_coco_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    write(tmp_path, {})
    (tmp_path / "coco.json").write_text(text)
    assert problems(tmp_path, ENTRY)[0].startswith(expected)


def test_a_file_that_is_not_there_is_named_at_its_entry(tmp_path: Path) -> None:
    add_photos(tmp_path, "images/a.png")
    (found,) = problems(tmp_path, ENTRY)
    assert "job.yaml" in found
    assert found.endswith("annotations: expected a COCO JSON at coco.json")


def test_a_list_given_twice_has_the_lines_of_its_last(tmp_path: Path) -> None:
    write(tmp_path, {})
    broken = '{"id": 1, "image_id": 2}'
    text = f'{{"annotations": [{broken}, 1], "categories": [],\n"images": [],\n"annotations": ['
    (tmp_path / "coco.json").write_text(f"{text}\n\n{broken}]}}")
    assert problems(tmp_path, ENTRY)[0].startswith("coco.json:5: annotations[0] (id 1): ")


def test_annotations_belong_to_coco(tmp_path: Path) -> None:
    write(tmp_path, document())
    found = problems(tmp_path, ENTRY | {"format": "folder"})
    assert found == [
        "job.yaml:5: content[0].annotations: belongs to format coco; format folder has its labels "
        "in path"
    ]


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1))
)
@settings(deadline=None)
def test_run_lengths_packed_or_not_are_the_same_mask(mask: np.ndarray) -> None:
    height, width = mask.shape
    packed = pycocotools.mask.encode(np.asfortranarray(mask))
    size = [height, width]
    from_text = rle_of({"size": size, "counts": packed["counts"].decode()}, height, width)
    from_numbers = rle_of({"size": size, "counts": run_lengths(mask)}, height, width)
    assert from_text == from_numbers
    decoded = pycocotools.mask.decode({"size": size, "counts": from_numbers.counts})
    np.testing.assert_array_equal(decoded, mask)


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12))
@settings(deadline=None)
def test_packed_run_lengths_fill_their_image_or_are_refused(counts: str) -> None:
    try:
        rle = rle_of({"size": [6, 7], "counts": counts}, 6, 7)
    except ValueError:
        return
    assert pycocotools.mask.decode({"size": [6, 7], "counts": rle.counts}).shape == (6, 7)


def test_real_annotations_are_those_that_pycocotools_reads(tmp_path: Path, shared: Path) -> None:
    folder = shared / "data" / "coco48"
    file = folder / "annotations" / "instances.json"
    entry = {"path": str(folder / "images"), "annotations": str(file), "split": "val"}
    content = listed(tmp_path, entry)
    coco = COCO(str(file))
    assert len(content.images) == len(coco.imgs) == 48
    assert [one.name for one in content.categories] == [one["name"] for one in coco.cats.values()]
    seen = 0
    for image in content.images:
        assert image.split == "val"
        for one in image.labels.objects:
            theirs = coco.anns[json.loads(one.extras)["id"]]
            x1, y1, x2, y2 = one.box
            assert [x1, y1, x2 - x1, y2 - y1] == pytest.approx(theirs["bbox"])
            assert one.category == coco.cats[theirs["category_id"]]["name"]
            assert one.crowd == bool(theirs["iscrowd"])
            if one.rle is None:
                assert list(map(list, one.polygons)) == theirs["segmentation"]
            else:
                size = [one.rle.height, one.rle.width]
                ours = pycocotools.mask.decode({"size": size, "counts": one.rle.counts})
                np.testing.assert_array_equal(ours, coco.annToMask(theirs))
            seen += 1
    assert seen == 408


def test_ten_thousand_objects_in_one_image_are_read(tmp_path: Path) -> None:
    whole = document()
    first = whole["annotations"][0]
    whole["annotations"] = [first | {"id": index} for index in range(10_000)]
    whole["images"].pop()
    write(tmp_path, whole)
    assert len(only_image(tmp_path, ENTRY).labels.objects) == 10_000


def test_datasets_with_one_category_share_it_if_its_keypoints_agree(tmp_path: Path) -> None:
    whole = document()
    write(tmp_path, whole)
    del whole["categories"][1]["keypoints"], whole["categories"][1]["skeleton"]
    del whole["annotations"][1]["keypoints"]
    add_photos(tmp_path, "b/images/a.png", "b/images/deep/b.png", "c/images/a.png")
    (tmp_path / "b" / "coco.json").write_text(json.dumps(whole))
    entries = [{"path": "b/coco.json"}, ENTRY]
    assert listed(tmp_path, *entries).categories[1].keypoints == ("nose", "left_eye", "right_eye")
    other = document()["categories"][1] | {"keypoints": ["nose"], "skeleton": []}
    image = whole["images"][0]
    third = {"images": [image], "categories": [other], "annotations": []}
    (tmp_path / "c" / "coco.json").write_text(json.dumps(third))
    assert problems(tmp_path, *entries, {"path": "c/coco.json"}) == [
        "job.yaml:7: content[2].path: person has other keypoints here than where it is named first"
    ]
