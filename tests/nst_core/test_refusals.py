"""What the optimisation refuses: each bad argument by its name, before anything is computed."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nst_core.encoder import Encoder
from nst_core.pairs import Pair, Style
from nst_core.stylizer import Stylizer
from tests.nst_core.tiny import pictures, preset, stylize


def with_value(value: float) -> Tensor:
    images = pictures()
    images[0, 1, 2, 3] = value
    return images


Arguments = dict[str, Any]
NARROW = pictures(1, 20, 1000)
BAD_ARGUMENTS: dict[str, tuple[Arguments, str]] = {
    "content without a batch": ({"content": pictures()[0]}, "content: expected float images"),
    "no content at all": ({"content": pictures()[:0], "style": []}, "content"),
    "content of 4 channels": (
        {"content": torch.rand(1, 4, 32, 48)},
        "content: .*float32 of 4 x 32 x 48",
    ),
    "content of 1 channel": ({"content": pictures()[:, :1]}, "content: .*float32 of 1 x 32 x 48"),
    "content of bytes": ({"content": torch.zeros(1, 3, 32, 48, dtype=torch.uint8)}, "uint8"),
    "content with NaN": ({"content": with_value(float("nan"))}, "content: .*not finite"),
    "content with infinity": ({"content": with_value(float("inf"))}, "content: .*not finite"),
    "content below 0": ({"content": with_value(-0.1)}, r"content: expected values in 0..1.*-0\.1"),
    "content above 1": ({"content": 255 * pictures()}, r"content: expected values in 0..1.*255"),
    "content too low": ({"content": pictures(1, 7, 48)}, "content: 48x7 px; .*>= 8 px"),
    "content too narrow": ({"content": pictures(1, 48, 7)}, "content: 7x48 px; .*>= 8 px"),
    "content of 50 to 1": ({"content": NARROW}, "content: 1000x20 px; .* at most 32:1"),
    "style of 4 channels": ({"style": torch.rand(1, 4, 32, 48)}, "style: expected a float image"),
    "style without colour": ({"style": [pictures()[0, 0]]}, "style: expected a float image"),
    "style of bytes": ({"style": [torch.zeros(3, 9, 9, dtype=torch.uint8)]}, "style: .*uint8"),
    "style with NaN": ({"style": with_value(float("nan"))}, "style: .*not finite"),
    "style below 0": ({"style": with_value(-0.1)}, "style: expected values in 0..1"),
    "style above 1": ({"style": with_value(1.1)}, r"style: expected values in 0..1.*1\.1"),
    "style too small": ({"style": pictures(1, 20, 7)}, "style: 7x20 px; .*>= 8 px"),
    "style of 50 to 1": ({"style": NARROW}, "style: 1000x20 px; .* at most 32:1"),
    "no style": ({"style": []}, r"style: expected one per content image \(1\), got 0"),
    "two styles": ({"style": pictures(2)}, r"style: expected one per content image \(1\), got 2"),
    "strength below 0": ({"strength": [-0.1]}, r"strength: expected 0..1, got -0\.1"),
    "strength above 1": ({"strength": [1.5]}, r"strength: expected 0..1, got 1\.5"),
    "strength NaN": ({"strength": [float("nan")]}, "strength: expected 0..1, got nan"),
    "strength that is no number": ({"strength": ["1"]}, "strength: expected 0..1, got '1'"),
    "no such way with colour": ({"preserve_color": "yes"}, "preserve_color: .* got 'yes'"),
    "two strengths": ({"strength": [0.5, 1]}, "strength: expected one per content image"),
    "content of an array": ({"content": pictures().numpy()}, "content: expected float images"),
    "style of an array": ({"style": [pictures()[0].numpy()]}, "style: expected a dense torch tens"),
    "style that is none": ({"style": None}, "style: expected one per content image, got None"),
    "sparse style": ({"style": [pictures()[0].to_sparse()]}, "style: .*got a torch.sparse_coo"),
    "one strength for all": ({"strength": 0.5}, "strength: expected one per content image, got 0"),
    "one seed for all": ({"seeds": 3}, "seeds: expected one per content image, got 3"),
    "seed of many digits": ({"seeds": [10**5000]}, "seed: .*a number of thousands of digits"),
    "no seed": ({"seeds": []}, "seeds: expected one per content image"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_a_bad_argument_is_named(arguments: Arguments, message: str, encoder: Encoder) -> None:
    good: Arguments = {"content": pictures(), "style": pictures(seed=1)}
    with pytest.raises(ValueError, match=message):
        Stylizer(encoder, preset())(**{**good, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile_px": 0}, "tile_px: expected a whole number >= 1, got 0"),
        ({"tile_px": 64.0}, "tile_px: expected a whole number"),
        ({"device": "gpu"}, "device: expected cpu or cuda, got 'gpu'"),
        ({"device": "meta"}, "device: expected cpu or cuda, got meta"),
        ({"device": "cuda:97"}, "device: cuda:97: torch finds"),
        ({"device": None}, "device: expected cpu or cuda, got None"),
        ({"preset": "fast"}, "preset: expected one of resolve_preset, got 'fast'"),
        ({"encoder": "random"}, "encoder: expected one of load_encoder, got 'random'"),
    ],
)
def test_a_stylizer_names_what_it_cannot_be_made_of(
    arguments: Arguments, message: str, encoder: Encoder
) -> None:
    good: Arguments = {"encoder": encoder, "preset": preset()}
    with pytest.raises(ValueError, match=message):
        Stylizer(**{**good, **arguments})


def test_one_pixel_is_too_small_for_any_preset(encoder: Encoder) -> None:
    shallow = preset(style_layers={"conv1_1": 1.0}, content_layers={"conv1_1": 1.0})
    with pytest.raises(ValueError, match=r"content: 20x1 px; expected both sides >= 2 px"):
        stylize(encoder, shallow, pictures(1, 1, 20), pictures(seed=1))
    result = stylize(encoder, shallow, pictures(1, 2, 2), pictures(1, 2, 2, seed=1))
    assert result.stop_reason == ("iterations",)


@pytest.mark.parametrize("styles", [Style(pictures()[0]), (pictures()[0],), None])
def test_styles_that_are_none_are_named(styles: Any, encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="styles: expected a tuple of Style"):
        Stylizer(encoder, preset()).check(Pair(pictures()[0], styles))


def test_gradients_may_be_off_around_and_do_not_come_out(encoder: Encoder) -> None:
    content, style = pictures(), pictures(seed=1)
    expected = stylize(encoder, preset(2), content, style).images
    with torch.inference_mode():
        assert torch.equal(stylize(encoder, preset(2), content * 1, style * 1).images, expected)
    with torch.no_grad():
        assert torch.equal(stylize(encoder, preset(2), content, style).images, expected)
    for preserve_color in ("no", "luminance"):
        wanted = content.clone().requires_grad_()
        result = stylize(encoder, preset(2), wanted, style, preserve_color=preserve_color)
        assert not result.images.requires_grad


def test_no_content_is_not_called_too_small(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="content") as raised:
        Stylizer(encoder, preset())(pictures()[:0], [])
    assert ">= 8 px" not in str(raised.value)


def test_one_bad_style_of_several_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=r"style: .*not finite"):
        stylize(encoder, preset(), pictures(2), torch.cat([pictures(), with_value(float("nan"))]))


def test_smaller_images_are_taken_where_the_deepest_layer_is_shallower(encoder: Encoder) -> None:
    shallow = preset(style_layers={"conv1_1": 1.0}, content_layers={"conv2_1": 1.0})
    result = stylize(encoder, shallow, pictures(1, 4, 6), pictures(1, 6, 6, seed=1))
    assert result.images.shape == (1, 3, 4, 6)


@pytest.mark.parametrize("field", ["content_layers", "style_layers"])
def test_a_layer_that_the_encoder_lacks_is_named(field: str, encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="conv3_4 are not in encoder random, which has conv1_1"):
        Stylizer(encoder, preset(**{field: {"conv3_4": 1.0}}))
