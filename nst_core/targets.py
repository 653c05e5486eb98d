"""What the images of a batch are to be like: content features, and mixed Gram matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.encoder import stride_px
from nst_core.losses import content_norm
from nst_core.pairs import Style
from nst_core.precision import computing_in
from nst_core.presets import Preset
from nst_core.resize import fit_long_side, resize
from nst_core.sight import ByLayer, Sight
from nst_core.style_grams import StyleGrams

# Keeps the weights of an empty mask finite.
_LEAST_MASKED = 1e-6


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

    content: ByLayer
    content_norms: ByLayer
    grams: ByLayer
    guides: ByLayer

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


@torch.no_grad()
def targets_of(
    sight: Sight,
    style_grams: StyleGrams,
    content: Tensor,
    styles: Sequence[Sequence[Style]],
    strength: Sequence[float],
    mask: Tensor | None,
) -> Targets:
    """Targets of B pairs at one size, all seen at once.

    Args:
        content: B x 3 x H x W.
        styles, strength: of each; the style target is (1 - s) Gram(content) + s Gram(style).
        mask: B x 1 x H x W in 0..1, where style goes; None: everywhere.
    """
    height, width = content.shape[2:]
    guides = {} if mask is None else _guides(mask, sight.preset.style_layers)
    with computing_in(sight.precision, sight.device):
        features, own = sight.features_and_grams(content, guides)
        asked = [_mixed_grams(sight, style_grams, of_pair, (height, width)) for of_pair in styles]
    share = torch.tensor(strength, dtype=content.dtype, device=sight.device).view(-1, 1, 1)
    return Targets(
        content=features,
        content_norms={
            layer: content_norm(one, sight.preset.content_error) for layer, one in features.items()
        },
        grams={
            layer: (1 - share) * gram + share * torch.cat([one[layer] for one in asked])
            for layer, gram in own.items()
        },
        guides=guides,
    )


def style_size(
    preset: Preset, min_side_px: int, own: tuple[int, int], content: tuple[int, int]
) -> tuple[int, int]:
    """The size at which a style image is seen beside content; all sizes are (height, width)."""
    if preset.style_shape == "content":
        return content
    # Larger than the content where its short side would be less than the encoder can take.
    long_side_px = max(*content, math.ceil(min_side_px * max(own) / min(own)))
    return fit_long_side(*own, long_side_px)


def _mixed_grams(
    sight: Sight, style_grams: StyleGrams, styles: Sequence[Style], content_size: tuple[int, int]
) -> ByLayer:
    """layer -> 1 x C x C, the mean over the styles of a pair by their weights."""
    whole = sum(style.weight for style in styles)
    mixed: ByLayer = {}
    for style in styles:
        for layer, gram in _grams_of_style(sight, style_grams, style, content_size).items():
            mixed[layer] = mixed.get(layer, 0) + gram * (style.weight / whole)
    return mixed


def _grams_of_style(
    sight: Sight, style_grams: StyleGrams, style: Style, content_size: tuple[int, int]
) -> ByLayer:
    own_size = style.image.shape[1], style.image.shape[2]
    size = style_size(sight.preset, sight.min_side_px, own_size, content_size)

    def compute() -> ByLayer:
        image = style.image.unsqueeze(0).to(sight.device, torch.float32)
        return sight.features_and_grams(resize(image, *size), {})[1]

    if style.key is None:
        return compute()
    depends_on = (style.key, *size, sight.encoder.sha256, sight.precision, sight.tile_px)
    key = "|".join(map(str, (*depends_on, sight.preset.pooling, *sight.preset.style_layers)))
    return style_grams.get(key, str(sight.device), compute)


def _guides(mask: Tensor, layers: Iterable[str]) -> ByLayer:
    guides = {}
    for layer in layers:
        stride = stride_px(layer)
        share = F.avg_pool2d(mask, stride) if stride > 1 else mask
        mean = share.mean(dim=(1, 2, 3), keepdim=True).clamp_min(_LEAST_MASKED)
        guides[layer] = (share / mean).sqrt()
    return guides
