"""The style pictures of the demo: repeatable, distinct, and more than noise."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.painter import STYLES, paint_styles

SIZE_PX = 96


@pytest.fixture(scope="module")
def pictures() -> dict[str, Image.Image]:
    return {name: paint(SIZE_PX, 7) for name, paint in STYLES.items()}


def grey(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L"), np.float64)


@pytest.mark.parametrize("name", STYLES)
def test_the_same_seed_paints_the_same_picture(name: str, pictures: dict[str, Image.Image]) -> None:
    assert STYLES[name](SIZE_PX, 7).tobytes() == pictures[name].tobytes()
    assert STYLES[name](SIZE_PX, 8).tobytes() != pictures[name].tobytes()


@pytest.mark.parametrize("name", STYLES)
def test_a_picture_is_square_and_in_colour(name: str, pictures: dict[str, Image.Image]) -> None:
    assert pictures[name].mode == "RGB"
    assert pictures[name].size == (SIZE_PX, SIZE_PX)


@pytest.mark.parametrize("name", STYLES)
def test_a_picture_has_contrast_and_colour(name: str, pictures: dict[str, Image.Image]) -> None:
    pixels = np.asarray(pictures[name], np.float64)
    assert pixels.std() > 30
    assert (pixels.max(axis=-1) - pixels.min(axis=-1)).mean() > 40


@pytest.mark.parametrize("name", STYLES)
def test_neighbouring_pixels_belong_together(name: str, pictures: dict[str, Image.Image]) -> None:
    pixels = grey(pictures[name])
    for left, right in [(pixels[:, :-1], pixels[:, 1:]), (pixels[:-1], pixels[1:])]:
        assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.6  # Noise would have about 0.


def test_no_two_styles_look_alike(pictures: dict[str, Image.Image]) -> None:
    for one, other in combinations(pictures.values(), 2):
        assert np.abs(grey(one) - grey(other)).mean() > 25


def test_every_style_is_written_as_a_file(tmp_path: Path) -> None:
    paths = paint_styles(tmp_path / "new" / "styles", size_px=SIZE_PX, seed=7)
    assert [path.name for path in paths] == [f"{name}.png" for name in STYLES]
    for path in paths:
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("PNG", (SIZE_PX, SIZE_PX))
