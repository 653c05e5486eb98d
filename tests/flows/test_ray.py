"""Chunks worked by Ray: the same results, also when one of its processes is killed."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import psutil
import pytest

import flows.engine
from flows.progress import ChunkDone, Control, Event, controlled_by
from flows.workshop import WorkersError
from tests.flows.conftest import TINY, JobFolder


def stations_of(starter: int) -> list[psutil.Process]:
    """The processes of its Ray workers."""
    children = psutil.Process(starter).children(recursive=True)
    return [one for one in children if "ray::Station" in " ".join(_command(one))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return []


def test_ray_gives_the_files_and_rows_of_one_process_though_a_worker_is_killed(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flows.engine, "CORES", 2)
    job.write(stylize=TINY | {"override": {"scales": [[1.0, 50]]}})
    alone = job.folder / "alone"
    job.run(out=alone)
    stations: list[psutil.Process] = []
    once = iter([True])

    def kill_one(event: Event) -> None:
        if isinstance(event, ChunkDone) and next(once, False):
            stations.extend(stations_of(os.getpid()))
            os.kill(stations[0].pid, signal.SIGKILL)

    there_before = set(Path(tempfile.gettempdir()).glob("gramflow-ray-*"))
    capfd.readouterr()
    with controlled_by(Control(tell=kill_one)):
        summary = job.run(runner="ray")
    assert stations
    assert (summary.made, summary.failed) == (36, 0)
    assert job.images() == job.images(alone)
    for name in ("metadata.jsonl",):
        assert (job.out / "train" / name).read_text() == (alone / "train" / name).read_text()
    assert stations_of(os.getpid()) == []
    assert set(Path(tempfile.gettempdir()).glob("gramflow-ray-*")) <= there_before
    assert "raylet" not in capfd.readouterr().err


def test_a_cluster_that_would_take_orders_from_everyone_is_not_started(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    there = find_spec("ray")
    assert there is not None
    monkeypatch.setitem(sys.modules, "ray", module_from_spec(there))
    with pytest.raises(WorkersError, match=r"imported ray before.* RAY_AUTH_MODE=token"):
        job.run(runner="ray")
