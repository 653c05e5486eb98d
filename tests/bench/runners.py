"""Figures of the runners: the same manifest worked by one process and by those of a cluster.

usage: python -m tests.bench.runners
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

from flows.progress import ChunkDone, Control, Event, controlled_by
from flows.server import prefect_server
from tests.bench.flow import job

_PAIRS = 24
_SIZE_PX = 256
_TURNS = 3


def two_dask_workers() -> dict[str, str]:
    """Throughput of two Dask workers on two cores against one process that uses both.

    In turns, each run in a process of its own: Prefect remembers the first server that it spoke to.
    """
    speeds: dict[str, list[float]] = {"threads": [], "dask": []}
    for _ in range(_TURNS):
        for runner, of_turns in speeds.items():
            command = [sys.executable, "-m", "tests.bench.runners", runner]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            of_turns.append(float(done.stdout))
    threads, dask = (statistics.median(speeds[runner]) for runner in ("threads", "dask"))
    return {
        "pairs/s of two Dask workers against one process, two cores, "
        f"{_SIZE_PX} px, JPEG to JPEG": f"{dask / threads:.2f} ({dask:.2f} against {threads:.2f})"
    }


def pairs_per_s(runner: str) -> float:
    """From the first chunk that is done to the last, so without the start of the workers."""
    settings = {
        "stylize": {"encoder": "compact", "preset": "fast", "size": _SIZE_PX},
        "augment": {"include_original": False, "variants": {"original": 0, "stylized": 0}},
    }
    done: list[tuple[float, int]] = []

    def tell(event: Event) -> None:
        if isinstance(event, ChunkDone) and event.pairs:
            done.append((time.monotonic(), event.pairs))

    with job(_PAIRS, 640, 480, settings) as manifest, prefect_server(manifest.parent / "prefect"):
        from flows.dataset import stylize_dataset

        with controlled_by(Control(tell=tell)):
            stylize_dataset(manifest, runner=runner)
    (first_s, _), *later = done
    return sum(pairs for _, pairs in later) / (later[-1][0] - first_s)


if __name__ == "__main__":
    print(pairs_per_s(sys.argv[1]) if len(sys.argv) > 1 else json.dumps(two_dask_workers()))
