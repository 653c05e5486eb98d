"""How a run stands, reckoned from the events that it tells."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from flows.progress import (
    ChunkDone,
    Event,
    Hashing,
    Indexing,
    InStage,
    Optimised,
    Stage,
    Started,
    Waiting,
    WaitOver,
)

Phase = Literal["reading", "waiting", "making", "indexing"]

# Of a chunk's own work; what it waits for is no part of it.
WORK_STAGES: tuple[Stage, ...] = ("decode", "optimise", "write")


@dataclass(frozen=True)
class Standing:
    """How a run stands.

    Attributes:
        waiting_for: in the phase "waiting".
        files: read so far, in the phase "reading".
        images: of the whole dataset.
        to_do, pairs_to_do, chunks_to_do: of this run.
        made, failed, left_out: images of this run so far.
        pairs, chunks: done so far.
        share: of the run's work that is done, 0..1.
        left_s: seconds that are left; None while nothing is known of it.
        images_in: stage -> images of the chunks that are in it now.
        time_share: stage -> share of the chunks' own time so far that they were in it, 0..1.
        iteration: of the first pair of the first chunk that is optimised now, and of how many.
    """

    phase: Phase = "reading"
    waiting_for: str = ""
    files: int = 0
    images: int = 0
    to_do: int = 0
    pairs_to_do: int = 0
    chunks_to_do: int = 0
    made: int = 0
    failed: int = 0
    left_out: int = 0
    pairs: int = 0
    chunks: int = 0
    pairs_per_s: float = 0.0
    share: float = 0.0
    left_s: float | None = None
    images_in: dict[Stage, int] = field(default_factory=dict)
    time_share: dict[Stage, float] = field(default_factory=dict)
    iteration: tuple[int, int] | None = None

    @property
    def settled(self) -> int:
        """Images of this run that are made, failed or left out."""
        return self.made + self.failed + self.left_out


@dataclass
class _Underway:
    """A chunk in one of its stages.

    Attributes:
        pairs: optimised so far, with parts of pairs.
    """

    images: int
    stage: Stage
    since_s: float
    pairs: float = 0.0
    iteration: tuple[int, int] | None = None


class Reckoning:
    """Takes events from any thread, and says how things stand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phase: Phase = "reading"
        self._waiting_for = ""
        self._files = 0
        self._started: Started | None = None
        self._started_s = 0.0
        self._done: list[int] = [0, 0, 0]
        self._pairs = self._chunks = 0
        self._work_done = 0.0
        self._underway: dict[int, _Underway] = {}
        self._stage_s: defaultdict[Stage, float] = defaultdict(float)

    def tell(self, event: Event) -> None:
        with self._lock:
            self._take(event)

    def standing(self) -> Standing:
        with self._lock:
            return self._standing()

    def _take(self, event: Event) -> None:
        if isinstance(event, Hashing):
            self._phase, self._files = "reading", event.files
        elif isinstance(event, Waiting):
            self._phase, self._waiting_for = "waiting", event.why
        elif isinstance(event, WaitOver):
            self._phase = "reading"
        elif isinstance(event, Started):
            self._phase, self._started, self._started_s = "making", event, time.monotonic()
        elif isinstance(event, InStage):
            self._enter(event)
        elif isinstance(event, Optimised):
            if chunk := self._underway.get(event.chunk):
                chunk.pairs, chunk.iteration = event.pairs, (event.iteration, event.of)
        elif isinstance(event, ChunkDone):
            counted = (event.images, event.failed, event.left_out)
            self._done = [sum(pair) for pair in zip(self._done, counted)]
            self._pairs += event.pairs
            self._chunks += 1
            self._work_done += event.work
        elif isinstance(event, Indexing):
            self._phase = "indexing"

    def _enter(self, event: InStage) -> None:
        now_s = time.monotonic()
        before = self._underway.pop(event.chunk, None)
        if before is not None:
            self._stage_s[before.stage] += now_s - before.since_s
        if event.stage is not None:
            pairs = before.pairs if before else 0.0
            self._underway[event.chunk] = _Underway(event.images, event.stage, now_s, pairs)

    def _standing(self) -> Standing:
        made, failed, left_out = self._done
        started = self._started or Started(images=0, to_do=0, pairs=0, work=0.0, chunks=0)
        elapsed_s = time.monotonic() - self._started_s if self._started else 0.0
        pairs = self._pairs + sum(one.pairs for one in self._underway.values())
        share = self._share(started)
        return Standing(
            phase=self._phase,
            waiting_for=self._waiting_for if self._phase == "waiting" else "",
            files=self._files,
            images=started.images,
            to_do=started.to_do,
            pairs_to_do=started.pairs,
            chunks_to_do=started.chunks,
            made=made,
            failed=failed,
            left_out=left_out,
            pairs=self._pairs,
            chunks=self._chunks,
            pairs_per_s=pairs / elapsed_s if elapsed_s else 0.0,
            share=share,
            # Pairs are nearly all of the work; before any is underway nothing is known of it.
            left_s=elapsed_s * (1 / share - 1) if share and (pairs or not started.pairs) else None,
            images_in=self._images_in(),
            time_share=self._time_share(),
            iteration=self._iteration(),
        )

    def _share(self, started: Started) -> float:
        """Of the work that is done; a pair that is underway counts as one of the average."""
        if sum(self._done) == started.to_do:
            return 1.0 if self._started else 0.0
        a_pair = started.work / started.pairs if started.pairs else 0.0
        underway = a_pair * sum(one.pairs for one in self._underway.values())
        return min(1.0, (self._work_done + underway) / started.work) if started.work else 0.0

    def _images_in(self) -> dict[Stage, int]:
        images: Counter[Stage] = Counter()
        for one in self._underway.values():
            images[one.stage] += one.images
        return dict(images)

    def _time_share(self) -> dict[Stage, float]:
        now_s = time.monotonic()
        seconds = self._stage_s.copy()
        for one in self._underway.values():
            seconds[one.stage] += now_s - one.since_s
        whole_s = sum(seconds[stage] for stage in WORK_STAGES)
        if not whole_s:
            return {}
        return {stage: round(seconds[stage] / whole_s, 4) for stage in WORK_STAGES}

    def _iteration(self) -> tuple[int, int] | None:
        optimised = [n for n, one in self._underway.items() if one.stage == "optimise"]
        return self._underway[min(optimised)].iteration if optimised else None
