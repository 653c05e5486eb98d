"""Runs a Prefect server for as long as whoever started this process lives.

The starter holds the other end of standard input, and says there when the server is up: from then
on one that ends by itself is started again. When the input closes, because the starter is done or
was killed, the server is ended: no orphan is left, whatever happens to the starter.

usage: python -m flows.guard HOST PORT
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

UP = b"up\n"
_STOP_TIMEOUT_S = 5.0
_RESTARTS = 3
_PR_SET_PDEATHSIG = 1


def main(host: str, port: str) -> int:
    """Exit status of the server."""
    up, ending = threading.Event(), threading.Event()
    server = _started(host, port)

    def follow_starter() -> None:
        if sys.stdin.buffer.readline() == UP:
            up.set()
            sys.stdin.buffer.read()
        ending.set()
        server.terminate()
        try:
            server.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=follow_starter, daemon=True).start()
    for _ in range(_RESTARTS):
        status = server.wait()
        if ending.is_set() or not up.is_set():
            return status
        server = _started(host, port)
        if ending.is_set():
            server.terminate()
    return server.wait()


def _started(host: str, port: str) -> subprocess.Popen[bytes]:
    command = ["-m", "prefect", "server", "start", "--host", host, "--port", port]
    return subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent()
    )


def _end_with_parent() -> Callable[[], None] | None:
    """For Linux: has a child killed when this process ends, even by SIGKILL."""
    if sys.platform != "linux":
        return None
    system = ctypes.CDLL(None)
    return lambda: system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
