"""What a wanted precision comes to on a device."""

import pytest
import torch

from nst_core.loading import load_encoder
from nst_core.precision import computing_in, used_precision
from nst_core.stylizer import Stylizer
from tests.nst_core.tiny import preset

CPU = torch.device("cpu")


@pytest.mark.parametrize("native", ["avx512_bf16", "amx_bf16", None])
def test_auto_asks_the_processor(native: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    has = {} if native is None else {native: True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert used_precision("auto", CPU) == ("fp32" if native is None else "bf16")


def test_what_is_asked_for_is_taken() -> None:
    assert used_precision("fp32", CPU) == "fp32"
    assert used_precision("bf16", CPU) == "bf16"


def test_tf32_is_refused_where_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"precision: cpu does not compute in tf32; expected auto"):
        Stylizer(load_encoder("random"), preset(1, precision="tf32"))


def test_an_encoder_that_is_rounded_already_is_refused() -> None:
    rounded = load_encoder("random").at_precision(torch.bfloat16)
    with pytest.raises(ValueError, match=r"encoder: expected weights in float32, got bfloat16"):
        Stylizer(rounded, preset(1))


def test_other_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="device: expected cpu or cuda, got meta"):
        Stylizer(load_encoder("random"), preset(1), "meta")


def test_on_a_cpu_nothing_is_switched() -> None:
    before = torch.backends.cudnn.allow_tf32
    with computing_in("fp32", CPU):
        assert torch.backends.cudnn.allow_tf32 == before
