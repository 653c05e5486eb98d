"""A Prefect server of our own for the time of one command, unless the user has one."""

from __future__ import annotations

import ipaddress
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
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from filelock import BaseFileLock, FileLock, Timeout

from flows import child
from flows.guard import UP
from manifests.storage import Place, local_folder

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.1
# The server writes task records in bursts; see the settings below for the interval.
_RECORDER_S = 1.5

# A run says so often that it lives; flows/lost_runs.yaml looks for those that have ceased to.
HEARTBEAT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
_SETTINGS = {
    **HEARTBEAT,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # The default of one record at a time loses task records in bursts of over a thousand.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # By default in memory: slots that a run held when the server was killed would stay taken.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # Errors are the command line's to show, in one sentence; Prefect's page has the details.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # Nor are each event and log line that a server which is gone does not take.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
}


# Set once this process has run a task, whose records a server may not have written yet.
_has_task_records = threading.Event()


class ServerError(RuntimeError):
    """No Prefect server to talk to; the message says why and what to do."""


def home_of(out: Place) -> Path:
    """The folder where Prefect keeps the records of its runs: beside that of the output.

    It is on a disk: of an output in a store, in the user's cache.
    """
    if not isinstance(out, Path):
        return local_folder(out) / "prefect"
    return out.parent / f"{out.name}.prefect"


@contextmanager
def prefect_server(home: Path, meanwhile: Callable[[], None] = lambda: None) -> Iterator[str]:
    """The API's address, in PREFECT_API_URL while the block runs. Enter it before prefect is
    imported.

    Uses the server that PREFECT_API_URL names, if set; else starts one on 127.0.0.1, whatever
    Prefect's own settings say, that lives as long as the block, and no longer than this process.

    Args:
        home: PREFECT_HOME, unless the user has set one.
        meanwhile: called while the server comes up, which takes seconds; prefect may be imported
            there. What it raises ends the server.

    Raises:
        ServerError: if it does not come up, or that of PREFECT_API_URL does not answer.
    """
    if users_own():
        url = users_server()
        meanwhile()
        yield url
        return
    _apply_settings()
    home = Path(os.environ.setdefault("PREFECT_HOME", str(home.absolute())))
    home.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    log = home / "server.log"
    own_pages = {
        # Pages of other origins that a browser on this machine shows have no business with it.
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port}",
        # By default its own pages ask at port 4200.
        "PREFECT_SERVER_UI_API_URL": url,
    }
    starting = _turn_to_start(home)
    with log.open("ab") as log_file:
        guard = subprocess.Popen(
            [sys.executable, "-m", "flows.guard", "127.0.0.1", str(port)],
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=log_file,
            env=own_pages | os.environ | child.ENVIRONMENT,
            cwd=child.FOLDER,
            start_new_session=True,
        )
    os.environ["PREFECT_API_URL"] = url
    try:
        meanwhile()
        _wait_until_healthy(url, guard, log)
        starting.release()
        _have_it_kept_up(guard)
        yield url
    finally:
        starting.release()
        if _is_healthy(url):
            _drain()
        del os.environ["PREFECT_API_URL"]
        _stop(guard)


def _turn_to_start(home: Path) -> BaseFileLock:
    """Held while a server comes up: two that bring one database up to date at once break it off."""
    lock = FileLock(home / "starting.lock")
    try:
        lock.acquire(timeout=_START_TIMEOUT_S)
    except Timeout:
        raise ServerError(
            f"{home}: another Prefect server has been coming up there for {_START_TIMEOUT_S:.0f} "
            "s; stop the command that started it, then give this one again"
        ) from None
    return lock


def users_own() -> bool:
    """Whether the user has named a server."""
    return bool(os.environ.get("PREFECT_API_URL"))


def expect_task_records() -> None:
    """Call it before a task is submitted: the server of this process waits for its records."""
    _has_task_records.set()


@cache  # once a process
def _warn_of_open_line(url: str) -> None:
    """Say on standard error that a server on another machine is talked to without encryption."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # whether it is an address at all shows when it is asked
        return
    if parts.scheme == "http" and host and not _is_this_machine(host):
        print(
            f"warning: PREFECT_API_URL: {host} is another machine and http is not encrypted: who "
            "is on the way can read and change runs, logs and keys; use https, or a tunnel to "
            "127.0.0.1",
            file=sys.stderr,
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def users_server() -> str:
    """Address of the server that PREFECT_API_URL names. Call it before prefect is imported.

    Raises:
        ServerError: it names none, or that does not answer.
    """
    _apply_settings()
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise ServerError(
            "PREFECT_API_URL: expected the address of a Prefect server, for it outlives this "
            "command; start one with `prefect server start --host 127.0.0.1`, then set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    _warn_of_open_line(url)
    _check_answers(url)
    return url


def _apply_settings() -> None:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


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
        if _is_healthy(url):
            return
        time.sleep(_POLL_S)
    raise ServerError(f"the Prefect server did not start; its last words are in {log}")


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _have_it_kept_up(guard: subprocess.Popen[bytes]) -> None:
    """Tell the guard that the server is up: if it ends by itself, it is to be started again."""
    assert guard.stdin is not None
    with suppress(BrokenPipeError):  # the guard is gone; the run goes on as without a server
        guard.stdin.write(UP)
        guard.stdin.flush()


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
