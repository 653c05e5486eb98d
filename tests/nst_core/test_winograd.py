"""Winograd's convolution against the plain one, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_core import winograd
from nst_core.loading import load_encoder
from nst_core.stylizer import Stylizer
from tests.bench.encoder import shape_of_vgg19
from tests.nst_core.tiny import pictures, preset

EVEN = st.integers(1, 5).map(lambda half: 2 * half)


@settings(deadline=None)
@given(height=EVEN, width=EVEN, batch=st.integers(1, 2), seed=st.integers(0, 99))
def test_it_is_the_plain_convolution(height: int, width: int, batch: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 3, height + 2, width + 2, generator=generator, requires_grad=True)
    weight, bias = torch.randn(5, 3, 3, 3, generator=generator), torch.randn(5, generator=generator)
    ours = winograd.convolve(x, winograd.transformed(weight), bias)
    theirs = F.conv2d(x, weight, bias)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    upstream = torch.randn(theirs.shape, generator=generator)
    ((ours_back,), (theirs_back,)) = (
        torch.autograd.grad((y * upstream).sum(), x) for y in (ours, theirs)
    )
    torch.testing.assert_close(ours_back, theirs_back, rtol=1e-4, atol=1e-4)


def test_in_bfloat16_it_errs_little_more_than_the_plain_one() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 160, 34, 34, generator=generator).relu()
    weight = torch.randn(160, 160, 3, 3, generator=generator) / 38
    exact = F.conv2d(x, weight)
    x, weight, bias = x.bfloat16(), weight.bfloat16(), torch.zeros(160).bfloat16()

    def error(y: torch.Tensor) -> float:
        return float((y.float() - exact).norm() / exact.norm())

    plain = error(F.conv2d(x, weight))
    assert error(winograd.convolve(x, winograd.transformed(weight), bias)) < 2.5 * plain < 0.01


def test_only_wide_layers_in_bfloat16_use_it() -> None:
    vgg = shape_of_vgg19()
    wide = set(vgg.at_precision(torch.bfloat16)._winograd)
    assert wide == {layer for layer in vgg.layers if layer >= "conv3_1"}
    assert vgg._winograd == {}
    assert set(load_encoder("compact").at_precision(torch.bfloat16)._winograd) == {
        "conv4_1",
        "conv4_2",
        "conv5_1",
    }


@pytest.mark.parametrize(
    ("channels", "height", "width", "expected"),
    [((512, 512), 16, 16, True), ((512, 512), 8, 8, False), ((256, 128), 64, 63, False)],
)
def test_it_needs_an_even_size_and_enough_to_do(
    channels: tuple[int, int], height: int, width: int, expected: bool
) -> None:
    weight = torch.empty(*channels, 3, 3, dtype=torch.bfloat16)
    padded = torch.empty(1, channels[1], height + 2, width + 2)
    assert winograd.pays(weight, padded) is expected


@pytest.mark.parametrize("size", [(64, 96), (60, 90)])
def test_wide_layers_in_bfloat16_end_at_the_loss_of_float32(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "_LEAST_PRODUCTS", 0)
    content, style = pictures(1, *size, seed=1), pictures(1, 64, 64, seed=2)
    steady = {"learning_rate": 0.02, "adam_betas": [0.9, 0.999]}
    ends = [
        float(
            Stylizer(load_encoder("compact"), preset(60, precision=precision, **steady))(
                content, style
            ).end.total
        )
        for precision in ("fp32", "bf16")
    ]
    assert ends[1] == pytest.approx(ends[0], rel=0.03)
