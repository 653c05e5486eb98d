"""The process of one device: works chunks for as long as its starter lives, and not longer.

Each argument is the descriptor of a connection whose other end the starter holds. The first brings
the order with the kind of device, then whatever when the run is to stop; it closes because the
starter is done or was killed, and this process ends at once. Each of the others brings chunks, one
at a time, and takes what becomes of them.

usage: python -m flows.workers.worker LIFELINE PLACE...
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from threading import Event, Thread

from flows.progress import ChunkDone, Control
from flows.work import work_chunk
from flows.workers.devices import DeviceLost
from flows.workers.worker_process import Raised
from flows.workshop import Order, Workshop, open_workshop
from manifests.chunks import Chunk


def main(lifeline: Connection, places: list[Connection]) -> None:
    """Serve every place at once, so that chunks load and write while others are optimised."""
    try:
        order, device_type = lifeline.recv()
    except (EOFError, OSError):
        return
    stop = Event()
    workshop = ThreadPoolExecutor(1).submit(_opened, order, device_type)
    for place in places:
        Thread(target=_serve, args=(place, workshop, stop)).start()
    _follow(lifeline, stop)


def _opened(order: Order, device_type: str) -> Workshop:
    workshop = open_workshop(order)
    if workshop.device.type != device_type:
        raise DeviceLost(f"a process for a {device_type} device sees {workshop.device} only")
    return workshop


def _follow(lifeline: Connection, stop: Event) -> None:
    try:
        while True:
            lifeline.recv()
            stop.set()
    except (EOFError, OSError):
        # Nobody waits for the chunks in flight; what is on record is whole.
        os._exit(0)


def _serve(place: Connection, workshop: Future[Workshop], stop: Event) -> None:
    control = Control(place.send, stop)
    # Closed when this fails, which tells the starter not to wait.
    with place:
        while True:
            place.send(_worked(place.recv(), workshop, control))


def _worked(chunk: Chunk, workshop: Future[Workshop], control: Control) -> ChunkDone | Raised:
    try:
        return work_chunk(workshop.result(), chunk, control)
    except Exception as error:  # whatever it is, the starter is to raise it
        return Raised(portable(error), traceback.format_exc())


def portable(error: Exception) -> Exception:
    """The error, or one of the same words where it would not arrive as it is."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error's own class decides how it can fail to travel
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    first, *others = (Connection(int(descriptor)) for descriptor in sys.argv[1:])
    main(first, others)
