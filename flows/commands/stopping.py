"""What Ctrl-C, SIGTERM and SIGHUP ask of a command: to stop in good order, or to end at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from types import FrameType

from flows.telling import STOPPING

# A terminal that closes sends SIGHUP, which Windows has not.
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_STOPPING_BY_SIGNAL = "stopping; what is finished is kept (a second signal ends it)"
_SHOW_CURSOR = "\x1b[?25h"


def status_of(signum: int) -> int:
    """Exit status of a process that a signal ended, as shells have it: 130 after Ctrl-C."""
    return 128 + signum


def is_of_signal(status: int) -> bool:
    """Whether `status_of` gave it."""
    return status > 128


def end_at_once_on_signals() -> None:
    """From here on a signal ends this process without a traceback, and its children with it.

    Nothing is lost by that: files take their names when they are whole, and the processes that
    this one started end when their connection to it closes.
    """
    for one in heard():
        signal.signal(one, _end_at_once)


def raise_on_ctrl_c() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt: the command has something to say then."""
    if signal.SIGINT in heard():
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def stopped_by_signals(stop: Event, told_by_display: bool) -> Iterator[list[int]]:
    """In the block the first signal sets `stop`, and only the second ends this process.

    Args:
        told_by_display: who shows the run says that it stops, in lines that are to stay in place.

    Yields:
        the signal that asked to stop, once there was one.
    """
    asked: list[int] = []

    def ask(signum: int, frame: FrameType | None) -> None:
        asked.append(signum)
        if not told_by_display:
            _say(STOPPING if signum == signal.SIGINT else _STOPPING_BY_SIGNAL)
        stop.set()
        end_at_once_on_signals()

    before = {one: signal.signal(one, ask) for one in heard()}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def heard() -> list[int]:
    """Signals that stop a command: without those that its starter has it ignore, as nohup does."""
    return [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]


def _end_at_once(signum: int, frame: FrameType | None) -> None:
    if sys.stdout.isatty():
        _say(_SHOW_CURSOR, end="")
    _say("error: interrupted; what is finished is kept, run again to go on")
    os._exit(status_of(signum))


def _say(line: str, end: str = "\n") -> None:
    # Past sys.stderr, which the interrupted code may hold.
    with suppress(OSError):  # the terminal is gone
        os.write(2, (line + end).encode())
