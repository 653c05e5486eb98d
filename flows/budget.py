"""The hours that a run may take."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

_SECONDS_PER_HOUR = 3600.0
# Chunks of each kind done last, by which the next are judged.
_REMEMBERED = 32


@dataclass(frozen=True)
class _Took:
    """Seconds that a chunk took, and its nominal ones."""

    work: float
    seconds: float


class Budget:
    """Says which chunks may begin: those that will be done within the hours, as far as one can see.

    Chunks with pairs and without are each judged by the last ones of their kind: the fastest says
    how long the work takes, the slowest how long there is to wait beside. So none is expected to
    take longer than the slowest but for having more work. Those that may have waited for their
    workers to start say nothing of others; until one of the kind is known, a chunk is expected to
    take as long as the slowest of all. What is underway is finished, and before any chunk is done
    each may begin until the hours are over: so every run gets on, however few they are. Counts from
    when it is made; for any thread.

    Args:
        hours: None for no limit.
    """

    def __init__(self, hours: float | None) -> None:
        seconds = math.inf if hours is None else hours * _SECONDS_PER_HOUR
        self._ends_s = time.monotonic() + seconds
        self._slowest_s = 0.0
        self._last: dict[bool, deque[_Took]] = {
            has_pairs: deque(maxlen=_REMEMBERED) for has_pairs in (True, False)
        }
        self._is_over = False
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether a chunk was refused."""
        return self._is_over

    def allows(self, work: float, has_pairs: bool) -> bool:
        """Whether a chunk may begin; once one may not, none may.

        Args:
            work: nominal seconds of it.
        """
        with self._lock:
            last = self._last[has_pairs]
            expected_s = _expected_s(work, last) if last else self._slowest_s
            self._is_over = self._is_over or time.monotonic() + expected_s > self._ends_s
            return not self._is_over

    def took(self, work: float, has_pairs: bool, seconds: float, is_first: bool) -> None:
        """A chunk of so much work was done in so many seconds.

        Args:
            is_first: its workers may have been starting meanwhile.
        """
        with self._lock:
            self._slowest_s = max(self._slowest_s, seconds)
            if not is_first:
                self._last[has_pairs].append(_Took(work, seconds))


def _expected_s(work: float, last: Sequence[_Took]) -> float:
    pace = min(one.seconds / one.work for one in last)
    return pace * work + max(one.seconds - pace * one.work for one in last)
