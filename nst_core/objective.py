"""What is minimised: the losses of a batch of images against their targets, and the gradient."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.encoder import Encoder, stride_px
from nst_core.losses import (
    content_norm,
    gram_matrix,
    squared_distance,
    style_loss_of_grams,
    total_loss,
    total_variation_loss,
)
from nst_core.pairs import Style
from nst_core.precision import UsedPrecision, computing_in
from nst_core.presets import Preset
from nst_core.resize import fit_long_side, resize
from nst_core.style_grams import StyleGrams
from nst_core.tiling import Block, blocks

# Keeps the weights of an empty mask finite.
_LEAST_MASKED = 1e-6


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

    @staticmethod
    def joined(parts: Sequence[PairLosses]) -> PairLosses:
        """One batch of several."""
        names = [field.name for field in fields(PairLosses)]
        return PairLosses(*(torch.cat([getattr(one, name) for one in parts]) for name in names))

    @staticmethod
    def of_pairs(values: Sequence[Mapping[str, float]]) -> PairLosses:
        """What `of_pair` gave for each, together again."""
        names = [field.name for field in fields(PairLosses)]
        return PairLosses(*(torch.tensor([one[name] for one in values]) for name in names))

    def detached(self) -> PairLosses:
        """The same values without their history."""
        return PairLosses(*(getattr(self, field.name).detach() for field in fields(self)))


@dataclass(frozen=True)
class Targets:
    """What a batch of images is compared with; the first dimension of each is the place.

    Attributes:
        content: layer -> B x C x h x w, features of the content.
        content_norms: layer -> B, what their squared distances are divided by.
        grams: layer -> B x C x C, Gram matrices that are asked for.
        guides: layer -> B x 1 x h x w, factors before the Gram matrix: the root of the mask,
            so that it is that of the masked part (Gatys et al. 2017, section 4). Empty: no masks.
    """

    content: dict[str, Tensor]
    content_norms: dict[str, Tensor]
    grams: dict[str, Tensor]
    guides: dict[str, Tensor]

    def tensors(self) -> Iterator[Tensor]:
        """All of them, in a fixed order."""
        for group in (self.content, self.content_norms, self.grams, self.guides):
            yield from group.values()

    def at(self, places: Tensor | slice) -> Targets:
        """Those of some places of the batch."""
        return Targets(
            *(
                {layer: one[places] for layer, one in getattr(self, field.name).items()}
                for field in fields(self)
            )
        )

    @staticmethod
    def joined(parts: Sequence[Targets]) -> Targets:
        """One batch of several."""
        first, groups = parts[0], [field.name for field in fields(Targets)]
        return Targets(
            *(
                {
                    layer: torch.cat([getattr(one, group)[layer] for one in parts])
                    for layer in getattr(first, group)
                }
                for group in groups
            )
        )


class Objective:
    """The losses of one preset, seen by one encoder.

    Args:
        tile_px: images with more pixels than its square are seen in blocks of that side, with
            the same losses and gradients up to rounding: less memory, more time.
    """

    def __init__(
        self,
        encoder: Encoder,
        preset: Preset,
        precision: UsedPrecision,
        style_grams: StyleGrams,
        tile_px: int,
    ) -> None:
        self.encoder = encoder
        self.preset = preset
        self.precision = precision
        self.min_side_px = max(stride_px(layer) for layer in preset.layers)
        self.device = encoder.mean.device
        self._style_grams = style_grams
        self._tile_px = tile_px

    @torch.no_grad()
    def targets(
        self,
        content: Tensor,
        styles: Sequence[Sequence[Style]],
        strength: Sequence[float],
        mask: Tensor | None,
    ) -> Targets:
        """Targets of B pairs at one size.

        Args:
            content: B x 3 x H x W.
            styles, strength: of each; the style target is (1 - s) Gram(content) + s Gram(style).
            mask: B x 1 x H x W in 0..1, where style goes; None: everywhere.
        """
        with computing_in(self.precision, self.device):
            parts = [
                self._targets(
                    content[place],
                    styles[place],
                    strength[place],
                    None if mask is None else mask[place],
                )
                for place in self._seen_together(content)
            ]
        return Targets.joined(parts)

    @torch.no_grad()
    def losses(self, images: Tensor, targets: Targets) -> PairLosses:
        """Losses of B x 3 x H x W images."""
        parts = []
        with computing_in(self.precision, self.device):
            for place in self._seen_together(images):
                here, asked = images[place], targets.at(place)
                parts.append(
                    self._combined(self._sums(here, asked, self._blocks(here)), asked, here)
                )
        return PairLosses.joined(parts)

    def losses_and_gradient(self, images: Tensor, targets: Targets) -> tuple[PairLosses, Tensor]:
        """Losses of B x 3 x H x W images, and the gradient of each one's total by its pixels."""
        with torch.enable_grad(), computing_in(self.precision, self.device):
            parts = [
                self._losses_and_gradient(images[place].detach(), targets.at(place))
                for place in self._seen_together(images)
            ]
        if len(parts) == 1:
            return parts[0]
        losses, gradients = zip(*parts)
        return PairLosses.joined(losses), torch.cat(gradients)

    def _seen_together(self, images: Tensor) -> list[slice]:
        """Parts of a batch that the encoder sees at once: all on a GPU, on a CPU one by one.

        There a batch is no faster, but sums run in another order than alone; differences of the
        last bit grow from step to step, and a pair must not notice its neighbours.
        """
        if self.device.type != "cpu":
            return [slice(None)]
        return [slice(i, i + 1) for i in range(len(images))]

    def _targets(
        self,
        content: Tensor,
        styles: Sequence[Sequence[Style]],
        strength: Sequence[float],
        mask: Tensor | None,
    ) -> Targets:
        preset = self.preset
        height, width = content.shape[2:]
        guides = {} if mask is None else self._guides(mask)
        features, own = self._features_and_grams(content, guides)
        asked = [self._mixed_grams(of_pair, height, width) for of_pair in styles]
        share = torch.tensor(strength, dtype=content.dtype, device=self.device).view(-1, 1, 1)
        return Targets(
            content=features,
            content_norms={
                layer: content_norm(one, preset.content_error) for layer, one in features.items()
            },
            grams={
                layer: (1 - share) * own[layer] + share * torch.cat([one[layer] for one in asked])
                for layer in preset.style_layers
            },
            guides=guides,
        )

    def _losses_and_gradient(self, images: Tensor, targets: Targets) -> tuple[PairLosses, Tensor]:
        of_blocks = self._blocks(images)
        leaf = images.requires_grad_()
        if len(of_blocks) > 1:
            return self._by_block(leaf, targets, of_blocks)
        losses = self._combined(self._sums(leaf, targets, of_blocks), targets, leaf)
        # The sum: each image's gradient is that of its own loss alone.
        (gradient,) = torch.autograd.grad(losses.total.sum(), leaf)
        return losses.detached(), gradient

    def _by_block(
        self, images: Tensor, targets: Targets, of_blocks: list[Block]
    ) -> tuple[PairLosses, Tensor]:
        """A first pass for the sums over the whole image, a second for the gradient by block.

        Once d loss / d sums is known, the gradient of a block needs that block's features alone.
        """
        with torch.no_grad():
            sums = self._sums(images, targets, of_blocks)
        leaves = [one.requires_grad_() for one in sums.tensors()]
        losses = self._combined(sums, targets, images)
        *by_sums, gradient = torch.autograd.grad(losses.total.sum(), [*leaves, images])
        for block in of_blocks:
            crop = block.crop(images).detach().requires_grad_()
            part = self._part(block, self._features(block, crop), targets, images)
            (by_crop,) = torch.autograd.grad(list(part.tensors()), crop, by_sums)
            block.crop(gradient).add_(by_crop)
        return losses.detached(), gradient

    def _sums(self, images: Tensor, targets: Targets, of_blocks: list[Block]) -> _Sums:
        parts = (
            self._part(block, self._features(block, block.crop(images)), targets, images)
            for block in of_blocks
        )
        return functools.reduce(_Sums.plus, parts)

    def _features(self, block: Block, crop: Tensor) -> dict[str, Tensor]:
        """The block's own part of the features of its crop."""
        features = self.encoder(crop, self.preset.layers, self.preset.pooling)
        return {layer: block.inside(one, stride_px(layer)) for layer, one in features.items()}

    def _part(
        self, block: Block, features: dict[str, Tensor], targets: Targets, images: Tensor
    ) -> _Sums:
        """What a block adds to the sums over the whole image."""
        return _Sums(
            content={
                layer: squared_distance(features[layer], block.own(target, stride_px(layer)))
                for layer, target in targets.content.items()
            },
            grams=self._gram_shares(block, features, targets.guides, images),
        )

    def _gram_shares(
        self, block: Block, features: dict[str, Tensor], guides: dict[str, Tensor], images: Tensor
    ) -> dict[str, Tensor]:
        shares = {}
        for layer in self.preset.style_layers:
            here = features[layer]
            if layer in guides:
                here = here * block.own(guides[layer], stride_px(layer)).to(here.dtype)
            part = here[0, 0].numel() / _positions(images, layer)
            shares[layer] = gram_matrix(here) if part == 1 else gram_matrix(here) * part
        return shares

    def _combined(self, sums: _Sums, targets: Targets, images: Tensor) -> PairLosses:
        preset = self.preset
        content = torch.stack(
            [
                weight * sums.content[layer] / targets.content_norms[layer]
                for layer, weight in preset.content_layers.items()
            ]
        ).sum(0)
        positions = {layer: _positions(images, layer) for layer in preset.style_layers}
        style = style_loss_of_grams(
            sums.grams, targets.grams, preset.style_layers, positions, preset.style_error
        )
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

    def _features_and_grams(
        self, content: Tensor, guides: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Features of the content layers, Gram matrices of the style layers, of the whole image."""
        whole: dict[str, Tensor] = {}
        grams: list[dict[str, Tensor]] = []
        for block in self._blocks(content):
            features = self._features(block, block.crop(content))
            grams.append(self._gram_shares(block, features, guides, content))
            for layer in self.preset.content_layers:
                stride, part = stride_px(layer), features[layer]
                if layer not in whole:
                    size = content.shape[2] // stride, content.shape[3] // stride
                    whole[layer] = part.new_empty(*part.shape[:2], *size).contiguous(
                        memory_format=torch.channels_last
                    )
                block.own(whole[layer], stride).copy_(part)
        return whole, {
            layer: torch.stack([one[layer] for one in grams]).sum(0) for layer in grams[0]
        }

    def _mixed_grams(self, styles: Sequence[Style], height: int, width: int) -> dict[str, Tensor]:
        """layer -> 1 x C x C, the mean over the styles of a pair by their weights."""
        whole = sum(style.weight for style in styles)
        shares = [
            {
                layer: gram * (style.weight / whole)
                for layer, gram in self._grams_of_style(style, height, width).items()
            }
            for style in styles
        ]
        return _summed(shares)

    def _grams_of_style(self, style: Style, height: int, width: int) -> dict[str, Tensor]:
        size = self.style_size(style.image.shape[1], style.image.shape[2], height, width)

        def compute() -> dict[str, Tensor]:
            image = style.image.unsqueeze(0).to(self.device, torch.float32)
            return self._features_and_grams(resize(image, *size), {})[1]

        if style.key is None:
            return compute()
        encoder, preset = self.encoder, self.preset
        depends_on = (style.key, *size, encoder.sha256, self.precision, preset.pooling)
        key = "|".join(map(str, (*depends_on, *preset.style_layers, self._tile_px)))
        return self._style_grams.get(key, str(self.device), compute)

    def style_size(
        self, own_height: int, own_width: int, height: int, width: int
    ) -> tuple[int, int]:
        """(height, width) at which a style image of its own size is seen beside this content."""
        if self.preset.style_shape == "content":
            return height, width
        # Larger than the content where its short side would be less than the encoder can take.
        aspect = max(own_height, own_width) / min(own_height, own_width)
        long_side_px = max(height, width, math.ceil(self.min_side_px * aspect))
        return fit_long_side(own_height, own_width, long_side_px)

    def _guides(self, mask: Tensor) -> dict[str, Tensor]:
        guides = {}
        for layer in self.preset.style_layers:
            stride = stride_px(layer)
            share = F.avg_pool2d(mask, stride) if stride > 1 else mask
            guides[layer] = (share / share.mean().clamp_min(_LEAST_MASKED)).sqrt()
        return guides

    def _blocks(self, images: Tensor) -> list[Block]:
        height, width = images.shape[2:]
        tile_px = self._tile_px if height * width > self._tile_px**2 else max(height, width)
        return blocks(self.encoder, self.preset.layers, height, width, tile_px)


@dataclass(frozen=True)
class _Sums:
    """Sums over all positions, of which the losses are made.

    Attributes:
        content: layer -> B squared distances.
        grams: layer -> B x C x C.
    """

    content: dict[str, Tensor]
    grams: dict[str, Tensor]

    def tensors(self) -> Iterator[Tensor]:
        yield from self.content.values()
        yield from self.grams.values()

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(
            {layer: one + other.content[layer] for layer, one in self.content.items()},
            {layer: one + other.grams[layer] for layer, one in self.grams.items()},
        )


def _summed(of: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {layer: functools.reduce(torch.add, (one[layer] for one in of)) for layer in of[0]}


def _positions(images: Tensor, layer: str) -> int:
    stride = stride_px(layer)
    return (images.shape[2] // stride) * (images.shape[3] // stride)
