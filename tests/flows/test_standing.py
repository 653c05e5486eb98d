"""How a run stands, from what it tells."""

from __future__ import annotations

import pytest

import flows.standing
from flows.progress import (
    ChunkDone,
    Event,
    Hashing,
    Indexing,
    InStage,
    Optimised,
    Started,
    Waiting,
    WaitOver,
)
from flows.standing import Reckoning, Standing

STARTED = Started(images=40, to_do=20, pairs=8, work=16.0, chunks=2)


class Clock:
    """Seconds that a test sets."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(flows.standing, "time", clock)
    return clock


def after(*events: Event) -> Standing:
    reckoning = Reckoning()
    for event in events:
        reckoning.tell(event)
    return reckoning.standing()


def test_phases_follow_each_other() -> None:
    assert after().phase == "reading"
    assert after(Waiting("other runs have the GPUs")).waiting_for == "other runs have the GPUs"
    assert after(Waiting("why"), Hashing(3)) == Standing(files=3)
    assert after(Waiting("why"), WaitOver()) == Standing()
    assert after(Hashing(3), STARTED).phase == "making"
    assert after(STARTED, Indexing()).phase == "indexing"


def test_chunks_are_counted_in_the_stage_that_they_are_in() -> None:
    events = [
        STARTED,
        InStage(1, 12, "decode"),
        InStage(2, 8, "decode"),
        InStage(1, 12, "optimise"),
    ]
    assert after(*events).images_in == {"optimise": 12, "decode": 8}
    assert after(*events, InStage(1, 12, None)).images_in == {"decode": 8}


def test_what_a_chunk_waits_for_takes_no_share_of_the_time(clock: Clock) -> None:
    reckoning = Reckoning()
    reckoning.tell(STARTED)
    for stage, seconds in (("decode", 1.0), ("wait", 90.0), ("optimise", 8.0), ("write", 1.0)):
        reckoning.tell(InStage(1, 12, stage))
        clock.now_s += seconds
    assert reckoning.standing().time_share == {"decode": 0.1, "optimise": 0.8, "write": 0.1}
    reckoning.tell(InStage(1, 12, None))
    clock.now_s += 100
    assert reckoning.standing().time_share == {"decode": 0.1, "optimise": 0.8, "write": 0.1}


def test_pairs_underway_count_for_speed_and_time_left(clock: Clock) -> None:
    reckoning = Reckoning()
    for event in (STARTED, InStage(1, 12, "optimise")):
        reckoning.tell(event)
    clock.now_s += 10
    assert reckoning.standing().left_s is None
    reckoning.tell(Optimised(chunk=1, pairs=2.0, iteration=50, of=100))
    standing = reckoning.standing()
    assert (standing.pairs_per_s, standing.share, standing.left_s) == (0.2, 0.25, 30.0)
    assert standing.iteration == (50, 100)
    reckoning.tell(InStage(1, 12, "write"))
    assert reckoning.standing().pairs_per_s == 0.2
    for event in (InStage(1, 12, None), ChunkDone(images=11, failed=1, pairs=4, work=8.0)):
        reckoning.tell(event)
    standing = reckoning.standing()
    assert (standing.pairs, standing.share, standing.left_s) == (4, 0.5, 10.0)
    assert (standing.made, standing.failed, standing.settled, standing.chunks) == (11, 1, 12, 1)


def test_what_is_all_done_is_done_whatever_the_work_was_thought_to_be() -> None:
    done = ChunkDone(images=17, failed=2, left_out=1, pairs=8, work=3.0)
    assert after(STARTED, done).share == 1.0


def test_a_run_that_only_copies_images_knows_its_time_left(clock: Clock) -> None:
    reckoning = Reckoning()
    reckoning.tell(Started(images=40, to_do=20, pairs=0, work=2.0, chunks=2))
    clock.now_s += 5
    reckoning.tell(ChunkDone(images=10, failed=0, pairs=0, work=1.0))
    assert reckoning.standing().left_s == 5.0
