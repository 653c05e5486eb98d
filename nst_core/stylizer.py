"""The optimisation: pixels moved until their features fit the content and the style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from nst_core import color
from nst_core.encoder import Encoder
from nst_core.objective import Objective, PairLosses
from nst_core.optimisation import (
    Fitting,
    Listener,
    Progress,
    SizedScale,
    Underway,
    through_scale,
)
from nst_core.pairs import Pair, PreserveColor, StopReason, Style, StylizedPair, check_pair
from nst_core.precision import UsedPrecision, used_precision
from nst_core.presets import Preset
from nst_core.resize import fit_long_side, resize
from nst_core.sight import Sight
from nst_core.style_grams import StyleGrams
from nst_core.targets import style_size as size_of_style

TILE_PX = 1024
# On a CPU a batch gains little, and alone a pair's bytes depend on no company.
_MOST_PAIRS = {"cpu": 1, "cuda": 64}
_PIXELS_OF_THAT_BATCH = 256 * 256
_NO_LOSSES = dict.fromkeys((field.name for field in fields(PairLosses)), math.nan)


@dataclass(frozen=True)
class Stylized:
    """Result of a batch; where it says "per pair", in the order of the batch.

    Attributes:
        images: B x 3 x H x W, float32, sRGB in 0..1, the size of the content.
        start, end: losses of the initial image and of the result, both at full size, B values
            each, before their weights but for `total`.
        iterations: per pair, over all scales.
        stop_reason: per pair; after "not_finite" the pair's image is not usable.
        precision: per pair, that the convolutions were computed in.
    """

    images: Tensor
    start: PairLosses
    end: PairLosses
    iterations: tuple[int, ...]
    stop_reason: tuple[StopReason, ...]
    precision: tuple[UsedPrecision, ...]


class Stylizer:
    """Neural style transfer of batches of different pairs (Gatys, Ecker & Bethge 2016).

    Args:
        encoder: from `load_encoder`.
        preset: from `PRESETS` or `resolve_preset`.
        device: where to optimise; the encoder is moved there.
        style_grams: keeps the Gram matrices of styles that have a key; may be shared.
        tile_px: images of more pixels than its square are seen in blocks of about that side, with
            the same result up to rounding, so that memory stays bounded.

    Raises:
        ValueError: if the preset asks for a layer that the encoder does not have, or for a
            precision that the device does not have; for other devices than cpu and cuda.
    """

    def __init__(
        self,
        encoder: Encoder,
        preset: Preset,
        device: torch.device | str = "cpu",
        *,
        style_grams: StyleGrams | None = None,
        tile_px: int = TILE_PX,
    ) -> None:
        if not isinstance(encoder, Encoder):
            raise ValueError(f"encoder: expected one of load_encoder, got {encoder!r}")
        if not isinstance(preset, Preset):
            raise ValueError(f"preset: expected one of resolve_preset, got {preset!r}")
        if not isinstance(tile_px, int) or isinstance(tile_px, bool) or tile_px < 1:
            raise ValueError(f"tile_px: expected a whole number >= 1, got {tile_px!r}")
        missing = set(preset.layers).difference(encoder.layers)
        if missing:
            raise ValueError(
                f"preset: its layers {', '.join(sorted(missing))} are not in encoder "
                f"{encoder.name}, which has {', '.join(encoder.layers)}"
            )
        if encoder.precision == torch.bfloat16:
            raise ValueError(
                "encoder: expected weights in float32, got bfloat16; the preset's precision says "
                "what to compute in"
            )
        self.device = _checked_device(device)
        self.precision = used_precision(preset.precision, self.device)
        self.encoder = encoder.to(self.device)
        self.preset = preset
        self._style_grams = style_grams or StyleGrams()
        self._tile_px = tile_px
        seeing = encoder.at_precision(torch.bfloat16) if self.precision == "bf16" else encoder
        sight = Sight(seeing, preset, self.precision, tile_px)
        self._objective = Objective(sight, self._style_grams)
        self._min_side_px = sight.min_side_px
        self._fitting = Fitting()

    def check(self, pair: Pair) -> None:
        """See whether a pair can be stylized.

        Raises:
            ValueError: naming what of it cannot be used, its value and the range.
        """
        check_pair(pair, self._min_side_px)

    def pixels_in_all(self, height: int, width: int) -> int:
        """Pixels times iterations, over all scales, of a pair: what its time grows with.

        Args:
            height, width: of its content, in pixels.
        """
        scales = self._scales(height, width)
        return sum(scale.height * scale.width * scale.iterations for scale in scales)

    def useful_style_size(
        self, style_size: tuple[int, int], content_size: tuple[int, int]
    ) -> tuple[int, int]:
        """(height, width) that a style image can be shrunk to and lose nothing here.

        Args:
            style_size, content_size: (height, width) in pixels.

        Returns:
            At most the style's own size.
        """
        seen = size_of_style(self.preset, self._min_side_px, style_size, content_size)
        factor = max(a / b for a, b in zip(seen, style_size))
        if factor >= 1:
            return style_size
        # Upwards, so that a narrow style does not become narrower than can be used.
        return math.ceil(style_size[0] * factor), math.ceil(style_size[1] * factor)

    def each(
        self,
        pairs: Iterable[Pair],
        *,
        batch: int | None = None,
        on_progress: Listener | None = None,
    ) -> Iterator[tuple[int, StylizedPair]]:
        """Stylize pairs whose contents have one shape; hand out each as soon as it is done.

        The loss is that of Gatys et al. 2016, eq. 7, with a total-variation term; masks are those
        of Gatys et al. 2017, section 4.

        `batch` pairs are optimised at once. When one is done the next takes its place. The result
        of a pair depends on no other, up to rounding; with batch 1, to the last bit.

        Args:
            pairs: contents of 3 x H x W each, styles of any sizes; see `Pair`.
            batch: None for 1 on a CPU, and on a GPU for a number that suits the size; halved
                when memory runs out, and remembered.
            on_progress: called with `Progress` after each iteration (on a GPU, every 10); may
                raise to stop.

        Returns:
            (place in `pairs`, result) of each, in the order in which they are done.

        Raises:
            ValueError: naming the argument, its value and the range; before anything is done.
            torch.OutOfMemoryError: if a single pair does not fit the device.
        """
        pairs = list(pairs)
        for pair in pairs:
            self.check(pair)
        shapes = {tuple(pair.content.shape) for pair in pairs}
        if len(shapes) > 1:
            raise ValueError(f"pairs: expected contents of one shape, got {sorted(shapes)}")
        whole = isinstance(batch, int) and not isinstance(batch, bool)
        if batch is not None and (not whole or batch < 1):
            raise ValueError(f"batch: expected a whole number >= 1, got {batch!r}")
        return self._each(dict(enumerate(pairs)), batch, on_progress) if pairs else iter(())

    # Gradients are needed here, whatever the caller has turned off.
    @torch.inference_mode(False)
    def _each(
        self, pairs: Mapping[int, Pair], batch: int | None, on_progress: Listener | None
    ) -> Iterator[tuple[int, StylizedPair]]:
        height, width = next(iter(pairs.values())).content.shape[1:]
        if any(pair.mask is not None for pair in pairs.values()):
            everywhere = torch.ones(height, width)
            pairs = {
                index: pair if pair.mask is not None else replace(pair, mask=everywhere)
                for index, pair in pairs.items()
            }
        underway = [self._prepared(index, pair) for index, pair in pairs.items()]
        spoilt: list[Underway] = []
        listener = None if on_progress is None else self._shown_in_color(pairs, on_progress)
        for scale in self._scales(height, width):
            places = batch or self.suitable_batch(scale.height, scale.width)
            through = through_scale(
                self._objective, underway, scale, places, self._fitting, listener
            )
            underway = []
            for one in through:
                if one.stop_reason == "not_finite":
                    spoilt.append(one)
                elif scale.is_last:
                    yield one.index, self._result(pairs[one.index], one)
                else:
                    underway.append(one)
        for one in spoilt:
            pair = pairs[one.index]
            if self.precision == "fp32":
                yield one.index, self._result(pair, one)
            else:
                yield one.index, self._again_in_float32(pair, one.index, on_progress)

    def __call__(
        self,
        content: Tensor,
        style: Tensor | Sequence[Tensor],
        *,
        strength: Sequence[float] | None = None,
        seeds: Sequence[int] | None = None,
        preserve_color: PreserveColor = "no",
        on_progress: Listener | None = None,
    ) -> Stylized:
        """Stylize each content image with the style image at the same place, all at once.

        Args:
            content: B x 3 x H x W, float, sRGB in 0..1; sides at least the stride of the
                deepest layer (16 px for conv5_1) and at most 32:1.
            style: B x 3 x H' x W', or B tensors of 3 x H' x W' of any sizes, likewise.
            strength, seeds: B values each; see `Pair`, whose defaults they have.
            preserve_color: see `Pair`.
            on_progress: called with `Progress` after each iteration (on a GPU, every 10); may
                raise to stop.

        Returns:
            B images of the content's size, with losses and how each pair ended.

        Raises:
            ValueError: naming the argument, its value and the range.
            torch.OutOfMemoryError: if a single pair does not fit the device.
        """
        if not isinstance(content, Tensor) or content.ndim != 4 or content.shape[0] == 0:
            raise ValueError(
                "content: expected float images of batch x 3 x height x width, at least one, got "
                f"{' x '.join(map(str, content.shape))}"
            )
        count = len(content)
        strength = [Pair.strength] * count if strength is None else strength
        seeds = [Pair.seed] * count if seeds is None else seeds
        for name, values in (("style", style), ("strength", strength), ("seeds", seeds)):
            if not isinstance(values, (Tensor, Sequence)) or isinstance(values, str):
                raise ValueError(f"{name}: expected one per content image, got {values!r}")
            if len(values) != count:
                raise ValueError(
                    f"{name}: expected one per content image ({count}), got {len(values)}"
                )
        pairs = [
            Pair(
                content[i],
                (Style(style[i]),),
                strength=strength[i],
                seed=seeds[i],
                preserve_color=preserve_color,
            )
            for i in range(count)
        ]
        by_index = dict(self.each(pairs, batch=count, on_progress=on_progress))
        done = [by_index[index] for index in range(count)]
        return Stylized(
            images=torch.stack([one.image for one in done]),
            start=PairLosses.of_pairs([one.start for one in done]),
            end=PairLosses.of_pairs([one.end for one in done]),
            iterations=tuple(one.iterations for one in done),
            stop_reason=tuple(one.stop_reason for one in done),
            precision=tuple(one.precision for one in done),
        )

    def suitable_batch(self, height: int, width: int) -> int:
        """Pairs that are optimised at once unless told otherwise, >= 1.

        Args:
            height, width: of their contents, in pixels.
        """
        share = _PIXELS_OF_THAT_BATCH / (height * width)
        return max(1, round(_MOST_PAIRS[self.device.type] * min(1.0, share)))

    def _scales(self, height: int, width: int) -> list[SizedScale]:
        """The preset's scales for content of this size.

        Content beyond the preset's size goes through all of them at that size, and then through
        the last of them once more at its own.
        """
        preset = self.preset
        working = height, width
        if max(working) > preset.size:
            working = fit_long_side(height, width, preset.size)
        iterations = [scale.iterations for scale in preset.scales]
        sizes = [
            tuple(max(self._min_side_px, round(side * scale.fraction)) for side in working)
            for scale in preset.scales
        ]
        if working != (height, width):
            sizes.append((height, width))
            iterations.append(iterations[-1])
        return [
            SizedScale(size[0], size[1], count, place == len(sizes), sum(iterations))
            for place, (size, count) in enumerate(zip(sizes, iterations), start=1)
        ]

    def _prepared(self, index: int, pair: Pair) -> Underway:
        content = self._own(pair.content).unsqueeze(0)
        styles = tuple(replace(style, image=self._own(style.image)) for style in pair.styles)
        # Styles recoloured for one content: no other pair can use their Gram matrices.
        if pair.preserve_color == "match":
            styles = tuple(
                replace(one, key=None, image=color.match_colors(one.image[None], content)[0])
                for one in styles
            )
        elif pair.preserve_color == "luminance":
            styles = tuple(
                replace(one, key=None, image=color.match_luminance(one.image[None], content)[0])
                for one in styles
            )
            content = color.as_gray(content)
        mask = None if pair.mask is None else self._own(pair.mask)[None, None]
        initial = self._initial_image(content, styles, pair.seed)
        return Underway(index, content, styles, pair.strength, mask, initial, initial)

    def _own(self, given: Tensor) -> Tensor:
        """A copy to work on, float32 on the device, without the caller's history."""
        return given.detach().to(self.device, torch.float32, copy=True)

    def _initial_image(self, content: Tensor, styles: Sequence[Style], seed: int) -> Tensor:
        height, width = content.shape[2:]
        if self.preset.initial == "content":
            return content
        if self.preset.initial == "style":
            return resize(styles[0].image.unsqueeze(0), height, width)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, 3, height, width, generator=generator, dtype=torch.float32)
        noise = noise.to(self.device)
        # White noise with the mean and spread of natural images.
        return noise * self.encoder.std + self.encoder.mean

    def _result(self, pair: Pair, done: Underway) -> StylizedPair:
        image, start, end = done.image, done.start, done.end
        if done.stop_reason == "not_finite":
            image, start, end = done.initial.clamp(0, 1), _NO_LOSSES, _NO_LOSSES
        else:
            image = self._in_color(pair, image)
        return StylizedPair(
            image[0].cpu(), start, end, done.iterations, done.stop_reason, self.precision
        )

    def _in_color(self, pair: Pair, image: Tensor) -> Tensor:
        """What was optimised, 1 x 3 x h x w, in the colours that the pair's result has."""
        if pair.preserve_color != "luminance":
            return image
        content = resize(self._own(pair.content).unsqueeze(0), *image.shape[2:])
        return color.with_color_of(image, content)

    def _shown_in_color(self, pairs: Mapping[int, Pair], on_progress: Listener) -> Listener:
        def told(progress: Progress) -> None:
            def look(index: int) -> Tensor:
                image = progress._look(index)
                return self._in_color(pairs[index], image)

            on_progress(replace(progress, _look=look))

        return told

    def _again_in_float32(
        self, pair: Pair, index: int, on_progress: Listener | None
    ) -> StylizedPair:
        exact = Stylizer(
            self.encoder,
            replace(self.preset, precision="fp32"),
            self.device,
            style_grams=self._style_grams,
            tile_px=self._tile_px,
        )
        ((_, done),) = exact._each({index: pair}, 1, on_progress)
        return replace(done, restarted=True)


def _checked_device(device: torch.device | str) -> torch.device:
    try:
        checked = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device: expected cpu or cuda, got {device!r}") from None
    if checked.type not in _MOST_PAIRS:
        raise ValueError(f"device: expected cpu or cuda, got {device}")
    if checked.type == "cuda" and (checked.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device: {device}: torch finds {torch.cuda.device_count()} CUDA devices")
    return checked
