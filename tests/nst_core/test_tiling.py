"""Images seen in blocks: the losses and gradients of the whole, from a part at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_core.encoder import Encoder, stride_px
from nst_core.loading import load_encoder
from nst_core.objective import Objective
from nst_core.pairs import Pair, Style
from nst_core.sight import Sight
from nst_core.style_grams import StyleGrams
from nst_core.stylizer import Stylizer
from nst_core.targets import targets_of
from nst_core.tiling import blocks
from tests.nst_core.tiny import pictures, preset, seen_by

LAYERS = ("conv1_1", "conv2_2", "conv3_1", "conv4_2", "conv5_1")


def objective(encoder: Encoder, name: str, tile_px: int) -> Objective:
    return Objective(Sight(encoder, preset(1, name), "fp32", tile_px), StyleGrams())


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(16, 150), width=st.integers(16, 150), tile_px=st.sampled_from([16, 48, 70])
)
def test_blocks_have_the_features_of_the_whole(height: int, width: int, tile_px: int) -> None:
    encoder = load_encoder("random").double()
    image = pictures(1, height, width).double()
    whole = encoder(image, LAYERS)
    covered = {layer: torch.zeros_like(one[:, :1]) for layer, one in whole.items()}
    for block in blocks(encoder, LAYERS, height, width, tile_px):
        seen = encoder(block.crop(image), LAYERS)
        for layer, features in seen.items():
            stride = stride_px(layer)
            own = block.own(whole[layer], stride)
            torch.testing.assert_close(block.inside(features, stride), own, rtol=0, atol=1e-12)
            block.own(covered[layer], stride).add_(1)
    assert all((one == 1).all() for one in covered.values()), "each position in one block"


def test_a_block_sees_less_than_the_whole(encoder: Encoder) -> None:
    for block in blocks(encoder, ("conv3_1",), 640, 640, 128):
        assert block.crop(torch.empty(3, 640, 640)).shape[1] <= 160 + 2 * 24


def losses_and_gradient(of: Objective, image: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
    content, style = pictures(1, 100, 131).double(), pictures(1, 90, 120, seed=1).double()
    styles = [(Style(style[0]),)]
    targets = targets_of(of.sight, of.style_grams, content, styles, [0.7], mask)
    losses, gradient = of.losses_and_gradient(image, targets)
    again = of.losses(image, targets)
    torch.testing.assert_close(again.total, losses.total)
    return {
        "content": losses.content,
        "style": losses.style,
        "variation": losses.total_variation,
        "total": losses.total,
        "gradient": gradient / gradient.abs().max(),
    }


@pytest.mark.parametrize("name", ["fast", "gatys2016", "report2019"])
@pytest.mark.parametrize("masked", [False, True])
def test_losses_and_gradient_are_those_of_the_whole(name: str, masked: bool) -> None:
    encoder = load_encoder("random").double()
    mask = None
    if masked:
        mask = torch.zeros(1, 1, 100, 131, dtype=torch.float64)
        mask[..., 20:80, 40:] = 1
    image = pictures(1, 100, 131, seed=2).double()
    whole = losses_and_gradient(objective(encoder, name, 1000), image, mask)
    tiled = losses_and_gradient(objective(encoder, name, 48), image, mask)
    for part, expected in whole.items():
        # Style Gram matrices are computed in float32, whatever the encoder's precision.
        torch.testing.assert_close(tiled[part], expected, rtol=1e-5, atol=1e-6, msg=part)


def test_a_picture_in_blocks_is_the_picture_as_a_whole(encoder: Encoder) -> None:
    pair = Pair(pictures(1, 120, 150)[0], (Style(pictures(1, 90, 90, seed=1)[0]),))
    # Steady steps, so that rounding does not grow into another picture.
    chosen = preset(20, adam_betas=[0.9, 0.999], pixels="imagenet", learning_rate=0.01)
    with seen_by(encoder) as seen:
        ((_, tiled),) = Stylizer(encoder, chosen, tile_px=64).each([pair])
    assert max(max(images.shape[2:]) for images in seen) < 150
    ((_, whole),) = Stylizer(encoder, chosen).each([pair])
    torch.testing.assert_close(tiled.image, whole.image, rtol=0, atol=1e-3)
    assert tiled.end["total"] == pytest.approx(whole.end["total"], rel=1e-3)
