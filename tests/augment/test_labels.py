"""Labels follow the pixels: every transform, against the mask that albumentations itself moves."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import albumentations as A
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from augment.labels import KEEP_ALL, Keep, Moved, unmoved
from augment.recipes import Recipe, Varied, check_recipes
from augment.shapes import cut_out
from manifests.labels import Box, Category, Dropped, Labels, Object
from tests.augment.random_labels import decoded, mask_of, with_box, with_polygon

# Every transform that moves pixels, with parameters as people use them.
STRAIGHT: dict[str, dict[str, Any]] = {
    "AtLeastOneBBoxRandomCrop": {"height": 16, "width": 20},
    "BBoxSafeRandomCrop": {"erosion_rate": 0.2},
    "CenterCrop": {"height": 16, "width": 20},
    "Crop": {"x_min": 3, "y_min": 2, "x_max": 20, "y_max": 18},
    "CropAndPad": {"percent": [-0.2, 0.2]},
    "D4": {},
    "HorizontalFlip": {},
    "LongestMaxSize": {"max_size": 80},
    "Pad": {"padding": [3, 5, 2, 1], "fill_mask": 255},
    "PadIfNeeded": {"min_height": 70, "min_width": 70, "fill_mask": 7},
    "RandomCrop": {"height": 16, "width": 20, "pad_if_needed": True},
    "RandomCropFromBorders": {},
    "RandomResizedCrop": {"size": [32, 40], "scale": [0.3, 1.0]},
    "RandomRotate90": {},
    "RandomScale": {"scale_limit": 0.4},
    "RandomSizedBBoxSafeCrop": {"height": 40, "width": 32},
    "RandomSizedCrop": {"min_max_height": [12, 20], "size": [32, 40]},
    "Resize": {"height": 33, "width": 57},
    "SmallestMaxSize": {"max_size": 30},
    "SquareSymmetry": {},
    "Transpose": {},
    "VerticalFlip": {},
}
# Of what these turn, the box of an object without a mask is the one round its turned box.
TURNING: dict[str, dict[str, Any]] = {
    "Affine": {"scale": [0.7, 1.4], "rotate": [-40, 40], "shear": [-15, 15], "fill_mask": 9},
    "ElasticTransform": {"alpha": 30, "sigma": 5},
    "GridDistortion": {"distort_limit": 0.3},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 3},
    "OpticalDistortion": {"distort_limit": 0.3},
    "Perspective": {"scale": [0.02, 0.1], "fill_mask": 1},
    "Rotate": {"limit": 90, "fill_mask": 3},
    "SafeRotate": {"limit": 90},
    "ThinPlateSpline": {"scale_range": [0.1, 0.2]},
}
GEOMETRY = STRAIGHT | TURNING
BENDS = {
    *("ElasticTransform", "GridDistortion", "GridElasticDeform", "OpticalDistortion"),
    "ThinPlateSpline",
}
PAINTS_OVER = {"CoarseDropout", "Erasing", "GridDropout", "XYMasking"}
MOVES_NOTHING = {"Morphological", "NoOp", "PixelDropout"}
HAND = Category("hand", keypoints=("left", "right", "middle"), flip_idx=(1, 0, 2))


def step(name: str, **arguments: Any) -> dict[str, Any]:
    return {name: {**GEOMETRY.get(name, {}), "p": 1.0, **arguments}}


def vary(
    steps: list[dict[str, Any]],
    labels: Labels,
    seed: int = 0,
    mask: np.ndarray | None = None,
    keep: Keep = KEEP_ALL,
) -> Varied:
    image = np.zeros((int(labels.height), int(labels.width), 3), np.uint8)
    return Recipe(steps, [HAND], keep).vary(image, labels, seed, mask)


def moved(steps: list[dict[str, Any]], *objects: Object, keep: Keep = KEEP_ALL) -> Moved:
    return vary(steps, Labels(objects=objects, width=64, height=48), keep=keep).moved


SEEDS = st.integers(0, 2**31)
each_transform = pytest.mark.parametrize("name", sorted(GEOMETRY))
few = settings(max_examples=25, deadline=None)


def test_the_table_holds_every_transform_that_moves_pixels() -> None:
    kinds = ((name, getattr(A, name)) for name in dir(A))
    usable = {
        name
        for name, kind in kinds
        if inspect.isclass(kind)
        and issubclass(kind, A.DualTransform)
        and not check_recipes({"one": [step(name)]}, with_objects=True)
    }
    assert usable == set(GEOMETRY) | PAINTS_OVER | MOVES_NOTHING


@each_transform
@few
@given(data=st.data())
def test_a_polygon_is_where_its_moved_mask_is(name: str, data: Any) -> None:
    labels, seed = data.draw(with_polygon()), data.draw(SEEDS)
    before = mask_of(labels.objects[0], int(labels.width), int(labels.height))
    # In a mask of two classes, so that what fills a border is none of them.
    varied = vary([step(name)], labels, seed, before + 100)
    expected = (varied.semantic_mask == 101).astype(np.uint8)
    if not expected.any():
        assert varied.moved.labels.objects == ()
        return
    (one,) = varied.moved.labels.objects
    shape = cut_out(expected)
    assert shape is not None
    assert np.array_equal(decoded(one.rle), expected)
    assert one.box == shape.box
    assert varied.moved.areas == (expected.sum(),)
    filled = mask_of(replace(one, rle=None), *expected.shape[::-1])
    assert not (expected & ~filled).any(), "the outline has all of it, and fills its holes"


@each_transform
@few
@given(data=st.data())
def test_a_box_holds_the_moved_mask_of_the_box(name: str, data: Any) -> None:
    labels, seed = data.draw(with_box()), data.draw(SEEDS)
    before = mask_of(labels.objects[0], int(labels.width), int(labels.height))
    varied = vary([step(name)], labels, seed, before + 100)
    shape = cut_out((varied.semantic_mask == 101).astype(np.uint8))
    if shape is None or min(shape.pixels.shape) < 2:
        return
    (one,) = varied.moved.labels.objects
    pixel = max(1.0, *scale_of(labels, varied))
    away = np.array(one.box) - np.array(shape.box)
    assert (away[:2] <= pixel).all(), (one.box, shape.box)
    assert (away[2:] >= -pixel).all(), (one.box, shape.box)
    if name in STRAIGHT or name in BENDS:
        assert (np.abs(away) <= pixel).all(), (one.box, shape.box)


def scale_of(labels: Labels, varied: Varied) -> tuple[float, float]:
    """Pixels of the result that a pixel became in crops that are enlarged, at most."""
    crops = [drawn["crop_coords"] for _, drawn in varied.applied if "crop_coords" in drawn]
    height, width = varied.image.shape[:2]
    before = (labels.width, labels.height)
    for left, top, right, bottom in crops:
        before = (right - left, bottom - top)
    return width / before[0], height / before[1]


@each_transform
@few
@given(data=st.data())
def test_keypoints_stay_on_what_they_mark_and_in_their_order(name: str, data: Any) -> None:
    labels, seed = data.draw(with_box()), data.draw(SEEDS)
    x1, y1, x2, y2 = labels.objects[0].box
    marks = ((x1 + 2, y1 + 2, 2), (x2 - 2, y1 + 2, 2), ((x1 + x2) / 2, y2 - 2, 1))
    one = replace(labels.objects[0], keypoints=marks)
    for index, (x, y, visibility) in enumerate(marks):
        patch = np.full((int(labels.height), int(labels.width)), 100, np.uint8)
        patch[max(0, int(y) - 1) : int(y) + 2, max(0, int(x) - 1) : int(x) + 2] = 101
        varied = vary([step(name)], replace(labels, objects=(one,)), seed, patch)
        if not varied.moved.labels.objects:
            return
        keypoint = varied.moved.labels.objects[0].keypoints[index]
        shape = cut_out((varied.semantic_mask == 101).astype(np.uint8))
        height, width = varied.image.shape[:2]
        if keypoint[2] == 0:
            assert keypoint == (0, 0, 0)
            assert shape is None or at_the_edge(shape.box, width, height)
            continue
        assert keypoint[2] == visibility
        if shape is None:
            assert at_the_edge((*keypoint[:2], *keypoint[:2]), width, height)
            continue
        left, top, right, bottom = np.array(shape.box) + np.array([-1, -1, 1, 1])
        assert left <= keypoint[0] <= right
        assert top <= keypoint[1] <= bottom


@few
@given(
    width=st.integers(40, 120),
    height=st.integers(40, 120),
    seed=SEEDS,
    name=st.sampled_from(sorted(BENDS)),
)
@example(width=97, height=64, seed=17, name="ThinPlateSpline")
def test_a_keypoint_of_a_folded_image_is_where_its_pixel_is_shown(
    width: int, height: int, seed: int, name: str
) -> None:
    """Between the folds, where another part of the image may be, it marks nothing."""
    rows, columns = np.mgrid[2:height:8, 2:width:8].reshape(2, -1)
    mask = np.zeros((height, width), np.uint8)
    mask[rows, columns] = np.arange(1, rows.size + 1)
    points = tuple((x + 0.5, y + 0.5, 2) for x, y in zip(columns.tolist(), rows.tolist()))
    whole = Object("thing", (0, 0, width, height), keypoints=points)
    labels = Labels(objects=(whole,), width=width, height=height)
    folds = {name: {"p": 1.0}} if name == "ThinPlateSpline" else step(name)
    varied = vary([folds], labels, seed, mask)
    for value, (x, y, visibility) in enumerate(varied.moved.labels.objects[0].keypoints, start=1):
        shown_y, shown_x = np.nonzero(varied.semantic_mask == value)
        if visibility and shown_x.size:  # else it is its neighbour's
            assert np.hypot(shown_x + 0.5 - x, shown_y + 0.5 - y).min() <= 1


def at_the_edge(box: Box, width: int, height: int) -> bool:
    """Within a pixel of it."""
    return min(*box[:2], width - box[2], height - box[3]) <= 1


@few
@given(labels=with_polygon(), seed=SEEDS)
@pytest.mark.parametrize(
    "steps",
    [
        [],
        [step("NoOp")],
        [step("HorizontalFlip", p=0.0), step("ColorJitter"), step("GaussNoise")],
        [step("Morphological"), step("PixelDropout", dropout_prob=0.5)],
        [step("CoarseDropout", hole_height_range=[1, 2], hole_width_range=[1, 2])],
    ],
    ids=["empty", "no-op", "colours", "neighbours", "dropout"],
)
def test_what_moves_no_pixel_leaves_labels_bit_for_bit(
    steps: list[dict[str, Any]], labels: Labels, seed: int
) -> None:
    varied = vary(steps, labels, seed)
    assert varied.moved.labels == labels
    assert repr(varied.moved.labels.objects) == repr(labels.objects)
    assert varied.moved == unmoved(labels)


@few
@given(labels=with_polygon(), seed=SEEDS)
def test_transforms_follow_each_other(labels: Labels, seed: int) -> None:
    steps = [
        {"OneOf": {"transforms": [step("Rotate"), step("ElasticTransform")], "p": 1.0}},
        {"SomeOf": {"transforms": [step("Affine"), step("D4"), step("GridDistortion")], "n": 2}},
        step("RandomResizedCrop"),
    ]
    before = mask_of(labels.objects[0], int(labels.width), int(labels.height))
    varied = vary(steps, labels, seed, before + 100)
    expected = (varied.semantic_mask == 101).astype(np.uint8)
    if not expected.any():
        assert varied.moved.labels.objects == ()
        return
    (one,) = varied.moved.labels.objects
    assert np.array_equal(decoded(one.rle), expected)


# Mirrors

HANDS = Object("hand", (10, 10, 40, 30), keypoints=((12, 20, 2), (38, 20, 2), (25, 12, 1)))


@pytest.mark.parametrize(
    ("steps", "mirrors"),
    [
        ([step("HorizontalFlip")], True),
        ([step("VerticalFlip")], True),
        ([step("Transpose")], True),
        ([step("HorizontalFlip"), step("VerticalFlip")], False),
        ([step("HorizontalFlip"), step("Rotate", limit=[60, 60])], True),
        ([step("HorizontalFlip"), step("ElasticTransform"), step("HorizontalFlip")], False),
        ([step("RandomRotate90"), step("Perspective")], False),
        ([step("Rotate", limit=[180, 180])], False),
    ],
)
def test_a_left_hand_stays_a_left_hand(steps: list[dict[str, Any]], mirrors: bool) -> None:
    (mine,) = moved(steps, HANDS).labels.objects
    (unswapped,) = moved(steps, replace(HANDS, category="thing")).labels.objects
    left, right, middle = unswapped.keypoints
    assert mine.keypoints == ((right, left, middle) if mirrors else (left, right, middle))


@pytest.mark.parametrize("name", ["D4", "SquareSymmetry"])
def test_of_the_symmetries_of_the_square_half_are_mirrors(name: str) -> None:
    seen = set()
    for seed in range(40):
        labels = Labels(objects=(HANDS,), width=64, height=48)
        varied = vary([step(name)], labels, seed)
        (one,) = varied.moved.labels.objects
        ((_, drawn),) = varied.applied
        plain = vary([step(name)], replace(labels, objects=(replace(HANDS, category="x"),)), seed)
        swapped = one.keypoints[0] == plain.moved.labels.objects[0].keypoints[1]
        seen.add((drawn["group_element"], swapped))
    assert seen == {
        *((turn, False) for turn in ("e", "r90", "r180", "r270")),
        *((mirror, True) for mirror in ("v", "hvt", "h", "t")),
    }


def test_a_keypoint_that_left_the_image_is_not_labelled() -> None:
    crop = step("Crop", x_min=0, y_min=0, x_max=30, y_max=48)
    (one,) = moved([crop], HANDS).labels.objects
    assert one.keypoints[0] == pytest.approx((12, 20, 2), abs=1e-5)
    assert one.keypoints[1] == (0, 0, 0)
    assert one.keypoints[2] == pytest.approx((25, 12, 1), abs=1e-5)


# What is dropped

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
    hidden = [varied.image for varied in images]
    assert len(hidden) == 30
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


# Many objects


def test_ten_thousand_objects_are_moved_one_by_one() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 220, (10_000, 2))
    objects = []
    for index, (x, y) in enumerate(corners.tolist()):
        polygon = (x, y, x + 20, y, x + 20, y + 20) if index % 2 else ()
        box = (x, y, x + 20, y + 20)
        objects.append(Object("thing", box, (polygon,) if polygon else ()))
    labels = Labels(objects=tuple(objects), width=256, height=256)
    varied = vary([step("Rotate", limit=[30, 30]), step("ElasticTransform")], labels)
    total = len(varied.moved.labels.objects) + len(varied.moved.dropped)
    assert total == 10_000
    assert len(varied.moved.labels.objects) > 7000
