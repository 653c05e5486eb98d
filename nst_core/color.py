"""Colour preservation (Gatys et al. 2017, "Controlling perceptual factors", section 5)."""

from __future__ import annotations

import torch
from torch import Tensor

# Rec. 601 luma, the Y of YIQ and of JPEG's YCbCr.
_LUMA_WEIGHTS = (0.299, 0.587, 0.114)
_TINY_STD = 1e-5


def luminance(images: Tensor) -> Tensor:
    """B x 3 x H x W sRGB in 0..1 to B x 1 x H x W luma in 0..1."""
    weights = torch.tensor(_LUMA_WEIGHTS, device=images.device, dtype=images.dtype)
    return (images * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def as_gray(images: Tensor) -> Tensor:
    """The luma of the images in all three channels, for an encoder that expects three."""
    return luminance(images).expand(-1, 3, -1, -1)


def match_luminance(style: Tensor, content: Tensor) -> Tensor:
    """Gray style moved to the mean and spread of the content's luma (the paper, eq. 10).

    Args:
        style, content: B x 3 x H x W (sizes may differ), sRGB in 0..1.

    Returns:
        B x 3 x H x W like the style, gray, in 0..1.
    """
    style_luma, content_luma = luminance(style), luminance(content)
    centred = style_luma - style_luma.mean(dim=(2, 3), keepdim=True)
    spread = content_luma.std(dim=(2, 3), keepdim=True) / (
        style_luma.std(dim=(2, 3), keepdim=True) + _TINY_STD
    )
    matched = centred * spread + content_luma.mean(dim=(2, 3), keepdim=True)
    return matched.clamp(0, 1).expand(-1, 3, -1, -1)


def with_color_of(gray: Tensor, content: Tensor) -> Tensor:
    """The luma of `gray` with the chroma of `content`; both B x 3 x H x W, sRGB in 0..1."""
    return (content + luminance(gray) - luminance(content)).clamp(0, 1)


def match_colors(style: Tensor, content: Tensor) -> Tensor:
    """Style whose colours have the mean and covariance of the content's (the paper, section 5.1).

    The linear map is the symmetric one of Image Analogies: root of the content's covariance times
    the inverse root of the style's.

    Args:
        style, content: 1 x 3 x H x W (sizes may differ), sRGB in 0..1.

    Returns:
        1 x 3 x H x W like the style, in 0..1.
    """
    style_mean, style_root = _color_statistics(style)
    content_mean, content_root = _color_statistics(content)
    transform = content_root @ torch.linalg.inv(style_root)
    centred = style[0].flatten(1).double() - style_mean[:, None]
    matched: Tensor = transform @ centred + content_mean[:, None]
    return matched.view(style.shape).clamp(0, 1).to(style.dtype)


def _color_statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    """(mean of 3, square root of the 3 x 3 covariance) of one image's colours."""
    pixels = image[0].flatten(1).double()
    mean = pixels.mean(1)
    covariance = (pixels - mean[:, None]) @ (pixels - mean[:, None]).T / pixels.shape[1]
    # A gray image has no spread in two directions: the least keeps its root invertible.
    variances, axes = torch.linalg.eigh(covariance)
    return mean, (axes * variances.clamp_min(_TINY_STD**2).sqrt()) @ axes.T
