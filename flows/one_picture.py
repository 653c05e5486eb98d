"""One content image, one style image, one picture: without manifest, plan or ledger."""

from __future__ import annotations

import os
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
from manifests.durable import check_writable, write_whole
from manifests.images import (
    UnusableImage,
    check_shape,
    decode_image,
    encode_image,
    fit_within,
    read_file,
)
from nst_core import Pair, Style, Stylizer, load_encoder, resolve_preset
from nst_core import Progress as NstProgress
from nst_core.pairs import check_preserve_color

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
    preserve_color: str,
    trace: Path | None = None,
    trace_every: int | None = None,
    curve: Path | None = None,
    console: Console,
) -> tuple[float, float]:
    """Stylize one picture and write it; returns its first and its last loss, as the curve has them.

    Args:
        size: long side in pixels; None for the preset's.
        strength: of the style, in 0..1.
        trace: .webp file for the picture every `trace_every` iterations, as an animation.
        curve: .png file for a plot of its losses.
        console: shows how far it is, where it is a terminal.

    Raises:
        ValueError: for an unusable image, file ending or number, or a file that is read or named
            twice.
        OSError: for a file that cannot be written; nothing was done.
        EncoderUnavailable: when the encoder's weights cannot be had.
    """
    _check_files((content, style), output, trace, curve)
    if trace_every is not None and trace is None:
        raise ValueError("trace-every: expected --trace FILE too, which it is for")
    if trace_every is not None and trace_every < 1:
        raise ValueError(f"trace-every: expected a whole number >= 1, got {trace_every}")
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
            preserve_color=check_preserve_color(preserve_color),
        )
        ((_, result),) = stylizer.each([pair], on_progress=on_progress)
    if result.stop_reason == "not_finite":
        raise ValueError(f"{content}: the loss is not finite; try a lower learning rate")
    image = Image.fromarray(as_pixels(result.image))
    _write(output, encode_image(image, _FORMATS[output.suffix.lower()], _QUALITY))
    if trace is not None:
        _write(trace, animation(traced.frames, image))
    points = losses.points
    if curve is not None:
        plot = BytesIO()
        curve_picture(points).save(plot, "PNG", optimize=True)
        _write(curve, plot.getvalue())
    return points[0].total, points[-1].total


def _check_files(
    read: tuple[Path, Path], output: Path, trace: Path | None, curve: Path | None
) -> None:
    """Refuse what could not be written when the picture is done, and what would replace another."""
    images, written = set(map(_real, read)), set[tuple[int, int] | str]()
    for file, endings in ((output, _FORMATS), (trace, (".webp",)), (curve, (".png",))):
        if file is None:
            continue
        if file.suffix.lower() not in endings:
            raise ValueError(f"{file}: expected a file ending of {', '.join(endings)}")
        real = _real(file)
        if real in images:
            raise ValueError(f"{file}: is read, and would be replaced; expected another file")
        if real in written:
            raise ValueError(f"{file}: expected another file for each of result, trace and curve")
        written.add(real)
        check_writable(file)


def _real(file: Path) -> tuple[int, int] | str:
    """The same for two spellings of a file, and for two names that are links to the same bytes."""
    try:
        found = file.stat()
    except OSError:
        return os.path.realpath(file)
    return found.st_dev, found.st_ino


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
