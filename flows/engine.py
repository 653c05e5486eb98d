"""From the manifest's `stylize` to an encoder, a preset and the device they run on."""

from __future__ import annotations

from collections.abc import Callable

import torch

from manifests.plan import Base, Engine
from manifests.reading import ReadManifest
from nst_core import Encoder, Preset, Stylizer, load_encoder, resolve_preset
from nst_core.encoder import stride_px

# Nominal speeds for grouping pairs into chunks; they decide no result, only a chunk's size.
_NOMINAL_FLOP_PER_S = {"cpu": 100e9, "cuda": 20e12}
_NOMINAL_S_PER_VARIANT = 0.01
# On a CPU a batch gains next to nothing, and alone a pair's bytes depend on no company: neither
# on a limit, nor on what else the manifest names.
_PAIRS_PER_BATCH = {"cpu": 1, "cuda": 32}
_PIXELS_OF_THAT_BATCH = 256 * 256


def choose_device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resolve_engine(read: ReadManifest) -> tuple[Engine, Stylizer]:
    """What the manifest's `stylize` means.

    Raises:
        ValueError: for an unknown preset, a wrong override, an unknown encoder.
        EncoderUnavailable: when the weights cannot be had.
    """
    wanted = read.manifest.stylize
    preset = manifest_preset(read)
    weights = None if wanted.weights is None else read.resolve(wanted.weights)
    encoder = load_encoder(wanted.encoder, weights)
    engine = Engine(
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        preset=wanted.preset,
        parameters={k: v for k, v in preset.as_dict().items() if k not in ("encoder", "size")},
        size=preset.size,
    )
    return engine, Stylizer(encoder, preset, choose_device())


def manifest_preset(read: ReadManifest) -> Preset:
    """The preset of the manifest with its overrides and its size.

    Raises:
        ValueError: naming the field, its value and what was expected.
    """
    wanted = read.manifest.stylize
    overrides = dict(wanted.override)
    if wanted.size is not None:
        overrides["size"] = wanted.size
    return resolve_preset(wanted.preset, overrides)


def pairs_per_batch(device: torch.device, width: int, height: int) -> int:
    """How many pairs of this size are optimised together."""
    share = _PIXELS_OF_THAT_BATCH / (width * height)
    return max(1, round(_PAIRS_PER_BATCH[device.type] * min(1.0, share)))


def nominal_seconds(stylizer: Stylizer | None) -> Callable[[Base], float]:
    """A function that estimates the work of a base; the same on every machine of a device kind."""
    if stylizer is None:
        return lambda base: _NOMINAL_S_PER_VARIANT * len(base.variants)
    per_pixel = _flop_per_pixel(stylizer.encoder)
    scales = stylizer.preset.scales
    rate = _NOMINAL_FLOP_PER_S[stylizer.device.type]
    per_pixel_s = per_pixel * sum(s.iterations * s.fraction**2 for s in scales) / rate

    def seconds(base: Base) -> float:
        pixels = 0 if base.style is None else base.width * base.height
        return per_pixel_s * pixels + _NOMINAL_S_PER_VARIANT * len(base.variants)

    return seconds


def _flop_per_pixel(encoder: Encoder) -> float:
    """Of one iteration: two FLOP a multiply-add, forward and backward to the pixels."""
    return sum(
        4 * conv.weight.numel() / stride_px(layer) ** 2  # type: ignore[operator,union-attr]
        for layer, conv in encoder.convs.items()
    )
