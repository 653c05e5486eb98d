"""The hours that a run may take."""

from __future__ import annotations

import math
import threading
import time
from collections import deque

_SECONDS_PER_HOUR = 3600.0
# Chunks done last, by which the next are judged.
_REMEMBERED = 32


class Budget:
    """Says which chunks may begin: those that will be done within the hours, as far as one can see.

    A chunk is expected to take as long as the slowest of the last ones, for the work that it is.
    What is underway is finished, and before any chunk is done each may begin until the hours are
    over: so every run gets on, however few they are. Counts from when it is made; for any thread.

    Args:
        hours: None for no limit.
    """

    def __init__(self, hours: float | None) -> None:
        seconds = math.inf if hours is None else hours * _SECONDS_PER_HOUR
        self._ends_s = time.monotonic() + seconds
        self._seconds_per_work: deque[float] = deque(maxlen=_REMEMBERED)
        self._is_over = False
        self._lock = threading.Lock()

    @property
    def is_over(self) -> bool:
        """Whether a chunk was refused."""
        return self._is_over

    def allows(self, work: float) -> bool:
        """Whether a chunk may begin; once one may not, none may.

        Args:
            work: nominal seconds of it.
        """
        with self._lock:
            pace = max(self._seconds_per_work, default=0.0)
            self._is_over = self._is_over or time.monotonic() + pace * work > self._ends_s
            return not self._is_over

    def took(self, work: float, seconds: float) -> None:
        """A chunk of so much work was done in so many seconds."""
        with self._lock:
            self._seconds_per_work.append(seconds / work)
