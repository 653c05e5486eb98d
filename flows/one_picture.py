"""One content image, one style image, one picture: without manifest, plan or ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows.engine import choose_device
from flows.load import STYLE_LONG_SIDE_PX, as_pixels, as_tensor
from manifests.durable import write_whole
from manifests.images import (
    UnusableImage,
    check_shape,
    decode_image,
    encode_image,
    fit_within,
    read_file,
)
from nst_core import Pair, PreserveColor, Style, Stylizer, load_encoder, resolve_preset
from nst_core import Progress as NstProgress

_FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
_QUALITY = 95


def stylize_picture(
    content: Path,
    style: Path,
    output: Path,
    *,
    encoder: str,
    weights: Path | None,
    preset: str,
    size: int | None,
    strength: float,
    preserve_color: PreserveColor,
    console: Console,
) -> tuple[float, float]:
    """Stylize one picture and write it; returns the loss at the start and at the end.

    Raises:
        ValueError: for an unusable image, file ending or number.
        EncoderUnavailable: when the encoder's weights cannot be had.
    """
    if output.suffix.lower() not in _FORMATS:
        raise ValueError(f"{output}: expected a file ending of {', '.join(_FORMATS)}")
    resolved = resolve_preset(preset, {} if size is None else {"size": size})
    content_image = _opened(content, resolved.size)
    style_image = _opened(style, STYLE_LONG_SIDE_PX)
    stylizer = Stylizer(load_encoder(encoder, weights), resolved, choose_device())
    with Progress(
        TextColumn("optimising"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=None)

        def on_progress(told: NstProgress) -> None:
            progress.update(task, completed=told.iterations[0], total=told.of)

        pair = Pair(
            as_tensor(np.asarray(content_image)),
            (Style(as_tensor(np.asarray(style_image))),),
            strength=strength,
            preserve_color=preserve_color,
        )
        ((_, result),) = stylizer.each([pair], on_progress=on_progress)
    if result.stop_reason == "not_finite":
        raise ValueError(f"{content}: the loss is not finite; try a lower learning rate")
    image = Image.fromarray(as_pixels(result.image))
    data = encode_image(image, _FORMATS[output.suffix.lower()], _QUALITY)
    write_whole(output, data, output.absolute().parent)
    return result.start["total"], result.end["total"]


def _opened(file: Path, long_side_px: int) -> Image.Image:
    try:
        image = decode_image(read_file(file)[0]).image
        image = image.resize(fit_within(*image.size, long_side_px), Image.Resampling.LANCZOS)
        check_shape(*image.size)
    except UnusableImage as error:
        raise UnusableImage(f"{file}: {error}") from None
    return image
