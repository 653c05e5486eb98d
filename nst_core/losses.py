"""The losses of Gatys, Ecker & Bethge 2016 ("the paper"), one value per image of the batch.

Nothing here sums over the batch, so a pair's loss never depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ContentError = Literal["mean", "relative"]
StyleError = Literal["mean", "mean_per_feature", "relative"]

# Keeps the error relative to a black target finite; far below any real feature energy.
_TINY_ENERGY = 1e-8
_BLOCK_POSITIONS = 512


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrices G_ij = 1/(H W) sum_k F_ik F_jk (the paper, eq. 3, divided by H W).

    Dividing by H W makes the matrix of a large and of a small image comparable.

    Args:
        features: B x C x H x W, float; any range, rectified ones are >= 0.

    Returns:
        B x C x C, symmetric, float32 or wider.
    """
    if features.dtype == torch.float16:  # its largest number is too small for a sum of squares
        features = features.float()
    gram: Tensor = _GramMatrix.apply(features)
    return gram


class _GramMatrix(torch.autograd.Function):
    """Matrix products of channels-last features without copying them; one backward, not two.

    The sum runs over blocks of positions, which a CPU multiplies in parallel; in bfloat16 each
    block's sum is rounded, and their sum is in float32.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        positions = features.permute(0, 2, 3, 1).flatten(1, 2)
        ctx.save_for_backward(positions)
        ctx.shape = features.shape
        batch, count, channels = positions.shape
        whole = count - count % _BLOCK_POSITIONS
        wide = torch.promote_types(features.dtype, torch.float32)
        blocks = positions[:, :whole].reshape(-1, _BLOCK_POSITIONS, channels)
        gram = (blocks.mT @ blocks).to(wide).view(batch, -1, channels, channels).sum(1)
        if whole < count:
            rest = positions[:, whole:]
            gram += (rest.mT @ rest).to(wide)
        return gram / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (positions,) = ctx.saved_tensors
        batch, channels, height, width = ctx.shape
        symmetric = ((grad + grad.mT) / positions.shape[1]).to(positions.dtype)
        flat: Tensor = positions @ symmetric
        return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)


def content_loss(features: Tensor, target: Tensor, error: ContentError = "mean") -> Tensor:
    """Squared error between feature maps (the paper, eq. 1, where it is half their sum).

    Args:
        features, target: B x C x H x W, float.
        error: "mean": (1/N) sum (F - P)^2 over the N features. "relative": sum (F - P)^2 over
            sum P^2, the share of the target's energy, alike for every encoder and layer.

    Returns:
        B values >= 0, float32 or wider.
    """
    return squared_distance(features, target) / content_norm(target, error)


def squared_distance(features: Tensor, target: Tensor) -> Tensor:
    """sum (F - P)^2 of each image: B x C x H x W twice to B values, float32 or wider."""
    wide = torch.promote_types(features.dtype, torch.float32)
    return (features.to(wide) - target.to(wide)).square().sum(dim=(1, 2, 3))


def content_norm(target: Tensor, error: ContentError) -> Tensor:
    """What the squared distance to this target is divided by: B values."""
    if error == "mean":
        count = torch.tensor(float(target[0].numel()), device=target.device)
        return count.expand(len(target))
    wide = target.to(torch.promote_types(target.dtype, torch.float32))
    return wide.square().sum(dim=(1, 2, 3)) + _TINY_ENERGY


def style_layer_loss(
    gram: Tensor, target: Tensor, positions: int, error: StyleError = "mean"
) -> Tensor:
    """Error E_l between Gram matrices of one layer (the paper, eq. 4).

    Args:
        gram, target: B x C x C, as `gram_matrix` returns them.
        positions: H W of the layer's feature map.
        error: "mean": mean of (G - A)^2 over the C^2 entries. "mean_per_feature": the same for
            Gram matrices that are not divided by H W, over the C H W features. "relative":
            sum (G - A)^2 over sum A^2: 1 is the distance between the style and a black image.

    Returns:
        B values >= 0.
    """
    squared = (gram - target).square()
    if error == "relative":
        return squared.sum(dim=(1, 2)) / (target.square().sum(dim=(1, 2)) + _TINY_ENERGY)
    mean = squared.mean(dim=(1, 2))
    if error == "mean":
        return mean
    channels = gram.shape[1]
    return mean * positions / channels


def style_loss(
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    layer_weights: Mapping[str, float],
    error: StyleError = "mean",
) -> Tensor:
    """L_style = sum_l w_l E_l (the paper, eq. 5).

    Args:
        features: layer -> B x C x H x W, float.
        targets: layer -> B x C x C, Gram matrices of the style as `gram_matrix` returns them.
        layer_weights: layer -> w_l >= 0; the layers that count, at least one.
        error: of a layer's G and A. "mean": mean of (G - A)^2 over the C^2 entries.
            "mean_per_feature": the same for Gram matrices that are not divided by H W, over the
            C H W features. "relative": sum (G - A)^2 over sum A^2.

    Returns:
        B values >= 0, float32 or wider.

    Raises:
        KeyError: for a layer that features or targets do not have.
    """
    grams = {layer: gram_matrix(features[layer]) for layer in layer_weights}
    positions = {layer: features[layer].shape[2] * features[layer].shape[3] for layer in grams}
    return style_loss_of_grams(grams, targets, layer_weights, positions, error)


def style_loss_of_grams(
    grams: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    layer_weights: Mapping[str, float],
    positions: Mapping[str, int],
    error: StyleError,
) -> Tensor:
    """The style loss of Gram matrices; `positions`: layer -> H W of its feature map."""
    per_layer = [
        weight * style_layer_loss(grams[layer], targets[layer], positions[layer], error)
        for layer, weight in layer_weights.items()
    ]
    return torch.stack(per_layer).sum(dim=0)


def total_variation_loss(images: Tensor) -> Tensor:
    """Mean squared difference between neighbouring pixels (Mahendran & Vedaldi 2015, beta = 2).

    Args:
        images: B x 3 x H x W with H, W >= 2, float, sRGB around 0..1.

    Returns:
        B values >= 0, of the images' type: the mean over horizontal neighbours plus the mean over
        vertical ones.
    """
    horizontal = (images[..., :, 1:] - images[..., :, :-1]).square().mean(dim=(1, 2, 3))
    vertical = (images[..., 1:, :] - images[..., :-1, :]).square().mean(dim=(1, 2, 3))
    return horizontal + vertical


def total_loss(
    content: Tensor,
    style: Tensor,
    total_variation: Tensor,
    *,
    content_weight: float,
    style_weight: float,
    total_variation_weight: float,
) -> Tensor:
    """L = alpha L_content + beta L_style + gamma L_tv (the paper, eq. 7, with the third term).

    Args:
        content, style, total_variation: B losses >= 0 each, of one float type.
        content_weight, style_weight, total_variation_weight: alpha, beta, gamma >= 0.

    Returns:
        B values >= 0, of that type.
    """
    return (
        content_weight * content + style_weight * style + total_variation_weight * total_variation
    )
