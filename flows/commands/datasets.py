"""Commands that make a dataset, and those that look before: run, plan, validate, export, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.table import Table
from rich.text import Text

from flows.commands.console import (
    WRONG_USE,
    complain,
    error_console,
    one_sentence_errors,
    say,
    say_json,
    say_table,
)
from flows.commands.options import (
    EncoderOption,
    FinishedArgument,
    ManifestArgument,
    OutOption,
    WeightsOption,
    given,
)
from flows.commands.previewing import show_preview
from flows.commands.running import run_manifest
from flows.wording import of_copies, printable
from manifests.errors import ManifestError

if TYPE_CHECKING:
    from flows.job import Job


def run(
    manifest: ManifestArgument,
    out: OutOption = None,
    limit: Annotated[
        Optional[int], typer.Option("--limit", min=0, help="Make at most this many images now.")
    ] = None,
    max_hours: Annotated[
        Optional[float], typer.Option("--max-hours", help="End in good order after so many hours.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
    runner: Annotated[
        str, typer.Option("--runner", help="Who works: threads (this machine), dask or ray.")
    ] = "threads",
    dask_address: Annotated[
        Optional[str],
        typer.Option("--dask-address", help="Scheduler of an existing cluster: tcp://HOST:PORT."),
    ] = None,
) -> None:
    """Make every image of the manifest that is not there yet. Interrupt and repeat as you like."""
    with one_sentence_errors(goes_on=True):
        status = run_manifest(
            manifest,
            out,
            limit,
            retry_failed,
            encoder,
            weights,
            runner,
            dask_address,
            max_hours,
        )
        sys.exit(status)


def preview(
    manifest: ManifestArgument,
    images: Annotated[
        int, typer.Option("-n", "--images", min=1, max=100, help="How many images.")
    ] = 12,
    out: Annotated[
        Optional[str],
        typer.Option(
            "--out", callback=given, help="Folder of the preview, instead of OUT.preview."
        ),
    ] = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
) -> None:
    """Make a few images first, spread over all that differs, and a contact sheet of them."""
    with one_sentence_errors():
        sys.exit(show_preview(manifest, images, out, encoder, weights))


def plan(
    manifest: ManifestArgument,
    out: OutOption = None,
    encoder: EncoderOption = None,
    weights: WeightsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Count what is new, done, failed, stale and orphaned; estimate time and disk."""
    with one_sentence_errors():
        from flows.commands.estimates import described, estimated, say_estimate
        from manifests.comparison import compare

        job = _prepared(manifest, out, encoder, weights)
        counts = compare(job.plan, job.ledger, job.out)
        if as_json:
            say_json(described(job, counts, estimated(job)))
            return
        title = printable(f"{job.plan.manifest.name} → {job.out}")
        table = Table(title=Text(title), title_justify="left")
        table.add_column("images")
        table.add_column("count", justify="right")
        table.add_column("meaning")
        for name, count, meaning in (
            ("new", counts.new, "to be made by the next run"),
            ("done", counts.done, "on record"),
            ("failed", counts.failed, "tried again only with --retry-failed"),
            ("left out", counts.left_out, "kept too little of their content's structure"),
            ("stale", counts.stale, "their content, style or parameters changed; set aside"),
            ("orphan", counts.orphan, "their content image is no longer named; set aside"),
        ):
            table.add_row(name, f"{count:,}", meaning)
        say_table(table)
        if job.plan.copies:
            say(of_copies(job.plan.copies))
        if counts.new:
            say_estimate(estimated(job))
        else:
            say("nothing to make")


def validate(manifest: ManifestArgument) -> None:
    """Check the manifest, its recipes, lists and labels; show every problem found."""
    with one_sentence_errors():
        from flows.job import check_manifest, every_problem
        from flows.label_range import out_of_range
        from flows.reading import read_for_run

        try:
            content = check_manifest(read_for_run(manifest))
        except ManifestError as error:
            complain("\n".join(map(str, every_problem(error))), WRONG_USE)
        for line in (*content.notes, *out_of_range(content)):
            say(line)
        say(f"{manifest}: valid")


def export(
    out: FinishedArgument,
    formats: Annotated[
        list[str],
        typer.Option(
            "--format", help="imagefolder, coco, yolo, voc or webdataset; give it for each."
        ),
    ],
) -> None:
    """Write a finished dataset in more formats, without stylizing again."""
    with one_sentence_errors():
        from manifests.exporters.finished import read_finished
        from manifests.exporters.formats import export as export_formats
        from manifests.in_use import in_use
        from manifests.storage import whole_place
        from manifests.stores import names_in

        folder = whole_place(out)
        if not names_in(folder / ".gramflow"):  # else a run may be about to write its dataset.json
            read_finished(folder, to="export")
        with in_use(folder):
            for written in export_formats(folder, formats):
                say(str(written))


def demo(
    out: Annotated[
        str, typer.Option("--out", callback=given, help="Folder of the demo.")
    ] = "gramflow-demo",
) -> None:
    """Make a small dataset from bundled photographs and painted styles, without network."""
    with one_sentence_errors(goes_on=True):
        from flows.demo import prepare_demo
        from manifests.storage import place_on_disk

        manifest = prepare_demo(place_on_disk(out))
        say(f"photographs, styles and manifest are in {out}")
        sys.exit(run_manifest(manifest))


def _prepared(manifest: Path, out: str | None, encoder: str | None, weights: Path | None) -> Job:
    from flows.job import prepare
    from flows.reading import read_for_run

    with error_console.status("reading files"):
        return prepare(read_for_run(manifest, out, encoder, weights))
