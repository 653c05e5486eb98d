"""A chunk that took its worker down, worked base by base in a process that nothing else shares.

So what takes a process down is found, put on record as failed, and costs nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace

from flows.progress import ChunkDone, Control
from flows.rows import failed_rows
from flows.workers.worker_process import (
    ProcessEnded,
    Raised,
    WorkerProcess,
    end,
    started,
    stop,
    stop_passed_on,
    worked_at,
)
from flows.workshop import Order, Workshop
from manifests.chunks import Chunk

_TRIES = 2


def work_one_by_one(order: Order, workshop: Workshop, chunk: Chunk, control: Control) -> ChunkDone:
    """Make the images of a chunk; a base is tried twice, then it is on record as failed.

    Raises:
        Stopped: when asked to; the bases before are on record.
        OSError: when the output cannot be written.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(workshop.lanes.threads)}
    running: list[WorkerProcess] = []

    def process() -> WorkerProcess:
        if not running:
            running.append(started(order, workshop.device.type, 1, environment))
            _prefer_to_lose(running[0])
        return running[0]

    def tried(one: Chunk) -> ChunkDone:
        how = ""
        for _ in range(_TRIES):
            try:
                answer = worked_at(process().places[0], process(), one, control)
            except ProcessEnded as ended:
                how = ended.how
                end(running)
                running.clear()
                continue
            if isinstance(answer, Raised):
                raise answer.error
            return answer
        return _put_on_record_as_killed(workshop, one, how)

    # It takes the place of what it replaces: no more is optimised at a time than before.
    with (
        workshop.optimiser_slots,
        stop_passed_on(control, lambda: stop(tuple(running))),
    ):
        try:
            done = []
            for base in chunk.bases:
                control.check()
                done.append(tried(replace(chunk, bases=(base,))))
            return _together(done)
        finally:
            end(running)


def _prefer_to_lose(worker: WorkerProcess) -> None:
    """When the system is out of memory, it is to end this process and not the one that waits."""
    with suppress(OSError), open(f"/proc/{worker.process.pid}/oom_score_adj", "w") as score:
        score.write("1000")


def _put_on_record_as_killed(workshop: Workshop, one: Chunk, how: str) -> ChunkDone:
    (base,) = one.bases
    why = (
        f"its worker process was killed {_TRIES} times ({how}), the last times working on nothing "
        "else; it may need more memory than there is"
    )
    rows = failed_rows(base, base.content.name, why)
    workshop.ledger.record(one, [], rows)
    return ChunkDone(images=0, failed=len(rows), pairs=one.pairs, work=workshop.work(one))


def _together(parts: Sequence[ChunkDone]) -> ChunkDone:
    sums = {f.name: sum(getattr(part, f.name) for part in parts) for f in fields(ChunkDone)}
    return ChunkDone(**sums)
