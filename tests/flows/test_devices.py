"""Several devices: a process for each, the same results, and none left behind.

The devices here are two CPUs: their processes, connections and ends are those of GPUs.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import pytest
import torch

import flows.job
from flows.job import prepare
from flows.progress import ChunkDone, Control, Event, Optimised, controlled_by
from flows.reading import read_for_run
from flows.workers.devices import DeviceLost, as_lost, chunk_worker, seeing_only
from flows.workers.worker import portable
from manifests.errors import ManifestError, Problem
from manifests.ledger import Ledger
from tests.flows.conftest import TINY, JobFolder
from tests.flows.processes import processes_with, wait_until

CPU = torch.device("cpu")
SLOW = TINY | {"override": {"scales": [[1.0, 10_000]], "least_fall": 0}}
# The command line on a machine with two devices.
ON_TWO_CPUS = """
import torch, flows.job
flows.job.choose_devices = lambda: [torch.device("cpu")] * 2
from flows.cli import app
app()
"""


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.job, "choose_devices", lambda: [CPU, CPU])


def workers_of(starter: int) -> list[int]:
    """Ids of the live worker processes that a process started."""
    return [pid for pid in processes_with("flows.workers.worker") if _parent(pid) == starter]


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended meanwhile
        return 0
    return int(status.rpartition(")")[2].split()[1])


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if pid in processes_with("flows.workers.worker")]


def rows(out: Path) -> list[str]:
    return (out / "train" / "metadata.jsonl").read_text().splitlines()


def test_two_devices_give_the_files_and_rows_of_one(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = job.folder / "alone"
    job.run(out=alone)
    monkeypatch.setattr(flows.job, "choose_devices", lambda: [CPU, CPU])
    seen: set[int] = set()
    told = Control(tell=lambda event: seen.update(workers_of(os.getpid())))
    with controlled_by(told):
        assert job.run().made == 36
    assert len(seen) == 2
    assert alive(list(seen)) == []
    assert job.images() == job.images(alone)
    assert rows(job.out) == rows(alone)
    assert json.loads((job.out / "dataset.json").read_text())["device"] == "cpu, cpu"


def test_each_process_works_chunks_and_tells_how_they_go(job: JobFolder, two_cpus: None) -> None:
    job.write(stylize=TINY | {"override": {"scales": [[1.0, 20]]}})
    told: list[Event] = []
    control = Control(tell=told.append)
    prepared = prepare(read_for_run(job.manifest))
    chunks = [chunk for chunk in prepared.chunks() if chunk.pairs]
    with chunk_worker(prepared, 2, control) as work, ThreadPoolExecutor(2) as threads:
        wait_until(lambda: len(workers_of(os.getpid())) == 2, "both processes are there")
        held, _ = workers_of(os.getpid())
        os.kill(held, signal.SIGSTOP)
        futures = [threads.submit(work, chunk) for chunk in chunks[:2]]
        wait(futures, timeout=30, return_when=FIRST_COMPLETED)
        done, _ = wait(futures, timeout=2)
        os.kill(held, signal.SIGCONT)
        assert len(done) == 1, "the process that went on had one of two"
        assert [future.result().pairs for future in futures] == [c.pairs for c in chunks[:2]]
    assert {event.of for event in told if isinstance(event, Optimised)} == {20}


def test_a_killed_process_ends_the_run_in_one_sentence(job: JobFolder, two_cpus: None) -> None:
    def kill_one(event: Event) -> None:
        if isinstance(event, ChunkDone):
            for pid in islice(workers_of(os.getpid()), 1):
                os.kill(pid, signal.SIGKILL)

    job.write(stylize=SLOW)
    lost = pytest.raises(DeviceLost, match=r"^cpu: its process ended with SIGKILL; .* again$")
    with controlled_by(Control(tell=kill_one)), lost:
        job.run()
    assert workers_of(os.getpid()) == []
    completes_with_what_is_on_record(job)


def completes_with_what_is_on_record(job: JobFolder) -> None:
    """Every image on record has its file, and the next run, with fewer iterations, is whole."""
    done = [row for row in Ledger(job.out).rows() if "error" not in row]
    assert 0 < len(done) < 36
    assert all((job.out / row["file"]).is_file() for row in done)
    job.write()
    unstyled = sum(not row["style_path"] for row in done)
    assert job.run().made == 36 - unstyled
    assert len(rows(job.out)) == 36


def test_what_ends_a_chunk_there_is_raised_here(job: JobFolder, two_cpus: None) -> None:
    job.out.mkdir()
    (job.out / "train").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="train") as caught:
        job.run()
    assert "work_chunk" in str(caught.value.__cause__), "where it was raised"


@pytest.fixture
def slow_run(job: JobFolder) -> Iterator[subprocess.Popen[str]]:
    """A run on two devices in a process group of its own, with its first chunk on record."""
    job.write(stylize=SLOW)
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TWO_CPUS, "run", str(job.manifest)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: bool(Ledger(job.out).ids().done), "the first chunk is on record")
    yield process
    process.kill()
    process.communicate()


def test_ctrl_c_stops_every_process_and_the_next_run_goes_on(
    job: JobFolder, slow_run: subprocess.Popen[str]
) -> None:
    workers = workers_of(slow_run.pid)
    os.killpg(slow_run.pid, signal.SIGINT)
    output, _ = slow_run.communicate(timeout=60)
    assert slow_run.returncode == 130, output
    assert "are kept" in output
    assert "Traceback" not in output
    assert len(workers) == 2
    assert alive(workers) == []
    completes_with_what_is_on_record(job)


def test_no_process_outlives_a_killed_run(slow_run: subprocess.Popen[str]) -> None:
    workers = workers_of(slow_run.pid)
    assert len(workers) == 2
    slow_run.kill()
    wait_until(lambda: not alive(workers), "the workers are gone", seconds=5)


@pytest.mark.parametrize(
    ("visible", "name"), [(None, "1"), ("", "1"), ("2,5", "5"), ("GPU-a,GPU-b,GPU-c", "GPU-b")]
)
def test_a_process_sees_its_own_gpu_among_those_that_are_visible(
    visible: str | None, name: str
) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    seen = seeing_only(torch.device("cuda", 1), environment, threads=4)
    assert seen == {"CUDA_VISIBLE_DEVICES": name, "OMP_NUM_THREADS": "4"}


def test_a_gpu_that_broke_down_is_named_and_other_errors_are_as_they_were() -> None:
    error = RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA")
    lost = as_lost(torch.device("cuda", 1), error)
    assert isinstance(lost, DeviceLost)
    assert str(lost).startswith("cuda:1: CUDA error: unspecified launch failure; what is on record")
    other = RuntimeError("something else")
    assert as_lost(CPU, other) is other


def test_the_problems_of_a_manifest_arrive_from_another_process() -> None:
    error = ManifestError([Problem("m.yaml", 3, "name", "is required")])
    arrived = pickle.loads(pickle.dumps(error))
    assert (str(arrived), arrived.problems) == (str(error), error.problems)


def test_an_error_that_cannot_be_sent_arrives_in_its_words() -> None:
    class Local(Exception):
        """Of a class that pickle does not find."""

    arrived = portable(Local("why"))
    assert (type(arrived), str(arrived)) == (RuntimeError, "Local: why")
    sent = OSError(28, "No space left on device", "file")
    assert portable(sent) is sent


def test_devices_share_the_cores(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_for_run(job.manifest)
    monkeypatch.setattr(flows.job, "choose_devices", lambda: [CPU] * 4)
    four = prepare(read)
    assert (four.lanes.count, four.lanes.threads) == (1, 1)
    assert four.places == 4 * (1 + four.lanes.beside)
    job.write(styles=[])
    assert prepare(read_for_run(job.manifest)).devices == (CPU,), "without styles nothing to share"
