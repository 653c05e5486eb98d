"""Chunks worked by the processes of a Dask cluster: an existing one, or one of our own.

A chunk is a task of Prefect here, in the process that started the run, and a plain function there:
Prefect's own tasks on Dask would need a Prefect server that every machine reaches, and do not tell
a killed worker from a chunk that failed.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import resource_tracker
from tempfile import TemporaryDirectory
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, Nanny, Scheduler, Security
from distributed.deploy.spec import SpecCluster
from prefect_dask.task_runners import DaskTaskRunner

from flows.job import Job
from flows.progress import ChunkDone, Control, Stopped
from flows.version import VERSION
from flows.workers.devices import seeing_only
from flows.workers.runners import Workers
from flows.workers.station import Errand, leave_run, stop_run, work_on_dask
from flows.workers.worker_process import stop_passed_on
from flows.workshop import WHAT_TO_DO, WorkersError
from manifests.chunks import Chunk

_ANSWER_TIMEOUT_S = 10.0
_NOBODY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 5.0
_TELL_TIMEOUT_S = 2.0
_POLL_S = 0.5
# A chunk whose worker dies is repeated so often; then its bases are tried one by one.
_REPEATS = 1


@contextmanager
def dask_workers(job: Job, chunks: int, control: Control, address: str | None) -> Iterator[Workers]:
    """The workers of the cluster at `address`, or of one that lives as long as the block.

    Ours has a process for each lane of each device, on 127.0.0.1, behind a key that nobody else
    has. How often a chunk is repeated elsewhere before it is worked base by base is for an existing
    cluster to say (`distributed.scheduler.allowed-failures`).

    Raises:
        WorkersError: nobody answers there, or has another gramflow; from `work`, when the
            scheduler or all workers are gone.
    """
    with ExitStack() as stack:
        if address is None:
            client = stack.enter_context(_own_cluster(job, chunks))
            devices, cores = tuple(map(str, job.devices)), job.lanes.threads
        else:
            client = stack.enter_context(connected(address))
            devices, cores = ("the workers' of a Dask cluster",), None
        errand = Errand.of(job)
        stack.callback(_tell_workers, client, leave_run, errand.run)
        tell_to_stop = partial(_tell_workers, client, stop_run, errand.run)
        stack.enter_context(stop_passed_on(control, tell_to_stop))
        threads = client.nthreads()
        presence = _Presence(client)

        def work(chunk: Chunk) -> ChunkDone:
            send = partial(client.submit, work_on_dask, errand, chunk, cores, pure=False)
            try:
                return _result(send(alone=False), presence, control)
            except KilledWorker:
                pass
            try:
                return _result(send(alone=True), presence, control)
            except KilledWorker as killed:
                raise WorkersError(f"{killed}; {WHAT_TO_DO}") from None

        # One more than they work on is underway to each worker.
        yield Workers(work, sum(threads.values()) + len(threads), devices)


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of an existing cluster, whose workers can work for us.

    Raises:
        WorkersError: no scheduler answers there, it has no workers, or they have another gramflow.
    """
    with _quiet(), ExitStack() as stack:
        runner = DaskTaskRunner(address=address, client_kwargs={"timeout": _ANSWER_TIMEOUT_S})
        try:
            client = stack.enter_context(runner).client
        except (OSError, ValueError, TypeError) as error:
            raise WorkersError(
                f"--dask-address: no Dask scheduler answers at {address} ({error}); start one with "
                "`dask scheduler`, or leave the address out for workers on this machine"
            ) from None
        try:
            client.wait_for_workers(1, timeout=_ANSWER_TIMEOUT_S)
        except TimeoutError:
            raise WorkersError(
                f"--dask-address: the cluster at {address} has no workers; start one with "
                f"`dask worker {address}`"
            ) from None
        for worker, version in client.run(_version_finder()).items():
            if version != VERSION:
                has = f"gramflow {version}" if version else "no gramflow"
                raise WorkersError(
                    f"--dask-address: the worker at {worker} has {has}; it needs {VERSION}, as here"
                )
        yield client


@contextmanager
def _own_cluster(job: Job, chunks: int) -> Iterator[Client]:
    lanes = job.lanes
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        folder = stack.enter_context(TemporaryDirectory(prefix="gramflow-dask-"))
        security = Security.temporary()
        common = {
            "nthreads": 1 + lanes.beside,
            "host": "127.0.0.1",
            "local_directory": folder,
            "security": security,
            "silence_logs": logging.CRITICAL,
            "dashboard_address": "127.0.0.1:0",
        }
        each = [device for device in job.devices for _ in range(lanes.count)][:chunks]
        nannies = {}
        for number, device in enumerate(each):
            seen = seeing_only(device, os.environ, lanes.threads)
            changed = {name: value for name, value in seen.items() if os.environ.get(name) != value}
            nannies[number] = {"cls": Nanny, "options": {**common, "env": changed}}
        scheduler = {
            "cls": Scheduler,
            "options": {
                "host": "127.0.0.1",
                "port": 0,
                "dashboard": False,
                "dashboard_address": "127.0.0.1:0",
                "allowed_failures": _REPEATS,
                "security": security,
            },
        }

        def cluster() -> SpecCluster:
            return SpecCluster(nannies, scheduler, security=security)

        client_kwargs = {"security": security}
        runner = DaskTaskRunner(cluster_class=cluster, client_kwargs=client_kwargs)
        stack.enter_context(runner)
        # Dask would set variables of this process, which its workers have from their own `env`.
        nothing: dict[str, Any] = {"distributed.nanny.pre-spawn-environ": {}}
        with dask.config.set(nothing), _out_of_reach_of_ctrl_c():
            client = runner.client
        yield client


def _tell_workers(client: Client, function: Callable[[str], None], run: str) -> None:
    """Call it in every worker; one that does not answer is not waited for."""

    def tell() -> None:
        with suppress(OSError, RuntimeError, CancelledError):
            client.run(function, run, on_error="ignore")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    thread.join(_TELL_TIMEOUT_S)


def _version_finder() -> Callable[[], str | None]:
    """Pickled with its code, so that it runs where there is no gramflow."""

    def find_version() -> str | None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("gramflow")
        except PackageNotFoundError:
            return None

    return find_version


def _result(future: Future[ChunkDone], presence: _Presence, control: Control) -> ChunkDone:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    stopping_s = 0.0
    while not done.wait(_POLL_S):
        stopping_s += _POLL_S if control.stop.is_set() else 0
        if stopping_s > _STOP_TIMEOUT_S:
            future.cancel()
            raise Stopped
        presence.check()
    if future.cancelled():
        control.check()
        raise WorkersError(f"the Dask scheduler is gone; {WHAT_TO_DO}")
    return future.result()


@dataclass
class _Presence:
    """Whether there are workers, asked now and then."""

    client: Client
    asked_s: float = field(default_factory=time.monotonic)
    seen_s: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raises WorkersError once there have been none for a minute."""
        with self.lock:
            now_s = time.monotonic()
            if now_s - self.asked_s < _POLL_S:
                return
            self.asked_s = now_s
            if self._anybody():
                self.seen_s = now_s
        if now_s - self.seen_s > _NOBODY_TIMEOUT_S:
            raise WorkersError(
                f"the Dask cluster has had no worker for {_NOBODY_TIMEOUT_S:.0f} s; start some: "
                f"{WHAT_TO_DO}"
            )

    def _anybody(self) -> bool:
        try:
            return bool(self.client.nthreads())
        except (OSError, TimeoutError):
            return False


@contextmanager
def _out_of_reach_of_ctrl_c() -> Iterator[None]:
    """Threads and processes that are started in the block, and theirs, never see a Ctrl-C."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Its start unblocks the signal.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's log is not for the terminal: what matters of it is said in a sentence."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado")]
    before: list[Any] = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before):
            logger.setLevel(level)
