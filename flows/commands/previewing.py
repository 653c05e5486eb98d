"""A preview from the command line: with a display, without a Prefect server, stopped by Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.console import INTERRUPTED, SOME_FAILED, say
from flows.commands.running import shown
from flows.commands.stopping import status_of
from flows.wording import counted

if TYPE_CHECKING:
    from flows.preview import Previewed


def show_preview(
    manifest: Path, images: int, out: str | None, encoder: str | None, weights: Path | None
) -> int:
    """Make a preview and say what is in it; exit status."""
    from flows.preview import preview, preview_folder
    from flows.progress import Stopped
    from flows.reading import output_folder, read_for_run
    from manifests.storage import place_on_disk

    whole = read_for_run(manifest, None, encoder, weights)
    folder = preview_folder(output_folder(whole)) if out is None else place_on_disk(out)
    read = read_for_run(manifest, folder, encoder, weights)
    with shown() as (control, asked):
        try:
            previewed = preview(read, images, control)
        except Stopped:
            say("stopped; what is finished is kept, give the same command again to go on")
            return status_of(asked[0]) if asked else INTERRUPTED
    _report(previewed, manifest)
    return SOME_FAILED if previewed.failures or previewed.found_nothing_usable else 0


def _report(previewed: Previewed, manifest: Path) -> None:
    images = counted(previewed.images, "image")
    say(f"{images} in {previewed.out} ({previewed.made} made now)")
    if previewed.damaged:
        aside = previewed.out / ".gramflow" / "set_aside"
        say(f"damaged, moved to {aside} and made again: {counted(previewed.damaged, 'file')}")
    if previewed.unusable:
        say(f"{previewed.unusable} of the photographs looked at cannot be opened; a run lists them")
    if previewed.left_out:
        say(f"{previewed.left_out} left out: kept too little of their content's structure")
    for path, why in previewed.failures:
        say(f"failed: {path}: {why}")
    if previewed.sheet:
        say(f"contact sheet: {previewed.sheet}")
    if previewed.report:
        say(f"report: {previewed.report}")
    if previewed.found_nothing_usable:
        return
    say(
        f"next: `gramflow plan {manifest}` says what all of it takes, "
        f"`gramflow run {manifest}` makes it"
    )
