"""Ways to keep the colours of the content."""

import pytest
import torch
from torch import Tensor

from nst_core.color import as_gray, luminance, match_colors, match_luminance, with_color_of


def images(seed: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(2, 3, 20, 30, generator=generator)


@pytest.mark.parametrize(
    ("rgb", "luma"),
    [((1, 0, 0), 0.299), ((0, 1, 0), 0.587), ((0, 0, 1), 0.114), ((0.5, 0.5, 0.5), 0.5)],
)
def test_luminance_is_rec_601_luma(rgb: tuple[float, ...], luma: float) -> None:
    pixel = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)
    assert luminance(pixel).item() == pytest.approx(luma)
    assert as_gray(pixel).flatten().tolist() == pytest.approx([luma] * 3)


def test_matched_style_has_the_mean_and_spread_of_the_content() -> None:
    content = images(0, 0.4, 0.6)
    matched = match_luminance(images(1), content)
    for index in range(2):
        luma = luminance(content)[index]
        assert matched[index, 0].mean().item() == pytest.approx(luma.mean().item(), abs=1e-4)
        assert matched[index, 0].std().item() == pytest.approx(luma.std().item(), rel=1e-3)


def test_matched_style_is_gray_in_range_and_of_its_own_size() -> None:
    style = images(1)[:, :, :7, :9]
    matched = match_luminance(style, images(0))
    assert matched.shape == style.shape
    assert torch.equal(matched[:, 0], matched[:, 2])
    assert matched.min() >= 0
    assert matched.max() <= 1


def test_a_style_of_one_colour_matches_to_the_mean_of_the_content() -> None:
    content = images(0)
    matched = match_luminance(torch.full((2, 3, 8, 8), 0.9), content)
    expected = luminance(content).mean(dim=(2, 3), keepdim=True).expand_as(matched)
    torch.testing.assert_close(matched, expected, rtol=0, atol=1 / 255)


def test_the_result_has_the_luma_of_one_and_the_chroma_of_the_other() -> None:
    gray, content = as_gray(images(1, 0.4, 0.6)), images(0, 0.4, 0.6)
    result = with_color_of(gray, content)
    torch.testing.assert_close(luminance(result), luminance(gray))
    torch.testing.assert_close(result - luminance(result), content - luminance(content))


def color_statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    pixels = image[0].flatten(1).double()
    return pixels.mean(1), torch.cov(pixels, correction=0)


def test_matched_colors_have_the_mean_and_covariance_of_the_content() -> None:
    # Little contrast around the middle, so that nothing is cut at 0 or 1.
    content = 0.4 + 0.2 * torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    content[:, 1] = 0.5 * content[:, 0] + 0.25
    style = torch.rand(1, 3, 40, 16, generator=torch.Generator().manual_seed(1))
    matched = match_colors(style, content)
    assert matched.shape == style.shape
    for ours, expected in zip(color_statistics(matched), color_statistics(content)):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


def test_a_style_in_the_contents_colors_stays_as_it_is() -> None:
    image = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(match_colors(image, image), image)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_an_image_of_one_color_can_be_matched_both_ways(level: float) -> None:
    flat, image = torch.full((1, 3, 8, 8), level), torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(match_colors(image, flat), flat.expand_as(image), atol=1e-3, rtol=0)
    matched = match_colors(flat, image)
    assert matched.isfinite().all()
    torch.testing.assert_close(matched.mean(), image.mean(), atol=1e-3, rtol=0)
