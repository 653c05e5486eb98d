"""The main flow: from a manifest to a finished, augmented dataset."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import count, islice
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from flows.devices import Work, chunk_worker
from flows.engine import MOST_BESIDE_LANES, choose_devices
from flows.job import Job, prepare, read_for_run
from flows.progress import (
    ChunkDone,
    Control,
    Hashing,
    Started,
    Stopped,
    current_control,
)
from flows.server import expect_task_records
from flows.version import VERSION
from manifests.chunks import Chunk
from manifests.comparison import FilesOnDisk, Todo
from manifests.export import Exported, export_imagefolder
from manifests.exporters.formats import export, formats_there, remove_exports_inside
from manifests.extent import extent_of
from manifests.in_use import in_use

# Enough threads for any number of lanes; how many chunks are underway is limited below.
_WORKERS = (os.cpu_count() or 1) + (1 + MOST_BESIDE_LANES) * len(choose_devices())
# Prefect's default server shows a flow of many more tasks slowly or not at all.
_TASKS_PER_FLOW = 1000


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        made, failed: images of this run.
        left_out: images of the dataset's plan whose pair kept too little of its content.
        dataset: images of the dataset as it now is.
        failures: (path of the file at fault, why, images missing), of the whole dataset.
        left: images of the plan that are still to be made, after a stop or a limit.
        set_aside: files that the plan no longer wants, moved out of the dataset.
        exports: a line for each further format: where, images, objects, what was substituted.
    """

    out: str
    made: int
    failed: int
    left_out: int
    dataset: int
    failures: tuple[tuple[str, str, int], ...]
    left: int
    stopped: bool
    set_aside: int
    exports: tuple[str, ...]


@flow(
    name="stylize-dataset",
    flow_run_name="stylize {manifest_path.stem}",
    task_runner=ThreadPoolTaskRunner(max_workers=_WORKERS),  # type: ignore[arg-type]
    persist_result=False,
)
def stylize_dataset(
    manifest_path: Path,
    out: Path | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    encoder: str | None = None,
    weights: Path | None = None,
) -> Summary:
    """Make every image of the manifest that is not on record yet, then the dataset's indexes.

    Args:
        manifest_path: the YAML manifest.
        out: replaces the manifest's output folder.
        limit: make at most this many images in this run.
        retry_failed: try again what failed before.
        encoder, weights: replace the manifest's.

    Raises:
        ManifestError: the manifest cannot be used; nothing was done.
        EncoderUnavailable: the encoder's weights cannot be had; nothing was done.
        DeviceLost: one of several devices broke down; what is on record is kept.
        OutputInUse: another process writes into the output folder; nothing was done.
    """
    control = current_control()
    read = read_for_run(manifest_path, out, encoder, weights)
    job = prepare(read, _told_as_hashing(control))
    with in_use(job.out):
        return _make(job, control, limit, retry_failed)


def _make(job: Job, control: Control, limit: int | None, retry_failed: bool) -> Summary:
    job.ledger.clear_temporary()
    todo = Todo(job.ledger.ids(), FilesOnDisk(job.out), retry_failed)
    extent = extent_of(job.chunks, todo, job.work, limit)
    control.tell(Started(extent.images, extent.to_do, extent.pairs, extent.work))

    tally = _Tally()
    chunks = extent.chunks()
    with chunk_worker(job, extent.tasks, control) as work_chunk:
        run = _Run(job, work_chunk, control, tally)
        if extent.tasks <= _TASKS_PER_FLOW:
            _run_chunks(run, chunks)
        else:
            _run_in_parts(run, chunks, parts=-(-extent.tasks // _TASKS_PER_FLOW))
    if tally.error is not None:
        raise tally.error

    stopped = control.stop.is_set()
    exported = Exported()
    exports: tuple[str, ...] = ()
    if not stopped:
        exported = export_imagefolder(job.out, job.plan, job.ledger, _about(job))
        if exported.images:
            exports = _export_formats(job)
        else:
            remove_exports_inside(job.out)
    return Summary(
        out=str(job.out),
        made=tally.made,
        failed=tally.failed,
        left_out=exported.left_out.total(),
        dataset=exported.images,
        failures=tuple((path, why, n) for (path, why), n in sorted(exported.failures.items())),
        left=extent.pending - tally.settled,
        stopped=stopped,
        set_aside=exported.set_aside,
        exports=exports,
    )


def _export_formats(job: Job) -> tuple[str, ...]:
    """Write what the manifest's formats have besides the indexes; a line for each other format.

    Formats that were written before are written again, for they would be of another dataset now.
    For the imagefolder, which every run is, only if there is something to say of it.
    """
    formats = ("imagefolder", *job.plan.manifest.output.format, *formats_there(job.out))
    written = export(job.out, formats)
    return tuple(str(one) for one in written if one.format != "imagefolder" or one.notes)


@dataclass
class _Tally:
    """Images of this run, counted by the worker threads, and the error that ended it.

    Attributes:
        settled: made, failed or left out.
    """

    made: int = 0
    failed: int = 0
    settled: int = 0
    error: Exception | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, chunk: ChunkDone) -> None:
        with self.lock:
            self.made += chunk.images
            self.failed += chunk.failed
            self.settled += chunk.images + chunk.failed + chunk.left_out


@dataclass(frozen=True)
class _Run:
    """What the chunks of one run share."""

    job: Job
    work_chunk: Work
    control: Control
    tally: _Tally


@task(name="chunk", cache_policy=NO_CACHE, persist_result=False)
def _chunk_task(run: _Run, chunk: Chunk) -> State[Any] | None:
    try:
        done = run.work_chunk(chunk)
    except Stopped:
        return Cancelled(message="stopped by the user")
    except Exception as error:
        # A full disk or a broken machine would fail every other chunk too: the run ends here.
        run.tally.error = run.tally.error or error
        run.control.stop.set()
        return Failed(message=f"{type(error).__name__}: {error}")
    run.tally.add(done)
    run.control.tell(done)
    return None


def _run_chunks(run: _Run, chunks: Iterable[Chunk]) -> None:
    """Submit one task a chunk, and the next when one is done: memory holds those underway."""
    places = threading.Semaphore(run.job.places)
    futures: list[PrefectFuture[Any]] = []
    for chunk in chunks:
        places.acquire()
        if run.control.stop.is_set():
            break
        named = _chunk_task.with_options(
            task_run_name=f"chunk {chunk.number} · {chunk.images} images"
        )
        expect_task_records()
        future = named.submit(quote(run), quote(chunk))
        future.add_done_callback(lambda _: places.release())
        futures.append(future)
    for future in futures:
        future.wait()


def _run_in_parts(run: _Run, chunks: Iterator[Chunk], parts: int) -> None:
    """One subflow for each _TASKS_PER_FLOW chunks."""

    def run_part(part: int) -> None:
        _run_chunks(run, islice(chunks, _TASKS_PER_FLOW))

    part_flow = flow(
        run_part,
        name="stylize-dataset-part",
        flow_run_name=f"{run.job.plan.manifest.name} · part {{part}}/{parts}",
        task_runner=ThreadPoolTaskRunner(max_workers=_WORKERS),  # type: ignore[arg-type]
        persist_result=False,
    )
    for part in range(1, parts + 1):
        part_flow(part)


def _told_as_hashing(control: Control) -> Callable[[], None]:
    files = count(1)

    def on_file() -> None:
        control.check()
        control.tell(Hashing(next(files)))

    return on_file


def _about(job: Job) -> dict[str, Any]:
    """What dataset.json says of how the dataset was made."""
    return {
        "gramflow_version": VERSION,
        "manifest": job.plan.manifest.model_dump(mode="json"),
        "engine": asdict(job.plan.engine) | {"size": job.plan.size} if job.stylizer else None,
        "device": ", ".join(map(str, job.devices)) if job.stylizer else None,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "albumentations", "pillow", "numpy")},
        },
    }
