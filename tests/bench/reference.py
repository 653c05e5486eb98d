"""The plain published loop that the engine is measured against.

One pair, float32, contiguous, full size from start to end, torch's own Adam: as in the PyTorch
tutorial and the course notebooks after Gatys, Ecker & Bethge 2016. Written for the benchmark; it
shares no code with `nst_core`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONTENT_LAYER = "conv4_2"
STYLE_LAYERS = {"conv1_1": 1.0, "conv2_1": 0.75, "conv3_1": 0.2, "conv4_1": 0.2, "conv5_1": 0.2}
STYLE_WEIGHT = 1e6
LEARNING_RATE = 0.02
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Vgg(nn.Module):
    """torchvision's `features` up to conv5_1: zero padding, max pooling."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """weights: `<layer>.weight` and `<layer>.bias`, shallow to deep."""
        super().__init__()
        self.convs = nn.ModuleDict()
        for key, weight in weights.items():
            layer, _, kind = key.partition(".")
            if kind == "weight":
                conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                conv.load_state_dict({"weight": weight, "bias": weights[f"{layer}.bias"]})
                self.convs[layer] = conv
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Normalised 1 x 3 x H x W to layer -> rectified activations."""
        features = {}
        for layer, conv in self.convs.items():
            if layer.endswith("_1") and layer != "conv1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(conv(x))
            features[layer] = x
        return features


class Loss:
    """Content and style loss of one pair, as the notebook of 2019 has them."""

    def __init__(self, vgg: Vgg, content: Tensor, style: Tensor) -> None:
        """content, style: 1 x 3 x H x W, sRGB in 0..1."""
        self.vgg = vgg
        with torch.no_grad():
            self.content = vgg(normalised(content))[CONTENT_LAYER]
            features = vgg(normalised(style))
            self.grams = {layer: gram(features[layer]) for layer in STYLE_LAYERS}

    def __call__(self, pixels: Tensor) -> Tensor:
        """The total loss of normalised 1 x 3 x H x W."""
        features = self.vgg(pixels)
        loss = (features[CONTENT_LAYER] - self.content).square().mean()
        for layer, weight in STYLE_LAYERS.items():
            error = (gram(features[layer]) - self.grams[layer]).square().mean()
            loss = loss + STYLE_WEIGHT * weight * error / features[layer].numel()
        return loss


def gram(features: Tensor) -> Tensor:
    flat = features.flatten(2)[0]
    return flat @ flat.T


def normalised(images: Tensor) -> Tensor:
    return (images - _MEAN.to(images)) / _STD.to(images)


def stylize(loss: Loss, content: Tensor, iterations: int) -> Tensor:
    """The result, 1 x 3 x H x W in 0..1."""
    pixels = normalised(content).clone().requires_grad_()
    adam = torch.optim.Adam([pixels], lr=LEARNING_RATE)
    for _ in range(iterations):
        adam.zero_grad()
        loss(pixels).backward()
        adam.step()
    return (pixels.detach() * _STD.to(pixels) + _MEAN.to(pixels)).clamp(0, 1)
