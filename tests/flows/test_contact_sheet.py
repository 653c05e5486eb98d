"""Contact sheets and the labels on them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flows.colours import colour
from flows.contact_sheet import Labelled, Triple, _filling, _font, _shortened, contact_sheet
from flows.label_drawing import with_labels
from manifests.labels import Category, Object
from tests.flows.pictures import photo

NO_CAPTIONS = (("", ""), ("", ""), ("", ""))
CAT = Category("cat", keypoints=("nose", "tail"), skeleton=((0, 1),), flip_idx=(0, 1))
CATEGORIES = {"cat": (0, CAT), "dog": (1, Category("dog"))}
BLACK = Image.new("RGB", (60, 40))


def triple(number: int, width: int = 48, height: int = 36, name: str = "name") -> Triple:
    image = Labelled(photo(number, width, height))
    style = photo(100 + number, 30, 50) if number % 4 else None
    return Triple(image, style, image, ((name, name), (name, name), (name, name)))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 13, 37, 100])
def test_a_sheet_holds_1_to_100_images(count: int) -> None:
    sheet = contact_sheet("title", "subtitle", [triple(i) for i in range(count)], [])
    assert max(sheet.size) < 65_500, "what a JPEG may have"
    pixels = np.asarray(sheet)
    edges = np.concatenate([pixels[:40].ravel(), pixels[-40:].ravel(), pixels[:, :40].ravel()])
    assert (edges == 255).all(), "margins are white"
    assert (pixels[:, -40:] == 255).all()


def test_shapes_of_all_kinds_fit_in() -> None:
    triples = [triple(0, 8, 100), triple(1, 100, 8), triple(2, 30, 30), triple(3)]
    sheet = contact_sheet("t", "s", triples, [])
    assert (np.asarray(sheet)[:, -40:] == 255).all()


def test_long_names_lose_their_middle() -> None:
    name = "a_very_long_name_of_a_photograph_of_a_bicycle_in_the_rain_0001"
    shown = _shortened(name, 16, 200)
    assert shown.startswith("a_very")
    assert shown.endswith("_0001")
    assert "…" in shown
    assert _font(16).getlength(shown) <= 200
    assert _shortened("short", 16, 200) == "short"
    assert _shortened("crème brûlée", 16, 200) == "creme  brulee"
    assert len(_shortened("漢字" * 200, 16, 100)) < 30


def test_the_legend_names_the_categories_that_are_drawn() -> None:
    cat = Object("cat", (5, 5, 30, 30))
    image = Labelled(BLACK, (cat,))
    with_cat = Triple(image, None, image, NO_CAPTIONS)
    without = Triple(Labelled(BLACK), None, Labelled(BLACK), NO_CAPTIONS)
    dog, cats = Category("dog"), Category("cat")
    drawn = contact_sheet("t", "s", [with_cat], [dog, cats])
    assert drawn.height > contact_sheet("t", "s", [without], [dog, cats]).height
    below = Counter(map(tuple, np.asarray(drawn)[-90:].reshape(-1, 3).tolist()))
    assert below[colour(1)] > 50, "that of its place in the dataset, as in the report"
    assert below[colour(0)] == 0


def test_the_legend_numbers_the_classes_of_masks() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 20:40], mask[:, 40:] = 7, 255
    image = Labelled(BLACK, (), mask)
    drawn = contact_sheet("t", "s", [Triple(image, None, image, NO_CAPTIONS)], [])
    below = Counter(map(tuple, np.asarray(drawn)[-90:].reshape(-1, 3).tolist()))
    assert below[colour(7)] > 50
    assert below[colour(255)] == below[colour(0)] == 0


def test_a_box_is_drawn_where_it_is() -> None:
    shown = with_labels(BLACK, [Object("dog", (15, 10, 45, 30))], None, CATEGORIES, (120, 80))
    pixels = np.asarray(shown).astype(int)
    lit = np.argwhere(pixels.sum(axis=2) > 100)
    assert lit.min(axis=0) == pytest.approx([20, 30], abs=2)
    assert lit.max(axis=0) == pytest.approx([60, 90], abs=2)
    assert pixels[40, 60].sum() == 0, "nothing within"
    assert tuple(pixels[40, 30]) == pytest.approx(colour(1), abs=40)


def test_an_area_is_tinted_and_outlined() -> None:
    square = (10.0, 10.0, 50.0, 10.0, 50.0, 30.0, 10.0, 30.0)
    one = Object("cat", (10, 10, 50, 30), polygons=(square,))
    pixels = np.asarray(with_labels(BLACK, [one], None, CATEGORIES, (120, 80))).astype(int)
    inside, outside, line = pixels[40, 60], pixels[5, 5], pixels[40, 20]
    assert outside.sum() == 0
    assert 0 < inside.sum() < line.sum()
    assert inside[0] > inside[1]


def test_keypoints_are_dots_joined_by_bones() -> None:
    one = Object("cat", (5, 5, 55, 35), keypoints=((10, 20, 2), (50, 20, 1)))
    pixels = np.asarray(with_labels(BLACK, [one], None, CATEGORIES, (120, 80))).astype(int)
    assert tuple(pixels[40, 20]) == pytest.approx(colour(0), abs=40), "visible: filled"
    assert pixels[40, 100].min() > 200, "occluded: hollow"
    assert tuple(pixels[40, 60]) == pytest.approx(colour(0), abs=60), "the bone"
    unlabelled = Object("cat", (5, 5, 55, 35), keypoints=((10, 20, 0), (50, 20, 2)))
    pixels = np.asarray(with_labels(BLACK, [unlabelled], None, CATEGORIES, (120, 80)))
    assert pixels[40, 20].sum() == 0


def test_a_semantic_mask_tints_its_classes_and_outlines_them() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 20:40], mask[:, 40:] = 1, 255
    pixels = np.asarray(with_labels(BLACK, [], mask, CATEGORIES, (60, 40))).astype(int)
    assert pixels[20, 10].sum() == pixels[20, 50].sum() == 0
    assert 0 < pixels[20, 30].sum() < pixels[20, 20].sum() / 3, "the style below can be judged"
    assert tuple(pixels[20, 20]) == tuple(pixels[20, 39]) == colour(1)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(10, 300), st.integers(10, 300))
def test_a_style_of_any_shape_fills_its_tile(
    width: int, height: int, tile_width: int, tile_height: int
) -> None:
    tile = tile_width, tile_height
    assert _filling(Image.new("RGB", (width, height)), tile).size == tile
