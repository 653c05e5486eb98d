"""Signals: to stop in good order, and to end at once, with nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from manifests.ledger import Ledger
from tests.flows.conftest import TINY, JobFolder
from tests.flows.processes import gramflow, processes_with, wait_until

SLOW = TINY | {"override": {"scales": [[1.0, 3000]], "least_fall": 0}}
OWN_SERVER = {"PREFECT_API_URL": "", "PREFECT_HOME": ""}


def on_record(job: JobFolder) -> int:
    return len(Ledger(job.out).ids().done)


def ends_within(process: subprocess.Popen[str], seconds: float) -> str:
    began_s = time.monotonic()
    output, _ = process.communicate(timeout=seconds + 30)
    assert time.monotonic() - began_s < seconds, output
    assert "Traceback" not in output
    return output


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_stops_in_good_order(asked: signal.Signals, job: JobFolder) -> None:
    job.write(stylize=SLOW)
    process = gramflow("run", job.manifest)
    wait_until(lambda: on_record(job) > 0, "the first chunk is on record")
    process.send_signal(asked)
    output = ends_within(process, 10)
    assert process.returncode == 128 + asked, output
    assert "(a second signal ends it)" in output
    assert "are kept" in output
    assert "same command again" in output
    job.write()
    assert job.run().dataset == 36


def test_the_second_ctrl_c_ends_a_run_at_once(job: JobFolder) -> None:
    job.write(stylize=SLOW)
    process = gramflow("run", job.manifest, PREFECT_API_URL="")
    wait_until(lambda: on_record(job) > 0, "the first chunk is on record")
    (guard,) = children(process.pid)
    os.kill(process.pid, signal.SIGSTOP)  # so that it finds both at the same moment
    for asked in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(asked)
    os.kill(process.pid, signal.SIGCONT)
    output = ends_within(process, 3)
    assert process.returncode in (130, 143), output
    assert "interrupted; what is finished is kept" in output
    is_gone(guard)


def children(starter: int) -> list[int]:
    """Ids of the guards of servers that a process started."""
    of_starter = f"PPid:\t{starter}\n"
    found = []
    for pid in processes_with("flows.guard"):
        try:
            if of_starter in Path(f"/proc/{pid}/status").read_text():
                found.append(pid)
        except OSError:  # it ended meanwhile
            continue
    return found


def is_gone(guard: int) -> None:
    """The guard, and the server in its process group, within ten seconds."""
    wait_until(lambda: not in_group(guard), "guard and server are gone", seconds=10)


def in_group(leader: int) -> list[str]:
    """Processes of the group, those that have ended but not been waited for left out."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if group == str(leader) and state != "Z":
            found.append(folder.name)
    return found


def test_ctrl_c_while_the_server_comes_up_leaves_none(job: JobFolder) -> None:
    process = gramflow("run", job.manifest, PREFECT_API_URL="")
    wait_until(lambda: bool(children(process.pid)), "the server's guard is there")
    (guard,) = children(process.pid)
    process.send_signal(signal.SIGINT)
    output = ends_within(process, 3)
    assert process.returncode == 130
    assert output == "error: interrupted; what is finished is kept, run again to go on\n"
    is_gone(guard)


@pytest.mark.parametrize("delay_s", [0, 0.3, 1.0])
def test_ctrl_c_during_imports_is_one_sentence(delay_s: float, job: JobFolder) -> None:
    process = gramflow("plan", job.manifest)
    wait_until(lambda: hears(process.pid, signal.SIGTERM), "Python runs our first lines")
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    ends_within(process, 3)
    assert process.returncode == 130


def hears(pid: int, signum: int) -> bool:
    """Whether a process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signum - 1) & 1)


def test_what_the_starter_ignores_stays_ignored() -> None:
    """As under nohup."""
    signals_itself = (
        "import os, signal; from flows.commands.stopping import end_at_once_on_signals;"
        "end_at_once_on_signals(); os.kill(os.getpid(), signal.SIGHUP); print('lives', flush=True);"
        "os.kill(os.getpid(), signal.SIGTERM); print('never')"
    )
    done = subprocess.run(
        [sys.executable, "-c", signals_itself],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (143, "lives\n")


def test_a_killed_server_is_started_again_and_the_run_finishes(job: JobFolder) -> None:
    job.write(stylize=SLOW | {"override": {"scales": [[1.0, 400]], "least_fall": 0}})
    process = gramflow("run", job.manifest, PREFECT_API_URL="")
    wait_until(lambda: on_record(job) > 0, "the first chunk is on record")
    (guard,) = children(process.pid)
    (server,) = (int(pid) for pid in in_group(guard) if int(pid) != guard)
    os.kill(server, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "36 images in" in output
    assert "Error" not in output
    is_gone(guard)


def test_a_run_outlives_its_server_and_the_guard_of_it(job: JobFolder) -> None:
    job.write(stylize=SLOW | {"override": {"scales": [[1.0, 400]], "least_fall": 0}})
    process = gramflow("run", job.manifest, PREFECT_API_URL="")
    wait_until(lambda: on_record(job) > 0, "the first chunk is on record")
    (guard,) = children(process.pid)
    os.kill(guard, signal.SIGKILL)
    is_gone(guard)
    output, _ = process.communicate(timeout=150)
    assert process.returncode == 0, output
    assert "36 images in" in output
    assert "the Prefect server is gone, so its record of this run has no end" in output
    assert "Traceback" not in output
