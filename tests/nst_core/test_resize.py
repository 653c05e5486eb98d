"""Sizes and resizing."""

import pytest
import torch

from nst_core.resize import fit_long_side, resize


@pytest.mark.parametrize(
    ("height", "width", "long_side", "expected"),
    [
        (300, 400, 200, (150, 200)),
        (400, 300, 200, (200, 150)),
        (30, 40, 400, (300, 400)),
        (7, 7, 5, (5, 5)),
        (1, 1000, 100, (1, 100)),
    ],
)
def test_the_long_side_fits_and_proportions_stay(
    height: int, width: int, long_side: int, expected: tuple[int, int]
) -> None:
    assert fit_long_side(height, width, long_side) == expected


def test_an_image_of_the_right_size_is_handed_back_as_it_is() -> None:
    image = torch.rand(1, 3, 6, 8)
    assert torch.equal(resize(image, 6, 8), image)


def test_a_smaller_image_is_free_of_aliases() -> None:
    stripes = (torch.arange(64) % 2).float().expand(1, 3, 64, 64)
    small = resize(stripes, 20, 20)
    assert small.shape == (1, 3, 20, 20)
    assert (small - 0.5).abs().max() < 0.1


def test_a_ramp_stays_a_ramp_when_made_larger() -> None:
    ramp = torch.linspace(0, 1, 16).expand(1, 3, 16, 16)
    columns = resize(ramp, 32, 32)[0, 0, 0]
    assert (columns.diff()[4:-4] > 0).all()
    assert columns[16] - columns[15] == pytest.approx(1 / 30, rel=0.05)
