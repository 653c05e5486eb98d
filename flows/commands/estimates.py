"""How a command says what is left to make and what that takes."""

from __future__ import annotations

from dataclasses import asdict
from threading import Event
from typing import Any

from rich.table import Table

from flows.commands.console import complain, error_console, say, say_table
from flows.commands.stopping import status_of, stopped_by_signals
from flows.estimate import Estimate, estimate
from flows.job import Job
from flows.progress import Control, Stopped
from flows.wording import counted, duration, file_size
from manifests.comparison import Counts


def estimated(job: Job) -> Estimate:
    """Made with some on trial; a signal ends the command when nothing is left of those."""
    stop = Event()
    with (
        stopped_by_signals(stop, told_by_display=True) as asked,
        error_console.status("making some on trial"),
    ):
        try:
            return estimate(job, Control(stop=stop))
        except Stopped:
            complain("interrupted; there is no estimate", status_of(asked[0]))


def say_estimate(left: Estimate) -> None:
    """A table of time, hours and disk, and a sentence."""
    hours = left.gpu_hours if left.gpus else left.processor_hours
    table = Table()
    table.add_column("of what is new")
    for name in ("at least", "likely", "at most"):
        table.add_column(name, justify="right")
    table.add_row("time", *map(duration, left.seconds.figures()))
    table.add_row("GPU-hours" if left.gpus else "processor-hours", *map(_hours, hours.figures()))
    table.add_row("disk", *map(file_size, left.disk_bytes.figures()))
    say_table(table)
    on = f"on {left.gpus} GPUs" if left.gpus > 1 else "on one GPU" if left.gpus else "without a GPU"
    seen = []
    if left.pairs_tried:
        seen.append(f"{counted(left.pairs_tried, 'pair')} made on trial")
    if left.pairs_on_record:
        seen.append(f"{counted(left.pairs_on_record, 'pair')} on record")
    known = f", known from {' and '.join(seen)}" if seen else ""
    say(
        f"{counted(left.images, 'image')} and as many rows, {counted(left.pairs, 'pair')} to "
        f"optimise: about {duration(left.seconds.likely)} on this machine {on}, "
        f"{file_size(left.disk_bytes.likely)} of disk{known}"
    )


def described(job: Job, counts: Counts, left: Estimate) -> dict[str, Any]:
    """The same for machines; times in seconds, ranges as low, likely and high."""
    return {
        "name": job.plan.manifest.name,
        "out": str(job.out),
        "counts": asdict(counts),
        "copies": job.plan.copies,
        "images": left.images,
        "rows": left.images,
        "pairs": left.pairs,
        "seconds": asdict(left.seconds),
        "gpu_hours": asdict(left.gpu_hours),
        "processor_hours": asdict(left.processor_hours),
        "disk_bytes": asdict(left.disk_bytes),
        "devices": [str(device) for device in job.devices],
        "pairs_tried": left.pairs_tried,
        "pairs_on_record": left.pairs_on_record,
    }


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"
