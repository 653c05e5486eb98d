"""Chunks worked by the processes of a Ray cluster: that of RAY_ADDRESS, or one of our own.

A chunk is a task of Prefect here, in the process that started the run, and a call of an actor
there, which keeps its encoder from chunk to chunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import ray
import ray._private.worker
from prefect_ray import RayTaskRunner
from ray.exceptions import ActorDiedError, GetTimeoutError, RayActorError, RayTaskError

from flows.job import Job
from flows.progress import ChunkDone, Control, Stopped
from flows.workers.runners import Workers, is_existing_ray
from flows.workers.station import Errand, Station
from flows.workers.worker_process import stop_passed_on
from flows.workshop import WHAT_TO_DO, WorkersError
from manifests.chunks import Chunk

_STOP_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 60.0
_POLL_S = 0.5
# A chunk whose worker dies is repeated so often; then its bases are tried one by one.
_REPEATS = 1
# Nothing is stored in it; Ray takes no less.
_OBJECT_STORE_BYTES = 80 * 2**20


@contextmanager
def ray_workers(job: Job, chunks: int, control: Control) -> Iterator[Workers]:
    """The workers of a cluster: a process for each lane of each device, or as many as fit there.

    Raises:
        WorkersError: no cluster, or none in which a worker has room; from `work`, when a worker
            has another gramflow or they die again and again.
    """
    with ExitStack() as stack:
        stack.enter_context(_cluster(job, chunks))
        lanes = job.lanes
        room = ray.cluster_resources()
        gpus = _gpus_each(job, room)
        fit = int(min(room.get("CPU", 0) // lanes.threads, room.get("GPU", 0) if gpus else chunks))
        if fit < 1:
            raise WorkersError(
                f"--runner ray: no worker with {lanes.threads} cores and {gpus} GPUs has room in "
                f"the cluster, which has {room.get('CPU', 0):g} and {room.get('GPU', 0):g}"
            )
        places = 1 + lanes.beside
        actor = ray.remote(Station).options(
            num_cpus=lanes.threads,
            num_gpus=gpus,
            max_restarts=-1,
            max_concurrency=places + 1,
        )
        errand = Errand.of(job)
        # What a handle has is found out at run time: Ray gives it no type.
        stations: list[Any] = [actor.remote(errand, lanes.threads) for _ in range(min(fit, chunks))]

        def tell_to_stop() -> None:
            for station in stations:
                station.stop.remote()

        stack.enter_context(stop_passed_on(control, tell_to_stop))
        ours = tuple(map(str, job.devices))
        devices = ("the workers' of a Ray cluster",) if is_existing_ray() else ours
        yield Workers(_worked_by(stations * places, control), len(stations) * places, devices)


def _gpus_each(job: Job, room: Mapping[str, float]) -> int:
    """GPUs of a worker: one where the cluster has any, for whoever starts a run may have none."""
    if is_existing_ray():
        return int(job.stylizer is not None and room.get("GPU", 0) >= 1)
    return sum(device.type == "cuda" for device in job.devices[:1])


def _worked_by(stations: list[Any], control: Control) -> Callable[[Chunk], ChunkDone]:
    free: SimpleQueue[Any] = SimpleQueue()
    for station in stations:
        free.put(station)

    def work(chunk: Chunk) -> ChunkDone:
        for alone in (*[False] * (1 + _REPEATS), True):
            station = free.get()
            try:
                return _result(station.work.remote(chunk, alone), control)
            except ActorDiedError as error:
                raise WorkersError(f"a Ray worker cannot start: {error}; {WHAT_TO_DO}") from None
            except RayActorError as error:
                died = error
                _wait_until_back(station, control)
            finally:
                free.put(station)
        raise WorkersError(f"a Ray worker died again and again: {died}; {WHAT_TO_DO}")

    return work


def _wait_until_back(station: Any, control: Control) -> None:
    """Ray starts a dead actor again, and refuses calls of it until then."""
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        control.check()
        try:
            ray.get(station.here.remote(), timeout=_POLL_S)
            return
        except GetTimeoutError:
            continue
        except RayActorError:
            time.sleep(_POLL_S)
    raise WorkersError(f"a Ray worker died and did not start again; {WHAT_TO_DO}")


def _result(of: ray.ObjectRef[ChunkDone], control: Control) -> ChunkDone:
    stopping_s = 0.0
    while not ray.wait([of], timeout=_POLL_S)[0]:
        stopping_s += _POLL_S if control.stop.is_set() else 0
        if stopping_s > _STOP_TIMEOUT_S:
            raise Stopped
    try:
        return ray.get(of)
    except RayTaskError as error:
        raise error.cause from RuntimeError(str(error))


@contextmanager
def _cluster(job: Job, chunks: int) -> Iterator[None]:
    """Ours leaves nothing on the disk."""
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
    with ExitStack() as stack:
        if not is_existing_ray():
            each = min(len(job.devices) * job.lanes.count, chunks)
            settings |= {
                "num_cpus": each * job.lanes.threads,
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE_BYTES,
                "_temp_dir": stack.enter_context(TemporaryDirectory(prefix="gramflow-ray-")),
            }
        stack.enter_context(_quiet())
        try:
            stack.enter_context(RayTaskRunner(init_kwargs=settings))
        except (OSError, RuntimeError, ValueError) as error:
            raise WorkersError(f"--runner ray: no Ray cluster to work with ({error})") from None
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray writes to the terminal that a worker died, whatever its log is set to."""
    module = ray._private.worker
    said = module.print_to_stdstream
    module.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        module.print_to_stdstream = said
