"""From the manifest's `stylize` to an encoder, a preset and the device they run on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from manifests.plan import Base, Engine
from manifests.reading import ReadManifest
from manifests.storage import is_in_store
from nst_core import Encoder, Preset, StyleGrams, Stylizer, load_encoder, resolve_preset
from nst_core.encoder import stride_px

# Nominal speeds for grouping pairs into chunks; they decide no result, only a chunk's size.
_NOMINAL_FLOP_PER_S = {"cpu": 100e9, "cuda": 20e12}
_NOMINAL_S_PER_VARIANT = 0.01
# On a CPU so many pixels keep one core busy: pairs of that size are optimised one a core.
_PIXELS_PER_CORE = 256 * 256
MOST_BESIDE_LANES = 6
# Taken here, for a thread that is started later has what any thread set last.
CORES = torch.get_num_threads()
# What `size: original` comes to: nothing is as large, so nothing is shrunk.
NO_SHRINKING_PX = 1_000_000


@dataclass(frozen=True)
class Lanes:
    """How the optimiser uses one device.

    Attributes:
        count: chunks that are optimised at the same time.
        threads: of torch, for each.
        beside: chunks that meanwhile load, vary or write.
    """

    count: int
    threads: int
    beside: int

    @property
    def places(self) -> int:
        """Chunks that are underway at the same time."""
        return self.count + self.beside


def choose_device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_devices() -> list[torch.device]:
    """Every CUDA device that this process sees, or the CPU."""
    count = torch.cuda.device_count()
    # On Windows a process cannot be handed the connections that flows.workers.devices gives it.
    if count < 2 or os.name == "nt":
        return [choose_device()]
    return [torch.device("cuda", index) for index in range(count)]


def cores_each(devices: int) -> int:
    """Cores of the CPU that serve each of so many devices."""
    return max(1, CORES // devices)


def choose_lanes(device: torch.device, long_side_px: int, cores: int) -> Lanes:
    """One pair after the other on a GPU; on a CPU several beside each other.

    Threads that share the work of one small image wait for each other longer than they work.
    Depends on the size of the work alone, not on how much there is of it: with another number of
    threads the last bits of a result may differ.
    """
    if device.type != "cpu":
        return Lanes(1, cores, beside=MOST_BESIDE_LANES)
    count = max(1, min(cores, round(cores * _PIXELS_PER_CORE / long_side_px**2)))
    return Lanes(count, max(1, cores // count), beside=2)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """torch uses so many threads for what this thread asks of it, and all cores afterwards."""
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(CORES)


def resolve_engine(read: ReadManifest, style_grams_folder: Path) -> tuple[Engine, Stylizer]:
    """What the manifest's `stylize` means.

    Args:
        style_grams_folder: where Gram matrices of styles are kept from run to run.

    Raises:
        ValueError: for an unknown preset, a wrong override, an unknown encoder.
        EncoderUnavailable: when the weights cannot be had.
    """
    wanted = read.manifest.stylize
    preset = manifest_preset(read)
    encoder = load_encoder(wanted.encoder, weights_file(read))
    parameters = {k: v for k, v in preset.as_dict().items() if k not in ("encoder", "size")}
    if wanted.size == "original":
        parameters["working_size"] = preset.size
    engine = Engine(
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        preset=wanted.preset,
        parameters=parameters,
        size=output_size(read),
    )
    style_grams = StyleGrams(style_grams_folder)
    return engine, Stylizer(encoder, preset, choose_device(), style_grams=style_grams)


def weights_file(read: ReadManifest) -> Path | None:
    """The manifest's file of the encoder's weights, where it names one.

    Raises:
        ValueError: it names a URL; no manifest does that was read from YAML.
    """
    weights = read.manifest.stylize.weights
    if weights is None:
        return None
    file = read.resolve(weights)
    if is_in_store(file):
        raise ValueError(f"weights: expected a local file, got {weights!r}")
    return file


def output_size(read: ReadManifest) -> int:
    """Long side in pixels beyond which images are shrunk."""
    if read.manifest.stylize.size == "original":
        return NO_SHRINKING_PX
    return manifest_preset(read).size


def manifest_preset(read: ReadManifest) -> Preset:
    """The preset of the manifest with its overrides and its size.

    Raises:
        ValueError: naming the field, its value and what was expected.
    """
    wanted = read.manifest.stylize
    overrides = dict(wanted.override)
    # Beside `size: original` it is the size to work at, else another word for the same.
    if "size" in overrides and wanted.size != "original":
        raise ValueError("size: expected it as stylize.size, got it as stylize.override.size")
    if isinstance(wanted.size, int):
        overrides["size"] = wanted.size
    return resolve_preset(wanted.preset, overrides)


def nominal_seconds(stylizer: Stylizer | None) -> Callable[[Base], float]:
    """A function that estimates the work of a base; the same on every machine of a device kind."""
    if stylizer is None:
        return lambda base: _NOMINAL_S_PER_VARIANT * len(base.variants)
    per_pixel_s = _flop_per_pixel(stylizer.encoder) / _NOMINAL_FLOP_PER_S[stylizer.device.type]

    pixels_in_all = cache(stylizer.pixels_in_all)

    def seconds(base: Base) -> float:
        pixels = 0 if base.style is None else pixels_in_all(base.height, base.width)
        return per_pixel_s * pixels + _NOMINAL_S_PER_VARIANT * len(base.variants)

    return seconds


def _flop_per_pixel(encoder: Encoder) -> float:
    """Of one iteration: two FLOP a multiply-add, forward and backward to the pixels."""
    return sum(
        4 * encoder.convs.get_parameter(f"{layer}.weight").numel() / stride_px(layer) ** 2
        for layer in encoder.layers
    )
