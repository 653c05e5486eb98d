"""Rectify and pad in one: what lies between two convolutions of a block.

A third of the time around the convolutions went into separate passes over the activations; these
functions touch them once each way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def pad(x: Tensor) -> Tensor:
    """B x C x H x W with its border repeated once: B x C x H+2 x W+2, channels last."""
    padded: Tensor = _Pad.apply(x)
    return padded


def rectify_and_pad(x: Tensor) -> Tensor:
    """The rectified x, padded as `pad` does."""
    padded: Tensor = _RectifyAndPad.apply(x)
    return padded


def rectify_then_pad(x: Tensor) -> tuple[Tensor, Tensor]:
    """(x rectified in place, the same padded), for a layer that is looked at and convolved."""
    rectified, padded = _RectifyThenPad.apply(x)
    return rectified, padded


class _Pad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        padded = _room_for(x)
        _inside(padded).copy_(x)
        _repeat_border(padded)
        return padded

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _inside(_folded(grad))


class _RectifyAndPad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        padded = _room_for(x)
        torch.clamp_min(x, 0, out=_inside(padded))
        _repeat_border(padded)
        ctx.save_for_backward(padded)
        return padded

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (padded,) = ctx.saved_tensors
        return _where_positive(_inside(_folded(grad)), _inside(padded))


class _RectifyThenPad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        x.clamp_min_(0)
        padded = _room_for(x)
        _inside(padded).copy_(x)
        _repeat_border(padded)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        return x, padded

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, grad_padded: Tensor | None) -> Tensor | None:
        (rectified,) = ctx.saved_tensors
        if grad_padded is not None:
            through = _inside(_folded(grad_padded))
            grad = through if grad is None else grad + through
        if grad is None:
            return None
        return _where_positive(grad, rectified)


def _room_for(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    return torch.empty(
        (batch, channels, height + 2, width + 2),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )


def _inside(padded: Tensor) -> Tensor:
    return padded[:, :, 1:-1, 1:-1]


def _where_positive(grad: Tensor, rectified: Tensor) -> Tensor:
    through: Tensor = torch.ops.aten.threshold_backward(grad, rectified, 0)
    return through


def _repeat_border(padded: Tensor) -> None:
    """Fill the outermost pixels, corners included, with their neighbours inside."""
    padded[:, :, 0, 1:-1] = padded[:, :, 1, 1:-1]
    padded[:, :, -1, 1:-1] = padded[:, :, -2, 1:-1]
    padded[..., 0] = padded[..., 1]
    padded[..., -1] = padded[..., -2]


def _folded(grad: Tensor) -> Tensor:
    """The gradient with that of the repeated border added where it was repeated from.

    In place: a convolution's gradient is nobody else's.
    """
    grad[..., 1] += grad[..., 0]
    grad[..., -2] += grad[..., -1]
    grad[:, :, 1] += grad[:, :, 0]
    grad[:, :, -2] += grad[:, :, -1]
    return grad
