"""Figures of operations: a flow of tiny images against a plain loop over the same chunks.

usage: python -m tests.bench.orchestration [--images 10000] [--rounds 1]

Both make the same dataset, indexes included, in one process that has a real Prefect server beside
it; the loop has as many threads as the flow has chunks underway. Processor time is this process's:
the server's own is printed beside.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from flows.job import prepare
from flows.progress import Control
from flows.reading import read_for_run
from flows.server import prefect_server
from flows.work import work_chunk
from tests.bench.tiny import tiny_job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    os.environ.pop("PREFECT_API_URL", None)
    wall: list[float] = []
    processor: list[float] = []
    with tiny_job(arguments.images) as manifest, prefect_server(manifest.parent / "prefect"):
        by_flow(manifest, manifest.parent / "warm", limit=256)
        for number in range(arguments.rounds):
            # Who comes second finds a disk that still writes what the first has made.
            ways = [by_flow, by_loop] if number % 2 else [by_loop, by_flow]
            took = {way: seconds(way, manifest, _folder(manifest, way, number)) for way in ways}
            of_flow, of_loop = took[by_flow], took[by_loop]
            wall.append(of_flow[0] / of_loop[0])
            processor.append(of_flow[1] / of_loop[1])
            print(json.dumps({"flow, s": of_flow, "loop, s": of_loop}))
    what = f"flow of {arguments.images:,} tiny images against a plain loop"
    print(json.dumps({what: f"{median(wall):.3f}", "processor": f"{median(processor):.3f}"}))


def _folder(manifest: Path, way: Callable[..., None], number: int) -> Path:
    return manifest.parent / f"{way.__name__}{number}"


def by_flow(manifest: Path, out: Path, limit: int | None = None) -> None:
    from flows.dataset import stylize_dataset

    summary = stylize_dataset(manifest, out=out, limit=limit)
    assert summary.failed == 0


def by_loop(manifest: Path, out: Path) -> None:
    from flows.dataset import _export_formats
    from flows.nothing_to_do import about_dataset, made_on
    from flows.report import write_report
    from manifests.export import export_imagefolder

    job = prepare(read_for_run(manifest, out))
    with ThreadPoolExecutor(job.places) as pool:
        list(pool.map(lambda chunk: work_chunk(job.workshop, chunk, Control()), job.chunks()))
    about = about_dataset(job) | made_on(job, [])
    export_imagefolder(job.out, job.plan, job.ledger, about)
    _export_formats(job, lambda: None)
    write_report(job.out, asks_stores=True)


def seconds(make: Callable[[Path, Path], None], manifest: Path, out: Path) -> tuple[float, float]:
    """(wall, processor of this process) seconds."""
    wall_s, processor_s = time.monotonic(), time.process_time()
    make(manifest, out)
    return round(time.monotonic() - wall_s, 2), round(time.process_time() - processor_s, 2)


if __name__ == "__main__":
    main()
