"""The four losses against values worked out by hand, and their gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nst_core.losses import (
    content_loss,
    gram_matrix,
    style_layer_loss,
    style_loss,
    total_loss,
    total_variation_loss,
)

CONTENT_ERRORS = ("mean", "relative")
STYLE_ERRORS = ("mean", "mean_per_feature", "relative")


def features(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def layer(*rows: tuple[float, ...]) -> Tensor:
    """One image, a channel a row, the positions side by side."""
    return torch.tensor(rows, dtype=torch.float32).view(1, len(rows), 1, -1)


def one_layer_style(error: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda maps, style: style_loss(
        {"conv1_1": maps}, {"conv1_1": gram_matrix(style)}, {"conv1_1": 1.0}, error
    )


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    **{f"content {e}": lambda x, y, e=e: content_loss(x, y, e) for e in CONTENT_ERRORS},
    **{f"style {e}": one_layer_style(e) for e in STYLE_ERRORS},
    "total variation": lambda x, _: total_variation_loss(x),
}
any_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def test_gram_matrix_of_two_channels_at_two_positions() -> None:
    # (1, 2)·(1, 2) = 5, (1, 2)·(3, 4) = 11, (3, 4)·(3, 4) = 25; two positions.
    gram = gram_matrix(layer((1, 2), (3, 4)))
    assert gram.tolist() == [[[2.5, 5.5], [5.5, 12.5]]]


def test_gram_matrix_does_not_know_where_a_feature_is() -> None:
    maps = features(2, 3, 4, 5)
    shuffled = maps.flatten(2)[:, :, torch.randperm(20)].view(2, 3, 5, 4)
    torch.testing.assert_close(gram_matrix(maps), gram_matrix(shuffled))


def test_gram_matrix_of_a_tiled_image_is_that_of_the_image() -> None:
    maps = features(1, 3, 4, 5)
    torch.testing.assert_close(gram_matrix(maps.repeat(1, 1, 3, 2)), gram_matrix(maps))


def test_gram_matrix_of_float16_features_does_not_overflow() -> None:
    # 512 squares of 32 are more than the largest float16.
    gram = gram_matrix(torch.full((1, 1, 16, 32), 32.0, dtype=torch.float16))
    assert gram.dtype == torch.float32
    assert gram.item() == 1024


@pytest.mark.parametrize("side", [9, 64, 150])
def test_gram_matrix_of_bfloat16_features_is_as_exact_as_they_are(side: int) -> None:
    maps = torch.rand(2, 4, side, side, generator=torch.Generator().manual_seed(1)).bfloat16()
    gram = gram_matrix(maps)
    assert gram.dtype == torch.float32
    torch.testing.assert_close(gram, gram_matrix(maps.double()).float(), rtol=2**-8, atol=0)


@pytest.mark.parametrize(("height", "width"), [(3, 5), (16, 32), (31, 40), (64, 48)])
def test_gram_matrix_and_its_gradient_are_those_of_the_plain_product(
    height: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(1)
    maps = torch.rand(2, 6, height, width, generator=generator, dtype=torch.float64)
    weights = torch.rand(2, 6, 6, generator=generator, dtype=torch.float64)
    results = []
    for of in (gram_matrix, lambda x: x.flatten(2) @ x.flatten(2).mT / (height * width)):
        x = maps.clone().requires_grad_()
        gram = of(x)
        (gram * weights).sum().backward()
        results.append((gram.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # Squared differences 1 + 4 + 9 + 0 = 14, of 4 features; the target's energy is 20.
        ("mean", 3.5),
        ("relative", 0.7),
    ],
)
def test_content_loss_by_hand(error: str, expected: float) -> None:
    loss = content_loss(layer((1, 2), (3, 4)), layer((2, 0), (0, 4)), error)
    assert loss.tolist() == pytest.approx([expected])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # Squared differences 0 + 4 + 4 + 4 = 12, of 4 entries; the target's energy is 2.
        ("mean", 3.0),
        ("relative", 6.0),
        # 3 times 6 positions over 2 channels.
        ("mean_per_feature", 9.0),
    ],
)
def test_style_layer_loss_by_hand(error: str, expected: float) -> None:
    gram, target = torch.tensor([[[1.0, 2], [2, 3]]]), torch.tensor([[[1.0, 0], [0, 1]]])
    loss = style_layer_loss(gram, target, positions=6, error=error)
    assert loss.tolist() == pytest.approx([expected])


def test_mean_per_feature_is_the_error_of_undivided_gram_matrices_over_chw() -> None:
    maps, style = features(1, 3, 4, 5), features(1, 3, 4, 5, seed=1)
    flat, flat_style = maps.flatten(2)[0], style.flatten(2)[0]
    undivided = (flat @ flat.T - flat_style @ flat_style.T).square().mean() / (3 * 4 * 5)
    loss = one_layer_style("mean_per_feature")(maps, style)
    torch.testing.assert_close(loss, undivided.view(1))


def test_relative_style_error_of_a_black_image_is_one() -> None:
    style = features(1, 3, 4, 5)
    assert one_layer_style("relative")(torch.zeros_like(style), style).item() == pytest.approx(1)


@pytest.mark.parametrize("name", ["content relative", "style relative"])
def test_error_relative_to_a_black_target_is_finite(name: str) -> None:
    maps = features(1, 3, 4, 5)
    assert torch.isfinite(LOSSES[name](maps, torch.zeros_like(maps))).all()


def test_style_loss_weighs_its_layers_and_only_those() -> None:
    maps = {"conv1_1": layer((1, 1)), "conv2_1": layer((2, 2)), "conv3_1": layer((9, 9))}
    grams = {name: torch.zeros(1, 1, 1) for name in maps}
    # Gram matrices 1 and 4, squared errors 1 and 16: 3 * 1 + 0.5 * 16.
    loss = style_loss(maps, grams, {"conv1_1": 3, "conv2_1": 0.5})
    assert loss.tolist() == [11]


def test_total_variation_by_hand() -> None:
    # Across 1 and 2: (1 + 4) / 2 = 2.5. Down 3 and 4: (9 + 16) / 2 = 12.5.
    image = torch.tensor([[0.0, 1], [3, 5]]).expand(1, 3, 2, 2)
    assert total_variation_loss(image).tolist() == [15]


def test_total_variation_averages_over_unlike_sides() -> None:
    # 3 columns, 2 rows: across four steps of 2, down three steps of 0.
    image = torch.tensor([[0.0, 2, 4], [0, 2, 4]]).expand(1, 3, 2, 3)
    assert total_variation_loss(image).tolist() == [4]


def test_total_loss_by_hand_for_each_image() -> None:
    loss = total_loss(
        torch.tensor([1.0, 2]),
        torch.tensor([3.0, 5]),
        torch.tensor([7.0, 11]),
        content_weight=2,
        style_weight=10,
        total_variation_weight=100,
    )
    # 2 + 30 + 700 and 4 + 50 + 1100.
    assert loss.tolist() == [732, 1154]


@any_loss
def test_a_loss_is_zero_only_at_its_target(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    flat = torch.full((1, 3, 4, 5), 0.5, dtype=torch.float64)
    assert loss(flat, flat).item() == pytest.approx(0, abs=1e-12)
    assert loss(features(1, 3, 4, 5), flat).item() > 0.1


@any_loss
def test_a_loss_of_one_image_ignores_its_neighbours(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    maps, target = features(3, 3, 4, 5), features(3, 3, 4, 5, seed=1)
    alone = torch.cat([loss(maps[i : i + 1], target[i : i + 1]) for i in range(3)])
    together = loss(maps, target)
    torch.testing.assert_close(together, alone)
    maps[2] = float("nan")
    torch.testing.assert_close(loss(maps, target)[:2], alone[:2])


@any_loss
def test_gradients_agree_with_finite_differences(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    maps, target = features(2, 3, 2, 3).requires_grad_(), features(2, 3, 2, 3, seed=1)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), maps)


@any_loss
def test_float32_gradients_agree_with_float64(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    maps, target = features(2, 8, 6, 7), features(2, 8, 6, 7, seed=1)

    def gradient(dtype: torch.dtype) -> Tensor:
        x = maps.to(dtype).requires_grad_()
        loss(x, target.to(dtype)).sum().backward()
        assert x.grad is not None
        return x.grad.double()

    torch.testing.assert_close(
        gradient(torch.float32), gradient(torch.float64), rtol=1e-4, atol=1e-6
    )


def test_gradient_of_the_mean_content_error_is_that_of_the_paper() -> None:
    maps, target = features(1, 3, 4, 5).requires_grad_(), features(1, 3, 4, 5, seed=1)
    content_loss(maps, target).sum().backward()
    torch.testing.assert_close(maps.grad, 2 * (maps - target).detach() / 60)


def test_gradient_of_the_mean_style_error_is_that_of_the_paper() -> None:
    maps, style = features(1, 3, 4, 5).requires_grad_(), features(1, 3, 4, 5, seed=1)
    one_layer_style("mean")(maps, style).sum().backward()
    flat = maps.detach().flatten(2)[0]
    difference = gram_matrix(maps.detach())[0] - gram_matrix(style)[0]
    # The paper's eq. 6, with 4 / C^2 for 1 / (N^2 M^2), over the H W positions.
    expected = 4 / (3**2 * 20) * (difference @ flat)
    torch.testing.assert_close(maps.grad, expected.view(1, 3, 4, 5))
