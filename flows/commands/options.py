"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def given(text: Optional[str]) -> Optional[str]:
    """A path or URL as it was given; an empty one, as of a variable that is not set, is refused."""
    if text == "":
        raise typer.BadParameter("expected a path or a URL, got ''")
    return text


_ENCODERS_HELP = "compact (bundled), vgg19, vgg16, or random (for tests)."

ManifestArgument = Annotated[Path, typer.Argument(help="The YAML manifest.", show_default=False)]
OutOption = Annotated[
    Optional[str],
    typer.Option("--out", callback=given, help="Output folder or URL, instead of the manifest's."),
]
EncoderOption = Annotated[Optional[str], typer.Option("--encoder", help=_ENCODERS_HELP)]
# Where no manifest names one.
OwnEncoderOption = Annotated[str, typer.Option("--encoder", help=_ENCODERS_HELP)]
WeightsOption = Annotated[
    Optional[Path], typer.Option("--weights", help="File with the encoder's weights.")
]
FolderOutOption = Annotated[
    str, typer.Option("--out", callback=given, help="Output folder, or its URL.")
]
StyleOption = Annotated[
    str, typer.Option("--style", callback=given, help="A style image or a folder of them.")
]
FinishedArgument = Annotated[
    str, typer.Argument(callback=given, help="The output folder of a finished run, or its URL.")
]
PresetOption = Annotated[str, typer.Option("--preset", help="fast, gatys2016 or report2019.")]
SizeOption = Annotated[
    Optional[int], typer.Option("--size", help="Long side of the result in pixels.")
]
StrengthOption = Annotated[
    float, typer.Option("--strength", help="Of the style: 0 keeps the content's, 1 is full.")
]
ColorOption = Annotated[
    str,
    typer.Option(
        "--preserve-color",
        help="luminance: transfer brightness only; match: give the style the content's colours.",
    ),
]
