"""Stylizing the luminance alone."""

import torch
from torch import Tensor

from nst_core.encoder import Encoder
from tests.nst_core.tiny import pictures, preset, seen_by, stylize


def luma(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def test_preserve_color_keeps_the_chroma_and_moves_the_luma(encoder: Encoder) -> None:
    content = 0.35 + 0.3 * pictures(2)
    chosen = preset(10, learning_rate=0.04)
    result = stylize(encoder, chosen, content, pictures(2, seed=1), preserve_color="luminance")
    within = ((result.images > 0) & (result.images < 1)).all(dim=1, keepdim=True).expand_as(content)
    assert within.float().mean() > 0.5
    chroma, expected = result.images - luma(result.images), content - luma(content)
    torch.testing.assert_close(chroma[within], expected[within], rtol=0, atol=1e-5)
    assert (luma(result.images) - luma(content)).abs().mean() > 0.02


def test_without_preserve_color_the_chroma_moves(encoder: Encoder) -> None:
    content = 0.35 + 0.3 * pictures()
    result = stylize(encoder, preset(10), content, pictures(seed=1))
    chroma, before = result.images - luma(result.images), content - luma(content)
    assert (chroma - before).abs().mean() > 0.02


def test_preserve_color_sees_only_gray(encoder: Encoder) -> None:
    with seen_by(encoder) as seen:
        stylize(encoder, preset(1), pictures(), pictures(seed=1), preserve_color="luminance")
    content, style = seen[:2]
    for images in (content, style):
        torch.testing.assert_close(images[:, 0], images[:, 2])
