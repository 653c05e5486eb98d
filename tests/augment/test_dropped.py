"""What of an object is left after a transform, and which objects are dropped for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from augment.labels import Keep
from augment.recipes import check_recipes
from manifests.labels import Dropped, Labels, Object
from tests.augment.varying import (
    moved,
    step,
    vary,
)

SQUARE = Object("thing", (10, 10, 30, 30))
FILLED = replace(SQUARE, polygons=((10, 10, 30, 10, 30, 30, 10, 30),))
QUARTER = step("Crop", x_min=20, y_min=20, x_max=60, y_max=40)


@pytest.mark.parametrize("one", [SQUARE, FILLED], ids=["box", "polygon"])
def test_an_object_is_dropped_by_the_share_that_is_left(one: Object) -> None:
    assert len(moved([QUARTER], one, keep=Keep(min_visibility=0.25)).labels.objects) == 1
    varied = moved([QUARTER], SQUARE, one, keep=Keep(min_visibility=0.26))
    assert varied.labels.objects == varied.areas == ()
    assert varied.dropped[1] == Dropped(
        1, "thing", "0.250 of it is left, less than min_visibility 0.26"
    )


@pytest.mark.parametrize("one", [SQUARE, FILLED], ids=["box", "polygon"])
def test_an_object_is_dropped_by_the_area_that_is_left(one: Object) -> None:
    assert moved([QUARTER], one, keep=Keep(min_area=100)).areas == pytest.approx((100,))
    (dropped,) = moved([QUARTER], one, keep=Keep(min_area=101)).dropped
    assert dropped.reason == "100.0 square pixels of it are left, less than min_area 101"


@pytest.mark.parametrize("one", [SQUARE, FILLED], ids=["box", "polygon"])
@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_what_is_only_made_smaller_or_larger_is_all_there(one: Object, scale: float) -> None:
    smaller = step("Affine", scale=[scale, scale], rotate=0, shear=0)
    assert len(moved([smaller], one, keep=Keep(min_visibility=0.9)).labels.objects) == 1


@pytest.mark.parametrize("one", [SQUARE, FILLED], ids=["box", "polygon"])
def test_an_object_outside_the_image_is_dropped(one: Object) -> None:
    away = step("Crop", x_min=30, y_min=30, x_max=60, y_max=40)
    (dropped,) = moved([away], one).dropped
    assert dropped == Dropped(0, "thing", "nothing of it is left in the image")


@pytest.mark.parametrize("one", [SQUARE, FILLED], ids=["box", "polygon"])
def test_what_is_painted_over_keeps_its_place_and_counts_as_lost(one: Object) -> None:
    left_half = step("Erasing", scale=[0.5, 0.5], ratio=[2, 2])
    one = replace(one, keypoints=((11, 11, 2), (11, 29, 1), (5, 5, 0)))
    images = [vary([left_half], Labels(objects=(one,), width=64, height=48), s) for s in range(30)]
    for varied in images:
        ((_, drawn),) = varied.applied
        x1, y1, x2, y2 = drawn["holes"][0]
        covered = np.zeros((48, 64), bool)
        covered[y1:y2, x1:x2] = True
        share = covered[10:30, 10:30].mean()
        if share == 1:
            assert varied.moved.labels.objects == ()
            continue
        (kept,) = varied.moved.labels.objects
        assert (kept.box, kept.polygons, varied.moved.areas) == (one.box, one.polygons, (400,))
        assert kept.keypoints[0] == (11, 11, 1 if covered[11, 11] else 2)


def test_what_is_painted_over_is_turned_with_its_image() -> None:
    hole = step(
        "CoarseDropout",
        num_holes_range=[1, 1],
        hole_height_range=[48, 48],
        hole_width_range=[32, 32],
    )
    left = Object("left", (2, 2, 20, 20), keypoints=((10, 10, 2),))
    right = Object("right", (44, 2, 62, 20), keypoints=((50, 10, 2),))
    labels = Labels(objects=(left, right), width=64, height=48)
    seen = set()
    for seed in range(20):
        alone = vary([hole], labels, seed).moved
        turned = vary([hole, step("HorizontalFlip")], labels, seed).moved
        assert [one.category for one in turned.dropped] == [one.category for one in alone.dropped]
        visible = [[one.keypoints[0][2] for one in m.labels.objects] for m in (alone, turned)]
        assert visible[0] == visible[1]
        seen |= {tuple(visible[0])}
    assert len(seen) > 2


def test_what_a_reflected_border_repeats_is_no_object() -> None:
    pad = step("Pad", padding=40, border_mode=4)
    for one in (SQUARE, FILLED):
        (kept,) = moved([pad], one).labels.objects
        assert kept.box == pytest.approx((50, 50, 70, 70))


def test_objects_cannot_be_cut_apart() -> None:
    (problem,) = check_recipes({"mine": [step("RandomGridShuffle")]}, with_objects=True)
    assert problem.field == ("mine", 0, "RandomGridShuffle")
    assert "cuts objects apart" in problem.message
    assert check_recipes({"mine": [step("RandomGridShuffle")]}) == []
    with pytest.raises(ValueError, match="cuts objects apart"):
        moved([step("RandomGridShuffle")], SQUARE)


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("Rotate", "mask_interpolation", 1),
        ("Rotate", "rotate_method", "ellipse"),
        ("Resize", "area_for_downscale", "image_mask"),
    ],
)
def test_arguments_that_would_blur_labels_are_refused(
    name: str, argument: str, value: object
) -> None:
    (problem,) = check_recipes({"mine": [step(name, **{argument: value})]})
    assert problem.message.startswith(f"{name}: {argument}: expected ")


def test_a_semantic_mask_keeps_its_classes_under_morphology() -> None:
    mask = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    varied = vary([step("Morphological")], Labels(width=64, height=48), mask=mask)
    assert np.array_equal(varied.semantic_mask, mask)


def test_crops_that_keep_boxes_do() -> None:
    for seed in range(20):
        labels = Labels(objects=(SQUARE, FILLED), width=64, height=48)
        varied = vary([step("BBoxSafeRandomCrop", erosion_rate=0.0)], labels, seed)
        assert len(varied.moved.labels.objects) == 2
        assert min(varied.moved.areas) >= 18 * 18


@pytest.mark.parametrize("name", ["BBoxSafeRandomCrop", "AtLeastOneBBoxRandomCrop"])
def test_crops_that_keep_boxes_take_images_without(name: str) -> None:
    assert vary([step(name)], Labels(width=64, height=48)).moved.dropped == ()
