"""Labels at another size are those of the smaller or larger image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from augment.labels import unmoved
from augment.scaling import scaled
from augment.shapes import Shape, cut_out, outline_of, rle_of, shape_of
from manifests.labels import Dropped, Labels, Object, Polygon, Rle, within_image
from tests.augment.random_labels import decoded, mask_of, with_polygon

SQUARE = Object("thing", (10, 10, 30, 30))


def test_labels_are_scaled_with_their_image() -> None:
    one = Object("a", (10, 20, 30, 40), ((10, 20, 30, 20, 30, 40),), keypoints=((10, 20, 2),))
    result = scaled(Labels(objects=(one,), width=100, height=80), (100, 80), (50, 20)).labels
    assert (result.width, result.height) == (50, 20)
    assert result.objects == (
        Object("a", (5, 5, 15, 10), ((5, 5, 15, 5, 15, 10),), keypoints=((5, 5, 2),)),
    )


def test_shares_and_pixels_of_an_unknown_size_are_those_of_the_image() -> None:
    share = Labels(objects=(Object("a", (0.1, 0.25, 0.3, 0.5)),), width=1, height=1)
    assert scaled(share, (100, 80), (50, 40)).labels.objects[0].box == pytest.approx(
        (5, 10, 15, 20)
    )
    pixels = Labels(objects=(SQUARE,))
    assert scaled(pixels, (100, 80), (100, 80)).labels.objects == (SQUARE,)


def test_labels_of_another_size_are_refused() -> None:
    labels = Labels(objects=(SQUARE,), width=640, height=480)
    with pytest.raises(ValueError, match="labels are for 640x480 px, the image has 480x640 px"):
        scaled(labels, (480, 640), (240, 320))


def test_boxes_beyond_the_image_are_clipped_and_counted() -> None:
    beyond = Object("a", (-2, 10, 120, 30))
    outside = Object("b", (100, 10, 120, 30))
    result = scaled(Labels(objects=(beyond, outside, SQUARE)), (100, 80), (50, 40))
    assert result.clipped == 1
    assert [one.box for one in result.labels.objects] == [(0, 5, 50, 15), (5, 5, 15, 15)]
    assert result.dropped == (Dropped(1, "b", "its box has no area in the image"),)


@given(
    image=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    size=st.tuples(st.integers(1, 2048), st.integers(1, 2048)),
)
def test_a_box_up_to_the_edge_of_its_image_is_not_clipped(
    image: tuple[int, int], size: tuple[int, int]
) -> None:
    whole = Object("a", (0, 0, float(image[0]), float(image[1])))
    result = scaled(Labels(objects=(whole,)), image, size)
    assert result.clipped == 0
    _, _, right, bottom = result.labels.objects[0].box
    assert (right, bottom) == pytest.approx(size)
    assert right <= size[0]
    assert bottom <= size[1]


def test_a_box_a_hundredth_of_a_pixel_beyond_its_image_is_clipped() -> None:
    share = Labels(objects=(Object("a", (0.5, 0, 1.00001, 1)),), width=1, height=1)
    assert scaled(share, (1000, 800), (1000, 800)).clipped == 1
    assert within_image(share)[1] == 1


@given(labels=with_polygon(), data=st.data())
@settings(max_examples=50, deadline=None)
def test_run_lengths_are_scaled_as_their_polygon_is(labels: Labels, data: Any) -> None:
    size = data.draw(st.tuples(st.integers(20, 90), st.integers(20, 90)))
    image = int(labels.width), int(labels.height)
    shape = shape_of(labels.objects[0], *image)
    assert shape is not None
    run_lengths = replace(labels.objects[0], polygons=(), rle=rle_of(shape, *image))
    (one,) = scaled(replace(labels, objects=(run_lengths,)), image, size).labels.objects
    columns, rows = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, image))
    expected = mask_of(labels.objects[0], *image)[rows][:, columns]
    left = cut_out(expected)
    assume(left is not None)
    assert np.array_equal(decoded(one.rle), expected)
    assert one.polygons == outline_of(left)


@pytest.mark.parametrize("outline", [(), ((201.0, 101.0, 203.0, 101.0, 203.0, 103.0),)])
def test_an_object_whose_mask_vanishes_counts_as_its_box(outline: tuple[Polygon, ...]) -> None:
    rle = rle_of(Shape(201, 101, np.ones((2, 2), np.uint8)), 400, 400)
    small = Object("thing", (201, 101, 203, 103), outline, rle)
    result = scaled(Labels(objects=(small,)), (400, 400), (48, 48))
    (one,) = result.labels.objects
    assert (one.rle, one.polygons, result.dropped) == (None, (), ())
    assert one.box == pytest.approx((24.12, 12.12, 24.36, 12.36))
    assert unmoved(result.labels).areas == pytest.approx((0.24 * 0.24,))


def test_run_lengths_for_another_size_are_refused() -> None:
    one = replace(SQUARE, rle=Rle(5, 5, "i0"))
    with pytest.raises(ValueError, match="a mask of thing is 5x5 px, the image has 64x48 px"):
        scaled(Labels(objects=(one,)), (64, 48), (64, 48))
