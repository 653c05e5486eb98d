"""The bundled encoder: its file, where it comes from, a picture made with it."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from nst_core import loading
from nst_core.loading import EncoderUnavailable, load_encoder
from nst_core.presets import PRESETS, resolve_preset
from nst_core.stylizer import Stylizer


def test_compact_is_bundled_and_has_the_layers_of_every_preset() -> None:
    encoder = load_encoder("compact")
    for preset in PRESETS.values():
        assert set(preset.layers) <= set(encoder.layers)
    file = loading._COMPACT_FILE
    assert encoder.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_size <= 3 * 2**20
    assert all(bool(value.isfinite().all()) for value in encoder.state_dict().values())


def test_compact_says_where_its_weights_come_from() -> None:
    with safe_open(loading._COMPACT_FILE, "pt") as file:
        metadata = file.metadata()
        dtypes = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert dtypes == {torch.float16}
    assert set(metadata) >= {"widths", "teachers", "teacher_licences", "training_data", "commit"}


def test_compact_takes_no_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weights: encoder compact takes none"):
        load_encoder("compact", tmp_path / "compact.safetensors")


def test_damaged_weights_of_compact_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "compact.safetensors"
    file.write_bytes(loading._COMPACT_FILE.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(loading, "_COMPACT_FILE", file)
    with pytest.raises(EncoderUnavailable, match="is damaged"):
        load_encoder("compact")


def test_compact_makes_a_picture_in_the_style() -> None:
    """The style loss, by Gram matrices of its own layers, falls at least tenfold."""
    x = torch.linspace(0, 1, 128)
    waves = 0.5 + 0.5 * torch.sin(40 * (x.view(-1, 1) + 0.1 * torch.sin(12 * x)))
    style = torch.stack([waves, 0.8 * waves + 0.1, 1 - 0.7 * waves]).unsqueeze(0)
    content = torch.stack([x.expand(96, -1), x.flip(0).expand(96, -1), 0.4 + 0 * x.expand(96, -1)])
    result = Stylizer(load_encoder("compact"), resolve_preset("fast"))(content[None], style)
    assert float(result.start.style / result.end.style) >= 10
    assert bool(result.images.isfinite().all())
    assert 0 <= float(result.images.min()) <= float(result.images.max()) <= 1
