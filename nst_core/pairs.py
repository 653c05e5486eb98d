"""A pair to stylize, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from nst_core.checks import is_number, shown
from nst_core.precision import UsedPrecision

StopReason = Literal["iterations", "flat", "not_finite"]
PreserveColor = Literal["no", "luminance", "match"]
_PRESERVE_COLOR: tuple[PreserveColor, ...] = get_args(PreserveColor)

_MAX_ASPECT = 32
_MOST_WEIGHT = 1e6


@dataclass(frozen=True)
class Style:
    """One style image of a pair.

    Attributes:
        image: 3 x H x W, float, sRGB in 0..1, of any size.
        weight: its share among the styles of the pair, > 0 and <= 1e6.
        key: names this very image (the hash of its bytes, and its size), so that its Gram
            matrices can be kept; None: they are not.
    """

    image: Tensor
    weight: float = 1.0
    key: str | None = None


@dataclass(frozen=True)
class Pair:
    """A content image, and how it is to be stylized.

    Attributes:
        content: 3 x H x W, float, sRGB in 0..1; sides at least the stride of the preset's deepest
            layer (16 px for conv5_1) and at most 32:1.
        styles: one or more; their Gram matrices are averaged by weight.
        strength: in 0..1. The style target is (1 - strength) Gram(content) + strength Gram(style):
            0 keeps the content's own statistics, 1 asks for the style's.
        seed: of the noise it may start from, a whole number of 64 bits.
        preserve_color: "luminance" transfers brightness only; "match" gives the style the
            content's colours first (Gatys et al. 2017, sections 5.2 and 5.1).
        mask: H x W, float, in 0..1, where style goes; elsewhere the content stays (Gatys et al.
            2017, section 4). Softened edges of a few pixels hide the seam.
    """

    content: Tensor
    styles: tuple[Style, ...]
    strength: float = 1.0
    seed: int = 0
    preserve_color: PreserveColor = "no"
    mask: Tensor | None = None


@dataclass(frozen=True)
class StylizedPair:
    """The result of one pair.

    Attributes:
        image: 3 x H x W, float32, sRGB in 0..1, the size of the content, on the CPU.
        start, end: name -> loss of the initial image and of the result, both at full size, as
            `PairLosses` has them; nan after "not_finite".
        iterations: over all scales.
        stop_reason: of the last scale; after "not_finite" the image is not usable.
        precision: that the convolutions were computed in.
        restarted: it was done again alone in float32, because a loss had not been finite.
    """

    image: Tensor
    start: dict[str, float]
    end: dict[str, float]
    iterations: int
    stop_reason: StopReason
    precision: UsedPrecision
    restarted: bool = False


def check_pair(pair: Pair, min_side_px: int) -> None:
    """Raises ValueError naming what of a pair cannot be used, its value and the range."""
    _check_image("content", pair.content, min_side_px)
    styles = pair.styles
    if not isinstance(styles, (tuple, list)) or not all(isinstance(s, Style) for s in styles):
        raise ValueError(f"styles: expected a tuple of Style, got {type(styles).__name__}")
    if not styles:
        raise ValueError("styles: expected at least one, got none")
    for style in styles:
        _check_image("style", style.image, min_side_px)
        if not is_number(style.weight) or not 0 < style.weight <= _MOST_WEIGHT:
            raise ValueError(
                f"style weight: expected a number > 0 and <= {_MOST_WEIGHT:.0e}, got "
                f"{shown(style.weight)}"
            )
    if not is_number(pair.strength) or not 0 <= pair.strength <= 1:
        raise ValueError(f"strength: expected 0..1, got {shown(pair.strength)}")
    whole = isinstance(pair.seed, int) and not isinstance(pair.seed, bool)
    if not whole or not -(2**63) <= pair.seed < 2**64:
        raise ValueError(f"seed: expected a whole number of 64 bits, got {shown(pair.seed)}")
    check_preserve_color(pair.preserve_color)
    if pair.mask is not None:
        _check_mask(pair.mask, pair.content)


def check_preserve_color(value: str) -> PreserveColor:
    """The value itself; raises ValueError for what is none of `preserve_color`."""
    if value not in _PRESERVE_COLOR:
        expected = ", ".join(_PRESERVE_COLOR)
        raise ValueError(f"preserve_color: expected {expected}, got {value!r}")
    return value


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
        kind = f"a {value.layout} one" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name}: expected a dense torch tensor, got {kind}")


def _check_image(name: str, image: Tensor, min_side_px: int) -> None:
    _check_tensor(name, image)
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise ValueError(
            f"{name}: expected a float image of 3 x height x width, got {image.dtype} of "
            f"{' x '.join(map(str, image.shape))}"
        )
    height, width = image.shape[1:]
    if min(height, width) < min_side_px:
        raise ValueError(
            f"{name}: {width}x{height} px; expected both sides >= {min_side_px} px, "
            "the stride of the deepest layer, and at least 2"
        )
    if max(height, width) > _MAX_ASPECT * min(height, width):
        raise ValueError(f"{name}: {width}x{height} px; expected sides of at most {_MAX_ASPECT}:1")
    _check_range(name, image)


def _check_mask(mask: Tensor, content: Tensor) -> None:
    _check_tensor("mask", mask)
    expected = content.shape[1:]
    if mask.shape != expected or not mask.is_floating_point():
        raise ValueError(
            f"mask: expected floats of {expected[0]} x {expected[1]}, the size of the content, "
            f"got {mask.dtype} of {' x '.join(map(str, mask.shape))}"
        )
    _check_range("mask", mask)


def _check_range(name: str, values: Tensor) -> None:
    if bool(((values >= 0) & (values <= 1)).all()):
        return
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{name}: expected values in 0..1, got values that are not finite")
    raise ValueError(
        f"{name}: expected values in 0..1, got {float(values.min()):.3g}..{float(values.max()):.3g}"
    )
