"""YOLO exports of small datasets: what is written, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.shapes import cut_out, outline_of, rle_of
from manifests.exporters.clipping import inside_image
from manifests.exporters.formats import export
from manifests.exporters.outline import one_outline
from manifests.labels import Object, Rle
from tests.flows.pictures import photo
from tests.manifests.exporters.finished import (
    CAR,
    CROWD,
    PERSON,
    SHAPED,
    SQUARE,
    data_yaml,
    made,
    said,
    write_finished,
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def label_lines(out: Path, split: str = "train") -> list[str]:
    files = sorted(Path(f"{out}.yolo/labels/{split}").iterdir())
    return [line for file in files for line in file.read_text().splitlines()]


def test_yolo_has_boxes_where_most_objects_have_no_outline(out: Path) -> None:
    write_finished(out, [made("a", CAR, CAR, CROWD), made("b", SHAPED), made("c", split="val")])
    (line,) = said(out, "yolo")
    assert line == (
        f"yolo: {out}.yolo: 3 images, 3 objects; crowd objects left out (1); "
        "outlines of objects left out, the task is detect (1)"
    )
    assert label_lines(out) == [
        *["1 0.291667 0.350000 0.500000 0.500000"] * 2,
        "1 0.333333 0.400000 0.583333 0.700000",
    ]
    assert label_lines(out, "val") == []
    assert len(list(Path(f"{out}.yolo/labels/val").iterdir())) == 1
    assert data_yaml(out) == {
        "path": f"{out}.yolo",
        "train": "images/train",
        "val": "images/val",
        "names": {0: "person", 1: "car"},
    }


def test_yolo_has_outlines_where_half_of_the_objects_have_one(out: Path) -> None:
    write_finished(out, [made("a", CAR, SHAPED), made("b", split="val")])
    (line,) = said(out, "yolo")
    assert "objects without an outline in the image, written as their box (1)" in line
    box, joined = label_lines(out)
    assert (len(box.split()), len(joined.split()) > 9) == (9, True)
    assert "task: segment" in Path(f"{out}.yolo/data.yaml").read_text()


@pytest.mark.parametrize(
    ("objects", "notes"),
    [
        ([PERSON, CAR], {"keypoints of objects left out, the task is detect": 1}),
        ([PERSON, SHAPED], {"keypoints of objects left out, the task is segment": 1}),
        (
            [replace(PERSON, polygons=(SQUARE,)), replace(PERSON, rle=Rle(40, 48, "\\9"))],
            {"outlines of objects left out, the task is pose": 2},
        ),
    ],
)
def test_yolo_counts_what_is_not_of_its_task(
    objects: list[Object], notes: dict[str, int], out: Path
) -> None:
    write_finished(out, [made("a", *objects, mask=photo(1).convert("L")), made("b", split="val")])
    (written,) = export(out, ["yolo"])
    assert notes.items() <= written.notes.items()
    left_out = {note: times for note, times in written.notes.items() if "left out" in note}
    assert left_out == {**notes, "semantic masks left out": 1}


def test_yolo_poses_have_the_keypoints_and_their_mirror(out: Path) -> None:
    write_finished(out, [made("a", PERSON, CROWD), made("b", split="valid")])
    said(out, "yolo")
    numbers = label_lines(out)[0].split()
    assert numbers[:5] == ["0", "0.250000", "0.450000", "0.166667", "0.500000"]
    assert numbers[5:8] == ["0.208333", "0.237500", "2"]
    assert numbers[8:11] == ["0.000000", "0.000000", "0"]
    assert numbers[13] == "1"
    described = data_yaml(out)
    assert (described["kpt_shape"], described["flip_idx"]) == ([3, 3], [0, 2, 1])
    assert described["val"] == "images/valid"


def test_yolo_outlines_join_polygons_and_stand_in_for_masks_without_one(out: Path) -> None:
    masked = replace(CAR, rle=Rle(40, 48, "\\9"))
    write_finished(out, [made("a", SHAPED, masked), made("b", split="val")])
    (line,) = said(out, "yolo")
    assert "objects of several polygons, joined to one (1)" in line
    assert "objects without an outline in the image, written as their box (1)" in line
    joined, box = label_lines(out)
    points = np.array(joined.split()[1:], dtype=float).reshape(-1, 2) * (48, 40)
    assert _area(points) == pytest.approx(64 + 100, abs=0.01)
    assert box == "1 " + " ".join(
        f"{x / 48:.6f} {y / 40:.6f}" for x, y in ((2, 4), (26, 4), (26, 24), (2, 24))
    )


@pytest.mark.parametrize(
    ("hole", "scaled_by", "noted"),
    [
        *((np.s_[:0], 1, False), (np.s_[10, 10], 1, True), (np.s_[8:20, 8:26], 1, True)),
        *((np.s_[:0], 1.02, False), (np.s_[8:20, 8:26], 1.02, True)),
    ],
)
def test_yolo_counts_masks_whose_holes_it_fills(
    out: Path, hole: Any, scaled_by: float, noted: bool
) -> None:
    pixels = np.zeros((40, 48), np.uint8)
    pixels[4:24, 4:30] = 1
    pixels[hole] = 0
    shape = cut_out(pixels)
    assert shape is not None
    polygons = tuple(tuple(scaled_by * at for at in one) for one in outline_of(shape))
    masked = Object("car", shape.box, polygons, rle_of(shape, 48, 40))
    write_finished(out, [made("a", masked, CAR), made("b", split="val")])
    index = out / "train" / "metadata.jsonl"
    row = json.loads(index.read_text())
    row["objects"]["area"][0] = shape.area_px
    index.write_text(json.dumps(row) + "\n")
    (line,) = said(out, "yolo")
    assert ("objects whose mask has holes, written without them (1)" in line) is noted


def test_yolo_says_which_splits_stand_in_for_others(out: Path) -> None:
    write_finished(out, [made("a", CAR, split="all")])
    (line,) = said(out, "yolo")
    assert "no split for validation: data.yaml names all as val" in line
    assert "no split train: data.yaml names all as train" in line
    assert data_yaml(out)["train"] == data_yaml(out)["val"] == "images/all"


def test_yolo_cuts_outlines_at_the_edge_of_the_image_and_says_so(out: Path) -> None:
    leaving = replace(SHAPED, polygons=((-10.0, 0.0, 10.0, 20.0, -10.0, 40.0),))
    gone = replace(SHAPED, polygons=((50.0, 0.0, 60.0, 20.0, 50.0, 40.0),))
    write_finished(out, [made("a", leaving, gone), made("b", split="val")])
    (line,) = said(out, "yolo")
    assert "outlines cut at the edge of the image (2)" in line
    assert "objects without an outline in the image, written as their box (1)" in line
    cut, _ = label_lines(out)
    points = np.array(cut.split()[1:], dtype=float).reshape(-1, 2) * (48, 40)
    assert _area(points) == pytest.approx(100, abs=0.01)


def test_yolo_keypoints_outside_the_image_are_not_labelled(out: Path) -> None:
    person = replace(PERSON, keypoints=((-3.0, 9.0, 2), (48.005, 9.0, 2), (9.0, 41.0, 1)))
    write_finished(out, [made("a", person), made("b", split="val")])
    (line,) = said(out, "yolo")
    assert "keypoints outside the image, written as not labelled (2)" in line
    numbers = label_lines(out)[0].split()
    nowhere = ["0.000000", "0.000000", "0"]
    assert numbers[5:] == [*nowhere, "1.000000", "0.225000", "2", *nowhere]


corners = st.lists(
    st.tuples(st.integers(-20, 40), st.integers(-20, 40)), min_size=3, max_size=9
).map(lambda points: np.array(points, dtype=float))


@given(corners)
def test_what_is_inside_an_image_has_the_area_that_pixels_say(polygon: Any) -> None:
    cut = inside_image(polygon, 20, 10)
    assert ((cut >= -1e-9) & (cut <= (20 + 1e-9, 10 + 1e-9))).all()
    centers = np.stack(np.meshgrid(np.arange(80) / 4, np.arange(40) / 4), axis=-1) + 1 / 8
    turns = _turns_around(polygon, centers)
    tolerance = 4 * len(polygon)  # an edge is at most 22 px long, a cell a quarter wide
    assert (_signed_area(cut) if len(cut) else 0) == pytest.approx(turns.sum() / 16, abs=tolerance)


def _turns_around(polygon: Any, points: Any) -> Any:
    """How often a polygon goes around each point, signed."""
    turns = np.zeros(points.shape[:-1])
    for (x1, y1), (x2, y2) in zip(np.roll(polygon, 1, axis=0), polygon):
        side = (x2 - x1) * (points[..., 1] - y1) - (points[..., 0] - x1) * (y2 - y1)
        below, above = points[..., 1] >= y1, points[..., 1] >= y2
        turns += (below & ~above & (side > 0)) * 1.0 - (~below & above & (side < 0)) * 1.0
    return turns


polygons = st.lists(
    st.lists(st.integers(0, 50), min_size=6, max_size=16).map(lambda xs: tuple(xs[: len(xs) & ~1])),
    min_size=1,
    max_size=4,
)


@given(polygons)
def test_a_joined_outline_has_the_area_and_bounds_of_its_polygons(
    parts: list[tuple[float, ...]],
) -> None:
    outline = one_outline([np.reshape(part, (-1, 2)) for part in parts])
    points = np.concatenate([np.reshape(part, (-1, 2)) for part in parts])
    assert _signed_area(outline) == sum(_signed_area(np.reshape(part, (-1, 2))) for part in parts)
    assert (outline.min(axis=0) == points.min(axis=0)).all()
    assert (outline.max(axis=0) == points.max(axis=0)).all()


def _signed_area(points: Any) -> float:
    x, y = np.asarray(points, dtype=float).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _area(points: Any) -> float:
    return abs(_signed_area(points))
