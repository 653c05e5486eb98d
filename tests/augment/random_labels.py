"""Random images with one labelled object, and the pixels of an object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from augment.shapes import rle_of, shape_of
from manifests.labels import Labels, Object, Rle


@st.composite
def with_box(draw: Any) -> Labels:
    """With an object that has only a box, of whole pixels, so that its mask is the box."""
    width, height = draw(st.integers(30, 64)), draw(st.integers(30, 64))
    x1, y1 = draw(st.integers(0, width - 6)), draw(st.integers(0, height - 6))
    x2, y2 = draw(st.integers(x1 + 5, width)), draw(st.integers(y1 + 5, height))
    one = Object("thing", (float(x1), float(y1), float(x2), float(y2)))
    return Labels(objects=(one,), width=width, height=height)


@st.composite
def with_polygon(draw: Any) -> Labels:
    """With an object that has a polygon, which fills a pixel at least."""
    labels = draw(with_box())
    x1, y1, x2, y2 = labels.objects[0].box
    shares = draw(st.lists(st.floats(0, 1), min_size=3, max_size=7))
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    angles = np.cumsum(np.array(shares) + 0.1)
    angles *= 2 * np.pi / angles[-1]
    xs = middle_x + np.cos(angles) * (x2 - x1) / 2
    ys = middle_y + np.sin(angles) * (y2 - y1) / 2
    polygon = tuple(np.stack([xs, ys], axis=1).ravel().tolist())
    box = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    one = Object("thing", box, (polygon,))
    assume(shape_of(one, int(labels.width), int(labels.height)) is not None)
    return replace(labels, objects=(one,))


def decoded(rle: Rle | None) -> np.ndarray:
    assert rle is not None
    return coco_mask.decode({"size": [rle.height, rle.width], "counts": rle.counts.encode()})


def mask_of(one: Object, width: int, height: int) -> np.ndarray:
    """An object's pixels; those whose middle is in its box where it has only that."""
    mask = np.zeros((height, width), np.uint8)
    shape = shape_of(one, width, height)
    if shape is not None:
        return decoded(rle_of(shape, width, height))
    x1, y1, x2, y2 = np.ceil(np.array(one.box) - 0.5).astype(int)
    mask[y1:y2, x1:x2] = 1
    return mask
