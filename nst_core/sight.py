"""How an encoder sees images: features and Gram matrices, large images block by block."""

from __future__ import annotations

import torch
from torch import Tensor

from nst_core.encoder import Encoder, stride_px
from nst_core.losses import gram_matrix
from nst_core.precision import UsedPrecision
from nst_core.presets import Preset
from nst_core.tiling import Block, blocks

ByLayer = dict[str, Tensor]


class Sight:
    """One encoder, looking for what one preset's losses need.

    Args:
        precision: that the encoder's convolutions are to be computed in.
        tile_px: images with more pixels than its square are seen in blocks of about that side,
            with the same features up to rounding: less memory, more time.
    """

    def __init__(
        self, encoder: Encoder, preset: Preset, precision: UsedPrecision, tile_px: int
    ) -> None:
        self.encoder = encoder
        self.preset = preset
        self.precision = precision
        self.tile_px = tile_px
        self.device = encoder.mean.device
        # One pixel alone has neither variation nor spread.
        self.min_side_px = max(2, *(stride_px(layer) for layer in preset.layers))

    def together(self, count: int) -> list[slice]:
        """Parts of a batch that are looked at at once: all on a GPU, on a CPU one by one.

        There a batch is no faster, but sums run in another order than alone; differences of the
        last bit grow from step to step, and a pair must not notice its neighbours.
        """
        if self.device.type != "cpu":
            return [slice(None)]
        return [slice(i, i + 1) for i in range(count)]

    def blocks(self, images: Tensor) -> list[Block]:
        """The blocks that B x 3 x H x W images are seen in."""
        height, width = images.shape[2:]
        tile_px = self.tile_px if height * width > self.tile_px**2 else max(height, width)
        return blocks(self.encoder, self.preset.layers, height, width, tile_px)

    def features(self, block: Block, crop: Tensor) -> ByLayer:
        """The block's own part of the features of its crop."""
        features = self.encoder(crop, self.preset.layers, self.preset.pooling)
        return {layer: block.inside(one, stride_px(layer)) for layer, one in features.items()}

    def gram_shares(
        self, block: Block, features: ByLayer, guides: ByLayer, images: Tensor
    ) -> ByLayer:
        """What a block adds to the Gram matrices of the whole images.

        Args:
            features: of the block.
            guides: layer -> B x 1 x h x w of the whole, factors of the features; or empty.
            images: the whole.
        """
        shares = {}
        for layer in self.preset.style_layers:
            here = features[layer]
            if layer in guides:
                here = here * block.own(guides[layer], stride_px(layer)).to(here.dtype)
            part = here[0, 0].numel() / positions(images, layer)
            shares[layer] = gram_matrix(here) if part == 1 else gram_matrix(here) * part
        return shares

    def features_and_grams(self, images: Tensor, guides: ByLayer) -> tuple[ByLayer, ByLayer]:
        """Features of the content layers, and Gram matrices of the style layers, of the whole."""
        whole: ByLayer = {}
        grams: ByLayer = {}
        for block in self.blocks(images):
            features = self.features(block, block.crop(images))
            shares = self.gram_shares(block, features, guides, images)
            grams = {layer: grams.get(layer, 0) + share for layer, share in shares.items()}
            for layer in self.preset.content_layers:
                stride, part = stride_px(layer), features[layer]
                if layer not in whole:
                    size = images.shape[2] // stride, images.shape[3] // stride
                    whole[layer] = torch.empty(
                        (*part.shape[:2], *size),
                        dtype=part.dtype,
                        device=part.device,
                        memory_format=torch.channels_last,
                    )
                block.own(whole[layer], stride).copy_(part)
        return whole, grams


def positions(images: Tensor, layer: str) -> int:
    """H W of the layer's feature map over these images."""
    stride = stride_px(layer)
    return (images.shape[2] // stride) * (images.shape[3] // stride)
