"""What a pair may have beside content and style: several styles, a mask, colour, a larger size."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nst_core.encoder import Encoder
from nst_core.loading import load_encoder
from nst_core.losses import gram_matrix, style_loss
from nst_core.pairs import Pair, Style, StylizedPair
from nst_core.presets import Preset
from nst_core.style_grams import StyleGrams
from nst_core.stylizer import Stylizer
from tests.nst_core.tiny import pictures, preset, seen_by


def one(encoder: Encoder, chosen: Preset, pair: Pair, **arguments: Any) -> StylizedPair:
    ((_, done),) = Stylizer(encoder, chosen, **arguments).each([pair])
    return done


def distance(encoder: Encoder, chosen: Preset, image: Tensor, style: Tensor) -> float:
    """Between the Gram matrices of two images."""
    grams = {
        layer: gram_matrix(features)
        for layer, features in encoder(style[None], chosen.style_layers, chosen.pooling).items()
    }
    features = encoder(image[None], chosen.style_layers, chosen.pooling)
    return float(style_loss(features, grams, chosen.style_layers, "relative"))


# Several styles

FIRST, SECOND = pictures(1, seed=1)[0], pictures(1, seed=9)[0]


def mixed(encoder: Encoder, *weights: float) -> Tensor:
    styles = (Style(FIRST, weights[0]), Style(SECOND, weights[1]))
    return one(encoder, preset(30), Pair(pictures()[0], styles)).image


def test_the_heavier_style_comes_nearer(encoder: Encoder) -> None:
    results = [mixed(encoder, *weights) for weights in ((9, 1), (1, 1), (1, 9))]
    to_first = [distance(encoder, preset(1), image, FIRST) for image in results]
    to_second = [distance(encoder, preset(1), image, SECOND) for image in results]
    assert to_first == sorted(to_first)
    assert to_second == sorted(to_second, reverse=True)


def test_weights_count_by_their_shares(encoder: Encoder) -> None:
    torch.testing.assert_close(mixed(encoder, 1, 3), mixed(encoder, 2, 6))


def test_twice_the_same_style_is_that_style(encoder: Encoder) -> None:
    twice = Pair(pictures()[0], (Style(FIRST, 0.5), Style(FIRST, 2.0)))
    once = Pair(pictures()[0], (Style(FIRST),))
    torch.testing.assert_close(
        one(encoder, preset(10), twice).image, one(encoder, preset(10), once).image
    )


# Masks


def halves() -> Tensor:
    mask = torch.zeros(32, 48)
    mask[:, 24:] = 1
    return mask


@pytest.mark.parametrize("pixels", ["rgb", "imagenet"])
def test_where_the_mask_is_0_the_content_stays(pixels: str, encoder: Encoder) -> None:
    content = pictures()[0]
    pair = Pair(content, (Style(FIRST),), mask=halves())
    image = one(encoder, preset(scales=[[0.5, 5], [1.0, 10]], pixels=pixels), pair).image
    torch.testing.assert_close(image[..., :24], content[..., :24], rtol=0, atol=1e-6)
    assert (image[..., 24:] - content[..., 24:]).abs().mean() > 0.02


def test_a_half_mask_mixes(encoder: Encoder) -> None:
    content = pictures()[0]
    pair = Pair(content, (Style(FIRST),), mask=torch.full((32, 48), 0.5))
    image = one(encoder, preset(20, learning_rate=0.5), pair).image
    # Pixels are held in 0..1, and half of each is the content's.
    assert (image >= content / 2 - 1e-6).all()
    assert (image <= content / 2 + 0.5 + 1e-6).all()


def test_the_style_of_the_masked_part_is_that_of_the_style(encoder: Encoder) -> None:
    """A part is asked for the style's statistics, not for so much that the whole has them."""
    chosen = preset(60, learning_rate=0.02)
    image = one(encoder, chosen, Pair(pictures()[0], (Style(FIRST),), mask=halves())).image
    part, before = image[..., 24:], pictures()[0][..., 24:]
    assert distance(encoder, chosen, part, FIRST) < 0.3 * distance(encoder, chosen, before, FIRST)


def test_pairs_with_and_without_a_mask_share_a_batch(encoder: Encoder) -> None:
    content = pictures(2)
    pairs = [
        Pair(content[0], (Style(FIRST),), mask=halves()),
        Pair(content[1], (Style(FIRST),)),
    ]
    done = dict(Stylizer(encoder, preset(8)).each(pairs, batch=2))
    for index, pair in enumerate(pairs):
        alone = one(encoder, preset(8), pair).image
        torch.testing.assert_close(done[index].image, alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(32, 47), "mask: expected floats of 32 x 48.* got torch.float32 of 32 x 47"),
        (torch.ones(1, 32, 48), "mask: .* got torch.float32 of 1 x 32 x 48"),
        (torch.ones(32, 48, dtype=torch.bool), "mask: .* got torch.bool"),
        (torch.full((32, 48), 2.0), r"mask: expected values in 0..1, got 2..2"),
        (torch.full((32, 48), torch.nan), "mask: .*not finite"),
    ],
)
def test_a_wrong_mask_is_refused(mask: Tensor, message: str, encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=message):
        one(encoder, preset(1), Pair(pictures()[0], (Style(FIRST),), mask=mask))


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "1", True])
def test_a_wrong_weight_is_refused(weight: Any, encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=r"style weight: expected a number > 0 and <= 1e"):
        one(encoder, preset(1), Pair(pictures()[0], (Style(FIRST, weight),)))


def test_a_pair_without_styles_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="styles: expected at least one, got none"):
        one(encoder, preset(1), Pair(pictures()[0], ()))


@pytest.mark.usefixtures("seen_at_once")
def test_masks_of_a_batch_seen_at_once_do_not_mix() -> None:
    exact = load_encoder("random").double()
    small = torch.zeros(32, 48)
    small[:8, :8] = 1
    pairs = [
        Pair(content, (Style(FIRST),), mask=mask)
        for content, mask in zip(pictures(2), (halves(), small))
    ]
    done = dict(Stylizer(exact, preset(8)).each(pairs, batch=2))
    for index, pair in enumerate(pairs):
        alone = one(exact, preset(8), pair)
        torch.testing.assert_close(done[index].image, alone.image, rtol=0, atol=1e-4)
        assert done[index].start == pytest.approx(alone.start, rel=1e-4)


def test_losses_at_the_start_are_those_of_what_the_mask_lets_through(encoder: Encoder) -> None:
    chosen = preset(5, initial="noise")
    nowhere = Pair(pictures()[0], (Style(FIRST),), mask=torch.zeros(32, 48))
    done = one(encoder, chosen, nowhere)
    torch.testing.assert_close(done.image, pictures()[0])
    assert done.start == pytest.approx(done.end)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 1.5, "1", True])
def test_a_wrong_seed_is_refused(seed: Any, encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="seed: expected a whole number of 64 bits, got"):
        one(encoder, preset(1, initial="noise"), Pair(pictures()[0], (Style(FIRST),), seed=seed))


# Colour


def test_matched_colours_keep_the_contents_palette(encoder: Encoder) -> None:
    content = 0.3 + 0.4 * pictures()[0] * torch.tensor([1.0, 0.5, 0.2])[:, None, None]
    plain = one(encoder, preset(40), Pair(content, (Style(FIRST),))).image
    matched = one(encoder, preset(40), Pair(content, (Style(FIRST),), preserve_color="match")).image
    own = content.mean(dim=(1, 2))
    assert (matched.mean(dim=(1, 2)) - own).norm() < 0.5 * (plain.mean(dim=(1, 2)) - own).norm()
    assert (matched - content).abs().mean() > 0.02


# Content beyond the working size


def test_larger_content_is_worked_small_and_finished_at_its_own_size(encoder: Encoder) -> None:
    chosen = preset(scales=[[0.5, 4], [1.0, 3]], size=48)
    with seen_by(encoder) as seen:
        done = one(encoder, chosen, Pair(pictures(1, 64, 96)[0], (Style(FIRST),)))
    assert done.image.shape == (3, 64, 96)
    assert done.iterations == 4 + 3 + 3
    sizes = [tuple(images.shape[2:]) for images in seen]
    assert list(dict.fromkeys(sizes)) == [(16, 24), (32, 48), (64, 96)]


def test_pixels_in_all_counts_every_scale(encoder: Encoder) -> None:
    stylizer = Stylizer(encoder, preset(scales=[[0.5, 4], [1.0, 3]], size=48))
    assert stylizer.pixels_in_all(32, 48) == 16 * 24 * 4 + 32 * 48 * 3
    assert stylizer.pixels_in_all(64, 96) == 16 * 24 * 4 + 32 * 48 * 3 + 64 * 96 * 3


# Styles that are kept


@pytest.mark.parametrize(
    ("style_shape", "style_size", "content_size", "expected"),
    [
        ("long_side", (1000, 500), (48, 64), (64, 32)),
        ("long_side", (30, 40), (48, 64), (30, 40)),
        ("long_side", (20, 400), (32, 48), (8, 160)),
        ("long_side", (64, 2047), (225, 300), (10, 300)),
        ("content", (1000, 500), (48, 64), (128, 64)),
        ("content", (500, 1000), (48, 64), (48, 96)),
    ],
)
def test_a_style_is_useful_up_to_what_is_seen_of_it(
    style_shape: str,
    style_size: tuple[int, int],
    content_size: Any,
    expected: Any,
    encoder: Encoder,
) -> None:
    stylizer = Stylizer(encoder, preset(1, style_shape=style_shape))
    assert stylizer.useful_style_size(style_size, content_size) == expected


def test_a_style_with_a_key_is_looked_at_once(encoder: Encoder, tmp_path: Path) -> None:
    chosen = preset(scales=[[0.5, 1], [1.0, 1]])

    def looks(key: str | None, folder: Path | None) -> tuple[int, list[Tensor]]:
        pairs = [Pair(content, (Style(FIRST, key=key),)) for content in pictures(3)]
        with seen_by(encoder) as seen:
            stylizer = Stylizer(encoder, chosen, style_grams=StyleGrams(folder))
            images = [done.image for _, done in stylizer.each(pairs)]
        return len(seen), images

    unkept, expected = looks(None, None)
    in_memory, images = looks("first", tmp_path)
    from_folder, images_again = looks("first", tmp_path)
    # Three pairs at two scales: six looks at the style, then two, then none.
    assert (in_memory, from_folder) == (unkept - 4, unkept - 6)
    for results in (images, images_again):
        for image, other in zip(results, expected):
            assert torch.equal(image, other)
