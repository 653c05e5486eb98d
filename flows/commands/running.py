"""A manifest run from the command line: under a server, with a display, stopped by Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.console import (
    INTERRUPTED,
    SOME_FAILED,
    error_console,
    out_console,
    say,
)

if TYPE_CHECKING:
    from flows.dataset import Summary
    from flows.progress import Control

_FAILURES_SHOWN = 20


def run_manifest(
    manifest: Path,
    out: Path | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    encoder: str | None = None,
    weights: Path | None = None,
) -> int:
    """Run the flow under a Prefect server; exit status."""
    from flows.progress import Control, controlled_by
    from flows.reading import output_folder, read_for_run
    from flows.server import home_of, prefect_server
    from flows.terminal import RunDisplay

    read = read_for_run(manifest, out, encoder, weights)

    def checked() -> None:
        from flows.job import check_manifest

        check_manifest(read)
        import flows.dataset  # noqa: F401

    with prefect_server(home_of(output_folder(read)), meanwhile=checked):
        from flows.dataset import stylize_dataset

        with RunDisplay(out_console) as display:
            control = Control(tell=display.tell)
            with controlled_by(control), _ctrl_c_stops(control):
                summary = stylize_dataset(
                    manifest_path=manifest.absolute(),
                    out=out,
                    limit=limit,
                    retry_failed=retry_failed,
                    encoder=encoder,
                    weights=weights,
                )
    return _report(summary)


def _report(summary: Summary) -> int:
    """Say what a run came to; exit status."""

    if summary.stopped:
        say(f"stopped: {summary.made} images made in this run are kept, {summary.left} are left")
        say("to go on, give the same command again")
        return INTERRUPTED
    say(f"{summary.dataset} images in {summary.out} ({summary.made} made in this run)")
    for export_line in summary.exports:
        say(export_line)
    if summary.left:
        say(f"{summary.left} images left; run again without --limit to make them")
    if summary.left_out:
        kept = "kept too little of their content's structure"
        say(f"{summary.left_out} images left out: {kept}, see {summary.out}/left_out.jsonl")
    if summary.set_aside:
        aside = f"{summary.out}/.gramflow/set_aside"
        say(f"{summary.set_aside} files that the plan no longer wants were moved to {aside}")
    for path, why, images in summary.failures[:_FAILURES_SHOWN]:
        say(f"failed: {path}: {why} (images missing: {images})")
    if len(summary.failures) > _FAILURES_SHOWN:
        say(f"… and {len(summary.failures) - _FAILURES_SHOWN} more")
    if summary.failures:
        say(f"all failures: {summary.out}/failures.jsonl; try them again with --retry-failed")
    return SOME_FAILED if summary.failures else 0


@contextmanager
def _ctrl_c_stops(control: Control) -> Iterator[None]:
    """The first Ctrl-C asks the run to stop, the second is Python's own."""
    previous = signal.getsignal(signal.SIGINT)

    def stop(signum: int, frame: Any) -> None:
        error_console.print("stopping; what is finished is kept (Ctrl-C again to break off)")
        control.stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
