"""What dataset.json says of how a dataset was made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.job import Job
from flows.version import VERSION, cpu_capability, library_versions
from manifests.plan import Plan, stylize_parameters
from manifests.storage import Place, is_in_store


def about(job: Job, devices: Sequence[str]) -> dict[str, Any]:
    """The part of dataset.json that the ledger does not know.

    Args:
        devices: that pairs were optimised on.
    """
    return {
        "gramflow_version": VERSION,
        "manifest": job.plan.manifest.model_dump(mode="json"),
        "engine": _engine(job.plan) if job.stylizer else None,
        "device": ", ".join(devices) if job.stylizer else None,
        "manifest_file": _seen_from(job.out, job.plan.read.file),
        "machine": {"torch_threads": job.lanes.threads, "cpu": cpu_capability()},
        "versions": library_versions(),
    }


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
