"""Figures of the runners: the same manifest worked by one process and by those of a cluster.

usage: python -m tests.bench.runners
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.progress import ChunkDone, Control, Event, controlled_by
from flows.server import prefect_server
from tests.bench.flow import job

_PAIRS = 32
# Chunks that may be underway at once; when so many are done, all workers are at work.
_AT_ONCE = 4
_SIZE_PX = 256
_TURNS = 3


def dask_workers_against_one_process() -> dict[str, str]:
    """Throughput of two Dask workers on two cores against one process that uses both.

    In turns, each run in a process of its own: Prefect remembers the first server that it spoke to.
    """
    speeds: dict[str, list[float]] = {"threads": [], "dask": [], "cluster": []}
    for _ in range(_TURNS):
        for runner, of_turns in speeds.items():
            command = [sys.executable, "-m", "tests.bench.runners", runner]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            of_turns.append(float(done.stdout))
    median = {runner: statistics.median(of_turns) for runner, of_turns in speeds.items()}
    figures = {}
    for runner, named in (("dask", "two Dask workers"), ("cluster", "an existing cluster's two")):
        ratio = median[runner] / median["threads"]
        figures[
            f"pairs/s of {named} against one process, two cores, {_SIZE_PX} px, JPEG to JPEG"
        ] = f"{ratio:.2f} ({median[runner]:.2f} against {median['threads']:.2f})"
    return figures


def pairs_per_s(runner: str) -> float:
    """From the fourth chunk that is done to the last, so without the start of the workers.

    Args:
        runner: "threads", "dask", or "cluster" for two workers as `dask worker` starts them.
    """
    settings = {
        "stylize": {"encoder": "compact", "preset": "fast", "size": _SIZE_PX},
        "augment": {"include_original": False, "variants": {"original": 0, "stylized": 0}},
    }
    done: list[tuple[float, int]] = []

    def tell(event: Event) -> None:
        if isinstance(event, ChunkDone) and event.pairs:
            done.append((time.monotonic(), event.pairs))

    with (
        job(_PAIRS, 640, 480, settings) as manifest,
        prefect_server(manifest.parent / "prefect"),
        _cluster(manifest.parent, runner == "cluster") as address,
    ):
        from flows.dataset import stylize_dataset

        of_runner = {"runner": "dask", "dask_address": address} if address else {"runner": runner}
        with controlled_by(Control(tell=tell)):
            stylize_dataset(manifest, **of_runner)
    began_s, _ = done[_AT_ONCE - 1]
    ended_s, _ = done[-1]
    return sum(pairs for _, pairs in done[_AT_ONCE:]) / (ended_s - began_s)


@contextmanager
def _cluster(folder: Path, wanted: bool) -> Iterator[str | None]:
    """The address of two workers, with a thread each and one more to load and write."""
    if not wanted:
        yield None
        return
    told = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    here = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    workers = ["worker", *here, "--nworkers", "2", "--nthreads", "2"]
    with ExitStack() as processes:
        for command in (["scheduler", "--port", "0", *here], workers):
            process = processes.enter_context(subprocess.Popen([*dask, *command], **quiet))
            processes.callback(process.terminate)
            while not told.exists() or not told.read_text().endswith("}"):
                assert process.poll() is None, f"{' '.join(command)} ended"
                time.sleep(0.1)
        yield json.loads(told.read_text())["address"]


if __name__ == "__main__":
    print(
        pairs_per_s(sys.argv[1])
        if len(sys.argv) > 1
        else json.dumps(dask_workers_against_one_process())
    )
