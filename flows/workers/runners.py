"""Who works the chunks of a run: this machine alone, or the processes of a Dask or Ray cluster."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from flows.job import Job
from flows.progress import Control
from flows.workers.devices import Work, chunk_worker
from flows.workshop import WorkersError

Runner = Literal["threads", "dask", "ray"]
RUNNERS: tuple[Runner, ...] = get_args(Runner)

_PACKAGES = {"dask": ("distributed", "prefect_dask"), "ray": ("ray", "prefect_ray")}


@dataclass(frozen=True)
class Workers:
    """Attributes:
    work: makes every image of a chunk, as `work_chunk` does; for any thread.
    places: so many chunks at a time keep all of them busy.
    devices: what they compute on, as dataset.json says it.
    tell_stages: whether they tell which stage a chunk is in; of those that do not it is away.
    """

    work: Work
    places: int
    devices: tuple[str, ...]
    tell_stages: bool = False


def check_runner(runner: str, dask_address: str | None) -> Runner:
    """The runner that a text names.

    Called before anything that may import Ray, which hears here that it is to be guarded.

    Raises:
        ValueError: for an unknown runner or an address without Dask.
        WorkersError: packages are missing, or Ray was imported unguarded.
    """
    if runner not in RUNNERS:
        raise ValueError(f"--runner: expected one of {', '.join(RUNNERS)}, got {runner!r}")
    if dask_address is not None and runner != "dask":
        raise ValueError(f"--dask-address is for --runner dask, got --runner {runner}")
    missing = [name for name in _PACKAGES.get(runner, ()) if find_spec(name) is None]
    if missing:
        raise WorkersError(
            f"--runner {runner} needs {' and '.join(missing)}, which the extra brings: "
            f"pip install 'gramflow[{runner}]'"
        )
    if runner == "ray":
        _guard_ray()
    return runner


def is_existing_ray() -> bool:
    """Whether the user has named a Ray cluster that runs."""
    return "RAY_ADDRESS" in os.environ


def is_of_this_machine(runner: str, dask_address: str | None) -> bool:
    """Whether the devices of this machine do the work; an existing cluster has its own."""
    return dask_address is None and not (runner == "ray" and is_existing_ray())


def check_answers(dask_address: str) -> None:
    """Raises WorkersError if no cluster that can be used answers there."""
    from flows.workers.dask_workers import connected

    with connected(dask_address):
        pass


def _guard_ray() -> None:
    """A cluster of our own takes orders from those alone who have a token; Ray, which listens on
    every network, reads of it when it is imported.

    Raises:
        WorkersError: it was imported before, without.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if is_existing_ray():
        return
    if "ray" in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        raise WorkersError(
            "--runner ray: this process imported ray before, so that a cluster of our own would "
            "take orders from everyone; start it with RAY_AUTH_MODE=token and a RAY_AUTH_TOKEN, "
            "or set RAY_ADDRESS to a cluster that runs"
        )
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextmanager
def workers(
    runner: str, dask_address: str | None, job: Job, chunks: int, control: Control
) -> Iterator[Workers]:
    """Those who work the chunks, while the block runs.

    Args:
        dask_address: of the scheduler of an existing cluster; None for one of our own.
        chunks: how many there are; no more workers than that are started.
    """
    if runner == "threads" or chunks == 0:
        with chunk_worker(job, chunks, control) as work:
            yield Workers(work, job.places, tuple(map(str, job.devices)), tell_stages=True)
    elif runner == "dask":
        from flows.workers.dask_workers import dask_workers

        with dask_workers(job, chunks, control, dask_address) as those:
            yield those
    else:
        from flows.workers.ray_workers import ray_workers

        with ray_workers(job, chunks, control) as those:
            yield those
