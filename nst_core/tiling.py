"""Exact tiling: an encoder over an image in blocks, with the features of the whole.

A convolution sees one step around each position, so a block's features are exact where all that
they depend on is in its crop. Crops begin at multiples of the deepest stride, where pooling
windows of block and whole are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from nst_core.encoder import Encoder, stride_px


@dataclass(frozen=True)
class Span:
    """Along one side, in pixels: the part that a block answers for, inside the part it sees."""

    start: int
    stop: int
    seen_start: int
    seen_stop: int

    @property
    def seen(self) -> slice:
        return slice(self.seen_start, self.seen_stop)

    def own(self, stride: int) -> slice:
        """Its own part in a feature map of this stride over the whole."""
        return slice(self.start // stride, self.stop // stride)

    def inside(self, stride: int) -> slice:
        """Its own part in a feature map of this stride over what it sees."""
        first = self.seen_start // stride
        return slice(self.start // stride - first, self.stop // stride - first)


@dataclass(frozen=True)
class Block:
    """A rectangle of the image."""

    rows: Span
    columns: Span

    def crop(self, images: Tensor) -> Tensor:
        """What the block sees of images at full resolution."""
        return images[..., self.rows.seen, self.columns.seen]

    def own(self, features: Tensor, stride: int) -> Tensor:
        """Its own part of a feature map of the whole image."""
        return features[..., self.rows.own(stride), self.columns.own(stride)]

    def inside(self, features: Tensor, stride: int) -> Tensor:
        """Its own part of a feature map of its crop."""
        return features[..., self.rows.inside(stride), self.columns.inside(stride)]


def reach_px(encoder: Encoder, layers: Iterable[str]) -> int:
    """How far outside the window of a position lie pixels that it depends on: one step a layer."""
    names = encoder.layers
    deepest = max(layers, key=names.index)
    return sum(stride_px(name) for name in names[: names.index(deepest) + 1])


def blocks(
    encoder: Encoder, layers: Iterable[str], height: int, width: int, tile_px: int
) -> list[Block]:
    """Blocks of at most about tile_px a side that cover the image; one, where it is no larger."""
    layers = list(layers)
    stride = max(stride_px(layer) for layer in layers)
    halo_px = -(-reach_px(encoder, layers) // stride) * stride
    rows, columns = (_spans(side, tile_px, halo_px, stride) for side in (height, width))
    return [Block(row, column) for row in rows for column in columns]


def _spans(side_px: int, tile_px: int, halo_px: int, stride: int) -> list[Span]:
    count = -(-side_px // tile_px)
    step = -(-side_px // (count * stride)) * stride
    starts = range(0, side_px, step)
    # What is left after the last whole stride is no position of the deepest layer.
    if len(starts) > 1 and side_px - starts[-1] < stride:
        starts = starts[:-1]
    stops = [*starts[1:], side_px]
    return [
        Span(start, stop, max(0, start - halo_px), min(side_px, stop + halo_px))
        for start, stop in zip(starts, stops)
    ]
