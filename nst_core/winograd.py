"""3x3 convolution with 2.25 times fewer multiplications (Winograd; Lavin & Gray 2016, F(2x2, 3x3)).

Each 2 x 2 outputs need a 4 x 4 patch of the input; transformed, the convolution of all patches is
16 matrix products. What is saved in products is paid in additions over larger tensors, so it pays
for wide layers only. For CPUs: oneDNN has no Winograd in bfloat16; GPU libraries choose their own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Below this product of channels in and out the additions cost more than they save, and below this
# one of channels and positions all of it is over before it pays (both measured).
_LEAST_CHANNELS = 25_000
_LEAST_PRODUCTS = 50_000_000

# Lavin & Gray, eq. 13: from 3 weights to the 4 factors of 2 outputs.
_FACTORS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


def may_pay(weight: Tensor) -> bool:
    """Whether a layer of these weights (O x I x 3 x 3) can be faster this way."""
    is_bf16_on_cpu = weight.dtype == torch.bfloat16 and weight.device.type == "cpu"
    return is_bf16_on_cpu and _channels(weight) >= _LEAST_CHANNELS


def pays(weight: Tensor, padded: Tensor) -> bool:
    """Whether such a layer can take, and is faster on, this B x I x H+2 x W+2."""
    height, width = padded.shape[2] - 2, padded.shape[3] - 2
    even = height % 2 == 0 and width % 2 == 0
    return even and _channels(weight) * height * width >= _LEAST_PRODUCTS


def transformed(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights for `convolve`: (16 x I x O for its forward, 16 x O x I for its backward pass)."""
    turned = weight.flip(2, 3).transpose(0, 1)
    return _transformed(weight), _transformed(turned)


def convolve(x: Tensor, weights: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
    """The convolution of B x I x H+2 x W+2 with no padding: B x O x H x W, channels last.

    H and W must be even. The weights get no gradient.
    """
    result: Tensor = _Winograd.apply(x, *weights, bias)
    return result


def _channels(weight: Tensor) -> int:
    return weight.shape[0] * weight.shape[1]


def _transformed(weight: Tensor) -> Tensor:
    factors = torch.tensor(_FACTORS)
    squares = torch.einsum("ai,ocij,bj->abco", factors, weight.float(), factors)
    return squares.flatten(0, 1).to(weight.dtype).contiguous()


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weights: Tensor, backward_weights: Tensor, bias: Tensor
    ) -> Any:
        ctx.save_for_backward(backward_weights)
        return _products(x.permute(0, 2, 3, 1), weights, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        (weights,) = ctx.saved_tensors
        # The gradient of a convolution is that of the turned weights over the padded gradient.
        wide = torch.nn.functional.pad(grad.permute(0, 2, 3, 1), (0, 0, 2, 2, 2, 2))
        return _products(wide, weights, None), None, None, None


def _products(x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """B x H+2 x W+2 x I to B x O x H x W, channels last."""
    batch, height, width, channels = x.shape
    rows, columns = height // 2 - 1, width // 2 - 1
    patches = x.new_empty(4, 4, batch, rows, columns, channels)
    for column, part in enumerate(_four_parts(x, dim=2)):
        _four_parts(part, dim=1, out=patches[:, column])
    squares = torch.bmm(patches.view(16, -1, channels), weights)
    squares = squares.view(4, 4, batch, rows, columns, -1)
    if bias is not None:
        # Both outputs of a row, and of a column, contain the second of the four once.
        squares[1, 1] += bias
    halves = squares.new_empty(2, *squares.shape[1:])
    _two_outputs(squares.unbind(0), halves[0], halves[1])
    size = batch, squares.shape[-1], 2 * rows, 2 * columns
    result = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    for row in (0, 1):
        own = result.permute(0, 2, 3, 1)[:, row::2]
        _two_outputs(halves[row].unbind(0), own[:, :, 0::2], own[:, :, 1::2])
    return result


def _four_parts(x: Tensor, dim: int, out: Tensor | None = None) -> list[Tensor]:
    """The transform of each four neighbours d along `dim`: d0 - d2, d1 + d2, d2 - d1, d1 - d3."""
    even, odd = (x.unfold(dim, 1, 2).squeeze(-1) for x in (x, x.narrow(dim, 1, x.shape[dim] - 1)))
    count = even.shape[dim] - 1
    d0, d2 = even.narrow(dim, 0, count), even.narrow(dim, 1, count)
    d1, d3 = odd.narrow(dim, 0, count), odd.narrow(dim, 1, count)
    parts = [None] * 4 if out is None else out.unbind(0)
    return [
        torch.sub(d0, d2, out=parts[0]),
        torch.add(d1, d2, out=parts[1]),
        torch.sub(d2, d1, out=parts[2]),
        torch.sub(d1, d3, out=parts[3]),
    ]


def _two_outputs(m: tuple[Tensor, ...], first: Tensor, second: Tensor) -> None:
    """The inverse transform: m0 + m1 + m2 and m1 - m2 - m3."""
    torch.add(m[0], m[1] + m[2], out=first)
    torch.sub(m[1] - m[2], m[3], out=second)
