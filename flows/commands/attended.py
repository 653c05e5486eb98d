"""A flow's run that somebody waits for, who must hear signals and outlive the Prefect server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Thread
from typing import Any, TypeVar

from flows.commands.console import error_console
from flows.progress import Control, controlled_by
from flows.server import ServerError

T = TypeVar("T")

_POLL_S = 0.1
# How long Prefect may take to put the end of a run on its record: its server may be restarting.
_LAST_WORD_S = 15.0
_PACKAGES_OF_PREFECT = frozenset({"prefect", "httpx", "httpcore", "anyio", "websockets"})


def attended(run: Callable[[], T], control: Control) -> T:
    """What the flow that `run` starts comes to.

    It runs in a thread of its own: this one is free for signals, which Prefect would else take.

    Raises:
        ServerError: Prefect failed before the flow came to anything.
        whatever the flow raises.
    """
    future: Future[T] = Future()
    outcome: list[T | BaseException] = control.outcome
    Thread(target=_run, args=(run, control, future), daemon=True).start()
    deadline_s = None
    while not wait([future], _POLL_S).done:
        if outcome:
            deadline_s = deadline_s or time.monotonic() + _LAST_WORD_S
            if time.monotonic() > deadline_s:
                return _without_prefect(outcome[-1])
    error = future.exception()
    if error is None:
        return future.result()
    if outcome and not is_of_prefect(outcome[-1]):
        return _without_prefect(outcome[-1])
    if is_of_prefect(error):
        raise ServerError(
            f"the Prefect server failed ({type(error).__name__}: {error}); what is finished is "
            "kept, run again to go on"
        ) from error
    raise error


def is_of_prefect(error: Any) -> bool:
    """Whether an error is Prefect's, or of its connection; some that it raises are of Python's own
    classes, with one of these as the cause.
    """
    while isinstance(error, BaseException):
        if type(error).__module__.partition(".")[0] in _PACKAGES_OF_PREFECT:
            return True
        error = error.__cause__
    return False


@contextmanager
def server_failures() -> Iterator[None]:
    """Raises ServerError for what Prefect raises in the block: its server is gone, or refuses."""
    try:
        yield
    except Exception as error:  # Prefect's are of many classes; the others are raised again
        if not is_of_prefect(error):
            raise
        why = str(error).partition("\n")[0]
        raise ServerError(
            f"the Prefect server at {os.environ.get('PREFECT_API_URL')} failed "
            f"({type(error).__name__}: {why}); see that it is up, and that PREFECT_API_KEY or "
            "PREFECT_API_AUTH_STRING are right for it"
        ) from error


def _run(run: Callable[[], T], control: Control, future: Future[T]) -> None:
    try:
        with controlled_by(control):
            future.set_result(run())
    except BaseException as error:  # whatever it is, the one who waits is to raise it
        future.set_exception(error)


def _without_prefect(outcome: T | BaseException) -> T:
    """What the flow itself came to, whatever Prefect made of it."""
    if isinstance(outcome, BaseException):
        raise outcome
    error_console.print(
        "the Prefect server is gone, so its record of this run has no end; the files are whole",
        highlight=False,
        soft_wrap=True,
    )
    return outcome
