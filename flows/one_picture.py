"""One content image, one style image, one picture: without manifest, plan or ledger."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows.curve_plot import curve_picture
from flows.engine import choose_device
from flows.load import STYLE_LONG_SIDE_PX, as_pixels, as_tensor
from flows.loss_curves import LossCurve
from flows.trace import Trace, animation
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
    trace: Path | None = None,
    trace_every: int | None = None,
    curve: Path | None = None,
    console: Console,
) -> tuple[float, float]:
    """Stylize one picture and write it; returns the loss at the start and at the end.

    Args:
        size: long side in pixels; None for the preset's.
        strength: of the style, in 0..1.
        trace: .webp file for the picture every `trace_every` iterations, as an animation.
        curve: .png file for a plot of its losses.
        console: shows how far it is, where it is a terminal.

    Raises:
        ValueError: for an unusable image, file ending or number.
        EncoderUnavailable: when the encoder's weights cannot be had.
    """
    _check_files(output, trace, curve)
    if trace_every is not None and (trace is None or trace_every < 1):
        raise ValueError(
            f"trace-every: expected a whole number >= 1 and --trace FILE, got {trace_every}"
        )
    resolved = resolve_preset(preset, {} if size is None else {"size": size})
    content_image = _opened(content, resolved.size)
    style_image = _opened(style, STYLE_LONG_SIDE_PX)
    stylizer = Stylizer(load_encoder(encoder, weights), resolved, choose_device())
    traced, losses = Trace(trace_every), LossCurve()
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
            losses.hear(told)
            if trace is not None:
                traced.hear(told)

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
    _write(output, encode_image(image, _FORMATS[output.suffix.lower()], _QUALITY))
    if trace is not None:
        _write(trace, animation(traced.frames, image))
    if curve is not None:
        plot = BytesIO()
        curve_picture(losses.points).save(plot, "PNG", optimize=True)
        _write(curve, plot.getvalue())
    return result.start["total"], result.end["total"]


def _check_files(output: Path, trace: Path | None, curve: Path | None) -> None:
    for file, endings in ((output, _FORMATS), (trace, (".webp",)), (curve, (".png",))):
        if file is not None and file.suffix.lower() not in endings:
            raise ValueError(f"{file}: expected a file ending of {', '.join(endings)}")
    files = [file.absolute() for file in (output, trace, curve) if file is not None]
    if len(set(files)) < len(files):
        raise ValueError(f"{output}: expected another file for each of result, trace and curve")


def _write(file: Path, data: bytes) -> None:
    write_whole(file, data, file.absolute().parent)


def _opened(file: Path, long_side_px: int) -> Image.Image:
    try:
        image = decode_image(read_file(file)[0]).image
        image = image.resize(fit_within(*image.size, long_side_px), Image.Resampling.LANCZOS)
        check_shape(*image.size)
    except UnusableImage as error:
        raise UnusableImage(f"{file}: {error}") from None
    return image
