"""The encoder: which layers it hands out, what they look like, how much it computes."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torchvision.models import VGG19_Weights

from nst_core.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, layer_names, stride_px

# conv3_1 after two poolings: 4 px a step, and so on.
SHAPES_OF_32X48 = {
    "conv1_1": (16, 32, 48),
    "conv1_2": (16, 32, 48),
    "conv2_1": (32, 16, 24),
    "conv2_2": (32, 16, 24),
    "conv3_1": (48, 8, 12),
    "conv3_2": (48, 8, 12),
    "conv4_1": (64, 4, 6),
    "conv4_2": (64, 4, 6),
    "conv5_1": (64, 2, 3),
}


def images(count: int = 1, height: int = 32, width: int = 48) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def normalised(values: list[list[float]]) -> Tensor:
    """An image that is `values` in each channel once the encoder has normalised it."""
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    return torch.tensor(values).expand(1, 3, -1, -1) * std.view(3, 1, 1) + mean.view(3, 1, 1)


def identity_encoder(average_pool_gain: float) -> Encoder:
    """Each convolution hands every channel on as it is."""
    weight = torch.zeros(3, 3, 3, 3)
    weight[range(3), range(3), 1, 1] = 1
    state = {}
    for layer in ("conv1_1", "conv2_1"):
        state |= {f"{layer}.weight": weight, f"{layer}.bias": torch.zeros(3)}
    return Encoder("identity", state, "0" * 64, average_pool_gain)


@contextmanager
def counted(encoder: Encoder) -> Iterator[Counter[str]]:
    """Counts how often each layer is computed."""
    calls: Counter[str] = Counter()
    hooks = [
        conv.register_forward_hook(lambda *_, name=name: calls.update([name]))
        for name, conv in encoder.convs.items()
    ]
    yield calls
    for hook in hooks:
        hook.remove()


def test_layers_stand_from_shallow_to_deep(encoder: Encoder) -> None:
    assert encoder.layers == tuple(SHAPES_OF_32X48)


@pytest.mark.parametrize(
    ("convs", "count", "last_block_4"),
    [((2, 2, 4, 4, 4), 13, "conv4_4"), ((2, 2, 3, 3, 3), 11, "conv4_3")],
)
def test_layer_names_of_vgg_end_with_conv5_1(
    convs: tuple[int, ...], count: int, last_block_4: str
) -> None:
    names = layer_names(convs)
    assert len(names) == count
    assert names[:4] == ("conv1_1", "conv1_2", "conv2_1", "conv2_2")
    assert names[-2:] == (last_block_4, "conv5_1")


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_shapes_follow_the_strides(encoder: Encoder, pooling: str) -> None:
    features = encoder(images(2), encoder.layers, pooling)
    assert {name: tuple(maps.shape[1:]) for name, maps in features.items()} == SHAPES_OF_32X48
    for name, maps in features.items():
        assert maps.shape[0] == 2
        assert maps.shape[2] * stride_px(name) == 32


def test_uneven_sides_round_down(encoder: Encoder) -> None:
    maps = encoder(images(height=47, width=33), ["conv5_1"])["conv5_1"]
    assert maps.shape[2:] == (2, 2)


def test_one_pass_hands_out_several_layers(encoder: Encoder) -> None:
    wanted = ["conv4_2", "conv1_1", "conv3_1"]
    with counted(encoder) as calls:
        features = encoder(images(), wanted)
    assert set(features) == set(wanted)
    assert set(calls.values()) == {1}
    for name in wanted:
        torch.testing.assert_close(features[name], encoder(images(), [name])[name])


@pytest.mark.parametrize("deepest", SHAPES_OF_32X48)
def test_nothing_deeper_than_the_deepest_layer_is_computed(encoder: Encoder, deepest: str) -> None:
    with counted(encoder) as calls:
        encoder(images(), ["conv1_1", deepest])
    assert list(calls) == list(encoder.layers[: encoder.layers.index(deepest) + 1])


def test_features_are_rectified(encoder: Encoder) -> None:
    for maps in encoder(images(), encoder.layers).values():
        assert maps.min() == 0
        assert maps.max() > 0


def test_an_unknown_layer_is_named(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match=r"layers: encoder random has no conv6_1; it has conv1_1"):
        encoder(images(), ["conv1_1", "conv6_1"])


def test_normalisation_is_that_of_torchvision() -> None:
    transform = VGG19_Weights.IMAGENET1K_V1.transforms()
    assert list(IMAGENET_MEAN) == transform.mean
    assert list(IMAGENET_STD) == transform.std


def test_a_feature_of_the_identity_is_the_normalised_image() -> None:
    values = [[1.0, 2], [3, 0]]
    features = identity_encoder(1)(normalised(values), ["conv1_1"])
    torch.testing.assert_close(features["conv1_1"], torch.tensor(values).expand(1, 3, 2, 2))


@pytest.mark.parametrize(
    ("pooling", "gain", "expected"),
    # The maximum of 1, 2, 3, 2 is 3, their mean 2.
    [("max", 2.0, 3.0), ("average", 1.0, 2.0), ("average", 2.0, 4.0)],
)
def test_average_pooling_has_a_gain_and_max_pooling_none(
    pooling: str, gain: float, expected: float
) -> None:
    features = identity_encoder(gain)(normalised([[1, 2], [3, 2]]), ["conv2_1"], pooling)
    torch.testing.assert_close(features["conv2_1"], torch.full((1, 3, 1, 1), expected))


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_a_constant_image_has_constant_features_up_to_the_border(
    encoder: Encoder, pooling: str
) -> None:
    plain = torch.tensor([0.9, 0.2, 0.4]).view(1, 3, 1, 1).expand(1, 3, 32, 48)
    for maps in encoder(plain, encoder.layers, pooling).values():
        spread = maps.amax(dim=(2, 3)) - maps.amin(dim=(2, 3))
        assert maps.max() > 0.1
        assert spread.max() < 1e-5


def test_the_encoder_is_frozen_but_lets_gradients_through(encoder: Encoder) -> None:
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not encoder.training
    pixels = images().requires_grad_()
    encoder(pixels, ["conv5_1"])["conv5_1"].sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad != 0).all()


def test_features_of_one_image_ignore_its_neighbours(encoder: Encoder) -> None:
    batch = images(3)
    together = encoder(batch, encoder.layers, "average")
    for index in range(3):
        alone = encoder(batch[index : index + 1], encoder.layers, "average")
        for name in encoder.layers:
            torch.testing.assert_close(
                together[name][index : index + 1], alone[name], rtol=1e-4, atol=1e-4
            )
