"""The main flow: from a manifest to a finished, augmented dataset."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from flows.budget import Budget
from flows.chunk_tasks import AS_MANY_THREADS_AS_TASKS, Run, Tally, work_chunks
from flows.engine import choose_devices
from flows.freed_memory import give_back_freed_memory
from flows.job import Job, prepare
from flows.nothing_to_do import about_dataset, made_on, nothing_to_do, put_on_record
from flows.prefect_page import PageOutcome, on_page
from flows.progress import (
    Control,
    Event,
    Indexing,
    Started,
    Waiting,
    current_control,
    outcome_kept,
)
from flows.reading import output_folder, read_for_run
from flows.report import REPORT, write_report
from flows.run_file import kept_in_file, outcome_of
from flows.standing import Reckoning
from flows.summary import Summary
from flows.turns import folder_to_itself, gpu_slots
from flows.workers.runners import (
    Runner,
    Workers,
    check_answers,
    check_runner,
    is_of_this_machine,
    workers,
)
from manifests.comparison import FilesOnDisk, Todo
from manifests.durable import check_stays_inside, remove_durably
from manifests.errors import ManifestError
from manifests.export import Exported, export_imagefolder
from manifests.exporters.formats import export, formats_there, remove_exports
from manifests.extent import extent_of
from manifests.preview_mark import take_mark_off
from manifests.reading import read_manifest
from manifests.settled import unsettle
from manifests.storage import place


def _run_name() -> str:
    """By the manifest's own name, where it can be read: the run says why it cannot."""
    manifest = Path(flow_run.parameters["manifest_path"])
    try:
        return f"stylize {read_manifest(manifest).manifest.name}"
    except ManifestError:
        return f"stylize {manifest.stem}"


@flow(
    name="stylize-dataset",
    flow_run_name=_run_name,
    task_runner=AS_MANY_THREADS_AS_TASKS,
    persist_result=False,
)
def stylize_dataset(
    manifest_path: Path,
    out: str | Path | None = None,
    limit: Annotated[int, Field(ge=0)] | None = None,
    retry_failed: bool = False,
    encoder: str | None = None,
    weights: Path | None = None,
    wait_s: Annotated[float, Field(ge=0)] = 0,
    runner: Runner = "threads",
    dask_address: str | None = None,
    max_hours: Annotated[float, Field(gt=0)] | None = None,
) -> Summary:
    """Make every image of the manifest that is not on record yet, then the dataset's indexes.

    Args:
        manifest_path: The YAML manifest, with its whole path.
        out: Replaces the manifest's output folder: a whole path, or a URL.
        limit: Make at most this many images in this run.
        retry_failed: Try again what failed before.
        encoder: Replaces the manifest's: compact, vgg19, vgg16, or random (for tests).
        weights: Replaces the manifest's file of the encoder's weights; with its whole path.
        wait_s: Wait so many seconds for another run that writes into the output folder.
        runner: Who works the chunks: threads (this machine), or processes of dask or ray.
        dask_address: Of the scheduler of an existing Dask cluster, as tcp://HOST:PORT.
        max_hours: Begin no chunk that would not be done after so many hours; what is underway is
            finished. Time spent on waiting for other runs does not count.

    Returns:
        What the run came to; also of one that was stopped or had nothing to do.

    Raises:
        ValueError: a path is not whole; nothing was done.
        ManifestError: the manifest cannot be used; nothing was done.
        EncoderUnavailable: the encoder's weights cannot be had; nothing was done.
        DeviceLost: one of several devices broke down; what is on record is kept.
        OutputInUse: another process writes into the output folder; nothing was done.
        OutputLost: another process took the output folder over, or it was moved; see in_use.
        OSError: a disk or a store refused; what is on record is kept.
        NoGpuSlots: the server does not say how many GPUs there are; nothing was done.
        WorkersError: the runner cannot be used, or its workers are gone; what is on record is kept.
    """
    control = current_control()
    with outcome_kept(control) as keep:
        check_runner(runner, dask_address)
        if dask_address is not None:
            check_answers(dask_address)
        # A worker starts each run in a temporary folder, which has nothing and is not kept.
        if not manifest_path.is_absolute():
            raise ValueError(f"manifest_path: expected a whole path, got {manifest_path}")
        if out is not None and not place(str(out)).is_absolute():
            raise ValueError(f"out: expected a whole path, got {out}")
        read = read_for_run(manifest_path, out, encoder, weights)
        ours = read.manifest.styles and is_of_this_machine(runner, dask_address)
        devices = choose_devices() if ours else []
        reckoning = Reckoning()
        control = replace(control, tell=_both(reckoning.tell, control.tell))
        turns = replace(control, tell=_logged_too(control.tell))
        folder, name = output_folder(read), read.manifest.name
        # What folder and content hold is looked at when nobody else changes the folder any more.
        with (
            folder_to_itself(folder, wait_s, turns) as check_in_use,
            kept_in_file(folder, name, runner, reckoning) as told_file,
            on_page(name, folder, reckoning) as told_page,
            gpu_slots(devices, turns),
        ):
            budget = Budget(max_hours)
            job = prepare(read, control.hashing())
            try:
                runner_of = partial(workers, runner, dask_address)
                summary = _make(job, runner_of, control, limit, retry_failed, check_in_use, budget)
            except BaseException:
                # Chunks that are underway, in other threads, end at once too.
                control.stop.set()
                raise
            told_file(outcome_of(summary))
            told_page(_page_outcome(summary))
        return ended(keep(summary))


def _make(
    job: Job,
    runner_of: Callable[[Job, int, Control], AbstractContextManager[Workers]],
    control: Control,
    limit: int | None,
    retry_failed: bool,
    check_in_use: Callable[[], None],
    budget: Budget,
) -> Summary:
    if done := nothing_to_do(job, retry_failed):
        control.tell(Started(images=done.dataset, to_do=0, pairs=0, work=0.0, chunks=0))
        return done
    for folder in job.plan.folders():
        check_stays_inside(job.out / folder, job.out)
    job.ledger.clear_temporary()
    todo = Todo(job.ledger.ids(job.plan.manifest.max_pixels), FilesOnDisk(job.out), retry_failed)
    extent = extent_of(job.chunks, todo, job.workshop.work, limit)
    control.tell(Started(extent.images, extent.to_do, extent.pairs, extent.work, extent.tasks))
    take_mark_off(job.out)
    unsettle(job.out)

    tally = Tally()
    try:
        with runner_of(job, extent.tasks, control) as those:
            run = Run(
                job.plan.manifest.name,
                extent.tasks,
                those,
                control,
                tally,
                budget,
                job.workshop.work,
            )
            work_chunks(run, extent.chunks())
    finally:
        give_back_freed_memory()
    if tally.error is not None:
        raise tally.error

    stopped = control.stop.is_set()
    exported = Exported()
    exports: tuple[str, ...] = ()
    report = ""
    left = extent.pending - tally.settled
    if not stopped:
        control.tell(Indexing())
        check_in_use()
        about = about_dataset(job) | made_on(job, those.devices)
        exported = export_imagefolder(job.out, job.plan, job.ledger, about)
        if exported.images:
            exports = _export_formats(job, check_in_use)
            check_in_use()
            report = str(write_report(job.out, asks_stores=True))
        else:
            remove_exports(job.out, job.plan.manifest.output.format)
            remove_durably(job.out / REPORT)
        if not left:
            check_in_use()
            put_on_record(job, exported, exports)
    get_run_logger().info(
        "%s: %d images made, %d failed, %d to be made yet; the dataset has %d",
        job.out,
        tally.made,
        tally.failed,
        left,
        exported.images,
    )
    return Summary(
        out=str(job.out),
        made=tally.made,
        failed=tally.failed,
        left_out=exported.left_out.total(),
        dataset=exported.images,
        failures=tuple((path, why, n) for (path, why), n in sorted(exported.failures.items())),
        left=left,
        stopped=stopped,
        set_aside=exported.set_aside,
        exports=exports,
        report=report,
        out_of_time=budget.is_over,
        copies=job.plan.copies,
        counts={name: dict(counter) for name, counter in exported.counts.items()},
    )


def ended(summary: Summary) -> Summary:
    """For a flow to return: whoever called it gets the summary, Prefect's page its sentence."""
    # Of a state that a flow returns Prefect hands on what is in it, of which its types do not know.
    return Completed(data=summary, message=str(summary))  # type: ignore[return-value]


def _page_outcome(summary: Summary) -> PageOutcome:
    missing = {f"{path}: {why}": images for path, why, images in summary.failures}
    return PageOutcome(str(summary), {} if summary.stopped else summary.counts, missing)


def _export_formats(job: Job, check_in_use: Callable[[], None]) -> tuple[str, ...]:
    """Write what the manifest's formats have besides the indexes; a line for each other format.

    Formats that were written before are written again, for they would be of another dataset now.
    For the imagefolder, which every run is, only if there is something to say of it.
    """
    formats = ("imagefolder", *job.plan.manifest.output.format, *formats_there(job.out))
    lines = []
    for written in export(job.out, formats):
        check_in_use()
        if written.format != "imagefolder" or written.notes:
            lines.append(str(written))
    return tuple(lines)


def _both(one: Callable[[Event], None], other: Callable[[Event], None]) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        one(event)
        other(event)

    return tell


def _logged_too(tell: Callable[[Event], None]) -> Callable[[Event], None]:
    """What keeps a run waiting is for Prefect's page as well."""
    logger = get_run_logger()

    def tell_both(event: Event) -> None:
        if isinstance(event, Waiting):
            logger.info("waiting: %s", event.why)
        tell(event)

    return tell_both
