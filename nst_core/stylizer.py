"""The optimisation: pixels moved until their features fit the content and the style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from nst_core import color
from nst_core.encoder import Encoder, stride_px
from nst_core.losses import (
    content_loss,
    gram_matrix,
    style_loss,
    total_loss,
    total_variation_loss,
)
from nst_core.presets import Preset
from nst_core.resize import fit_long_side, resize

_MAX_ASPECT = 32
# Steps that L-BFGS remembers; each costs two images of memory.
_LBFGS_HISTORY = 20

StopReason = Literal["iterations", "not_finite"]
UsedPrecision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class PairLosses:
    """Losses of each pair of a batch: B values each, on the device of the images."""

    content: Tensor
    style: Tensor
    total_variation: Tensor
    total: Tensor

    def of_pair(self, index: int) -> dict[str, float]:
        """Name -> value for one pair."""
        return {field.name: float(getattr(self, field.name)[index]) for field in fields(self)}


@dataclass(frozen=True)
class Iteration:
    """What a listener hears after each iteration; `total_loss` is B values, not yet on the host."""

    number: int
    of: int
    total_loss: Tensor


@dataclass(frozen=True)
class Stylized:
    """Result of a batch.

    Attributes:
        images: B x 3 x H x W, float32, sRGB in 0..1, the size of the content.
        start, end: losses of the initial image and of the result, both at full size.
        iterations: per pair, over all scales.
        stop_reason: per pair; after "not_finite" the pair's image is not usable.
        precision: that the convolutions were computed in.
    """

    images: Tensor
    start: PairLosses
    end: PairLosses
    iterations: tuple[int, ...]
    stop_reason: tuple[StopReason, ...]
    precision: UsedPrecision


@dataclass(frozen=True)
class _Targets:
    content: dict[str, Tensor]
    grams: dict[str, Tensor]

    def of_pairs(self, place: slice) -> _Targets:
        return _Targets(
            {layer: target[place] for layer, target in self.content.items()},
            {layer: target[place] for layer, target in self.grams.items()},
        )


Listener = Callable[[Iteration], None]


class Stylizer:
    """Neural style transfer of batches of different pairs (Gatys, Ecker & Bethge 2016).

    Args:
        encoder: from `load_encoder`.
        preset: from `PRESETS` or `resolve_preset`. Its `size` is for the caller who makes the
            content tensors; here their size counts.
        device: where to optimise; the encoder is moved there.

    Raises:
        ValueError: if the preset asks for a layer that the encoder does not have.
    """

    def __init__(
        self, encoder: Encoder, preset: Preset, device: torch.device | str = "cpu"
    ) -> None:
        missing = set(preset.layers).difference(encoder.layers)
        if missing:
            raise ValueError(
                f"preset: its layers {', '.join(sorted(missing))} are not in encoder "
                f"{encoder.name}, which has {', '.join(encoder.layers)}"
            )
        self.device = torch.device(device)
        self.precision: UsedPrecision = (
            _precision_of(self.device) if preset.precision == "auto" else preset.precision
        )
        encoder = encoder.to(self.device)
        self.encoder = encoder.at_precision(torch.bfloat16) if self.precision == "bf16" else encoder
        self.preset = preset
        self._min_side_px = max(stride_px(layer) for layer in preset.layers)

    def __call__(
        self,
        content: Tensor,
        style: Tensor | Sequence[Tensor],
        *,
        strength: Sequence[float] | None = None,
        seeds: Sequence[int] | None = None,
        preserve_color: bool = False,
        on_iteration: Listener | None = None,
    ) -> Stylized:
        """Stylize each content image with the style image at the same place in the batch.

        Args:
            content: B x 3 x H x W, float, sRGB in 0..1; sides at least the stride of the
                deepest layer (16 px for conv5_1) and at most 32:1.
            style: B x 3 x H' x W', or B tensors of 3 x H' x W' of any sizes, likewise.
            strength: per pair in 0..1, default 1: the style target is
                (1 - strength) Gram(content) + strength Gram(style), so 0 keeps the content's own
                statistics and 1 asks for the style's.
            seeds: per pair, for the noise it may start from; default 0.
            preserve_color: transfer luminance only.
            on_iteration: called after each iteration; may raise to stop.

        Raises:
            ValueError: naming the argument, its value and the range.
        """
        batch = content.shape[0] if content.ndim == 4 else 0
        _check_images("content", content, self._min_side_px)
        styles = [s.unsqueeze(0) for s in style]
        strength = [1.0] * batch if strength is None else strength
        seeds = [0] * batch if seeds is None else seeds
        for name, values in (("style", styles), ("strength", strength), ("seeds", seeds)):
            if len(values) != batch:
                raise ValueError(
                    f"{name}: expected one per content image ({batch}), got {len(values)}"
                )
        for one in styles:
            _check_images("style", one, self._min_side_px)
        for value in strength:
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise ValueError(f"strength: expected 0..1, got {value!r}")

        content = content.to(self.device, torch.float32)
        styles = [one.to(self.device, torch.float32) for one in styles]
        if preserve_color:
            colored = content
            styles = [
                color.match_luminance(one, content[i : i + 1]) for i, one in enumerate(styles)
            ]
            content = color.as_gray(content)

        result = self._stylize(
            content,
            styles,
            torch.tensor([float(value) for value in strength], device=self.device),
            seeds,
            on_iteration,
        )
        if preserve_color:
            return replace(result, images=color.with_color_of(result.images, colored))
        return result

    def _stylize(
        self,
        content: Tensor,
        styles: list[Tensor],
        strength: Tensor,
        seeds: Sequence[int],
        on_iteration: Listener | None,
    ) -> Stylized:
        preset = self.preset
        full_size = content.shape[2], content.shape[3]
        initial = self._initial_image(content, styles, seeds)
        images, done = initial, 0
        finite = torch.ones(len(styles), dtype=torch.bool, device=self.device)
        for scale in preset.scales:
            height, width = (
                max(self._min_side_px, round(side * scale.fraction)) for side in full_size
            )
            targets = self._targets(resize(content, height, width), styles, strength)
            images, stayed_finite = self._optimise(
                resize(images, height, width), targets, scale.iterations, done, on_iteration
            )
            finite &= stayed_finite
            done += scale.iterations
        with torch.no_grad():
            start = self._losses(initial, targets)
            end = self._losses(images, targets)
        finite &= torch.isfinite(start.total + end.total)
        return Stylized(
            images=images,
            start=start,
            end=end,
            iterations=(done,) * len(styles),
            stop_reason=tuple("iterations" if ok else "not_finite" for ok in finite.tolist()),
            precision=self.precision,
        )

    def _optimise(
        self,
        images: Tensor,
        targets: _Targets,
        iterations: int,
        done_before: int,
        on_iteration: Listener | None,
    ) -> tuple[Tensor, Tensor]:
        """The optimised images, and per image whether its loss stayed finite."""
        to_pixels, to_images = self._pixel_space()
        batch = images.shape[0]
        # L-BFGS steps along directions made of dot products over all its pixels: each pair has
        # its own, or neighbours would bend each other's path. Adam and SGD go pixel by pixel.
        together = 1 if self.preset.optimiser == "lbfgs" else batch
        places = [slice(i, i + together) for i in range(0, batch, together)]
        parts = [to_pixels(images)[place].clone().requires_grad_() for place in places]
        optimisers = [self._optimiser(pixels) for pixels in parts]
        losses = images.new_zeros(batch)
        finite = torch.ones(batch, dtype=torch.bool, device=images.device)

        def step(place: slice, pixels: Tensor, optimiser: torch.optim.Optimizer) -> None:
            def evaluate() -> float:
                optimiser.zero_grad()
                losses_here = self._losses(to_images(pixels), targets.of_pairs(place)).total
                losses[place] = losses_here.detach()
                # The sum: each image's gradient is that of its own loss alone.
                total = losses_here.sum() * self._gradient_scale(pixels)
                total.backward()  # type: ignore[no-untyped-call]
                return total  # type: ignore[return-value]  # torch's optimisers take the tensor

            optimiser.step(evaluate)
            if self.preset.pixels == "rgb":
                pixels.data.clamp_(0, 1)

        for number in range(1, iterations + 1):
            for place, pixels, optimiser in zip(places, parts, optimisers):
                step(place, pixels, optimiser)
            finite &= losses.isfinite()
            if on_iteration:
                on_iteration(
                    Iteration(done_before + number, self.preset.iterations, losses.clone())
                )
        optimised = torch.cat([to_images(pixels.detach()) for pixels in parts])
        return optimised.clamp(0, 1), finite

    def _gradient_scale(self, pixels: Tensor) -> float:
        """torch's L-BFGS drops steps by absolute thresholds, made for gradients of order 1."""
        return float(pixels[0].numel()) if self.preset.optimiser == "lbfgs" else 1.0

    def _optimiser(self, pixels: Tensor) -> torch.optim.Optimizer:
        rate = self.preset.learning_rate
        if self.preset.optimiser == "adam":
            fused = self.device.type in ("cpu", "cuda")
            return torch.optim.Adam([pixels], rate, self.preset.adam_betas, fused=fused)
        if self.preset.optimiser == "sgd":
            return torch.optim.SGD([pixels], lr=rate)
        # One evaluation a step, so that an iteration is one evaluation for every optimiser.
        return torch.optim.LBFGS([pixels], lr=rate, max_iter=1, history_size=_LBFGS_HISTORY)

    def _losses(self, images: Tensor, targets: _Targets) -> PairLosses:
        preset = self.preset
        features = self.encoder(images, preset.layers, preset.pooling)
        content = sum(
            weight * content_loss(features[layer], targets.content[layer], preset.content_error)
            for layer, weight in preset.content_layers.items()
        )
        assert isinstance(content, Tensor)
        style = style_loss(features, targets.grams, preset.style_layers, preset.style_error)
        variation = total_variation_loss(images)
        total = total_loss(
            content,
            style,
            variation,
            content_weight=preset.content_weight,
            style_weight=preset.style_weight,
            total_variation_weight=preset.total_variation_weight,
        )
        return PairLosses(content, style, variation, total)

    @torch.no_grad()
    def _targets(self, content: Tensor, styles: list[Tensor], strength: Tensor) -> _Targets:
        preset = self.preset
        features = self.encoder(content, preset.layers, preset.pooling)
        grams = [
            self.encoder(self._fit_style(style, content), preset.style_layers, preset.pooling)
            for style in styles
        ]
        share = strength.view(-1, 1, 1)
        return _Targets(
            content={layer: features[layer] for layer in preset.content_layers},
            grams={
                layer: (1 - share) * gram_matrix(features[layer])
                + share * torch.cat([gram_matrix(one[layer]) for one in grams])
                for layer in preset.style_layers
            },
        )

    def _fit_style(self, style: Tensor, content: Tensor) -> Tensor:
        height, width = content.shape[-2:]
        if self.preset.style_shape == "long_side":
            # Larger than the content where its short side would be less than the encoder can take.
            aspect = max(style.shape[2:]) / min(style.shape[2:])
            long_side_px = max(height, width, math.ceil(self._min_side_px * aspect))
            height, width = fit_long_side(style.shape[2], style.shape[3], long_side_px)
        return resize(style, height, width)

    def _initial_image(self, content: Tensor, styles: list[Tensor], seeds: Sequence[int]) -> Tensor:
        height, width = content.shape[-2:]
        if self.preset.initial == "content":
            return content
        if self.preset.initial == "style":
            return torch.cat([resize(style, height, width) for style in styles])
        noise = [
            torch.randn(3, height, width, generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
        # White noise with the mean and spread of natural images.
        return torch.stack(noise).to(self.device) * self.encoder.std + self.encoder.mean

    def _pixel_space(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        if self.preset.pixels == "rgb":
            return (lambda images: images.clamp(0, 1)), (lambda pixels: pixels)
        mean, std = self.encoder.mean, self.encoder.std
        return (lambda images: (images - mean) / std), (lambda pixels: pixels * std + mean)


def _precision_of(device: torch.device) -> UsedPrecision:
    """bf16 where the device multiplies it faster than float32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # Older versions of torch cannot tell.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    native = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return "bf16" if device.type == "cpu" and native else "fp32"


def _check_images(name: str, images: Tensor, min_side_px: int) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"{name}: expected float images of 3 x height x width, got {images.dtype} of "
            f"{' x '.join(map(str, images.shape))}"
        )
    if images.shape[0] == 0:
        raise ValueError(f"{name}: expected at least one image, got none")
    if min(images.shape[2:]) < min_side_px:
        raise ValueError(
            f"{name}: {images.shape[3]}x{images.shape[2]} px; expected both sides >= "
            f"{min_side_px} px, the stride of the deepest layer"
        )
    if max(images.shape[2:]) > _MAX_ASPECT * min(images.shape[2:]):
        raise ValueError(
            f"{name}: {images.shape[3]}x{images.shape[2]} px; expected sides of at most "
            f"{_MAX_ASPECT}:1"
        )
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise ValueError(f"{name}: expected values in 0..1, got {_range(images)}")


def _range(images: Tensor) -> str:
    if not bool(torch.isfinite(images).all()):
        return "values that are not finite"
    return f"{float(images.min()):.3g}..{float(images.max()):.3g}"
