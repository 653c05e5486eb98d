"""Figures of operations: how long a run of a finished dataset takes until it knows that it is.

usage: python -m tests.bench.resuming [--rows 1000000] [--rounds 3]

The dataset has 10,000 photographs with three styles each; every image is on record and there, as a
link, but one of the last chunk. Time is from the start of the flow, with its imports done, under a
server of its own; memory is the peak of that process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

from PIL import Image

from augment.fidelity import Scores
from augment.labels import unmoved
from flows.job import Job, prepare
from flows.progress import ChunkDone, Control, Event, Started, controlled_by
from flows.reading import read_for_run
from flows.rows import Optimisation, done_row
from flows.server import prefect_server
from manifests.labels import Labels
from manifests.ledger import Row
from manifests.plan import Base, Variant
from tests.bench.tiny import STYLES, tiny_job

PHOTOGRAPHS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.pop("PREFECT_API_URL", None)
    if arguments.of:
        print(json.dumps(resumed(arguments.of)), flush=True)
        return
    of_each = arguments.rows // PHOTOGRAPHS // (1 + STYLES)
    augment = {
        "recipes": {"flip": [{"HorizontalFlip": {"p": 0.5}}]},
        "variants": {"original": of_each - 1, "stylized": of_each - 1},
    }
    with tiny_job(PHOTOGRAPHS, pairing={"strategy": "all"}, augment=augment) as manifest:
        record_all(prepare(read_for_run(manifest)))
        made = manifest.parent / "out" / "train"
        deleted = made / max(os.listdir(made))
        for _ in range(arguments.rounds):
            deleted.unlink()
            command = [sys.executable, "-m", "tests.bench.resuming", "--of", str(manifest)]
            subprocess.run(command, check=True)
            assert deleted.exists()


def resumed(manifest: Path) -> dict[str, str]:
    """What a run takes that has one image to make, of the last chunk of the plan."""
    at_s: dict[type[Event], tuple[float, float]] = {}
    stop = threading.Event()

    def hear(event: Event) -> None:
        at = time.monotonic() - began_s, time.process_time() - began_processor_s
        at_s.setdefault(type(event), at)
        if isinstance(event, ChunkDone):
            stop.set()

    with prefect_server(manifest.parent / "prefect"):
        from flows.dataset import stylize_dataset

        imported = peak_bytes()
        began_s, began_processor_s = time.monotonic(), time.process_time()
        with controlled_by(Control(hear, stop)):
            summary = stylize_dataset(manifest)
    assert summary.made == 1
    return {
        "resume, flow's start to all that is to do known": f"{at_s[Started][0]:.1f} s",
        "to the first chunk on record": f"{at_s[ChunkDone][0]:.1f} s",
        "processor time to that": f"{at_s[ChunkDone][1]:.1f} s",
        "peak memory": f"{peak_bytes() / 1e9:.2f} GB",
        "of that imports": f"{imported / 1e9:.2f} GB",
    }


def record_all(job: Job) -> None:
    """Put every variant of the plan on record, and a link for its file."""
    (job.out / "train").mkdir(parents=True)
    pictures = job.out.parent / "pictures"
    pictures.mkdir()
    for chunk in job.chunks():
        # File systems limit the links to one file.
        picture = pictures / f"{chunk.number}.jpg"
        Image.new("RGB", (32, 24)).save(picture)
        data = picture.read_bytes()
        rows = []
        for base in chunk.bases:
            for variant in base.variants:
                os.link(picture, job.out / variant.file)
                rows.append(row_of(job, base, variant, data))
        job.ledger.record(chunk, rows, [])


def row_of(job: Job, base: Base, variant: Variant, data: bytes) -> Row:
    losses = dict.fromkeys(("content", "style", "total_variation", "total"), 0.123456)
    return done_row(
        job.plan.manifest,
        job.plan.engine,
        base,
        variant,
        size=(32, 24),
        data=data,
        mask=None,
        moved=unmoved(Labels(width=32, height=24)),
        fidelity=Scores(1.0, ()),
        applied=[("HorizontalFlip", {})],
        notes=(),
        optimisation=Optimisation(losses, losses, 2, "iterations", "bf16", 1.0, ()),
        made_with="",
    )


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
