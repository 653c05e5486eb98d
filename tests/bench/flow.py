"""Figures of the whole flow, from JPEG files to JPEG files, under a real Prefect server.

usage: python -m tests.bench.flow share SIZE_PX | memory

One a process: Prefect remembers the first server that it spoke to.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from flows.job import Job, prepare
from flows.painter import paint_styles
from flows.progress import ChunkDone, Control, Event, Optimised, Started, controlled_by
from flows.reading import read_for_run
from flows.server import prefect_server


@dataclass(frozen=True)
class Heard:
    """An event, when it came, and the memory that this process then held."""

    event: Event
    at_s: float
    memory_bytes: int


def optimiser_share(size: int, pairs: int = 48) -> dict[str, str]:
    """Share of the wall time in which the optimiser runs, and pairs a second."""
    settings = {
        "stylize": {"encoder": "compact", "preset": "fast", "size": size},
        "augment": {"recipes": {"flip": [{"HorizontalFlip": {"p": 1.0}}]}},
    }
    with job(pairs, 640, 480, settings) as manifest:
        heard, lanes = run(manifest)
    began_s = next(one.at_s for one in heard if isinstance(one.event, Started))
    chunks = [one for one in heard if isinstance(one.event, ChunkDone)]
    wall_s = chunks[-1].at_s - began_s
    busy_s = sum(one.event.optimiser_s for one in chunks if isinstance(one.event, ChunkDone))
    return {
        f"share of wall time in which the optimiser runs, whole flow, {size} px JPEG": (
            f"{busy_s / (lanes * wall_s):.1%} of {lanes} lanes"
        ),
        f"pairs/s, fast with compact, {size} px, from JPEG files to JPEG files": (
            f"{pairs / wall_s:.2f}"
        ),
    }


def memory_of_a_long_run(pairs: int = 2000) -> dict[str, str]:
    """Memory in the last tenth of a run against that in its second tenth."""
    # Ten iterations, so that every pair is heard of once before its chunk is done.
    settings = {
        "stylize": {"encoder": "random", "size": 48, "override": {"scales": [[1.0, 10]]}},
        # Eight files a pair: chunks of 32 pairs, many of them.
        "augment": {
            "include_original": False,
            "recipes": {"flip": [{"HorizontalFlip": {"p": 0.5}}]},
            "variants": {"original": 0, "stylized": 7},
        },
    }
    with job(pairs, 80, 64, settings) as manifest:
        heard, _ = run(manifest)
    memory = np.array([one.memory_bytes for one in heard if isinstance(one.event, Optimised)])
    tenth = len(memory) // 10
    ratio = float(np.median(memory[-tenth:]) / np.median(memory[tenth : 2 * tenth]))
    return {f"memory of a {pairs}-pair run, last tenth against the second": f"{ratio:.3f}"}


@contextmanager
def job(pairs: int, width: int, height: int, settings: dict[str, Any]) -> Iterator[Path]:
    """A manifest of so many photographs, each with one style."""
    from skimage import data

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        paint_styles(folder / "styles")
        whole = Image.fromarray(data.astronaut()).resize((1200, 1200))
        random = np.random.default_rng(0)
        for index in range(pairs):
            left, top = random.integers(0, 1200 - width), random.integers(0, 1200 - height)
            crop = whole.crop((left, top, left + width, top + height))
            crop.save(folder / "photos" / f"{index}.jpg", quality=90)
        manifest = folder / "bench.yaml"
        described = {
            "version": 1,
            "name": "bench",
            "content": [{"path": "photos"}],
            "styles": [{"path": "styles"}],
            "output": {"path": "out"},
            **settings,
        }
        manifest.write_text(yaml.safe_dump(described))
        yield manifest


def run(manifest: Path) -> tuple[list[Heard], int]:
    """What was heard of a run, and how many lanes its optimiser had."""
    heard: list[Heard] = []
    with prefect_server(manifest.parent / "prefect"):
        from flows.dataset import stylize_dataset

        lanes = lanes_of(prepare(read_for_run(manifest)))
        tell = Control(tell=lambda e: heard.append(Heard(e, time.monotonic(), memory_bytes())))
        with controlled_by(tell):
            summary = stylize_dataset(manifest)
    assert summary.failed == summary.left == 0
    return heard, lanes


def lanes_of(job: Job) -> int:
    """Of all its devices."""
    return len(job.devices) * job.lanes.count


def memory_bytes() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    figures = (
        optimiser_share(int(sys.argv[2])) if sys.argv[1] == "share" else memory_of_a_long_run()
    )
    print(json.dumps(figures))
