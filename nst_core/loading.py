"""Encoders by name: where their weights come from, and how they are checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nst_core.encoder import Encoder, layer_names

_VGG_AVERAGE_POOL_GAIN = 2.0
_VGG_BLOCK_WIDTHS = (64, 128, 256, 512, 512)
# Encoders that take no file of weights.
_OWN_WEIGHTS = {"random": "it makes its own", "compact": "its own are bundled"}
_COMPACT_FILE = Path(__file__).with_name("weights") / "compact.safetensors"
_COMPACT_SHA256 = "988f9475da6d8b53b12bcc50a2fffbdd60cb3d70bff4599965ceb8409d9682b4"
_KINDS = ("weight", "bias")
_RANDOM_BLOCK_WIDTHS = (16, 32, 48, 64, 64)
_RANDOM_CONVS_PER_BLOCK = (2, 2, 2, 2, 1)
_RANDOM_SEED = 20160627  # the paper's day at CVPR; any fixed number would do


class EncoderUnavailable(RuntimeError):
    """The named encoder's weights cannot be had; the message says what to do.

    Raised by `load_encoder`.
    """


def load_encoder(name: str, weights: str | Path | None = None) -> Encoder:
    """The encoder called `name`, on the CPU, frozen, layers conv1_1 to conv5_1.

    Args:
        name: "vgg19" or "vgg16" (torchvision's ImageNet weights), "random" (fixed seed,
            orthogonal filters; for tests: its pictures are textures of noise), or "compact"
            (bundled, distilled from VGG-19 and SqueezeNet: nst_core/weights/README.md).
        weights: for vgg19 and vgg16, a file with torchvision's state dict (.pth or
            .safetensors). Without it: the torch hub cache, then a download.

    Returns:
        The encoder with weights in float32 (vgg19, vgg16: Simonyan & Zisserman 2015).

    Raises:
        ValueError: unknown name, or `weights` for an encoder that takes none.
        EncoderUnavailable: no way to the weights worked, or the file is not what it should be.
    """
    path = None if weights is None else Path(weights)
    check_weights(name, path)
    return ENCODERS[name](path)


def check_weights(name: str, weights: Path | None) -> None:
    """Whether that encoder can be had with that file, as far as it shows without reading it.

    Raises:
        ValueError, EncoderUnavailable: as `load_encoder`; the message begins with `encoder: ` or
            `weights: `.
    """
    if name not in ENCODERS:
        raise ValueError(f"encoder: expected one of {', '.join(ENCODERS)}, got {name!r}")
    if weights is None:
        return
    if name in _OWN_WEIGHTS:
        raise ValueError(f"weights: encoder {name} takes none, {_OWN_WEIGHTS[name]}")
    if not weights.is_file():
        raise EncoderUnavailable(f"weights: {weights} is no file; expected one of torchvision's")


def _random(weights: Path | None) -> Encoder:
    generator = torch.Generator().manual_seed(_RANDOM_SEED)
    state: dict[str, Tensor] = {}
    channels_in = 3
    for layer in layer_names(_RANDOM_CONVS_PER_BLOCK):
        channels_out = _RANDOM_BLOCK_WIDTHS[int(layer[len("conv")]) - 1]
        # The last bits of a QR decomposition differ by machine and by the number of threads:
        # in float64 they are gone after the rounding.
        weight = torch.empty(channels_out, channels_in, 3, 3, dtype=torch.float64)
        # The gain of a rectifier keeps the activations' size from layer to layer.
        nn.init.orthogonal_(weight, gain=2**0.5, generator=generator)
        state[f"{layer}.weight"] = weight.float()
        state[f"{layer}.bias"] = torch.zeros(channels_out)
        channels_in = channels_out
    # Named by its recipe, not its bytes: a value on the edge of the rounding may still differ.
    recipe = f"orthogonal {_RANDOM_BLOCK_WIDTHS} {_RANDOM_CONVS_PER_BLOCK} seed {_RANDOM_SEED}"
    sha256 = hashlib.sha256(recipe.encode()).hexdigest()
    return Encoder("random", state, sha256, average_pool_gain=1.0)


def _vgg(name: str, convs_per_block: tuple[int, ...], weights: Path | None) -> Encoder:
    path = weights if weights is not None else _cached_or_downloaded(name)
    state, sha256 = _read_state(path)
    numbered = _named_by_layer(state, convs_per_block, path, name)
    return Encoder(name, numbered, sha256, _VGG_AVERAGE_POOL_GAIN)


def _vgg19(weights: Path | None) -> Encoder:
    return _vgg("vgg19", (2, 2, 4, 4, 4), weights)


def _vgg16(weights: Path | None) -> Encoder:
    return _vgg("vgg16", (2, 2, 3, 3, 3), weights)


def _compact(weights: Path | None) -> Encoder:
    state, sha256 = _read_state(_COMPACT_FILE)
    if sha256 != _COMPACT_SHA256:
        raise EncoderUnavailable(
            f"encoder compact: {_COMPACT_FILE} is damaged (sha256 {sha256[:8]}…, expected "
            f"{_COMPACT_SHA256[:8]}…); install gramflow again"
        )
    layers = sorted({key.partition(".")[0] for key in state})
    named = {f"{layer}.{kind}": state[f"{layer}.{kind}"] for layer in layers for kind in _KINDS}
    return Encoder("compact", named, sha256, average_pool_gain=1.0)


# By the names that `load_encoder` takes: what makes the encoder, of a file of weights or of None.
ENCODERS: dict[str, Callable[[Path | None], Encoder]] = {
    "vgg19": _vgg19,
    "vgg16": _vgg16,
    "random": _random,
    "compact": _compact,
}


def _cached_or_downloaded(name: str) -> Path:
    url = _torchvision_url(name)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    expected_prefix = cached.stem.rsplit("-", 1)[1]
    if cached.exists():
        found = _sha256(cached)
        if not found.startswith(expected_prefix):
            raise EncoderUnavailable(
                f"encoder {name}: {cached} is damaged (sha256 {found[:8]}…, expected "
                f"{expected_prefix}…); delete it and run again"
            )
        return cached
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(cached), hash_prefix=expected_prefix, progress=True)
    except (OSError, RuntimeError, HTTPException) as error:
        raise EncoderUnavailable(
            f"encoder {name}: no weights. The download of {url} failed ({error}). Three ways out: "
            f"connect this machine and run again; or download that file elsewhere and put it at "
            f"{cached}; or name a file of it as weights (manifest: stylize.weights, "
            f"command line: --weights)"
        ) from error
    return cached


def _torchvision_url(name: str) -> str:
    try:
        from torchvision.models import (  # type: ignore[import-untyped]
            VGG16_Weights,
            VGG19_Weights,
        )
    except (ImportError, RuntimeError) as error:
        # A CPU build of torch beside the registry's torchvision has no operator torchvision::nms.
        raise EncoderUnavailable(
            f"encoder {name}: torch {torch.__version__} and the installed torchvision do not fit "
            f"({error}); cure: pip install --force-reinstall torch torchvision"
        ) from error
    enum = {"vgg19": VGG19_Weights, "vgg16": VGG16_Weights}[name]
    return str(enum.IMAGENET1K_V1.url)


def _read_state(path: Path) -> tuple[Mapping[str, Tensor], str]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise EncoderUnavailable(
            f"weights: {path} is neither a safetensors file nor a torch state dict ({error})"
        ) from error
    return state, _sha256(path)


def _named_by_layer(
    state: Mapping[str, Tensor], convs_per_block: tuple[int, ...], path: Path, name: str
) -> dict[str, Tensor]:
    """torchvision numbers the modules of `features` (conv, relu, pool); the layers have names."""
    named: dict[str, Tensor] = {}
    index, channels_in, previous_block = 0, 3, 1
    for layer in layer_names(convs_per_block):
        block = int(layer[len("conv")])
        index += block != previous_block  # a pooling module
        previous_block = block
        channels_out = _VGG_BLOCK_WIDTHS[block - 1]
        shapes = {"weight": (channels_out, channels_in, 3, 3), "bias": (channels_out,)}
        for kind, shape in shapes.items():
            key = f"features.{index}.{kind}"
            value = state.get(key) if isinstance(state, Mapping) else None
            if not isinstance(value, Tensor) or value.shape != shape:
                raise EncoderUnavailable(
                    f"weights: {path} has no {key} of shape {shape}; expected torchvision's "
                    f"state dict of {name}"
                )
            named[f"{layer}.{kind}"] = value
        channels_in = channels_out
        index += 2  # the convolution and its rectifier
    return named


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
