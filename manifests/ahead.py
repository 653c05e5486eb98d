"""What lies in a store, read by a few threads ahead of whoever takes it, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 16
_AHEAD = 32


def read_ahead(
    read: Callable[[Item], Result], items: Iterable[Item], *, in_store: bool
) -> Iterator[Result]:
    """`read` of each item, in order; from a disk one after the other, when it is asked for.

    Raises:
        Exception: what `read` raised, in the place of its item.
    """
    if not in_store:
        yield from map(read, items)
        return
    underway: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(THREADS) as stores:
        try:
            for item in items:
                if len(underway) == _AHEAD:
                    yield underway.popleft().result()
                underway.append(stores.submit(read, item))
            while underway:
                yield underway.popleft().result()
        finally:
            for future in underway:
                future.cancel()
