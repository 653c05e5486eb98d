"""Who works a chunk: this process, or with several devices a process for each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue

import torch

from flows.engine import cores_each
from flows.job import Job
from flows.progress import ChunkDone, Control
from flows.work import work_chunk
from flows.workers.worker_process import (
    ProcessEnded,
    Raised,
    WorkerProcess,
    end,
    started,
    stop,
    stop_passed_on,
    worked_at,
)
from flows.workshop import WHAT_TO_DO, Order
from manifests.chunks import Chunk

Work = Callable[[Chunk], ChunkDone]

# How torch words what leaves a GPU unusable for the process.
_BROKEN_DEVICE = ("CUDA error", "cuDNN error")


class DeviceLost(RuntimeError):
    """A device, or the process that worked on it, broke down; the message says what to do."""


@dataclass(frozen=True)
class _Worker:
    """A device and its process."""

    device: torch.device
    process: WorkerProcess


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
        yield lambda chunk: work_chunk(job.workshop, chunk, control)
        return
    order = Order.of(job.plan.read, job.workshop)
    processes: list[WorkerProcess] = []
    try:
        for device in devices:
            environment = seeing_only(device, os.environ, cores_each(len(job.devices)))
            processes.append(started(order, device.type, job.lanes.places, environment))
        with stop_passed_on(control, lambda: stop(processes)):
            yield _worked_by([_Worker(*pair) for pair in zip(devices, processes)], control)
    finally:
        end(processes)


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


def _worked_by(workers: Sequence[_Worker], control: Control) -> Work:
    free: SimpleQueue[tuple[_Worker, Connection]] = SimpleQueue()
    # In turn, so that the first chunks are spread over all devices.
    for places in zip(*(worker.process.places for worker in workers)):
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
    try:
        answer = worked_at(place, worker.process, chunk, control)
    except ProcessEnded as ended:
        message = f"{worker.device}: its process ended with {ended.how}; {WHAT_TO_DO}"
        raise DeviceLost(message) from None
    if isinstance(answer, Raised):
        there = RuntimeError(f"in the process of {worker.device}:\n{answer.traceback}")
        raise as_lost(worker.device, answer.error) from there
    return answer


def as_lost(device: torch.device, error: Exception) -> Exception:
    """The error, or a DeviceLost in its place where it says that the device broke down."""
    if isinstance(error, RuntimeError) and str(error).startswith(_BROKEN_DEVICE):
        return DeviceLost(f"{device}: {str(error).splitlines()[0]}; {WHAT_TO_DO}")
    return error
