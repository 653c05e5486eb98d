"""A process that works chunks, from its starter's side; the other is flows.workers.worker."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from flows import child
from flows.progress import ChunkDone, Control, InStage, Optimised
from flows.workshop import Order
from manifests.chunks import Chunk

_POLL_S = 0.1
_TELL_AGAIN_S = 1.0
_END_TIMEOUT_S = 10.0


class ProcessEnded(Exception):
    """The process ended in the middle of a chunk.

    Attributes:
        how: "SIGKILL" or "status 1".
    """

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


@dataclass(frozen=True)
class Raised:
    """What ended a chunk in another process, and the traceback of there."""

    error: Exception
    traceback: str


@dataclass(frozen=True)
class WorkerProcess:
    """A process, and our ends of the connections that `flows.workers.worker` serves."""

    process: subprocess.Popen[bytes]
    lifeline: Connection
    places: tuple[Connection, ...]


def started(
    order: Order, device_type: str, places: int, environment: Mapping[str, str]
) -> WorkerProcess:
    """A process that works so many chunks at a time, on a device of that type."""
    pipes = [Pipe() for _ in range(1 + places)]
    descriptors = [theirs.fileno() for _, theirs in pipes]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.workers.worker", *map(str, descriptors)],
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
        env={**environment, **child.ENVIRONMENT},
        cwd=child.FOLDER,
        # Out of reach of Ctrl-C, which is for this process: it asks the others to stop.
        start_new_session=True,
    )
    for _, theirs in pipes:
        theirs.close()
    lifeline, *rest = (ours for ours, _ in pipes)
    _tell(lifeline, (order, device_type))
    return WorkerProcess(process, lifeline, tuple(rest))


def stop(workers: Sequence[WorkerProcess]) -> None:
    """Ask them to break off their chunks."""
    for worker in workers:
        _tell(worker.lifeline, "stop")


def worked_at(
    place: Connection, worker: WorkerProcess, chunk: Chunk, control: Control
) -> ChunkDone | Raised:
    """What became of a chunk at one of the places of a process. Raises ProcessEnded."""
    _tell(place, chunk)
    while isinstance(answer := _heard(place, worker), (InStage, Optimised)):
        control.tell(answer)
    return answer


def end(workers: Sequence[WorkerProcess]) -> None:
    """End the processes; what they have underway is lost."""
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


@contextmanager
def stop_passed_on(control: Control, pass_on: Callable[[], object]) -> Iterator[None]:
    """Calls `pass_on` from another thread when the run is to stop during the block.

    Again and again, for processes that start meanwhile.
    """
    over = threading.Event()

    def wait() -> None:
        while not over.wait(_POLL_S):
            if control.stop.is_set():
                pass_on()
                over.wait(_TELL_AGAIN_S)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(line: Connection, message: object) -> None:
    # Whether the worker has ended is for `_heard` to see.
    with suppress(OSError):
        line.send(message)


def _heard(place: Connection, worker: WorkerProcess) -> InStage | Optimised | ChunkDone | Raised:
    try:
        answer: InStage | Optimised | ChunkDone | Raised = place.recv()
    except (EOFError, OSError):
        worker.process.kill()  # for one that closed the place and lives
        status = worker.process.wait()
        how = f"status {status}" if status >= 0 else signal.Signals(-status).name
        raise ProcessEnded(how) from None
    return answer
