"""The Prefect server that the command line starts for itself."""

from __future__ import annotations

import os
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from flows.server import ServerError, prefect_server
from tests.flows.conftest import JobFolder
from tests.flows.processes import finished, gramflow, processes_with, wait_until


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nobody has set up Prefect."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_HOME", raising=False)


def test_the_server_lives_as_long_as_the_block(tmp_path: Path, no_server: None) -> None:
    with prefect_server(tmp_path / "home") as url:
        assert os.environ["PREFECT_API_URL"] == url
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
        port = url.split(":")[2].split("/")[0]
        assert processes_with(f"--port {port}")
    assert "PREFECT_API_URL" not in os.environ
    wait_until(lambda: not processes_with(f"--port {port}"), "the server is gone", seconds=10)


def test_what_is_done_while_it_comes_up_ends_it_if_it_fails(
    tmp_path: Path, no_server: None
) -> None:
    urls: list[str] = []

    def fail() -> None:
        urls.append(os.environ["PREFECT_API_URL"])
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"{urls[0]}/health")
        raise ValueError("wrong manifest")

    with (
        pytest.raises(ValueError, match="wrong manifest"),
        prefect_server(tmp_path / "home", meanwhile=fail),
    ):
        raise AssertionError("the block is not entered")
    assert "PREFECT_API_URL" not in os.environ
    port = urls[0].split(":")[2].split("/")[0]
    wait_until(lambda: not processes_with(f"--port {port}"), "the server is gone", seconds=10)


def test_a_server_of_the_users_is_used(
    tmp_path: Path, no_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with prefect_server(tmp_path / "theirs") as theirs:
        with prefect_server(tmp_path / "home") as url:
            assert url == theirs
        with urllib.request.urlopen(f"{theirs}/health") as answer:
            assert answer.status == 200
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense"])
def test_a_server_of_the_users_that_does_not_answer_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    no_answer = pytest.raises(ServerError, match="PREFECT_API_URL: no Prefect server answers")
    with no_answer, prefect_server(tmp_path):
        pass


def test_a_server_that_cannot_start_says_where_its_log_is(
    tmp_path: Path, no_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "nonsense://nowhere")
    with (
        pytest.raises(ServerError, match=r"server\.log"),
        prefect_server(tmp_path / "home"),
    ):
        pass


def test_a_killed_run_leaves_no_server_behind(job: JobFolder, no_server: None) -> None:
    process = gramflow("run", job.manifest)
    home = job.folder / "out.prefect"
    wait_until(lambda: (home / "prefect.db").exists(), "its server has a database", seconds=90)
    guards = [
        number
        for number in processes_with("flows.guard")
        if f"PPid:\t{process.pid}\n" in Path(f"/proc/{number}/status").read_text()
    ]
    assert len(guards) == 1
    port = Path(f"/proc/{guards[0]}/cmdline").read_text().split("\0")[-2]
    process.kill()
    process.communicate()
    wait_until(lambda: not processes_with(f"--port {port}"), "its server is gone", seconds=15)
    wait_until(lambda: guards[0] not in processes_with("flows.guard"), "its guard is gone")


def test_a_run_without_a_server_of_the_users_brings_its_own(
    job: JobFolder, no_server: None
) -> None:
    status, output = finished("run", job.manifest)
    assert status == 0, output
    assert "36 images in" in output
    with closing(sqlite3.connect(job.folder / "out.prefect" / "prefect.db")) as database:
        ended = database.execute("select count(*) from task_run where state_type = 'COMPLETED'")
        assert ended.fetchone() == (len(list((job.out / ".gramflow" / "ledger").iterdir())),)
