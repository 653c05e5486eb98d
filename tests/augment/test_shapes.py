"""Areas of objects as pixels, as run lengths and as outlines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from augment.shapes import cut_out, outline_of, rle_of, shape_of
from manifests.labels import Object, Polygon, Rle
from tests.augment.random_labels import decoded, mask_of

SQUARE = Object("thing", (10, 10, 30, 30))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_an_outline_filled_again_is_the_shape_without_its_holes(data: Any) -> None:
    rows = data.draw(
        st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=7, max_size=7)
    )
    shape = cut_out(np.array(rows, np.uint8))
    if shape is None:
        return
    mask = decoded(rle_of(shape, 9, 7))
    filled = mask_of(Object("a", (0, 0, 9, 7), outline_of(shape)), 9, 7)
    assert not (mask & ~filled).any()
    outlined = cut_out(filled)
    assert outlined is not None
    assert outlined.box == shape.box


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_polygons_are_filled_as_in_the_whole_image(data: Any) -> None:
    number = st.floats(-20, 60)
    polygon = st.lists(number, min_size=3, max_size=6).flatmap(
        lambda xs: st.lists(number, min_size=len(xs), max_size=len(xs)).map(
            lambda ys: tuple(value for point in zip(xs, ys) for value in point)
        )
    )
    polygons = data.draw(st.lists(polygon, min_size=1, max_size=2))
    runs = coco_mask.frPyObjects([list(one) for one in polygons], 32, 40)
    expected = coco_mask.decode(coco_mask.merge(runs))
    shape = shape_of(replace(SQUARE, polygons=tuple(polygons)), 40, 32)
    got = np.zeros((32, 40), np.uint8) if shape is None else decoded(rle_of(shape, 40, 32))
    assert np.array_equal(got, expected)


@pytest.mark.parametrize(
    "polygon", [(1.0, 1.0, 5.0, 5.0), (100.0, 100.0, 120.0, 100.0, 110.0, 120.0)]
)
def test_polygons_that_fill_no_pixel_are_no_shape(polygon: Polygon) -> None:
    assert shape_of(replace(SQUARE, polygons=(polygon,)), 40, 32) is None


def test_a_polygon_far_beyond_the_image_takes_no_more_memory_than_others() -> None:
    far = (-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12)
    shape = shape_of(replace(SQUARE, polygons=(far,)), 40, 32)
    assert shape is not None
    assert shape.area_px == 40 * 32


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("0`h9", "for 10000 pixels"),
        ("", "counts end too early"),
        ("zzzz", "no run lengths"),
        ("ÿ", "no run lengths"),
    ],
)
def test_run_lengths_that_are_none_are_refused(counts: str, message: str) -> None:
    one = replace(SQUARE, rle=Rle(5, 5, counts))
    with pytest.raises(ValueError, match=message):
        shape_of(one, 5, 5)
