"""What a running job tells whoever started it in this process, and how it is asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, TypeVar

T = TypeVar("T")

# What a chunk is in; away: with workers that do not say.
Stage = Literal["decode", "wait", "optimise", "write", "away"]


@dataclass(frozen=True)
class Hashing:
    """Files hashed so far."""

    files: int


@dataclass(frozen=True)
class Waiting:
    """Why the run cannot begin yet."""

    why: str


@dataclass(frozen=True)
class WaitOver:
    """What the run waited for is there."""


@dataclass(frozen=True)
class Started:
    """The plan stands.

    Attributes:
        images: of the whole dataset.
        to_do: images that this run is to make.
        pairs: that it is to optimise.
        work: nominal seconds of both; a share of it is a share of the time.
        chunks: in which it makes them.
    """

    images: int
    to_do: int
    pairs: int
    work: float
    chunks: int


@dataclass(frozen=True)
class InStage:
    """A chunk, by its number in the plan, enters a stage; with None it is underway no more."""

    chunk: int
    images: int
    stage: Stage | None


@dataclass(frozen=True)
class Optimised:
    """Pairs of a chunk went through some iterations.

    Attributes:
        pairs: of the chunk so far; one with half of its iterations is half a pair.
        iteration, of: of the first pair that is optimised now.
    """

    chunk: int
    pairs: float
    iteration: int
    of: int


@dataclass(frozen=True)
class ChunkDone:
    """A chunk is on record: images made and failed, pairs optimised, its share of the work.

    Attributes:
        left_out: images whose pair kept too little of its content's structure.
        optimiser_s: seconds for which it held a lane of the optimiser.
    """

    images: int
    failed: int
    pairs: int
    work: float
    left_out: int = 0
    optimiser_s: float = 0.0


@dataclass(frozen=True)
class Indexing:
    """All chunks are done; indexes and exports are written."""


Event = Hashing | Waiting | WaitOver | Started | InStage | Optimised | ChunkDone | Indexing


class Stopped(Exception):
    """The user asked to stop; what is on record stays."""


@dataclass(frozen=True)
class Control:
    """The line between a job and its starter.

    Attributes:
        outcome: what the job came to, once it has: its result, or the error that ended it.
    """

    tell: Callable[[Event], None] = lambda event: None
    stop: threading.Event = field(default_factory=threading.Event)
    outcome: list[Any] = field(default_factory=list)

    def check(self) -> None:
        """Raises Stopped once `stop` is set."""
        if self.stop.is_set():
            raise Stopped

    def hashing(self) -> Callable[[], None]:
        """A function to call after each hashed file: it tells of it, and raises Stopped."""
        files = count(1)

        def on_file() -> None:
            self.check()
            self.tell(Hashing(next(files)))

        return on_file


_CURRENT: ContextVar[Control | None] = ContextVar("gramflow_control", default=None)


@contextmanager
def controlled_by(control: Control) -> Iterator[None]:
    """Flows started inside the block, in this thread, use `control`."""
    token = _CURRENT.set(control)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_control() -> Control:
    """The control of the block around, or one that nobody listens to."""
    return _CURRENT.get() or Control()


@contextmanager
def outcome_kept(control: Control) -> Iterator[Callable[[T], T]]:
    """A job in the block: the result that it gives to what this yields, or its error, is kept."""

    def keep(result: T) -> T:
        control.outcome.append(result)
        return result

    try:
        yield keep
    except BaseException as error:
        control.outcome.append(error)
        raise
