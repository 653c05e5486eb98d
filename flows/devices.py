"""Who works a chunk: this process, or with several devices a process for each of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue

import torch

from flows.engine import cores_each
from flows.job import Job
from flows.progress import ChunkDone, Control, Optimised
from flows.work import work_chunk
from manifests.chunks import Chunk

Work = Callable[[Chunk], ChunkDone]

_POLL_S = 0.1
_END_TIMEOUT_S = 10.0
# How torch words what leaves a GPU unusable for the process.
_BROKEN_DEVICE = ("CUDA error", "cuDNN error")
_WHAT_TO_DO = "what is on record is kept; to go on, give the same command again"


class DeviceLost(RuntimeError):
    """A device, or the process that worked on it, broke down; the message says what to do."""


@dataclass(frozen=True)
class Raised:
    """What ended a chunk in another process, and the traceback of there."""

    error: Exception
    traceback: str


@dataclass(frozen=True)
class _Worker:
    """The process of a device, and our ends of the connections that `flows.worker` serves."""

    device: torch.device
    process: subprocess.Popen[bytes]
    lifeline: Connection
    places: tuple[Connection, ...]


@contextmanager
def chunk_worker(job: Job, chunks: int, control: Control) -> Iterator[Work]:
    """A function that makes every image of a chunk, as `work_chunk` does, while the block runs.

    It is for any thread; `job.places` of them keep all devices busy. Which device a chunk goes to
    decides nothing about what comes out.

    Args:
        chunks: how many there are; as many devices at most are used.

    Raises:
        DeviceLost: from the function, when a device or its process breaks down.
    """
    devices = job.devices[:chunks]
    if len(devices) < 2:
        yield lambda chunk: work_chunk(job, chunk, control)
        return
    workers: list[_Worker] = []
    try:
        for device in devices:
            environment = seeing_only(device, os.environ, cores_each(len(job.devices)))
            workers.append(_started(device, job.lanes.places, environment))
        for worker in workers:
            _tell(worker.lifeline, (job.plan.read, worker.device.type))
        with _stop_passed_on(control, workers):
            yield _worked_by(workers, control)
    finally:
        _end(workers)


def seeing_only(
    device: torch.device, environment: Mapping[str, str], threads: int
) -> dict[str, str]:
    """The environment of a process that has this device alone.

    It there has the name of an only device, so that no result can tell which one it came from.

    Args:
        threads: of torch on the CPU.
    """
    changed = {**environment, "OMP_NUM_THREADS": str(threads)}
    if device.type == "cuda":
        visible = environment.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else list(map(str, range(device.index + 1)))
        changed["CUDA_VISIBLE_DEVICES"] = names[device.index]
    return changed


def _started(device: torch.device, places: int, environment: dict[str, str]) -> _Worker:
    pipes = [Pipe() for _ in range(1 + places)]
    descriptors = [theirs.fileno() for _, theirs in pipes]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.worker", *map(str, descriptors)],
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
        env=environment,
        # Out of reach of Ctrl-C, which is for this process: it asks the others to stop.
        start_new_session=True,
    )
    for _, theirs in pipes:
        theirs.close()
    lifeline, *rest = (ours for ours, _ in pipes)
    return _Worker(device, process, lifeline, tuple(rest))


@contextmanager
def _stop_passed_on(control: Control, workers: Sequence[_Worker]) -> Iterator[None]:
    over = threading.Event()

    def wait() -> None:
        while not over.wait(_POLL_S):
            if control.stop.is_set():
                for worker in workers:
                    _tell(worker.lifeline, "stop")
                return

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _worked_by(workers: Sequence[_Worker], control: Control) -> Work:
    free: SimpleQueue[tuple[_Worker, Connection]] = SimpleQueue()
    # In turn, so that the first chunks are spread over all devices.
    for places in zip(*(worker.places for worker in workers)):
        for worker, place in zip(workers, places):
            free.put((worker, place))

    def work(chunk: Chunk) -> ChunkDone:
        worker, place = free.get()
        try:
            return _worked_at(place, worker, chunk, control)
        finally:
            free.put((worker, place))

    return work


def _worked_at(place: Connection, worker: _Worker, chunk: Chunk, control: Control) -> ChunkDone:
    _tell(place, chunk)
    while isinstance(answer := _heard(place, worker), Optimised):
        control.tell(answer)
    if isinstance(answer, Raised):
        there = RuntimeError(f"in the process of {worker.device}:\n{answer.traceback}")
        raise as_lost(worker.device, answer.error) from there
    return answer


def _tell(line: Connection, message: object) -> None:
    # Whether the worker has ended is for `_heard` to see.
    with suppress(OSError):
        line.send(message)


def _heard(place: Connection, worker: _Worker) -> Optimised | ChunkDone | Raised:
    try:
        answer: Optimised | ChunkDone | Raised = place.recv()
    except (EOFError, OSError):
        worker.process.kill()  # for one that closed the place and lives
        status = worker.process.wait()
        how = f"status {status}" if status >= 0 else signal.Signals(-status).name
        message = f"{worker.device}: its process ended with {how}; {_WHAT_TO_DO}"
        raise DeviceLost(message) from None
    return answer


def as_lost(device: torch.device, error: Exception) -> Exception:
    """The error, or a DeviceLost in its place where it says that the device broke down."""
    if isinstance(error, RuntimeError) and str(error).startswith(_BROKEN_DEVICE):
        return DeviceLost(f"{device}: {str(error).splitlines()[0]}; {_WHAT_TO_DO}")
    return error


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.lifeline.close()
    for worker in workers:
        try:
            worker.process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        for place in worker.places:
            place.close()
