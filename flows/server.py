"""A Prefect server of our own for the time of one command, unless the user has one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.1
# The server writes task records in bursts; see the settings below for the interval.
_RECORDER_S = 1.5

_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # The default of one record at a time loses task records in bursts of over a thousand.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # Errors are the command line's to show, in one sentence; Prefect's page has the details.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}


# Set once this process has run a task, whose records a server may not have written yet.
_has_task_records = threading.Event()


class ServerError(RuntimeError):
    """No Prefect server to talk to; the message says why and what to do."""


def home_of(out: Path) -> Path:
    """The folder beside an output folder where Prefect keeps the records of its runs."""
    return out.parent / f"{out.name}.prefect"


@contextmanager
def prefect_server(home: Path, meanwhile: Callable[[], None] = lambda: None) -> Iterator[str]:
    """The API's address, in PREFECT_API_URL while the block runs. Enter it before prefect is
    imported.

    Uses the server that PREFECT_API_URL names, if set; else starts one on 127.0.0.1 that lives
    as long as the block, and no longer than this process.

    Args:
        home: PREFECT_HOME, unless the user has set one.
        meanwhile: called while the server comes up, which takes seconds; prefect may be imported
            there. What it raises ends the server.

    Raises:
        ServerError: if it does not come up, or that of PREFECT_API_URL does not answer.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if os.environ.get("PREFECT_API_URL"):
        _check_answers(os.environ["PREFECT_API_URL"])
        meanwhile()
        yield os.environ["PREFECT_API_URL"]
        return
    home = Path(os.environ.setdefault("PREFECT_HOME", str(home.absolute())))
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    log = home / "server.log"
    with log.open("ab") as log_file:
        guard = subprocess.Popen(
            [sys.executable, "-m", "flows.guard", "127.0.0.1", str(port)],
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
        )
    os.environ["PREFECT_API_URL"] = url
    try:
        meanwhile()
        _wait_until_healthy(url, guard, log)
        yield url
    finally:
        _drain()
        del os.environ["PREFECT_API_URL"]
        _stop(guard)


def expect_task_records() -> None:
    """Call it before a task is submitted: the server of this process waits for its records."""
    _has_task_records.set()


def _check_answers(url: str) -> None:
    """Any HTTP answer will do: what an account may ask is Prefect's to say."""
    try:
        urllib.request.urlopen(f"{url}/health", timeout=_START_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError) as error:
        raise ServerError(
            f"PREFECT_API_URL: no Prefect server answers at {url} ({error}); start it, or unset "
            "PREFECT_API_URL to have gramflow bring its own"
        ) from None


def _wait_until_healthy(url: str, guard: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if guard.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(_POLL_S)
    raise ServerError(f"the Prefect server did not start; its last words are in {log}")


def _drain() -> None:
    """Let logs and task records of this process arrive before the server ends."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler

    APILogHandler().flush()
    EventsWorker.drain_all(timeout=_STOP_TIMEOUT_S)
    if _has_task_records.is_set():
        time.sleep(_RECORDER_S)


def _stop(guard: subprocess.Popen[bytes]) -> None:
    """Closing its standard input tells the guard to end the server, then itself."""
    assert guard.stdin is not None
    guard.stdin.close()
    try:
        guard.wait(timeout=2 * _STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
