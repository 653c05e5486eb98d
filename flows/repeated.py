"""Something done every few seconds beside a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(
    do: Callable[[], None], every_s: float, patience_s: float
) -> Iterator[Callable[[], bool]]:
    """Calls `do` from a thread, at once and then so often, until the block or what it yields ends.

    Args:
        patience_s: how long the end of a call that is underway is waited for.

    Yields:
        A function that ends it; whether no call is underway any more.
    """
    over = threading.Event()

    def go_on() -> None:
        do()
        while not over.wait(every_s):
            do()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()

    def end() -> bool:
        if not over.is_set():
            over.set()
            thread.join(patience_s)
        return not thread.is_alive()

    try:
        yield end
    finally:
        end()
