"""The optimisation on tiny images with the random encoder."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.encoder import Encoder
from nst_core.loading import load_encoder
from nst_core.losses import gram_matrix, style_loss
from nst_core.presets import PRESETS
from nst_core.stylizer import Stylizer
from tests.nst_core.tiny import any_optimiser, pictures, preset, seen_by, stylize, with_optimiser


@pytest.fixture(scope="module")
def exact_encoder() -> Encoder:
    """In float64, so that rounding cannot tip a rectifier from one batch size to the next."""
    return load_encoder("random").double()


# The result


@pytest.mark.parametrize("name", PRESETS)
def test_the_loss_falls_and_the_result_is_an_image(name: str, encoder: Encoder) -> None:
    content, style = pictures(2), pictures(2, seed=1)
    result = stylize(encoder, preset(15, name), content, style)
    assert result.images.shape == content.shape
    assert result.images.dtype == torch.float32
    assert result.images.min() >= 0
    assert result.images.max() <= 1
    assert (result.end.total < 0.9 * result.start.total).all()
    assert result.iterations == (15, 15)
    assert result.stop_reason == ("iterations", "iterations")


@any_optimiser
def test_every_optimiser_lowers_the_loss_of_every_pair(optimiser: str, encoder: Encoder) -> None:
    result = stylize(
        encoder, with_optimiser(optimiser, 30), pictures(3), pictures(3, 24, 24, seed=1)
    )
    assert (result.end.total < result.start.total).all()
    assert (result.end.style < result.start.style).all()


@any_optimiser
@pytest.mark.parametrize("initial", ["content", "noise"])
def test_a_pair_does_not_depend_on_its_neighbours(
    optimiser: str, initial: str, exact_encoder: Encoder
) -> None:
    stylizer = Stylizer(exact_encoder, with_optimiser(optimiser, 8, initial=initial))
    content, style = pictures(3), pictures(3, 40, 24, seed=1)
    strength, seeds = [1.0, 0.6, 0.3], [11, 12, 13]
    together = stylizer(content, style, strength=strength, seeds=seeds)
    for i in range(3):
        one = slice(i, i + 1)
        alone = stylizer(content[one], style[one], strength=strength[one], seeds=seeds[one])
        torch.testing.assert_close(together.images[one], alone.images, rtol=0, atol=1e-4)
        assert together.end.of_pair(i) == pytest.approx(alone.end.of_pair(0), rel=1e-4)
        assert together.start.of_pair(i) == pytest.approx(alone.start.of_pair(0), rel=1e-4)


def test_the_same_call_gives_the_same_result(encoder: Encoder) -> None:
    content, style = pictures(2), pictures(2, seed=1)
    once = stylize(encoder, preset(), content, style)
    again = stylize(encoder, preset(), content, style)
    assert torch.equal(once.images, again.images)


@pytest.mark.parametrize("pixels", ["rgb", "imagenet"])
def test_the_tensors_given_are_left_as_they_were(pixels: str, encoder: Encoder) -> None:
    content, style = pictures(), pictures(seed=1)
    before = content.clone(), style.clone()
    stylize(encoder, preset(pixels=pixels), content, style)
    assert torch.equal(content, before[0])
    assert torch.equal(style, before[1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_floats_are_taken(dtype: torch.dtype, encoder: Encoder) -> None:
    result = stylize(encoder, preset(), pictures().to(dtype), pictures(seed=1).to(dtype))
    assert result.images.dtype == torch.float32
    assert result.end.total < result.start.total


@pytest.mark.parametrize("weight", [1e-4, 1.0, 1e4])
def test_lbfgs_makes_headway_whatever_the_scale_of_the_loss(
    weight: float, encoder: Encoder
) -> None:
    chosen = preset(25, "gatys2016", initial="content", content_weight=weight, style_weight=weight)
    result = stylize(encoder, chosen, pictures(), pictures(seed=1))
    assert result.end.total < 0.5 * result.start.total


def test_end_losses_are_those_of_the_image_handed_out(encoder: Encoder) -> None:
    chosen = preset(5, style_layers={"conv1_1": 2.0, "conv3_1": 0.5}, style_shape="content")
    content, style = pictures(), pictures(seed=1)
    result = stylize(encoder, chosen, content, style)
    maps = encoder(result.images, chosen.layers, chosen.pooling)
    grams = {k: gram_matrix(v) for k, v in encoder(style, chosen.layers, chosen.pooling).items()}
    expected = style_loss(maps, grams, chosen.style_layers, chosen.style_error)
    torch.testing.assert_close(result.end.style, expected)
    losses = result.end.of_pair(0)
    assert losses["total"] == pytest.approx(
        chosen.content_weight * losses["content"]
        + chosen.style_weight * losses["style"]
        + chosen.total_variation_weight * losses["total_variation"]
    )


# Where it starts


def start_image(encoder: Encoder, initial: str, **arguments: Any) -> Tensor:
    """The initial image, one step of no length away."""
    chosen = preset(1, initial=initial, optimiser="sgd", learning_rate=1e-12)
    count = len(arguments.get("seeds", [0]))
    styles = pictures(count, 40, 20, seed=1)
    return stylize(encoder, chosen, pictures(count), styles, **arguments).images


def test_it_may_start_from_the_content(encoder: Encoder) -> None:
    torch.testing.assert_close(start_image(encoder, "content"), pictures())


def test_it_may_start_from_the_style_in_the_shape_of_the_content(encoder: Encoder) -> None:
    resized = F.interpolate(pictures(1, 40, 20, seed=1), (32, 48), mode="bicubic", antialias=True)
    torch.testing.assert_close(start_image(encoder, "style"), resized.clamp(0, 1))


def test_noise_is_repeated_by_its_seed_and_by_nothing_else(encoder: Encoder) -> None:
    torch.manual_seed(1)
    noise = start_image(encoder, "noise", seeds=[7, 8, 7])
    torch.manual_seed(2)
    again = start_image(encoder, "noise", seeds=[8])
    torch.testing.assert_close(noise[0], noise[2])
    torch.testing.assert_close(noise[1], again[0])
    assert (noise[0] - noise[1]).abs().mean() > 0.1


def test_noise_is_that_of_seed_0_unless_told(encoder: Encoder) -> None:
    assert torch.equal(start_image(encoder, "noise"), start_image(encoder, "noise", seeds=[0]))


def test_noise_has_the_mean_of_natural_images(encoder: Encoder) -> None:
    noise = start_image(encoder, "noise", seeds=range(8))
    mean = noise.mean(dim=(0, 2, 3))
    assert mean.tolist() == pytest.approx([0.485, 0.456, 0.406], abs=0.03)
    assert 0.15 < noise.std() < 0.3


# Strength


@any_optimiser
def test_strength_0_keeps_the_content(optimiser: str, encoder: Encoder) -> None:
    chosen = with_optimiser(optimiser, total_variation_weight=0)
    result = stylize(encoder, chosen, pictures(), pictures(seed=1), strength=[0])
    assert result.start.total.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(result.images, pictures(), rtol=0, atol=1 / 255)


def test_more_strength_comes_nearer_to_the_style(encoder: Encoder) -> None:
    strengths = [0, 0.25, 0.5, 0.75, 1]
    chosen = preset(40, style_shape="content")
    content, style = pictures().repeat(5, 1, 1, 1), pictures(seed=1).repeat(5, 1, 1, 1)
    result = stylize(encoder, chosen, content, style, strength=strengths)
    maps = encoder(result.images, chosen.style_layers, chosen.pooling)
    target = encoder(style, chosen.style_layers, chosen.pooling)
    grams = {layer: gram_matrix(one) for layer, one in target.items()}
    distance = style_loss(maps, grams, chosen.style_layers, "relative")
    assert (distance.diff() < 0).all()
    assert distance[-1] < 0.5 * distance[0]


def test_strength_is_1_unless_told(encoder: Encoder) -> None:
    content, style = pictures(), pictures(seed=1)
    told = stylize(encoder, preset(), content, style, strength=[1.0])
    assert torch.equal(stylize(encoder, preset(), content, style).images, told.images)


# Styles


def test_styles_of_different_sizes_share_a_batch(exact_encoder: Encoder) -> None:
    stylizer = Stylizer(exact_encoder, preset(5))
    content = pictures(3)
    styles = [pictures(1, *side, seed=9)[0] for side in ((40, 40), (24, 60), (64, 32))]
    together = stylizer(content, styles)
    for i in range(3):
        alone = stylizer(content[i : i + 1], [styles[i]])
        torch.testing.assert_close(together.images[i], alone.images[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("style_shape", "expected"), [("long_side", (48, 24)), ("content", (32, 48))]
)
def test_a_style_is_fitted_to_the_content(
    style_shape: str, expected: tuple[int, int], encoder: Encoder
) -> None:
    with seen_by(encoder) as seen:
        stylize(encoder, preset(1, style_shape=style_shape), pictures(), pictures(1, 64, 32))
    assert tuple(seen[1].shape[2:]) == expected


def test_a_narrow_style_stays_as_wide_as_the_encoder_needs(encoder: Encoder) -> None:
    with seen_by(encoder) as seen:
        stylize(encoder, preset(1), pictures(), pictures(1, 20, 400))
    assert tuple(seen[1].shape[2:]) == (8, 160)


# Scales


def test_it_works_from_coarse_to_fine(encoder: Encoder) -> None:
    with seen_by(encoder) as seen:
        result = stylize(encoder, preset(scales=[[0.5, 4], [1.0, 2]]), pictures(), pictures(seed=1))
    sizes = [tuple(images.shape[2:]) for images in seen]
    # The targets of a scale are content and style; two looks more are for the losses handed out,
    # of which the first comes before the steps.
    assert sizes == [(16, 24)] * (2 + 4) + [(32, 48)] * (2 + 2 + 2)
    assert result.images.shape == (1, 3, 32, 48)


def test_a_fine_scale_starts_where_the_coarse_one_ended(encoder: Encoder) -> None:
    with seen_by(encoder) as seen:
        chosen = preset(scales=[[0.5, 30], [1.0, 1]], learning_rate=0.02)
        stylize(encoder, chosen, pictures(), pictures(seed=1))
    last_coarse, first_fine = seen[2 + 29], seen[2 + 30 + 3]
    enlarged = F.interpolate(last_coarse, (32, 48), mode="bicubic").clamp(0, 1)
    # One step of Adam lies between the last coarse image seen and the one enlarged.
    assert (first_fine - enlarged).abs().mean() < 0.03
    assert (first_fine - pictures()).abs().mean() > 0.05


def test_a_coarse_scale_is_never_smaller_than_the_stride(encoder: Encoder) -> None:
    with seen_by(encoder) as seen:
        stylize(encoder, preset(scales=[[0.1, 1], [1, 1]]), pictures(1, 20, 40), pictures(seed=1))
    assert tuple(seen[0].shape[2:]) == (8, 8)


# Pixels


def test_rgb_pixels_are_held_in_range_after_each_step(encoder: Encoder) -> None:
    chosen = preset(4, pixels="rgb", learning_rate=0.5)
    with seen_by(encoder) as seen:
        stylize(encoder, chosen, pictures(), pictures(seed=1))
    assert all(images.min() >= 0 and images.max() <= 1 for images in seen)


def test_imagenet_pixels_are_cut_only_at_the_end(encoder: Encoder) -> None:
    chosen = preset(4, pixels="imagenet", learning_rate=0.5)
    with seen_by(encoder) as seen:
        result = stylize(encoder, chosen, pictures(), pictures(seed=1))
    assert seen[5].max() > 1
    assert result.images.max() <= 1


# Not finite


def test_a_pair_whose_loss_explodes_is_marked_and_its_neighbour_is_not(encoder: Encoder) -> None:
    chosen = with_optimiser("sgd", 8, pixels="imagenet")
    stylizer = Stylizer(encoder, chosen)
    # Of the encoder's mean colour no feature is left, and every error is huge relative to it.
    featureless = encoder.mean.expand(1, 3, 32, 48)
    content, style = pictures(2), torch.cat([featureless, pictures(seed=1)])
    result = stylizer(content, style)
    assert result.stop_reason == ("not_finite", "iterations")
    assert result.end.total.isfinite().tolist() == [False, True]
    alone = stylizer(content[1:], style[1:])
    torch.testing.assert_close(result.images[1:], alone.images, rtol=0, atol=1e-4)


@pytest.mark.parametrize("iterations", range(1, 6))
def test_a_loss_that_was_not_finite_is_never_called_a_success(
    iterations: int, encoder: Encoder
) -> None:
    heard: list[float] = []
    chosen = preset(iterations, optimiser="sgd", learning_rate=1e12, pixels="imagenet")
    result = stylize(
        encoder,
        chosen,
        pictures(),
        pictures(seed=1),
        on_progress=lambda one: heard.extend(one.total_loss),
    )
    finite = all(map(math.isfinite, heard))
    assert result.stop_reason == ("iterations" if finite else "not_finite",)


# Precision


def test_bfloat16_ends_at_the_loss_of_float32() -> None:
    content, style = pictures(1, 64, 96, seed=1), pictures(1, 64, 64, seed=2)
    encoder = load_encoder("random")
    # Steady steps: at the end of the short memories of `fast` the loss jumps by more than this.
    steady = {"learning_rate": 0.03, "adam_betas": [0.9, 0.999]}
    ends = {
        precision: stylize(encoder, preset(60, precision=precision, **steady), content, style)
        for precision in ("fp32", "bf16")
    }
    assert {name: end.precision for name, end in ends.items()} == {
        "fp32": ("fp32",),
        "bf16": ("bf16",),
    }
    assert encoder.precision == torch.float32
    exact = float(ends["fp32"].end.total)
    assert float(ends["bf16"].end.total) == pytest.approx(exact, rel=0.03)
    assert ends["bf16"].images.dtype == torch.float32


def test_auto_takes_what_the_device_computes_in() -> None:
    native = getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16", False)
    chosen = Stylizer(load_encoder("random"), preset(1, precision="auto")).precision
    assert chosen == ("bf16" if native else "fp32")
