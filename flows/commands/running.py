"""A manifest run from the command line: under a server, with a display, stopped by Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from flows.commands.console import (
    INTERRUPTED,
    SOME_FAILED,
    error_console,
    out_console,
    say,
)
from flows.commands.stopping import status_of, stopped_by_signals
from flows.wording import counted, of_copies

if TYPE_CHECKING:
    from flows.progress import Control
    from flows.summary import Summary
    from manifests.reading import ReadManifest

_FAILURES_SHOWN = 20


def run_manifest(
    manifest: Path,
    out: str | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    encoder: str | None = None,
    weights: Path | None = None,
    runner: str = "threads",
    dask_address: str | None = None,
    max_hours: float | None = None,
) -> int:
    """Run the flow under a Prefect server; exit status."""
    from flows.reading import output_folder, read_for_run
    from flows.server import home_of, prefect_server, users_own
    from flows.workers.runners import check_runner

    chosen_runner = check_runner(runner, dask_address)
    if max_hours is not None and not max_hours > 0:  # nor is NaN
        raise ValueError(f"--max-hours: expected hours above 0, got {max_hours:g}")
    read = read_for_run(manifest, out, encoder, weights)

    # That keeps a record of each run, also of one that does nothing.
    is_users_server = users_own()

    def checked() -> None:
        from flows.job import check_manifest

        check_manifest(read)
        if not is_users_server and (summary := _nothing_to_do(read, retry_failed, runner)):
            raise _Done(summary)
        import flows.dataset  # noqa: F401  # takes seconds, in which the server comes up too

    def run() -> Summary:
        from flows.dataset import stylize_dataset

        return stylize_dataset(
            manifest_path=manifest.absolute(),
            out=None if out is None else str(output_folder(read)),
            limit=limit,
            retry_failed=retry_failed,
            encoder=encoder,
            weights=weights,
            runner=chosen_runner,
            dask_address=dask_address,
            max_hours=max_hours,
        )

    try:
        with ExitStack() as server:
            starting = "" if is_users_server else ", starting Prefect's server"
            with error_console.status(f"reading files{starting}"):
                home = home_of(output_folder(read))
                server.enter_context(prefect_server(home, meanwhile=checked))
            return run_shown(run)
    except _Done as done:
        say(f"0 of {counted(done.summary.dataset, 'image')} to make")
        return _report(done.summary)


class _Done(Exception):
    """There is nothing to do, which was seen before the server was up."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary


def _nothing_to_do(read: ReadManifest, retry_failed: bool, runner: str) -> Summary | None:
    from flows.job import prepare
    from flows.nothing_to_do import nothing_to_do
    from flows.reading import output_folder
    from flows.run_file import kept_in_file, outcome_of, read_record
    from flows.standing import Reckoning
    from manifests.in_use import in_use
    from manifests.settled import is_perhaps_settled

    out = output_folder(read)
    if not is_perhaps_settled(out):
        return None
    with in_use(out):
        done = nothing_to_do(prepare(read), retry_failed)
        last = read_record(out)
        if done and (last is None or last.outcome is None or last.outcome.end != "finished"):
            # As one that was killed, of which `status` would go on to tell.
            with kept_in_file(out, read.manifest.name, runner, Reckoning()) as told:
                told(outcome_of(done))
        return done


@contextmanager
def shown() -> Iterator[tuple[Control, list[int]]]:
    """In the block what a run tells is shown, and signals ask it to stop.

    Yields:
        the run's control, and the signal that asked to stop, once there was one.
    """
    from flows.progress import Control
    from flows.terminal import RunDisplay

    stop = Event()
    with (
        RunDisplay(out_console, stop) as display,
        stopped_by_signals(stop, told_by_display=display.is_live) as asked,
    ):
        yield Control(tell=display.tell, stop=stop), asked


def run_shown(run: Callable[[], Summary], more_to_come: bool = False) -> int:
    """Run a flow with a display, under a server that is there; exit status.

    Args:
        more_to_come: that the command does not end with the run: a signal that came when the run
            was all but done is for what comes.
    """
    from flows.commands.attended import attended
    from flows.progress import Stopped

    with shown() as (control, asked):
        try:
            summary = attended(run, control)
        except Stopped:  # before there was a plan
            say("stopped before anything was made; to go on, give the same command again")
            return status_of(asked[0]) if asked else INTERRUPTED
    status = _report(summary)
    return status_of(asked[0]) if asked and (summary.stopped or more_to_come) else status


def _report(summary: Summary) -> int:
    """Say what a run came to; exit status."""

    if summary.stopped:
        made, kept = counted(summary.made, "image"), "is" if summary.made == 1 else "are"
        say(f"stopped: {made} made in this run {kept} kept, {summary.left:,} left to make")
        say("to go on, give the same command again")
        return INTERRUPTED
    images = counted(summary.dataset, "image")
    say(f"{images} in {summary.out} ({summary.made:,} made in this run)")
    for export_line in summary.exports:
        say(export_line)
    if summary.report:
        say(f"report: {summary.report}")
    left = counted(summary.left, "image")
    if summary.out_of_time:
        say(f"the hours of --max-hours are over: {left} left; run again to go on")
    elif summary.left:
        say(f"{left} left; run again without --limit to make the rest")
    if summary.left_out:
        kept = "kept too little of their content's structure"
        left_out = counted(summary.left_out, "image")
        say(f"{left_out} left out: {kept}, see {summary.out}/left_out.jsonl")
    if summary.copies:
        say(of_copies(summary.copies))
    if summary.set_aside:
        aside = f"{summary.out}/.gramflow/set_aside"
        say(f"moved to {aside}: {counted(summary.set_aside, 'file')} that the plan wants no more")
    for path, why, missing in summary.failures[:_FAILURES_SHOWN]:
        say(f"failed: {path}: {why} (images missing: {missing})")
    if len(summary.failures) > _FAILURES_SHOWN:
        say(f"… and {len(summary.failures) - _FAILURES_SHOWN} more")
    if summary.failures:
        say(f"all failures: {summary.out}/failures.jsonl; try them again with --retry-failed")
    return SOME_FAILED if summary.failures else 0
