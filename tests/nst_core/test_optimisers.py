"""The batched optimisers against torch's own, one image at a time."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nst_core.optimisers import Adam, Lbfgs, Optimiser, Sgd

SHAPE = (3, 4, 5)


def valley(pixels: Tensor, stretch: Tensor) -> Tensor:
    """One value per image; curved differently along each pixel, and not quadratic."""
    return (stretch * pixels.square() + 0.1 * (pixels - 1).pow(4)).sum(dim=(1, 2, 3))


def starts(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(count, *SHAPE, generator=generator, dtype=torch.float64)
    stretch = 0.05 + torch.rand(count, *SHAPE, generator=generator, dtype=torch.float64)
    return pixels, stretch


def walk(optimiser: Optimiser, pixels: Tensor, stretch: Tensor, steps: int) -> None:
    for _ in range(steps):
        leaf = pixels.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(valley(leaf, stretch).sum(), leaf)
        optimiser.step(pixels, gradient)


def torchs(make: Callable[[Tensor], torch.optim.Optimizer], steps: int) -> Tensor:
    """Each image alone with torch's optimiser."""
    ends = []
    for pixels, stretch in zip(*starts(3)):
        leaf = pixels[None].clone().requires_grad_()
        optimiser = make(leaf)

        def closure(
            leaf: Tensor = leaf, stretch: Tensor = stretch, of: torch.optim.Optimizer = optimiser
        ) -> float:
            of.zero_grad()
            loss = valley(leaf, stretch[None]).sum()
            loss.backward()
            return loss.item()

        for _ in range(steps):
            optimiser.step(closure)
        ends.append(leaf.detach())
    return torch.cat(ends)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.8)])
def test_adam_is_torchs(betas: tuple[float, float]) -> None:
    pixels, stretch = starts(3)
    walk(Adam(pixels, 0.03, betas), pixels, stretch, 40)
    expected = torchs(lambda leaf: torch.optim.Adam([leaf], lr=0.03, betas=betas), 40)
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-9)


def test_sgd_is_torchs() -> None:
    pixels, stretch = starts(3)
    walk(Sgd(0.01), pixels, stretch, 10)
    torch.testing.assert_close(pixels, torchs(lambda leaf: torch.optim.SGD([leaf], lr=0.01), 10))


@pytest.mark.parametrize("steps", [2, 8, 15])
def test_lbfgs_is_torchs(steps: int) -> None:
    pixels, stretch = starts(3)
    walk(Lbfgs(pixels, 1.0), pixels, stretch, steps)
    # A history shorter than the way, so that the oldest steps are forgotten in both.
    expected = torchs(
        lambda leaf: torch.optim.LBFGS(
            [leaf], lr=1, max_iter=1, history_size=10, tolerance_grad=0, tolerance_change=0
        ),
        steps,
    )
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-8)


def test_lbfgs_finds_its_way_where_the_gradient_falls_along_the_first_step() -> None:
    pixels = torch.full((1, 3, 4, 4), 0.4, dtype=torch.float64)
    optimiser = Lbfgs(pixels, 1.0)
    # cos is concave at 0.4: no curvature can be used until the steps have left that region.
    for _ in range(30):
        optimiser.step(pixels, -torch.sin(pixels))
    torch.testing.assert_close(torch.cos(pixels), torch.full_like(pixels, -1.0))


@pytest.mark.parametrize("kind", ["adam", "lbfgs"])
def test_a_place_set_to_zero_begins_afresh_and_its_neighbours_go_on(kind: str) -> None:
    def make(pixels: Tensor) -> Optimiser:
        return Adam(pixels, 0.03, (0.9, 0.999)) if kind == "adam" else Lbfgs(pixels, 1.0)

    pixels, stretch = starts(3)
    optimiser = make(pixels)
    walk(optimiser, pixels, stretch, 7)
    pixels[1] = starts(3)[0][1]
    for row in optimiser.state():
        row[1] = 0
    walk(optimiser, pixels, stretch, 12)

    undisturbed, _ = starts(3)
    walk(make(undisturbed), undisturbed, stretch, 19)
    fresh, _ = starts(3)
    walk(make(fresh), fresh, stretch, 12)
    torch.testing.assert_close(pixels[::2], undisturbed[::2], rtol=0, atol=1e-9)
    torch.testing.assert_close(pixels[1], fresh[1], rtol=0, atol=1e-9)


def test_what_is_not_finite_stays_with_its_image() -> None:
    pixels, stretch = starts(3)
    stretch[1] = float("nan")
    optimiser = Lbfgs(pixels, 1.0)
    walk(optimiser, pixels, stretch, 12)
    assert pixels.isfinite().all(dim=(1, 2, 3)).tolist() == [True, False, True]
