"""A run that finds everything there: seen before indexes are written."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.job import Job
from flows.report import REPORT
from flows.summary import Summary
from flows.version import VERSION, cpu_capability, library_versions
from manifests.comparison import FilesOnDisk, Todo
from manifests.export import Exported
from manifests.exporters.formats import formats_there
from manifests.plan import Plan, stylize_parameters
from manifests.settled import Settled, is_perhaps_settled, settle, settled
from manifests.storage import Place, is_in_store
from manifests.stores import is_there, read_bytes


def nothing_to_do(job: Job, retry_failed: bool) -> Summary | None:
    """What a run of the job comes to, if it would neither make an image nor write an index."""
    if not is_perhaps_settled(job.out):
        return None
    ids, files = job.ledger.ids(job.plan.manifest.max_pixels), FilesOnDisk(job.out)
    todo = Todo(ids, files, retry_failed)
    if any(todo.of_chunk(chunk).bases for chunk in job.chunks()):
        return None
    on_record = settled(job.out, job.plan, job.ledger, about_dataset(job), ids, files)
    wanted = {*job.plan.manifest.output.format, *formats_there(job.out)}
    if on_record is None or not wanted <= {"imagefolder", *on_record.formats}:
        return None
    report = job.out / REPORT
    if on_record.images and not is_there(report):
        return None
    return Summary(
        out=str(job.out),
        made=0,
        failed=0,
        left_out=on_record.left_out,
        dataset=on_record.images,
        failures=_failures(job.out),
        left=0,
        stopped=False,
        set_aside=0,
        exports=on_record.exports,
        report=str(report) if on_record.images else "",
        out_of_time=False,
        copies=job.plan.copies,
    )


def put_on_record(job: Job, exported: Exported, exports: Sequence[str]) -> None:
    """All is made and exported: the next run need not look for more than what has changed."""
    formats = tuple(formats_there(job.out)) if exported.images else ()
    done = Settled(exported.images, exported.left_out.total(), tuple(exports), formats)
    settle(job.out, job.plan, job.ledger, about_dataset(job), done)


def about_dataset(job: Job) -> dict[str, Any]:
    """What dataset.json says of what was asked for."""
    return {
        "gramflow_version": VERSION,
        "manifest": job.plan.manifest.model_dump(mode="json"),
        "engine": _engine(job.plan) if job.stylizer else None,
        "manifest_file": _seen_from(job.out, job.plan.read.file),
    }


def made_on(job: Job, devices: Sequence[str]) -> dict[str, Any]:
    """What dataset.json says of where it was made last."""
    return {
        "device": ", ".join(devices) if job.stylizer else None,
        "machine": {"torch_threads": job.lanes.threads, "cpu": cpu_capability()},
        "versions": library_versions(),
    }


def _failures(out: Place) -> tuple[tuple[str, str, int], ...]:
    lines = map(json.loads, read_bytes(out / "failures.jsonl").splitlines())
    return tuple((line["path"], line["error"], line["images_missing"]) for line in lines)


def _engine(plan: Plan) -> dict[str, Any]:
    return asdict(plan.engine) | {"size": stylize_parameters(plan.manifest, plan.engine)["size"]}


def _seen_from(folder: Place, file: Path) -> str:
    """The file's path relative to the folder, so that both can be moved together."""
    if is_in_store(folder):
        return str(file)
    try:
        return os.path.relpath(file, folder).replace(os.sep, "/")
    except ValueError:  # another drive of Windows
        return str(file)
