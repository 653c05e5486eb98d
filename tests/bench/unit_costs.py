"""Figures of operations: what a record, a row and a task cost, for flows/SCALE.md to multiply.

usage: python -m tests.bench.unit_costs [list] [record] [plan] [prefect]

`list` simulates the ledger of 10 million rows: the records have their headers and no rows, which
listing does not read. Each part has a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.job import prepare
from flows.reading import read_for_run
from flows.server import prefect_server
from manifests.chunks import Chunk
from manifests.identity import digest
from manifests.ledger import Ledger
from tests.bench.resuming import row_of
from tests.bench.tiny import tiny_job

ROWS_A_RECORD = 256
LISTED_RECORDS = 39_063
WRITTEN_RECORDS = 200
TASKS = 500
PACES = (10, 50, 200)
_TABLES = ("task_run", "task_run_state", "events", "event_resources", "log")
_PATIENCE_S = 10.0
MANY_VARIANTS = {
    "recipes": {"flip": [{"HorizontalFlip": {"p": 0.5}}]},
    "variants": {"original": 99, "stylized": 99},
}


def main() -> None:
    if sys.argv[1:2] == ["in-a-process"]:
        print(json.dumps(PARTS[sys.argv[2]]()), flush=True)
        return
    os.environ.pop("PREFECT_API_URL", None)
    for part in sys.argv[1:] or PARTS:
        subprocess.run(
            [sys.executable, "-m", "tests.bench.unit_costs", "in-a-process", part], check=True
        )


def listed() -> dict[str, str]:
    with TemporaryDirectory() as name:
        ledger = Ledger(Path(name))
        ledger.folder.mkdir(parents=True)
        for number in range(LISTED_RECORDS):
            ids = [digest(number, place) for place in range(ROWS_A_RECORD)]
            header = {"format": 1, "done": ids, "failed": [], "left_out": []}
            text = json.dumps(header) + "\n"
            (ledger.folder / f"{number:06d}-{ids[0][:12]}.jsonl").write_text(text)
        before, began_s = peak_bytes(), time.process_time()
        done = ledger.ids().done
        seconds = time.process_time() - began_s
        grown = peak_bytes() - before
    return {
        f"ids of {len(done):,} rows in {LISTED_RECORDS:,} records": f"{seconds:.1f} s of processor",
        "memory of those": f"{grown / 1e9:.2f} GB",
    }


def recorded() -> dict[str, str]:
    with tiny_job(4, augment=MANY_VARIANTS) as manifest:
        job = prepare(read_for_run(manifest))
        chunk = next(chunk for chunk in job.chunks() if chunk.pairs)
        rows = [row_of(job, b, v, b"") for b in chunk.bases for v in b.variants]
        rows = (rows * ROWS_A_RECORD)[:ROWS_A_RECORD]
        began_s = time.monotonic()
        for number in range(WRITTEN_RECORDS):
            job.ledger.record(Chunk(number, chunk.bases), rows, [])
        seconds = time.monotonic() - began_s
        size = next(job.ledger.folder.iterdir()).stat().st_size
    return {
        f"records of {ROWS_A_RECORD} rows written, synced": f"{WRITTEN_RECORDS / seconds:.0f}/s",
        "bytes of a row in the ledger": f"{size / ROWS_A_RECORD:.0f}",
    }


def planned() -> dict[str, str]:
    """A plan where each pair has many variants, and one where it has one."""
    many, one = variant_seconds(MANY_VARIANTS), variant_seconds({})
    return {
        "a variant of 100 a pair, planned": f"{many * 1e6:.1f} µs of processor",
        "a variant of 1 a pair, planned": f"{one * 1e6:.1f} µs of processor",
    }


def variant_seconds(augment: dict[str, Any]) -> float:
    with tiny_job(1000, augment=augment) as manifest:
        job = prepare(read_for_run(manifest))
        began_s = time.process_time()
        images = sum(chunk.images for chunk in job.chunks())
        return (time.process_time() - began_s) / images


def served() -> dict[str, str]:
    """Which share of the tasks that are run at some pace the server has on record in the end."""
    figures = {}
    with TemporaryDirectory() as name:
        home = Path(name)
        with prefect_server(home):
            run_tasks(1, a_second=1)
            for a_second in PACES:
                before = settled(home)
                run_tasks(TASKS, a_second)
                after = settled(home)
                rows = {name: (after[name] - before[name]) / TASKS for name in after}
                figures[f"{TASKS} tasks, {a_second} a second, on record"] = (
                    f"{rows['finished']:.1%}"
                )
                if a_second == PACES[0]:
                    figures["rows of a task in the database"] = ", ".join(
                        f"{table} {rows[table]:.1f}" for table in rows if table in _TABLES
                    )
                    figures["bytes of a task in the database"] = f"{rows['bytes']:.0f}"
    return figures


def run_tasks(count: int, a_second: int) -> None:
    """Tasks that do nothing, begun at a steady pace."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.task_runners import ThreadPoolTaskRunner

    @task(cache_policy=NO_CACHE, persist_result=False)
    def nothing() -> None:
        pass

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
    def many() -> None:
        began_s, futures = time.monotonic(), []
        for number in range(count):
            time.sleep(max(0.0, began_s + number / a_second - time.monotonic()))
            futures.append(nothing.submit())
        for future in futures:
            future.wait()

    many()


def database(home: Path) -> dict[str, int]:
    """Rows of each table of a server, and the size of the whole."""
    with closing(sqlite3.connect(home / "prefect.db")) as connection:

        def number(statement: str) -> int:
            return int(connection.execute(statement).fetchone()[0])

        ask = "select name from sqlite_master where type = 'table'"
        tables = [name for (name,) in connection.execute(ask)]
        counted = {table: number(f'select count(*) from "{table}"') for table in tables}
        finished = "select count(*) from task_run where state_type = 'COMPLETED'"
        size = number("pragma page_count") * number("pragma page_size")
        return counted | {"finished": number(finished), "bytes": size}


def settled(home: Path) -> dict[str, int]:
    """What the database holds once it has ceased to grow."""
    last: dict[str, int] = {}
    while (now := database(home)) != last:
        last = now
        time.sleep(_PATIENCE_S)
    return now


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


PARTS: dict[str, Callable[[], dict[str, str]]] = {
    "list": listed,
    "record": recorded,
    "plan": planned,
    "prefect": served,
}


if __name__ == "__main__":
    main()
