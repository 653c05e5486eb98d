"""Rectifying and padding in one pass against torch's own functions, forward and backward."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst_core.padding import pad, rectify_and_pad, rectify_then_pad

SIDES = st.integers(1, 7)


def expected_pad(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="replicate")


def through(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The result, and the gradient of a sum that weighs each of its values differently."""
    x = x.clone().requires_grad_()
    y = function(x.clone())
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    (gradient,) = torch.autograd.grad((y * weights).sum(), x)
    return y.detach(), gradient


CASES = {
    "pad": (pad, expected_pad),
    "rectify_and_pad": (rectify_and_pad, lambda x: expected_pad(F.relu(x))),
    "only what was padded": (lambda x: rectify_then_pad(x)[1], lambda x: expected_pad(F.relu(x))),
    "only what was rectified": (lambda x: rectify_then_pad(x)[0], F.relu),
}


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None)
@given(height=SIDES, width=SIDES, seed=st.integers(0, 99))
def test_it_is_what_torch_computes(name: str, height: int, width: int, seed: int) -> None:
    ours, theirs = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
    for one, other in zip(through(ours, x), through(theirs, x)):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_gradients_of_both_uses_add_up() -> None:
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    rectified, padded = rectify_then_pad(x.clone())
    (gradient,) = torch.autograd.grad(rectified.square().sum() + padded.pow(3).sum(), x)
    plain = F.relu(x)
    (expected,) = torch.autograd.grad(plain.square().sum() + expected_pad(plain).pow(3).sum(), x)
    torch.testing.assert_close(gradient, expected)
