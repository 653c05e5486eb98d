"""The encoder: a VGG-shaped network that hands out named layers in one pass."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_core import winograd
from nst_core.padding import pad, rectify_and_pad, rectify_then_pad

Pooling = Literal["average", "max"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

DEEPEST_LAYER = "conv5_1"


def layer_names(convs_per_block: Iterable[int]) -> tuple[str, ...]:
    """Names `conv<block>_<n>` in the order of the pass, up to and including conv5_1."""
    names = [
        f"conv{block}_{conv}"
        for block, convs in enumerate(convs_per_block, start=1)
        for conv in range(1, convs + 1)
    ]
    return tuple(names[: names.index(DEEPEST_LAYER) + 1])


def stride_px(layer: str) -> int:
    """Pixels under one step of the feature map of `layer`: 1 for conv1_1, 16 for conv5_1."""
    return int(2 ** (int(layer[len("conv")]) - 1))


class Encoder(nn.Module):
    """VGG-shaped: 3x3 convolutions with ReLU, a 2x2 pooling before each block but the first.

    Source: Simonyan & Zisserman 2015 (VGG); Gatys et al. 2016 for average pooling.
    Convolutions pad by repeating the image's border instead of zeros: zeros draw a dark frame.

    Args:
        name: the name it was loaded by; part of the metadata.
        weights: `<layer>.weight` (O x I x 3 x 3) and `<layer>.bias` (O), float, for each layer.
        sha256: identifies the weights; part of every pair's id.
        average_pool_gain: factor after average pooling that keeps later activations at the level
            that the weights, trained with max pooling, expect. 2 for VGG: the mean of four
            rectified activations is about half their maximum.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        weights: Mapping[str, Tensor],
        sha256: str,
        average_pool_gain: float,
    ) -> None:
        super().__init__()
        self.name = name
        self.sha256 = sha256
        self.average_pool_gain = average_pool_gain
        self.convs = nn.ModuleDict()
        self._winograd: dict[str, tuple[Tensor, Tensor]] = {}
        for key in weights:
            layer, _, kind = key.partition(".")
            if kind == "weight":
                self.convs[layer] = _convolution(weights[key], weights[f"{layer}.bias"])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    @property
    def precision(self) -> torch.dtype:
        """The float type of its weights and of what it hands out, whatever that of the images."""
        return next(self.parameters()).dtype

    def at_precision(self, precision: torch.dtype) -> Encoder:
        """This encoder, or a copy of it, with weights of that precision.

        Args:
            precision: torch.float32, torch.bfloat16 or torch.float64.
        """
        if self.precision == precision:
            return self
        other = copy.deepcopy(self)
        other.convs.to(precision)
        other._winograd = {
            name: winograd.transformed(weight)
            for name, weight in other._weights().items()
            if winograd.may_pay(weight)
        }
        return other

    def _weights(self) -> dict[str, Tensor]:
        convs: Any = self.convs
        return {name: conv.weight for name, conv in convs.items()}

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers it can hand out, shallow to deep."""
        return tuple(self.convs)

    def forward(
        self, images: Tensor, layers: Iterable[str], pooling: Pooling = "max"
    ) -> dict[str, Tensor]:
        """Rectified activations of the named layers; nothing deeper than the deepest is computed.

        Args:
            images: B x 3 x H x W, float, sRGB in 0..1; H and W at least `stride_px` of the
                deepest layer.
            layers: names out of `self.layers`, in any order.
            pooling: "max" as VGG was trained, or "average" as Gatys et al. propose.

        Returns:
            name -> B x C x H/s x W/s (rounded down), >= 0, in the encoder's precision; s is the
            layer's stride: 1 for conv1_*, 2, 4, 8, and 16 for conv5_1.

        Raises:
            ValueError: for a layer that this encoder does not have.
        """
        wanted = set(layers)
        unknown = wanted.difference(self.convs)
        if unknown:
            raise ValueError(
                f"layers: encoder {self.name} has no {', '.join(sorted(unknown))}; "
                f"it has {', '.join(self.layers)}"
            )
        features: dict[str, Tensor] = {}
        deepest = max(wanted, key=self.layers.index)
        x = (images - self.mean) / self.std
        x = pad(x.to(self.precision, memory_format=torch.channels_last))
        for name, following in zip(self.layers, (*self.layers[1:], "")):
            x = self._convolved(name, x)
            if name == deepest:
                features[name] = F.relu_(x)
                break
            if following.endswith("_1"):
                x = F.relu_(x)
                if name in wanted:
                    features[name] = x
                x = pad(self._pool(x, pooling))
            elif name in wanted:
                features[name], x = rectify_then_pad(x)
            else:
                x = rectify_and_pad(x)
        return features

    def _convolved(self, name: str, padded: Tensor) -> Tensor:
        conv: Any = self.convs[name]
        if name in self._winograd and winograd.pays(conv.weight, padded):
            return winograd.convolve(padded, self._winograd[name], conv.bias)
        convolved: Tensor = conv(padded)
        return convolved

    def _pool(self, x: Tensor, pooling: Pooling) -> Tensor:
        if pooling == "max":
            return F.max_pool2d(x, kernel_size=2)
        x = F.avg_pool2d(x, kernel_size=2)
        return x if self.average_pool_gain == 1 else x * self.average_pool_gain


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    channels_out, channels_in = weight.shape[:2]
    # On "meta" the module draws no random weights of its own.
    conv = nn.Conv2d(channels_in, channels_out, 3, device="meta")
    conv.weight = nn.Parameter(weight.float().contiguous(memory_format=torch.channels_last))
    conv.bias = nn.Parameter(bias.float())
    return conv
