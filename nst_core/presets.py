"""Presets: every number of an optimisation, in one table, with its source."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from nst_core.checks import is_number, shown
from nst_core.encoder import Pooling, layer_names
from nst_core.losses import ContentError, StyleError

Optimiser = Literal["adam", "lbfgs", "sgd"]
Initial = Literal["content", "noise", "style"]
StyleShape = Literal["long_side", "content"]
PixelSpace = Literal["rgb", "imagenet"]
Precision = Literal["auto", "fp32", "tf32", "bf16"]


# Of the largest VGG; an encoder may have fewer.
_LAYERS = layer_names((2, 2, 4, 4, 4))
# Far above any sensible weight; what is larger overflows float32.
_LARGEST = 1e30


def _check_number(
    name: str,
    value: Any,
    *,
    low: float,
    high: float = _LARGEST,
    above: bool = False,
    whole: bool = False,
) -> None:
    number = is_number(value) and (isinstance(value, int) or not whole)
    if not number or not low <= value <= high or (above and value == low):
        expected = f"a {'whole ' if whole else ''}number {'>' if above else '>='} {low:g}"
        too_large = number and _LARGEST < value < math.inf
        expected += f" and <= {high:g}" if high < _LARGEST or too_large else ""
        raise ValueError(f"{name}: expected {expected}, got {shown(value)}")


def _check_layer_weights(name: str, value: Any) -> None:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{name}: expected a mapping of layer to weight, got {value!r}")
    for layer, weight in value.items():
        if layer not in _LAYERS:
            raise ValueError(f"{name}: expected {_one_of(_LAYERS)}, got {layer!r}")
        _check_number(f"{name} {layer}", weight, low=0)


def _one_of(names: Any) -> str:
    return "one of " + ", ".join(names)


@dataclass(frozen=True)
class Scale:
    """One step of a coarse-to-fine optimisation (Gatys et al. 2017, section 6).

    Attributes:
        fraction: of the full size, > 0 and <= 1.
        iterations: 1..1,000,000.
    """

    fraction: float
    iterations: int


@dataclass(frozen=True)
class Preset:
    """All parameters of an optimisation but the images.

    Attributes:
        encoder: the encoder that the source used.
        size: long side of the content image in pixels, >= 16; smaller images keep their size.
        pooling: of the encoder.
        initial: the image the optimisation starts from.
        optimiser: "adam", "lbfgs" or "sgd".
        learning_rate: > 0; for "lbfgs" the length of its step.
        adam_betas: decay of Adam's two running means, 0..0.9999 each (Kingma & Ba 2015).
        scales: coarse to fine, the last at fraction 1; the result of one is the initial image of
            the next.
        least_fall: in 0..1; a pair leaves a scale before its iterations are over once the mean
            loss of its last 10 is at most this share below that of 20 iterations before; 0: never.
        style_shape: the style image is resized to the content's long side, or to its very shape.
        content_layers, style_layers: layer -> weight >= 0 inside its loss, at least one.
        content_weight, style_weight, total_variation_weight: alpha, beta, gamma >= 0 of the total
            loss (Gatys et al. 2016, eq. 7).
        content_error, style_error: how an error is normalised (nst_core.losses).
        pixels: the optimiser moves sRGB values, held in 0..1 after each step ("rgb"), or
            ImageNet-normalised values, cut to the range once at the end ("imagenet").
        precision: of the convolutions; pixels, losses and the optimiser stay in float32. "auto"
            is the fastest that the device computes in (nst_core.precision).

    Raises:
        ValueError: naming the field, its value and what was expected.
    """

    encoder: str
    size: int
    pooling: Pooling
    initial: Initial
    optimiser: Optimiser
    learning_rate: float
    adam_betas: tuple[float, float]
    scales: tuple[Scale, ...]
    least_fall: float
    style_shape: StyleShape
    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    content_weight: float
    style_weight: float
    total_variation_weight: float
    content_error: ContentError
    style_error: StyleError
    pixels: PixelSpace
    precision: Precision

    def __post_init__(self) -> None:
        for field, kind in get_type_hints(type(self)).items():
            value, allowed = getattr(self, field), get_args(kind)
            if allowed and all(isinstance(a, str) for a in allowed) and value not in allowed:
                raise ValueError(f"{field}: expected {_one_of(allowed)}, got {value!r}")
        _check_number("size", self.size, low=16, whole=True)
        _check_number("learning_rate", self.learning_rate, low=0, above=True)
        _check_number("least_fall", self.least_fall, low=0, high=1)
        if not isinstance(self.adam_betas, tuple) or len(self.adam_betas) != 2:
            raise ValueError(f"adam_betas: expected two numbers, got {self.adam_betas!r}")
        for beta in self.adam_betas:
            _check_number("adam_betas", beta, low=0, high=0.9999)
        for field in ("content_weight", "style_weight", "total_variation_weight"):
            _check_number(field, getattr(self, field), low=0)
        for field in ("content_layers", "style_layers"):
            _check_layer_weights(field, getattr(self, field))
        if not self.scales or not all(isinstance(scale, Scale) for scale in self.scales):
            raise ValueError("scales: expected at least one [fraction, iterations]")
        for scale in self.scales:
            _check_number("scales fraction", scale.fraction, low=0, above=True, high=1)
            _check_number("scales iterations", scale.iterations, low=1, high=10**6, whole=True)
        if self.scales[-1].fraction != 1:
            raise ValueError(f"scales: the last fraction must be 1, got {self.scales[-1].fraction}")

    @property
    def iterations(self) -> int:
        """Iterations over all scales."""
        return sum(scale.iterations for scale in self.scales)

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that the losses look at."""
        return tuple({**self.style_layers, **self.content_layers})

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and mappings: for metadata and for ids."""
        plain = dataclasses.asdict(self)
        plain["adam_betas"] = list(self.adam_betas)
        plain["scales"] = [[scale.fraction, scale.iterations] for scale in self.scales]
        return plain


_GATYS_WIDTHS = {"conv1_1": 64, "conv2_1": 128, "conv3_1": 256, "conv4_1": 512, "conv5_1": 512}

PRESETS: dict[str, Preset] = {
    # Course notebook reproduced in the report of 2019. Its style error is the mean squared
    # difference of Gram matrices that are not divided by H W, over C H W. It moves
    # ImageNet-normalised pixels without a bound and cuts them at the end; so does this.
    # It pads with zeros; here the border is repeated.
    "report2019": Preset(
        encoder="vgg19",
        size=400,
        pooling="max",
        initial="content",
        optimiser="adam",
        learning_rate=0.003,
        adam_betas=(0.9, 0.999),
        scales=(Scale(1.0, 2000),),
        least_fall=0.0,
        style_shape="content",
        content_layers={"conv4_2": 1.0},
        style_layers={
            "conv1_1": 1.0,
            "conv2_1": 0.75,
            "conv3_1": 0.2,
            "conv4_1": 0.2,
            "conv5_1": 0.2,
        },
        content_weight=1.0,
        style_weight=1e6,
        total_variation_weight=0.0,
        content_error="mean",
        style_error="mean_per_feature",
        pixels="imagenet",
        precision="fp32",
    ),
    # Gatys, Ecker & Bethge 2016 with the numbers of the authors' PyTorch code: the weight of a
    # layer is 1e3/C^2 and errors are means, where the paper has half a sum, w_l = 1/5 and
    # alpha/beta = 1e-3. Their VGG-19 is rescaled to a mean activation of 1 and takes BGR in
    # 0..255; here it is torchvision's, and average pooling is followed by a gain instead.
    "gatys2016": Preset(
        encoder="vgg19",
        size=512,
        pooling="average",
        initial="noise",
        optimiser="lbfgs",
        learning_rate=1.0,
        adam_betas=(0.9, 0.999),
        scales=(Scale(1.0, 500),),
        least_fall=0.0,
        style_shape="long_side",
        content_layers={"conv4_2": 1.0},
        style_layers={layer: 1e3 / width**2 for layer, width in _GATYS_WIDTHS.items()},
        content_weight=1.0,
        style_weight=1.0,
        total_variation_weight=0.0,
        content_error="mean",
        style_error="mean",
        pixels="imagenet",
        precision="fp32",
    ),
    # Ours. Half size first, where most of the style settles at a quarter of the cost; errors
    # relative to the targets', so that one set of weights serves every encoder.
    "fast": Preset(
        encoder="compact",
        size=256,
        pooling="average",
        initial="content",
        optimiser="adam",
        learning_rate=0.02,
        # Short memories: half the iterations of the usual 0.9 and 0.999 reach the same style.
        adam_betas=(0.8, 0.8),
        scales=(Scale(0.5, 100), Scale(1.0, 50)),
        # Most pairs leave the half size after 80 to 90 iterations, and look no different.
        least_fall=0.06,
        style_shape="long_side",
        content_layers={"conv4_1": 1.0},
        # Without conv5_1: that of compact knows too little, and the picture gets worse with it.
        style_layers={
            "conv1_1": 2.0,
            "conv2_1": 3.0,
            "conv2_2": 1.0,
            "conv3_1": 4.0,
            "conv4_1": 1.0,
            "conv4_2": 1.0,
        },
        content_weight=1.4,
        style_weight=5.0,
        total_variation_weight=10.0,
        content_error="relative",
        style_error="relative",
        pixels="rgb",
        precision="auto",
    ),
}


def resolve_preset(name: str, overrides: Mapping[str, Any] | None = None) -> Preset:
    """The preset called `name` with some of its fields replaced.

    Args:
        name: out of `PRESETS`: "fast", "gatys2016" or "report2019".
        overrides: field of `Preset` -> value; `scales` as a list of [fraction, iterations].

    Raises:
        ValueError: naming the field, its value and what was expected.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"preset: expected {_one_of(PRESETS)}, got {name!r}")
    if not isinstance(overrides or {}, Mapping):
        raise ValueError(f"overrides: expected field -> value, got {overrides!r}")
    changes = dict(overrides or {})
    fields = [field.name for field in dataclasses.fields(Preset) if field.name != "encoder"]
    for field in changes:
        if field not in fields:
            raise ValueError(f"{field}: not a field of a preset; expected {_one_of(fields)}")
    if "scales" in changes:
        changes["scales"] = _read_scales(changes["scales"])
    if "adam_betas" in changes:
        changes["adam_betas"] = _read_betas(changes["adam_betas"])
    return dataclasses.replace(PRESETS[name], **changes)


def _read_betas(value: Any) -> tuple[float, float]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"adam_betas: expected a list of two numbers, got {value!r}") from None
    return first, second


def _read_scales(value: Any) -> tuple[Scale, ...]:
    try:
        return tuple(Scale(fraction, iterations) for fraction, iterations in value)
    except (TypeError, ValueError):
        raise ValueError(
            f"scales: expected a list of [fraction, iterations], got {value!r}"
        ) from None
