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

from augment.labels import unmoved
from augment.recipes import Varied, check_recipes
from augment.shapes import cut_out
from manifests.labels import Box, Labels, Object
from tests.augment.random_labels import decoded, mask_of, with_box, with_polygon
from tests.augment.varying import (
    BENDS,
    GEOMETRY,
    MOVES_NOTHING,
    PAINTS_OVER,
    STRAIGHT,
    moved,
    step,
    vary,
)

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
