"""The student in training: the encoder's shape with batch-norm, and linear heads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core.encoder import IMAGENET_MEAN, IMAGENET_STD, layer_names


class Student(nn.Module):
    """VGG-shaped, average pooling, replicate padding, a batch-norm before each rectifier."""

    mean: Tensor
    std: Tensor

    def __init__(self, widths: Sequence[int], convs_per_block: Sequence[int]) -> None:
        super().__init__()
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        channels_in = 3
        for layer in layer_names(convs_per_block):
            channels_out = widths[int(layer[len("conv")]) - 1]
            self.convs[layer] = nn.Conv2d(
                channels_in, channels_out, 3, padding=1, padding_mode="replicate", bias=False
            )
            self.norms[layer] = nn.BatchNorm2d(channels_out)
            channels_in = channels_out
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, images: Tensor, apart: Collection[str] = ()) -> dict[str, Tensor]:
        """B x 3 x H x W sRGB in 0..1 -> layer -> rectified activations.

        Args:
            apart: layers whose gradients do not reach the layer before them.
        """
        x = self.normalised(images).contiguous(memory_format=torch.channels_last)
        features = {}
        for layer in self.convs:
            if layer in apart:
                x = x.detach()
            x = self.activations(layer, self.pooled(layer, x))
            features[layer] = x
        return features

    def normalised(self, images: Tensor) -> Tensor:
        """What the first layer sees of images in 0..1."""
        return (images - self.mean) / self.std

    @staticmethod
    def pooled(layer: str, x: Tensor) -> Tensor:
        """What `layer` sees of the activations of the layer before it."""
        first_of_block = layer.endswith("_1") and layer != "conv1_1"
        return F.avg_pool2d(x, 2) if first_of_block else x

    def activations(self, layer: str, x: Tensor) -> Tensor:
        """Of one layer, from what it sees."""
        return F.relu(self.norms[layer](self.convs[layer](x)))

    @torch.no_grad()
    def folded(self) -> dict[str, Tensor]:
        """`<layer>.weight`, `<layer>.bias` of the same function without batch-norm."""
        state = {}
        for layer, norm in self.norms.items():
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight: Tensor = self.convs[layer].weight  # type: ignore[assignment]
            state[f"{layer}.weight"] = weight * scale.view(-1, 1, 1, 1)
            state[f"{layer}.bias"] = norm.bias - norm.running_mean * scale
        return state


class Heads(nn.Module):
    """One 1x1 convolution a target: what the teacher says, linearly from what the student says."""

    def __init__(self, channels: Mapping[str, tuple[int, int]]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {layer: nn.Conv2d(inner, outer, 1) for layer, (inner, outer) in channels.items()}
        )

    def forward(self, layer: str, features: Tensor) -> Tensor:
        """Student activations of `layer` to the teacher's channels, standardised."""
        said: Tensor = self.heads[layer](features)
        return said

    @torch.no_grad()
    def set(self, layer: str, weight: Tensor, bias: Tensor) -> None:
        """Weight O x I and bias O of one head."""
        head = self.heads[layer]
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        head.weight.copy_(weight.view_as(head.weight))
        head.bias.copy_(bias)


@torch.no_grad()
def with_mean_activation_one(
    state: dict[str, Tensor], mean_of_layer: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The same encoder with each layer's mean over natural images moved to 1 (Gatys et al. 2016).

    Dividing a rectified layer by a positive number and multiplying the next one's input weights
    by it changes nothing but the layer's scale.

    Args:
        mean_of_layer: mean activation of each layer of `state` as it is.
    """
    scaled, before = {}, torch.tensor(1.0)
    for layer, mean in mean_of_layer.items():
        scaled[f"{layer}.weight"] = state[f"{layer}.weight"] * before / mean
        scaled[f"{layer}.bias"] = state[f"{layer}.bias"] / mean
        before = mean
    return scaled
