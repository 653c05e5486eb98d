"""Chunks worked by Dask: the same results, whatever happens to its processes."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import flows.engine
import flows.workers.dask_workers
import flows.workers.runners
from flows.job import prepare
from flows.progress import ChunkDone, Control, Event, controlled_by
from flows.reading import read_for_run
from flows.workers.runners import check_answers, check_runner
from flows.workers.station import Errand
from flows.workshop import Order, WorkersError, open_workshop
from manifests.ledger import Ledger
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo
from tests.flows.processes import gramflow, wait_until

SLOW = TINY | {"override": {"scales": [[1.0, 10_000]], "least_fall": 0}}
DEADLY_SIZE_PX = (96, 80)
# A photograph whose decoding kills the process, as one that needs too much memory does.
DEADLY = f"""
import os, signal, sys
from PIL.PngImagePlugin import PngImageFile

harmless = PngImageFile.load

def load(self):
    if self.size == {DEADLY_SIZE_PX} and "run" not in sys.orig_argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return harmless(self)

PngImageFile.load = load
"""


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many workers, wherever the tests run."""
    monkeypatch.setattr(flows.engine, "CORES", 2)


def workers_of(starter: int) -> list[psutil.Process]:
    """The processes of its Dask workers."""
    children = psutil.Process(starter).children(recursive=True)
    return [one for one in children if "spawn_main" in " ".join(_command(one))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return []


def listening(process: psutil.Process) -> list[str]:
    """Addresses at which a process takes connections."""
    found = process.net_connections(kind="inet")
    return [one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN]


def rows(out: Path) -> list[str]:
    return (out / "train" / "metadata.jsonl").read_text().splitlines()


def failures(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (out / "failures.jsonl").open()]


def test_two_processes_give_the_files_and_rows_of_one(
    job: JobFolder, two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = job.folder / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    alone = job.folder / "alone"
    job.run(out=alone)
    # Servers of other tests may live in this process.
    before = sorted(listening(psutil.Process()))
    listened: set[str] = set()
    seen: set[psutil.Process] = set()

    def look(event: Event) -> None:
        if isinstance(event, ChunkDone):
            seen.update(workers_of(os.getpid()))
            for process in (psutil.Process(), *seen):
                listened.update(listening(process))

    with controlled_by(Control(tell=look)):
        assert job.run(runner="dask").made == 36
    assert job.images() == job.images(alone)
    assert rows(job.out) == rows(alone)
    assert len(seen) == 2
    assert listened == {"127.0.0.1"}
    assert workers_of(os.getpid()) == []
    closed = "its ports are closed"
    wait_until(lambda: sorted(listening(psutil.Process())) == before, closed, seconds=10)
    assert not list(temporary.glob("gramflow-*"))


def test_a_killed_worker_loses_only_chunks_that_another_repeats(
    job: JobFolder, two_cores: None
) -> None:
    job.write(stylize=TINY | {"override": {"scales": [[1.0, 50]]}})
    alone = job.folder / "alone"
    job.run(out=alone)
    killed: list[int] = []

    def kill_one(event: Event) -> None:
        if isinstance(event, ChunkDone) and event.pairs == 0 and not killed:
            killed.append(workers_of(os.getpid())[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with controlled_by(Control(tell=kill_one)):
        summary = job.run(runner="dask")
    assert killed
    assert (summary.made, summary.failed) == (36, 0)
    assert job.images() == job.images(alone)
    assert rows(job.out) == rows(alone)


def test_what_kills_workers_fails_alone(job: JobFolder) -> None:
    job.write(
        pairing={"strategy": "random", "styles_per_content": 1},
        augment={"include_original": False},
    )
    alone = job.folder / "alone"
    job.run(out=alone)
    hooks = job.folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(DEADLY)
    photo(50, *DEADLY_SIZE_PX).save(job.folder / "photos" / "cat" / "deadly.png")
    path = os.pathsep.join([str(hooks), *filter(None, [os.environ.get("PYTHONPATH")]), os.getcwd()])
    process = gramflow(
        "run", job.manifest, "--runner", "dask", PYTHONPATH=path, OMP_NUM_THREADS="2"
    )
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert "distributed" not in output
    failed = failures(job.out)
    assert [Path(one["path"]).name for one in failed] == ["deadly.png"]
    assert "was killed 2 times (SIGKILL)" in failed[0]["error"]
    assert job.images() == job.images(alone)
    assert len(rows(job.out)) == 4


@pytest.fixture
def slow_run(job: JobFolder) -> Iterator[subprocess.Popen[str]]:
    """A run on Dask in a process group of its own, with its first chunk on record."""
    job.write(stylize=SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", "run", str(job.manifest), "--runner", "dask"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "2", "TMPDIR": str(job.folder)},
    )
    wait_until(lambda: bool(Ledger(job.out).ids().done), "the first chunk is on record")
    yield process
    process.kill()
    process.communicate()


def test_ctrl_c_stops_every_process_and_the_next_run_goes_on(
    job: JobFolder, slow_run: subprocess.Popen[str]
) -> None:
    workers = workers_of(slow_run.pid)
    asked_s = time.monotonic()
    os.killpg(slow_run.pid, signal.SIGINT)
    output, _ = slow_run.communicate(timeout=60)
    assert time.monotonic() - asked_s < 15
    assert slow_run.returncode == 130, output
    assert "are kept" in output
    assert "Traceback" not in output
    assert workers
    assert not any(one.is_running() for one in workers)
    job.write()
    unstyled = sum(not row["style_path"] for row in Ledger(job.out).rows())
    assert unstyled
    assert job.run().made == 36 - unstyled


def test_no_worker_outlives_a_killed_run(slow_run: subprocess.Popen[str]) -> None:
    workers = workers_of(slow_run.pid)
    assert workers
    slow_run.kill()
    wait_until(lambda: not any(one.is_running() for one in workers), "they are gone", seconds=10)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler without workers."""
    folder = tmp_path_factory.mktemp("dask")
    told = folder / "scheduler.json"
    command = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    process = _dask(folder, *command, "--scheduler-file", str(told))
    wait_until(lambda: told.exists() and told.read_text().endswith("}"), "the scheduler is there")
    yield json.loads(told.read_text())["address"]
    process.terminate()
    process.wait()


def _dask(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / "dask.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "dask", *arguments], stdout=log, stderr=log)


def test_a_cluster_that_is_there_is_used_and_left_as_it_was(
    job: JobFolder, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = job.folder / "alone"
    job.run(out=alone)
    monkeypatch.setattr(flows.workers.dask_workers, "_ANSWER_TIMEOUT_S", 2.0)
    with pytest.raises(WorkersError, match=r"has no workers; start one with `dask worker tcp://"):
        check_answers(scheduler)
    monkeypatch.undo()
    options = ["--nworkers", "1", "--nthreads", "2", "--no-dashboard", "--host", "127.0.0.1"]
    worker = _dask(job.folder, "worker", scheduler, *options)
    try:
        assert job.run(runner="dask", dask_address=scheduler).made == 36
        assert job.images() == job.images(alone)
        assert rows(job.out) == rows(alone)
        about = json.loads((job.out / "dataset.json").read_text())
        assert about["device"] == "the workers' of a Dask cluster"
        monkeypatch.setattr(flows.workers.dask_workers, "VERSION", "9.9")
        with pytest.raises(WorkersError, match=r"has gramflow .*; it needs 9\.9"):
            check_answers(scheduler)
        assert worker.poll() is None
    finally:
        worker.terminate()
        worker.wait()


def test_nobody_at_the_address_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.workers.dask_workers, "_ANSWER_TIMEOUT_S", 1.0)
    for address in ("tcp://127.0.0.1:9", "nonsense://there", "127.0.0.1:port"):
        with pytest.raises(WorkersError, match=f"no Dask scheduler answers at {address}"):
            check_answers(address)


def test_what_travels_is_small(job: JobFolder) -> None:
    prepared = prepare(read_for_run(job.manifest))
    assert len(pickle.dumps(Errand.of(prepared))) < 4000
    chunk = next(chunk for chunk in prepared.chunks() if chunk.pairs)
    assert len(pickle.dumps(chunk)) / chunk.pairs < 1500


def test_a_workshop_with_other_weights_is_refused(job: JobFolder) -> None:
    prepared = prepare(read_for_run(job.manifest))
    order = Order.of(prepared.plan.read, prepared.workshop)
    assert open_workshop(order).engine == prepared.plan.engine
    wrongs: list[tuple[dict[str, Any], str]] = [
        (
            {"engine": replace(order.engine, encoder_sha256="0" * 64)},
            r"has encoder random .* was started with random",
        ),
        ({"version": "0.0"}, "was started by 0.0"),
        ({"out": job.folder / "elsewhere"}, "sees no .*elsewhere"),
    ]
    for wrong, message in wrongs:
        with pytest.raises(WorkersError, match=message):
            open_workshop(replace(order, **wrong))


def test_wrong_use_of_a_runner_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="expected one of threads, dask, ray, got 'slurm'"):
        check_runner("slurm", None)
    with pytest.raises(ValueError, match="--dask-address is for --runner dask"):
        check_runner("threads", "tcp://127.0.0.1:8786")
    monkeypatch.setattr(flows.workers.runners, "find_spec", lambda name: None)
    with pytest.raises(WorkersError, match=r"pip install 'gramflow\[dask\]'"):
        check_runner("dask", None)
