"""What becomes of a command whose output has nowhere to go, or lacks some characters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import JobFolder
from tests.flows.processes import finished
from tests.manifests.exporters.finished import made, write_finished

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a shell and /dev/full")

LINES = ("gramflow schema", "gramflow verify .", "gramflow verify . --json")


def shell(line: str, folder: Path, **environment: Any) -> tuple[int, str, str]:
    """Exit status, output and errors of a line of bash in which `gramflow` is the command."""
    command = f'gramflow() {{ "{sys.executable}" -m flows "$@"; }}; set -o pipefail; {line}'
    paths = os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths} | environment,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A finished dataset whose folder has a name that is no ASCII."""
    return write_finished(tmp_path / "überall→", [made("a")])


def test_characters_that_the_encoding_lacks_are_escaped(dataset: Path) -> None:
    ascii = {"PYTHONIOENCODING": "ascii"}
    status, output, errors = shell("gramflow verify .", dataset, **ascii)
    assert (status, errors) == (1, "")
    assert "\\xfcberall\\u2192: 1 image" in output
    status, output, errors = shell("gramflow verify . --json", dataset, **ascii)
    assert json.loads(output.splitlines()[-1])["images"] == 1
    _, _, errors = shell("gramflow status nowhere", dataset, **ascii)
    assert errors.startswith(f"error: {dataset.parent}/\\xfcberall\\u2192/nowhere: no run has")


def test_status_as_json_is_json_in_any_encoding(job: JobFolder) -> None:
    job.write(output={"path": "überall→"})
    job.run()
    for encoding in ("ascii", "utf-8"):
        line = "gramflow status überall→ --json"
        _, output, _ = shell(line, job.folder, PYTHONIOENCODING=encoding)
        assert json.loads(output)["out"] == str(job.folder / "überall→"), output


@pytest.mark.parametrize("line", LINES)
def test_a_pipe_that_nobody_reads_ends_a_command_in_silence(dataset: Path, line: str) -> None:
    status, output, errors = shell(f"(sleep 0.3; {line}) | exec 0<&-", dataset)
    assert (output, errors) == ("", "")
    assert status in (1, 141)


@pytest.mark.parametrize("line", LINES)
def test_a_full_device_is_one_sentence(dataset: Path, line: str) -> None:
    status, _, errors = shell(f"{line} >/dev/full", dataset)
    assert (status, errors) == (2, "error: standard output: No space left on device\n")


@pytest.mark.parametrize("line", ["gramflow schema", "gramflow verify . --json", "gramflow --help"])
def test_closed_streams_swallow_what_is_said(dataset: Path, line: str) -> None:
    expected = 1 if "verify" in line else 0
    assert shell(f"{line} >&-", dataset) == (expected, "", "")
    assert shell(f"{line} >&- 2>&-", dataset) == (expected, "", "")


def test_a_run_goes_on_when_nobody_reads_it_any_more(job: JobFolder) -> None:
    status, output, errors = shell(f"gramflow run {job.manifest} | exec 0<&-", job.folder)
    assert (status, output, errors) == (141, "", "")
    assert len(job.images()) == 36
    assert "finished " in finished("status", job.out)[1]


def test_debug_may_stand_behind_the_command(tmp_path: Path) -> None:
    status, output = finished("status", tmp_path, "--debug")
    assert status == 2
    assert "Traceback" in output
    assert output.splitlines()[-1].startswith(f"error: {tmp_path}: no run has written here")


def test_what_is_kept_is_told_only_where_something_was_begun(
    job: JobFolder, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "dataset.json")
    for command in ("verify", "replay", "report"):
        rest = ("x", "-o", tmp_path / "x.jpg") if command == "replay" else ()
        status, output = finished(command, tmp_path, *rest)
        said = f"error: {tmp_path}/dataset.json: is a pipe or a device, not a file\n"
        assert (status, output) == (2, said)
    job.run()
    (job.out / "report.html").unlink()
    (job.out / "report.html").mkdir()
    said = f"error: {job.out}/report.html: Is a directory\n"
    assert finished("report", job.out) == (2, said)
