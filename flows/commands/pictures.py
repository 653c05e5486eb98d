"""Commands that need no manifest: one picture, a folder of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from flows.commands.console import error_console, one_sentence_errors, say
from flows.commands.options import (
    ColorOption,
    FolderOutOption,
    OwnEncoderOption,
    PresetOption,
    SizeOption,
    StrengthOption,
    StyleOption,
    WeightsOption,
    given,
)
from flows.commands.running import run_manifest


def stylize(
    content: Annotated[Path, typer.Argument(help="Content image.")],
    style: Annotated[Path, typer.Argument(help="Style image.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: .jpg, .png or .webp.")
    ],
    encoder: OwnEncoderOption = "compact",
    weights: WeightsOption = None,
    preset: PresetOption = "fast",
    size: SizeOption = None,
    strength: StrengthOption = 1.0,
    preserve_color: ColorOption = "no",
    trace: Annotated[
        Optional[Path], typer.Option("--trace", help="Animation of its way there: a .webp file.")
    ] = None,
    trace_every: Annotated[
        Optional[int],
        typer.Option("--trace-every", help="Iterations from frame to frame; else about 40 frames."),
    ] = None,
    curve: Annotated[
        Optional[Path], typer.Option("--curve", help="Plot of its losses: a .png file.")
    ] = None,
) -> None:
    """Stylize one picture."""
    with one_sentence_errors():
        from flows.one_picture import stylize_picture

        losses = stylize_picture(
            content,
            style,
            output,
            encoder=encoder,
            weights=weights,
            preset=preset,
            size=size,
            strength=strength,
            preserve_color=preserve_color,
            trace=trace,
            trace_every=trace_every,
            curve=curve,
            console=error_console,
        )
        say(f"{output}: loss {losses[0]:.4g} → {losses[1]:.4g}")
        for file, shows in ((trace, "how it came about"), (curve, "its losses")):
            if file is not None:
                say(f"{file}: {shows}")


def folder(
    content_dir: Annotated[
        str, typer.Argument(callback=given, help="Folder of content images, or its URL.")
    ],
    style: StyleOption,
    out: FolderOutOption,
    encoder: OwnEncoderOption = "compact",
    weights: WeightsOption = None,
    preset: PresetOption = "fast",
    size: SizeOption = None,
    strength: StrengthOption = 1.0,
) -> None:
    """Stylize a folder on demand; done again, it does only what is new or changed."""
    with one_sentence_errors(goes_on=True):
        from flows.folder import FolderJob
        from manifests.storage import whole_place

        images, styles, output = map(whole_place, (content_dir, style, out))
        job = FolderJob(images, styles, output, preset, size, strength, encoder, weights)
        with job.said_as("--{}"):
            with error_console.status("reading files"):
                job.check()
            sys.exit(run_manifest(job.write_manifest()))
