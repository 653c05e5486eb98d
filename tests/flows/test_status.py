"""`gramflow status`: what another terminal learns of a run, and of what the last one left."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from flows.progress import ChunkDone, Control, Event, Started, controlled_by
from flows.run_file import RunRecord, read_record
from flows.standing import Standing
from flows.status import lines_of, status_of
from manifests.exporters.finished import read_finished
from manifests.in_use import Owner, in_use
from manifests.ledger import json_line
from manifests.pruning import prunable
from manifests.storage import Place, place
from manifests.verification import Seen, verify
from tests.flows.conftest import JobFolder
from tests.flows.pictures import write_bad_files
from tests.flows.processes import finished, gramflow, wait_until
from tests.stores import Server, s3_folder

SLOW = {"encoder": "random", "size": 48, "override": {"scales": [[1.0, 4000]], "least_fall": 0}}


def said(out: Place) -> str:
    return "\n".join(lines_of(status_of(out)))


def text_of(*arguments: str | Path) -> str:
    status, output = finished("status", *arguments)
    assert status == 0, output
    return output


def wait_for_state(process: subprocess.Popen[str], out: Path, state: str) -> None:
    def is_in_it() -> bool:
        assert process.poll() is None, process.communicate()[0]
        record = read_record(out)
        return record is not None and status_of(out).state == state

    wait_until(is_in_it, f"the run in {out} is {state}")


def test_a_run_that_has_told_nothing_yet_is_starting(tmp_path: Path) -> None:
    for out in (tmp_path, place("memory://status/starting")):
        with in_use(out):
            assert said(out) == (
                f"no dataset yet → {out}\n"
                f"a run is starting (process {os.getpid()} on {platform.node()})"
            )
            assert status_of(out).state == "starting"
    owner = replace(Owner.here(), process_start="1")
    (tmp_path / ".gramflow" / "lock").write_bytes(json_line(asdict(owner)))
    for out in (tmp_path, place("memory://status/starting"), tmp_path / "none"):
        with pytest.raises(ValueError, match="no run has written here"):
            status_of(out)


def test_a_run_is_told_of_while_it_goes_when_it_is_killed_and_when_it_is_done(
    job: JobFolder,
) -> None:
    job.write(stylize=SLOW)
    process = gramflow("run", job.manifest)
    wait_for_state(process, job.out, "making")
    text = text_of(job.out)
    assert text.startswith(f"small → {job.out}\nrunning since ")
    assert f"process {process.pid} on " in text
    assert " of 36 images · chunk " in text
    assert "\nimages  decode " in text
    found = json.loads(text_of(job.out, "--json"))
    assert (found["state"], found["pid"], found["runner"]) == ("making", process.pid, "threads")
    assert found["standing"]["to_do"] == 36
    process.kill()
    process.communicate()

    text = text_of(job.out)
    assert "the run that wrote this is gone: started " in text
    assert "give its command again to go on" in text
    assert status_of(job.out).state == "gone"

    job.write()
    write_bad_files(job.folder / "photos" / "dog")
    assert job.run().dataset > 36
    images = read_finished(job.out).about["images"]
    assert f", {images} images in the dataset, 5 files failed" in text_of(job.out)
    found = json.loads(text_of(job.out, "--json"))
    assert found["state"] == "finished"
    assert found["outcome"] == {
        "end": "finished",
        "why": "",
        "dataset": images,
        "left": 0,
        "failures": 5,
    }


def test_a_run_that_is_interrupted_has_stopped(job: JobFolder) -> None:
    job.write(stylize=SLOW)
    process = gramflow("run", job.manifest)
    wait_for_state(process, job.out, "making")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert " images left; give its command again to go on" in said(job.out)


def test_a_limit_leaves_images(job: JobFolder) -> None:
    job.run(limit=1)
    assert "1 image in the dataset, 0 files failed\n35 images left" in said(job.out)


def test_a_run_that_breaks_down_says_why(job: JobFolder) -> None:
    job.out.mkdir()
    (job.out / "train").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="train"):
        job.run()
    text = said(job.out)
    assert "broke off " in text
    assert str(job.out / "train") in text


def test_a_dataset_of_which_no_run_told_is_counted(job: JobFolder) -> None:
    job.run()
    (job.out / ".gramflow" / "progress.json").unlink()
    (job.out / "report.html").unlink()
    assert said(job.out) == (
        f"small → {job.out}\nno run has it; 36 images in the dataset, 0 files failed\n"
        "36 images on record"
    )
    (job.out / "dataset.json").unlink()
    assert said(job.out) == f"no dataset yet → {job.out}\n36 images on record"
    (job.out / ".gramflow" / "progress.json").write_text("{}")
    assert status_of(job.out).state == "idle"


def test_the_report_is_named(job: JobFolder) -> None:
    job.run()
    assert said(job.out).splitlines()[-1] == f"report: {job.out / 'report.html'}"


def test_a_folder_of_no_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("")
    for folder in (tmp_path, tmp_path / "none", tmp_path / "a.jpg"):
        status, output = finished("status", folder)
        assert status == 2
        assert output.startswith(f"error: {folder}: no run has written here; expected ")
        assert len(output.splitlines()) == 1


def test_nobody_else_is_disturbed_by_the_file(job: JobFolder) -> None:
    job.run()
    assert read_record(job.out) is not None
    assert list(verify(read_finished(job.out), Seen())) == []
    assert prunable(job.out).kept == ()
    assert job.run().made == 0


def test_a_run_in_a_store_is_told_of_too(job: JobFolder, s3: Server) -> None:
    folder = s3_folder()
    states: list[str] = []

    def tell(event: Event) -> None:
        if isinstance(event, ChunkDone) and not states:
            wait_until(lambda: read_record(place(folder.file("out"))) is not None, "it is told of")
            states.append(status_of(place(folder.file("out"))).state)

    with controlled_by(Control(tell=tell)):
        job.run(out=folder.file("out"))
    assert states[0] in ("reading", "making")
    assert "36 images in the dataset" in said(place(folder.file("out")))
    with pytest.raises(ValueError, match="no run has written here"):
        status_of(place(folder.file("other")))


def test_a_disk_that_refuses_the_file_does_not_end_the_run(job: JobFolder) -> None:
    (job.out / ".gramflow" / "progress.json" / "in the way").mkdir(parents=True)
    assert job.run().made == 36


def _record(**changes: Any) -> RunRecord:
    standing = Standing(phase="waiting", waiting_for="other runs have the GPUs")
    return replace(RunRecord("small", "threads", Owner.here(), standing), **changes)


def _write(record: RunRecord, out: Path) -> None:
    (out / ".gramflow").mkdir(exist_ok=True)
    (out / ".gramflow" / "progress.json").write_bytes(json_line(asdict(record)))


def test_a_run_waits_until_it_is_heard_of_no_more(tmp_path: Path) -> None:
    elsewhere = replace(Owner.here(), machine="another", host="another", pid=os.getpid() + 1)
    _write(_record(owner=elsewhere), tmp_path)
    assert said(tmp_path).endswith("\nwaiting: other runs have the GPUs")
    silent = replace(elsewhere, heard_s=elsewhere.heard_s - 3600)
    _write(_record(owner=silent), tmp_path)
    assert "is gone" in said(tmp_path)
    assert "before it made anything" in said(tmp_path)


def test_the_plan_is_told_of_before_anything_is_made(job: JobFolder) -> None:
    seen: list[Event] = []
    with controlled_by(Control(tell=seen.append)):
        job.run()
    (started,) = (event for event in seen if isinstance(event, Started))
    done = [event for event in seen if isinstance(event, ChunkDone)]
    assert (started.to_do, started.chunks) == (36, len(done))
