"""The teachers: VGG-19 up to conv3_1 and SqueezeNet 1.0, frozen, from safetensors files."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.squeezenet import (  # type: ignore[import-untyped]
    Fire,
    squeezenet1_0,
)

from nst_core.encoder import stride_px

VGG19_FILE = "vgg19_normalised_conv3_1.safetensors"
SQUEEZENET_FILE = "squeezenet1_0.safetensors"

_VGG19_LAYERS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
_SQUEEZENET_MEAN_BGR = (104.0, 117.0, 123.0)
# Index in torchvision's `features` -> the paper's name of the module.
_SQUEEZENET_LAYERS = {
    0: "conv1",
    **{index: f"fire{index - 1}" for index in (3, 4, 5)},
    **{index: f"fire{index - 2}" for index in (7, 8, 9, 10)},
    12: "fire9",
}


def first_centre_px(teacher_layer: str) -> float:
    """Where in the image the first position of a teacher's feature map looks at.

    VGG-19 pads, so a position looks at the middle of its stride; SqueezeNet does not, and each
    of its poolings begins one position later.
    """
    network, _, layer = teacher_layer.partition(".")
    if network == "vgg19":
        return (stride_px(layer) - 1) / 2
    return {2: 3.0, 4: 5.0, 8: 9.0, 16: 17.0}[squeezenet_stride_px(layer)]


def squeezenet_stride_px(layer: str) -> int:
    """Pixels under one step of the feature map of a SqueezeNet 1.0 layer."""
    if layer == "conv1":
        return 2
    number = int(layer[len("fire") :])
    return 4 if number <= 4 else 8 if number <= 8 else 16


class Teachers(nn.Module):
    """Both teachers; one call gives all their layers.

    Args:
        folder: holds VGG19_FILE and SQUEEZENET_FILE.
    """

    mean_bgr: Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.vgg19 = nn.ParameterDict(
            {
                key.replace(".", "_"): nn.Parameter(value)
                for key, value in load_file(folder / VGG19_FILE).items()
            }
        )
        squeezenet = squeezenet1_0(weights=None)
        squeezenet.load_state_dict(load_file(folder / SQUEEZENET_FILE))
        self.squeezenet = squeezenet.features
        self.register_buffer("mean_bgr", torch.tensor(_SQUEEZENET_MEAN_BGR).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """B x 3 x H x W sRGB in 0..1 -> "vgg19.conv1_1", …, "squeezenet.fire9" -> activations."""
        return {name: F.relu(x) for name, x in self.before_rectifier(images).items()}

    @torch.no_grad()
    def before_rectifier(self, images: Tensor) -> dict[str, Tensor]:
        """The same layers, of which the activations are the positive part."""
        images = images.contiguous(memory_format=torch.channels_last)
        return {
            **{f"vgg19.{name}": x for name, x in self._vgg19_layers(images).items()},
            **{f"squeezenet.{name}": x for name, x in self._squeezenet_layers(images).items()},
        }

    def _vgg19_layers(self, images: Tensor) -> dict[str, Tensor]:
        weights = self.vgg19
        x = F.conv2d(images, weights["preprocess_weight"], weights["preprocess_bias"])
        features = {}
        for name in _VGG19_LAYERS:
            if name in ("conv2_1", "conv3_1"):
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = F.pad(x, (1, 1, 1, 1), mode="reflect")
            features[name] = F.conv2d(x, weights[f"{name}_weight"], weights[f"{name}_bias"])
            x = F.relu(features[name])
        return features

    def _squeezenet_layers(self, images: Tensor) -> dict[str, Tensor]:
        x = images.flip(1) * 255 - self.mean_bgr
        features = {}
        for index, module in enumerate(self.squeezenet):
            name = _SQUEEZENET_LAYERS.get(index)
            if name is None:
                x = module(x)
                continue
            features[name] = _before_rectifier(module, x)
            x = F.relu(features[name])
        return features


def _before_rectifier(module: nn.Module, x: Tensor) -> Tensor:
    if isinstance(module, nn.Conv2d):
        convolved: Tensor = module(x)
        return convolved
    assert isinstance(module, Fire)
    squeezed = module.squeeze_activation(module.squeeze(x))
    return torch.cat([module.expand1x1(squeezed), module.expand3x3(squeezed)], dim=1)
