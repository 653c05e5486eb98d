"""The chunks of a run as tasks of Prefect: one each, in subflows where there are many of them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from flows.budget import Budget
from flows.progress import ChunkDone, Control, InStage, Stopped
from flows.server import expect_task_records
from flows.workers.runners import Workers
from manifests.chunks import Chunk

# Prefect's default server shows a flow of many more tasks slowly or not at all.
_TASKS_PER_FLOW = 1000
# How many chunks are underway is limited below.
AS_MANY_THREADS_AS_TASKS: Any = ThreadPoolTaskRunner(max_workers=sys.maxsize)


@dataclass
class Tally:
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
class Run:
    """What the chunks of one run share.

    Attributes:
        name: the manifest's.
        chunks: how many there are.
        numbers: of those, from 1, in the order in which they are begun.
    """

    name: str
    chunks: int
    workers: Workers
    control: Control
    tally: Tally
    budget: Budget
    work_of: Callable[[Chunk], float]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


@task(name="chunk", cache_policy=NO_CACHE, persist_result=False)
def _chunk_task(run: Run, chunk: Chunk, is_first: bool) -> State[Any] | None:
    if not run.workers.tell_stages:
        run.control.tell(InStage(chunk.number, chunk.images, "away"))
    began_s = time.monotonic()
    try:
        done = run.workers.work(chunk)
    except Stopped:
        return Cancelled(message="stopped by the user")
    except Exception as error:
        # A full disk or a broken machine would fail every other chunk too: the run ends here.
        run.tally.error = run.tally.error or error
        run.control.stop.set()
        return Failed(message=f"{type(error).__name__}: {error}")
    finally:
        run.control.tell(InStage(chunk.number, chunk.images, None))
    run.budget.took(done.work, chunk.pairs > 0, time.monotonic() - began_s, is_first)
    run.tally.add(done)
    run.control.tell(done)
    return None


def work_chunks(run: Run, chunks: Iterator[Chunk]) -> None:
    """Work all of them, or those that are begun until the run is stopped or out of time.

    What they come to is in the run's tally, as is the error that ended it.
    """
    if run.chunks <= _TASKS_PER_FLOW:
        _run_chunks(run, chunks)
    else:
        _run_in_parts(run, chunks, parts=-(-run.chunks // _TASKS_PER_FLOW))


def _run_chunks(run: Run, chunks: Iterable[Chunk]) -> None:
    """Submit one task a chunk, and the next when one is done: memory holds those underway."""
    places = threading.Semaphore(run.workers.places)
    futures: list[PrefectFuture[Any]] = []
    for chunk in chunks:
        places.acquire()
        is_stopped = run.control.stop.is_set()
        if is_stopped or not run.budget.allows(run.work_of(chunk), chunk.pairs > 0):
            break
        number = next(run.numbers)
        named = _chunk_task.with_options(
            task_run_name=f"stylize {run.name} · chunk {number}/{run.chunks}"
        )
        expect_task_records()
        future = named.submit(
            quote(run),
            quote(chunk),
            is_first=number <= run.workers.places,
            return_state=False,
        )
        future.add_done_callback(lambda _: places.release())
        futures.append(future)
    for future in futures:
        future.wait()


def _run_in_parts(run: Run, chunks: Iterator[Chunk], parts: int) -> None:
    """One subflow for each _TASKS_PER_FLOW chunks."""

    @flow(
        name="stylize-dataset-part",
        flow_run_name=f"stylize {run.name} · part {{part}}/{parts}",
        task_runner=AS_MANY_THREADS_AS_TASKS,
        persist_result=False,
    )
    def run_part(part: int) -> None:
        _run_chunks(run, islice(chunks, _TASKS_PER_FLOW))

    for part in range(1, parts + 1):
        if run.control.stop.is_set() or run.budget.is_over:
            break
        run_part(part)
