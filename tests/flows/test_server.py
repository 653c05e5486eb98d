"""The Prefect server that the command line starts for itself."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

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
        with urllib.request.urlopen(f"{url.removesuffix('/api')}/ui-settings") as answer:
            assert json.load(answer)["api_url"] == url, "its page asks another server"
        port = url.split(":")[2].split("/")[0]
        assert processes_with(f"--port {port}")
    assert "PREFECT_API_URL" not in os.environ
    wait_until(lambda: not processes_with(f"--port {port}"), "the server is gone", seconds=10)


_COMES_UP = """
import pathlib, sys
from flows.server import prefect_server
with prefect_server(pathlib.Path(sys.argv[1])):
    pass
"""


def test_servers_that_come_up_at_once_on_a_new_database_all_do(
    tmp_path: Path, no_server: None
) -> None:
    command = [sys.executable, "-c", _COMES_UP, str(tmp_path / "home")]
    started = []
    for _ in range(4):
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        time.sleep(0.4)  # the next begins while the one before makes its tables
    failed = [errors for one in started if (errors := one.communicate(timeout=200)[1])]
    assert failed == []
    assert [one.returncode for one in started] == [0, 0, 0, 0]


def _listening(port: int) -> set[str]:
    """Addresses of this machine that take connections at a port, as /proc writes them."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in _table(name)]
    places = [line[1].split(":") for line in lines if line[3] == "0A"]
    return {address for address, at in places if int(at, 16) == port}


def _table(name: str) -> list[str]:
    return Path(f"/proc/net/{name}").read_text().splitlines()[1:]


def test_the_server_is_for_this_machine_alone_whatever_prefects_settings_say(
    tmp_path: Path, no_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT_SERVER_API_HOST", "PREFECT_SERVER_HOST"):
        monkeypatch.setenv(name, "0.0.0.0")
    with prefect_server(tmp_path / "home") as url:
        assert _listening(urlsplit(url).port or 0) == {"0100007F"}
        elsewhere = {"Origin": "http://elsewhere.example"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/health", None, elsewhere)) as it:
            assert it.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://gpu.example:4200/api", True),
        ("http://10.0.0.7:4200/api", True),
        ("http://[2001:db8::1]:4200/api", True),
        ("https://gpu.example/api", False),
        ("http://127.0.0.1:4200/api", False),
        ("http://[::1]:4200/api", False),
        ("http://localhost:4200/api", False),
        ("http://[nonsense/api", False),
    ],
)
def test_of_a_line_that_others_can_read_it_is_warned_once(
    url: str,
    warned: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # None of these is asked: whether it answers is another test's matter.
    monkeypatch.setattr("flows.server._check_answers", lambda url: None)
    monkeypatch.setenv("PREFECT_API_URL", url)
    for _ in range(2):
        with prefect_server(tmp_path):
            pass
    told = capsys.readouterr().err
    assert told.count("warning: PREFECT_API_URL: ") == warned
    assert told.count("\n") == warned


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


def test_no_file_of_the_folder_where_a_command_is_given_is_taken_for_a_module(
    job: JobFolder, no_server: None, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    (here / "flows").mkdir(parents=True)
    for module in ("click.py", "anyio.py", "flows/__init__.py"):
        (here / module).write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\nraise SystemExit\n")
    gramflow = Path(sys.executable).with_name("gramflow")
    ran = subprocess.run([gramflow, "run", job.manifest], cwd=here, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "36 images in" in ran.stdout
    assert not (tmp_path / "imported").exists()
