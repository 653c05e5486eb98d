"""Optimisers of a batch of images, each image with a state of its own.

A state is a row of tensors whose first dimension is the image's place in the batch. At zero it is
fresh, so a place is made ready for another image by setting its rows to zero. Nothing here waits
for the device, and nothing is summed over the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from nst_core.presets import Preset

LBFGS_HISTORY = 10
_ADAM_EPSILON = 1e-8
# Below this cosine between step and change of gradient a curvature is rounding, or none.
_LEAST_CURVATURE = 1e-8


class Optimiser(Protocol):
    """What moves the pixels of a batch."""

    def step(self, pixels: Tensor, gradient: Tensor) -> None:
        """Move `pixels` in place; both B x 3 x H x W, float32."""

    def state(self) -> Iterator[Tensor]:
        """All that it remembers, in a fixed order."""


def make_optimiser(preset: Preset, pixels: Tensor) -> Optimiser:
    """The preset's optimiser for a batch of this shape, with a fresh state."""
    if preset.optimiser == "adam":
        return Adam(pixels, preset.learning_rate, preset.adam_betas)
    if preset.optimiser == "lbfgs":
        return Lbfgs(pixels, preset.learning_rate)
    return Sgd(preset.learning_rate)


class Sgd:
    """Along the gradient, without memory."""

    def __init__(self, learning_rate: float) -> None:
        self._learning_rate = learning_rate

    def step(self, pixels: Tensor, gradient: Tensor) -> None:
        pixels.sub_(gradient, alpha=self._learning_rate)

    def state(self) -> Iterator[Tensor]:
        return iter(())


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1); each image counts its own steps."""

    def __init__(self, pixels: Tensor, learning_rate: float, betas: tuple[float, float]) -> None:
        self._learning_rate = learning_rate
        self._betas = betas
        self._mean = torch.zeros_like(pixels)
        self._mean_square = torch.zeros_like(pixels)
        self._steps = pixels.new_zeros(len(pixels))

    def step(self, pixels: Tensor, gradient: Tensor) -> None:
        first, second = self._betas
        self._steps += 1
        self._mean.lerp_(gradient, 1 - first)
        self._mean_square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        # Both means began at zero; divided by these they have no bias towards it.
        mean_share, square_share = (
            (1 - beta**self._steps).view(-1, 1, 1, 1) for beta in (first, second)
        )
        spread = (self._mean_square / square_share).sqrt_().add_(_ADAM_EPSILON)
        pixels.addcdiv_(self._mean / mean_share, spread, value=-self._learning_rate)

    def state(self) -> Iterator[Tensor]:
        yield from (self._mean, self._mean_square, self._steps)


class Lbfgs:
    """L-BFGS with the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) for each image.

    As in torch's without line search: one evaluation a step, the first step of length 1 (sum of
    absolute values; torch's is shorter where the gradient's is below 1), the later ones the
    quasi-Newton direction times the learning rate. A step along which the gradient did not grow
    is not remembered: its weight is zero.
    """

    def __init__(self, pixels: Tensor, learning_rate: float) -> None:
        self._learning_rate = learning_rate
        flat = pixels.flatten(1)
        self._pixels, self._gradient = torch.zeros_like(flat), torch.zeros_like(flat)
        self._steps, self._scale = flat.new_zeros(len(flat)), flat.new_zeros(len(flat))
        # Newest first: step s, change of gradient y, weight 1 / s.y.
        self._memory = deque(
            (torch.zeros_like(flat), torch.zeros_like(flat), flat.new_zeros(len(flat)))
            for _ in range(LBFGS_HISTORY)
        )

    def step(self, pixels: Tensor, gradient: Tensor) -> None:
        here, slope = pixels.flatten(1), gradient.flatten(1)
        self._remember(here, slope)
        size = _dot(slope, slope.sign()).clamp_min(torch.finfo(slope.dtype).tiny)
        started = self._steps > 0
        direction = torch.where(
            started[:, None], -self._newton(slope) * self._learning_rate, -slope / size[:, None]
        )
        self._pixels.copy_(here)
        self._gradient.copy_(slope)
        self._steps += 1
        pixels += direction.view_as(pixels)

    def _remember(self, here: Tensor, slope: Tensor) -> None:
        step, change, weight = self._memory.pop()
        torch.sub(here, self._pixels, out=step)
        torch.sub(slope, self._gradient, out=change)
        curvature, energy = _dot(step, change), _dot(change, change)
        length = _dot(step, step)
        started = self._steps > 0
        usable = (curvature > _LEAST_CURVATURE * (length * energy).sqrt()) & started
        weight.copy_(torch.where(usable, 1 / curvature, 0))
        # Until a curvature is known, how much the gradient changed says how far to go.
        unknown = started & (self._scale == 0) & (energy > 0)
        guess = torch.where(unknown, (length / energy).sqrt(), self._scale)
        self._scale.copy_(torch.where(usable, curvature / energy, guess))
        # Not left as they are: what is not finite would stay so when multiplied by zero.
        step.mul_(usable[:, None]).nan_to_num_()
        change.mul_(usable[:, None]).nan_to_num_()
        self._memory.appendleft((step, change, weight))

    def _newton(self, slope: Tensor) -> Tensor:
        direction = slope.clone()
        shares = []
        for step, change, weight in self._memory:
            share = weight * _dot(step, direction)
            direction.sub_(share[:, None] * change)
            shares.append(share)
        direction.mul_(self._scale[:, None])
        for (step, change, weight), share in zip(reversed(self._memory), reversed(shares)):
            direction.add_((share - weight * _dot(change, direction))[:, None] * step)
        return direction

    def state(self) -> Iterator[Tensor]:
        yield from (self._pixels, self._gradient, self._steps, self._scale)
        for remembered in self._memory:
            yield from remembered


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """B x N times B x N to B; on a CPU row by row, or the order of a sum depended on B."""
    if one.is_cuda:
        return (one * other).sum(1)
    return torch.stack([torch.dot(a, b) for a, b in zip(one, other)])
