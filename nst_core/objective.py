"""What is minimised: the losses of a batch of images against their targets, and the gradient."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from nst_core.encoder import stride_px
from nst_core.losses import (
    squared_distance,
    style_loss_of_grams,
    total_loss,
    total_variation_loss,
)
from nst_core.precision import computing_in
from nst_core.sight import ByLayer, Sight, positions
from nst_core.style_grams import StyleGrams
from nst_core.targets import Targets
from nst_core.tiling import Block


@dataclass(frozen=True)
class PairLosses:
    """Losses of each pair of a batch: B values >= 0 each, float32, on the device of the images.

    Attributes:
        content, style, total_variation: before their weights (Gatys et al. 2016, eq. 1 and 5;
            Mahendran & Vedaldi 2015, beta = 2).
        total: their sum with the preset's weights (eq. 7).
    """

    content: Tensor
    style: Tensor
    total_variation: Tensor
    total: Tensor

    def of_pair(self, index: int) -> dict[str, float]:
        """Name -> value for one pair; `index` is its place in the batch, from 0."""
        return {field.name: float(getattr(self, field.name)[index]) for field in fields(self)}

    @staticmethod
    def joined(parts: Sequence[PairLosses]) -> PairLosses:
        """The batches that are `parts`, in their order, as one; B values are the sum of theirs."""
        names = [field.name for field in fields(PairLosses)]
        return PairLosses(*(torch.cat([getattr(one, name) for one in parts]) for name in names))

    @staticmethod
    def of_pairs(values: Sequence[Mapping[str, float]]) -> PairLosses:
        """What `of_pair` gave for each of B pairs, the `values`: B values again, on the CPU."""
        names = [field.name for field in fields(PairLosses)]
        return PairLosses(*(torch.tensor([one[name] for one in values]) for name in names))

    def stacked(self) -> Tensor:
        """B x 4, in the order of the fields."""
        return torch.stack([getattr(self, field.name) for field in fields(self)], dim=1)

    def detached(self) -> PairLosses:
        """The same B values without their history."""
        return PairLosses(*(getattr(self, field.name).detach() for field in fields(self)))


LOSSES = tuple(field.name for field in fields(PairLosses))


class Objective:
    """The losses of one preset, seen by one encoder, and where the targets for them come from."""

    def __init__(self, sight: Sight, style_grams: StyleGrams) -> None:
        self.sight = sight
        self.preset = sight.preset
        self.style_grams = style_grams

    @torch.no_grad()
    def losses(self, images: Tensor, targets: Targets) -> PairLosses:
        """Losses of B x 3 x H x W images."""
        parts = []
        with computing_in(self.sight.precision, self.sight.device):
            for place in self.sight.together(len(images)):
                here, asked = images[place], targets.at(place)
                parts.append(
                    self._combined(self._sums(here, asked, self.sight.blocks(here)), asked, here)
                )
        return PairLosses.joined(parts)

    def losses_and_gradient(self, images: Tensor, targets: Targets) -> tuple[PairLosses, Tensor]:
        """Losses of B x 3 x H x W images, and the gradient of each one's total by its pixels."""
        with torch.enable_grad(), computing_in(self.sight.precision, self.sight.device):
            parts = [
                self._losses_and_gradient(images[place].detach(), targets.at(place))
                for place in self.sight.together(len(images))
            ]
        if len(parts) == 1:
            return parts[0]
        losses, gradients = zip(*parts)
        return PairLosses.joined(losses), torch.cat(gradients)

    def _losses_and_gradient(self, images: Tensor, targets: Targets) -> tuple[PairLosses, Tensor]:
        of_blocks = self.sight.blocks(images)
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
            part = self._part(block, self.sight.features(block, crop), targets, images)
            (by_crop,) = torch.autograd.grad(list(part.tensors()), crop, by_sums)
            block.crop(gradient).add_(by_crop)
        return losses.detached(), gradient

    def _sums(self, images: Tensor, targets: Targets, of_blocks: list[Block]) -> _Sums:
        parts = (
            self._part(block, self.sight.features(block, block.crop(images)), targets, images)
            for block in of_blocks
        )
        return functools.reduce(_Sums.plus, parts)

    def _part(self, block: Block, features: ByLayer, targets: Targets, images: Tensor) -> _Sums:
        """What a block adds to the sums over the whole image."""
        return _Sums(
            content={
                layer: squared_distance(features[layer], block.own(target, stride_px(layer)))
                for layer, target in targets.content.items()
            },
            grams=self.sight.gram_shares(block, features, targets.guides, images),
        )

    def _combined(self, sums: _Sums, targets: Targets, images: Tensor) -> PairLosses:
        preset = self.preset
        content = torch.stack(
            [
                weight * sums.content[layer] / targets.content_norms[layer]
                for layer, weight in preset.content_layers.items()
            ]
        ).sum(0)
        counts = {layer: positions(images, layer) for layer in preset.style_layers}
        style = style_loss_of_grams(
            sums.grams, targets.grams, preset.style_layers, counts, preset.style_error
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


@dataclass(frozen=True)
class _Sums:
    """Sums over all positions, of which the losses are made.

    Attributes:
        content: layer -> B squared distances.
        grams: layer -> B x C x C.
    """

    content: ByLayer
    grams: ByLayer

    def tensors(self) -> Iterator[Tensor]:
        yield from self.content.values()
        yield from self.grams.values()

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(
            {layer: one + other.content[layer] for layer, one in self.content.items()},
            {layer: one + other.grams[layer] for layer, one in self.grams.items()},
        )
