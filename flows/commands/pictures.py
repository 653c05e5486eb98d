"""Commands that need no manifest: one picture, a folder of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from flows.commands.console import error_console, one_sentence_errors, say
from flows.commands.options import (
    ENCODERS_HELP,
    ColorOption,
    PresetOption,
    SizeOption,
    StrengthOption,
    WeightsOption,
)
from flows.commands.running import run_manifest


def stylize(
    content: Annotated[Path, typer.Argument(help="Content image.")],
    style: Annotated[Path, typer.Argument(help="Style image.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .jpg or .png.")],
    encoder: Annotated[str, typer.Option("--encoder", help=ENCODERS_HELP)] = "compact",
    weights: WeightsOption = None,
    preset: PresetOption = "fast",
    size: SizeOption = None,
    strength: StrengthOption = 1.0,
    preserve_color: ColorOption = "no",
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
            console=error_console,
        )
        say(f"{output}: loss {losses[0]:.4g} → {losses[1]:.4g}")


def folder(
    content_dir: Annotated[Path, typer.Argument(help="Folder of content images.")],
    style: Annotated[Path, typer.Option("--style", help="A style image or a folder of them.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    encoder: Annotated[str, typer.Option("--encoder", help=ENCODERS_HELP)] = "compact",
    weights: WeightsOption = None,
    preset: PresetOption = "fast",
    size: SizeOption = None,
    strength: StrengthOption = 1.0,
) -> None:
    """Stylize a folder on demand; done again, it does only what is new or changed."""
    with one_sentence_errors():
        if not content_dir.is_dir():
            raise ValueError(f"{content_dir}: is no folder")
        if not style.exists():
            raise ValueError(f"{style}: there is no such style image or folder")
        manifest = out.absolute() / ".gramflow" / "folder.yaml"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "encoder": encoder,
            "preset": preset,
            "strength": strength,
            **({"size": size} if size is not None else {}),
            **({"weights": str(weights.absolute())} if weights is not None else {}),
        }
        described = {
            "version": 1,
            "name": "folder",
            "content": [{"path": str(content_dir.absolute())}],
            "styles": [{"path": str(style.absolute())}],
            "pairing": {"strategy": "all"},
            "stylize": settings,
            "augment": {"include_original": False},
            "output": {"path": str(out.absolute())},
        }
        manifest.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
        sys.exit(run_manifest(manifest))
