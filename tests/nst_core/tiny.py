"""Tiny images and short runs, for tests of the optimisation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.encoder import Encoder
from nst_core.presets import Preset, resolve_preset
from nst_core.stylizer import Stylized, Stylizer

# The optimisers, with a learning rate that lowers the loss of tiny images.
OPTIMISERS = {"adam": 0.03, "lbfgs": 1.0, "sgd": 0.01}
any_optimiser = pytest.mark.parametrize("optimiser", OPTIMISERS)


def pictures(count: int = 1, height: int = 32, width: int = 48, seed: int = 0) -> Tensor:
    """Smooth blobs of colour."""
    small = torch.rand(count, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)


def preset(iterations: int = 5, name: str = "fast", **overrides: Any) -> Preset:
    return resolve_preset(name, {"scales": [[1.0, iterations]], "precision": "fp32", **overrides})


def stylize(
    encoder: Encoder, chosen: Preset, content: Tensor, style: Any, **arguments: Any
) -> Stylized:
    return Stylizer(encoder, chosen)(content, style, **arguments)


@contextmanager
def seen_by(encoder: Encoder) -> Iterator[list[Tensor]]:
    """The images that the encoder looks at, in order."""
    seen: list[Tensor] = []
    hook = encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    yield seen
    hook.remove()


def with_optimiser(optimiser: str, iterations: int = 5, **overrides: Any) -> Preset:
    rate = OPTIMISERS[optimiser]
    return preset(iterations, optimiser=optimiser, learning_rate=rate, **overrides)
