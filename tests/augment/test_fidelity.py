"""The score of label fidelity: what it asks for, what it does not mind, how it follows style."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from augment.fidelity import Fidelity, Pixels, Region
from flows.load import as_pixels, as_tensor
from nst_core import Pair, Style, Stylizer, load_encoder, resolve_preset
from tests.flows.pictures import photo

STRENGTHS = (0.0, 0.5, 1.0)


def picture(seed: int = 1, width: int = 96, height: int = 64) -> Pixels:
    return np.array(photo(seed, width, height))


def noise(seed: int, shape: tuple[int, ...]) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def score(content: Pixels, stylized: Pixels) -> float:
    return Fidelity(content, stylized).of_image()


def test_the_same_picture_keeps_everything_and_noise_keeps_next_to_nothing() -> None:
    textured = cv2.GaussianBlur(noise(0, (80, 90, 3)), (0, 0), 1.2)
    assert score(textured, textured) == pytest.approx(1)
    assert score(textured, noise(1, textured.shape)) < 0.1
    assert score(textured, np.full_like(textured, 128)) < 0.1, "all structure is gone"
    assert score(textured, 255 - textured) == 0, "dark became light"


def test_brightness_and_contrast_do_not_count() -> None:
    content = picture()
    darker = (content * 0.6 + 60).astype(np.uint8)
    assert score(content, darker) > 0.95


def test_the_finer_structure_is_lost_the_lower_the_score() -> None:
    content = cv2.GaussianBlur(noise(0, (96, 96, 3)), (0, 0), 1)
    scores = [score(content, cv2.GaussianBlur(content, (0, 0), sigma)) for sigma in (1, 2, 4, 8)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.3


def test_what_happens_to_a_flat_background_counts_little() -> None:
    content = np.full((96, 96, 3), 200, np.uint8)
    cv2.rectangle(content, (30, 30), (66, 66), (20, 60, 20), -1)
    in_the_sky = content.copy()
    in_the_sky[:20] = noise(0, (20, 96, 3))
    over_the_object = content.copy()
    over_the_object[25:71, 25:71] = noise(0, (46, 46, 3))
    assert score(content, in_the_sky) > 0.7 > 0.5 > score(content, over_the_object)


def test_a_region_has_the_score_of_what_is_in_it() -> None:
    content = cv2.GaussianBlur(noise(0, (64, 96, 3)), (0, 0), 1.2)
    half_lost = content.copy()
    half_lost[:, 48:] = noise(1, (64, 48, 3))
    fidelity = Fidelity(content, half_lost)
    assert fidelity.of(Region(0, 0, 40, 64)) > 0.95
    assert fidelity.of(Region(56, 0, 96, 64)) < 0.15
    left = np.zeros((64, 96), bool)
    left[:, :40] = True
    assert fidelity.of(Region(0, 0, 96, 64, left)) == fidelity.of(Region(0, 0, 40, 64))


def test_a_region_without_a_pixel_has_nothing_to_lose() -> None:
    fidelity = Fidelity(picture(), noise(0, (64, 96, 3)))
    assert fidelity.of(Region(5, 5, 5, 9)) == 1
    assert fidelity.of(Region(0, 0, 4, 4, np.zeros((4, 4), bool))) == 1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 999), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_two_pictures_have_a_score_in_0_to_1(
    height: int, width: int, seed: int, flat: bool
) -> None:
    content = np.zeros((height, width, 3), np.uint8) if flat else noise(seed, (height, width, 3))
    assert 0 <= score(content, noise(seed + 1, content.shape)) <= 1
    assert score(content, content) == pytest.approx(1, abs=1e-4)


def test_pictures_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stylized: expected .*\(64, 96, 3\)"):
        Fidelity(picture(), picture(width=95))


def test_on_real_photographs_the_score_falls_as_strength_rises(shared: Path) -> None:
    """Of the whole image for each photograph; of objects, which are noisier, in the mean."""
    coco, styles = shared / "data" / "coco48", shared / "data" / "styles"
    described = json.loads((coco / "annotations" / "instances.json").read_text())
    shorter = {"size": 128, "scales": [[0.5, 40], [1.0, 20]]}
    stylizer = Stylizer(load_encoder("compact"), resolve_preset("fast", shorter))
    style = _opened(styles / "candy.jpg", 128)[0]
    of_objects = []
    for image in described["images"][:4]:
        content, factor = _opened(coco / "images" / image["file_name"], 128)
        pairs = [
            Pair(as_tensor(content), (Style(as_tensor(style)),), strength=strength)
            for strength in STRENGTHS
        ]
        results = dict(stylizer.each(pairs))
        maps = [Fidelity(content, as_pixels(results[i].image)) for i in range(len(pairs))]
        scores = [one.of_image() for one in maps]
        assert scores == sorted(scores, reverse=True), image["file_name"]
        assert scores[0] - scores[-1] > 0.05, image["file_name"]
        for one in described["annotations"]:
            x, y, width, height = (value * factor for value in one["bbox"])
            if one["image_id"] == image["id"] and min(width, height) >= 16:
                box = Region(int(x), int(y), round(x + width), round(y + height))
                of_objects.append([a_map.of(box) for a_map in maps])
    assert len(of_objects) >= 4
    means = list(np.mean(of_objects, axis=0))
    assert means == sorted(means, reverse=True)


def _opened(file: Path, long_side_px: int) -> tuple[Pixels, float]:
    """(picture of this long side, its size over that of the file)."""
    image = Image.open(file).convert("RGB")
    factor = long_side_px / max(image.size)
    size = round(image.width * factor), round(image.height * factor)
    return np.array(image.resize(size, Image.Resampling.LANCZOS)), factor
