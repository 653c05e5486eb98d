"""Chunks worked in a process of a cluster, which keeps its workshop from chunk to chunk."""

from __future__ import annotations

import pickle
import secrets
from dataclasses import dataclass, field
from threading import Event, Lock

from flows.freed_memory import give_back_freed_memory
from flows.job import Job
from flows.progress import ChunkDone, Control
from flows.work import work_chunk
from flows.workers.alone import work_one_by_one
from flows.workshop import Order, Workshop, open_workshop
from manifests.chunks import Chunk


@dataclass(frozen=True)
class Errand:
    """What is said of a run with each of its chunks.

    Attributes:
        run: names it among others that the same process may serve.
        order: pickled, so that a process reads it once.
    """

    run: str
    order: bytes

    @staticmethod
    def of(job: Job) -> Errand:
        order = Order.of(job.plan.read, job.workshop)
        return Errand(secrets.token_hex(8), pickle.dumps(order))


@dataclass
class _Run:
    """A run as this process serves it."""

    stop: Event = field(default_factory=Event)
    opening: Lock = field(default_factory=Lock)
    opened: tuple[Order, Workshop] | None = None


_RUNS: dict[str, _Run] = {}


def work_for_run(errand: Errand, chunk: Chunk, cores: int, alone: bool) -> ChunkDone:
    """Make every image of a chunk, as `work_chunk` does.

    Args:
        cores: of the CPU, that this process may use.
        alone: base by base, each in a process of its own.

    Raises:
        Stopped: when asked to; nothing of the chunk is on record then.
        WorkersError: this process cannot work for the run.
        OSError: when the output cannot be written.
    """
    run = _RUNS.setdefault(errand.run, _Run())
    control = Control(stop=run.stop)
    control.check()
    with run.opening:
        if run.opened is None:
            order = pickle.loads(errand.order)
            run.opened = order, open_workshop(order, cores)
    order, workshop = run.opened
    if alone:
        return work_one_by_one(order, workshop, chunk, control)
    return work_chunk(workshop, chunk, control)


def work_on_dask(errand: Errand, chunk: Chunk, cores: int | None, alone: bool) -> ChunkDone:
    """In a Dask worker; where nobody said how many cores it may use, as many as it has threads."""
    from distributed import get_worker

    return work_for_run(errand, chunk, cores or get_worker().state.nthreads, alone)


class Station:
    """In a process of Ray."""

    def __init__(self, errand: Errand, cores: int) -> None:
        self._errand = errand
        self._cores = cores

    def work(self, chunk: Chunk, alone: bool) -> ChunkDone:
        return work_for_run(self._errand, chunk, self._cores, alone)

    def here(self) -> None:
        """Answers."""

    def stop(self) -> None:
        stop_run(self._errand.run)


def stop_run(run: str) -> None:
    """Its chunks here break off."""
    _RUNS.setdefault(run, _Run()).stop.set()


def leave_run(run: str) -> None:
    """The run is over: let go of its encoder and of the memory that was kept for it."""
    _RUNS.pop(run, None)
    give_back_freed_memory()
