"""Jobs on a user's Prefect server: deployed, triggered, served, killed; all in real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows.server import prefect_server
from flows.status import lines_of, status_of
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo, write_classes
from tests.flows.processes import processes_with, wait_until
from tests.flows.users_server import ROOT, Server

POOL = "gramflow"
# Long enough to be met at work: some tenths of a second a pair.
SLOW = TINY | {"size": 64, "override": {"scales": [[1.0, 300]]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Waits are short: a second for the slot of a deployment, and between looks for lost runs."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv("PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS", "1")
        patch.setenv("PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY", "PT1S")
        with prefect_server(home) as url:
            # It is the session's own again, for other tests, while this one stays up.
            patch.undo()
            yield Server(url, home)
            patch.setenv("PREFECT_API_URL", url)


@pytest.fixture(scope="module")
def worker(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As the README starts it, in a folder of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        env=server.environment
        | {"PREFECT_WORKER_QUERY_SECONDS": "1", "PYTHONPATH": _import_path()},
        cwd=tmp_path_factory.mktemp("worker"),
    )
    yield
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)


def _import_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    """Four photos in three styles, without variants: twelve images."""
    write_classes(tmp_path / "photos", count=4)
    (tmp_path / "styles").mkdir()
    for index in range(3):
        photo(100 + index, 40, 52).save(tmp_path / "styles" / f"style{index}.png")
    folder = JobFolder(tmp_path)
    _write(folder, tmp_path.name)
    return folder


def _write(job: JobFolder, name: str, stylize: dict[str, Any] = TINY) -> None:
    job.write(
        name=name.strip("_"),
        stylize=stylize,
        pairing={"strategy": "all"},
        augment={"include_original": False},
    )


def _name(job: JobFolder) -> str:
    return job.folder.name.strip("_")


def _records(job: JobFolder) -> set[str]:
    return {file.name for file in (job.out / ".gramflow" / "ledger").glob("*")}


def test_a_deployed_job_is_made_by_a_worker_when_triggered(
    server: Server, worker: None, job: JobFolder
) -> None:
    status, output = server.gramflow("deploy", job.manifest, "--pool", POOL, "--cron", "0 2 * * *")
    assert status == 0, output
    assert f"prefect worker start --pool {POOL} --type process" in output
    deployed = server.deployment(f"stylize-dataset/{_name(job)}")
    assert deployed["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    assert deployed["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    described = deployed["parameter_openapi_schema"]["properties"]
    assert all(one["description"] for one in described.values())
    assert described["out"]["anyOf"][0]["type"] == "string"

    status, output = server.gramflow("trigger", _name(job), "--wait")
    said = f"Completed: 12 images made, 0 failed; 12 in {job.out}"
    assert (status, output.splitlines()[-1]) == (0, said)
    assert len(job.images()) == 12
    assert f"stylize {_name(job)}" in [run["name"] for run in server.runs(_name(job))]


def test_a_run_that_nobody_takes_is_said_to_wait_and_what_ends_it(
    server: Server, job: JobFolder
) -> None:
    # A pool that no test's worker looks at.
    status, output = server.gramflow("deploy", job.manifest, "--pool", "nobodys")
    assert status == 0, output
    process = server.start("flows", "trigger", _name(job), "--wait")
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    (run,) = server.runs(_name(job))
    assert told[1].startswith("no worker has taken it yet; it starts once one does")
    assert process.returncode == 130
    assert rest == f"no more waited for; to end it, too: prefect flow-run cancel {run['id']}\n"


def test_what_cannot_be_triggered_or_deployed_is_said_in_a_sentence(
    server: Server, worker: None, job: JobFolder
) -> None:
    name = _name(job)
    cases: list[tuple[list[str | Path], str]] = [
        (["deploy", job.manifest, "--pool", POOL], "is on work pool"),
        (["trigger", "nobody"], f"nobody: no deployment has this name; there are .*{name}"),
        (["trigger", name, "-p", "limt=1"], "no parameter limt; its parameters are dask_address, "),
        (["trigger", name, "-p", "limit"], "-p limit: expected key=value"),
        (["trigger", name, "-p", "limit=few"], "field 'limit'"),
        (["trigger", name, "-p", "limit=-5"], "field 'limit'"),
        (["trigger", name, "-p", "wait_s=-1"], "field 'wait_s'"),
        (["deploy", job.manifest, "--pool", POOL, "--cron", "at two"], "--cron.* got 'at two'"),
        (["deploy", job.manifest, "--pool", "other"], "expected a work pool of type process"),
        (["serve", "--cron", "0 2 * * *"], "expected a manifest"),
        (["serve", job.manifest, "--cron", "0 2 * * *", "--interval", "2"], "one of them"),
        (["serve", job.manifest, "--interval", "0"], "seconds above 0, got 0"),
    ]
    server.ask("work_pools/", {"name": "other", "type": "docker"})
    said = server.said([arguments for arguments, _ in cases])
    assert [status for status, _ in said] == [0] + [2] * (len(cases) - 1)
    for (arguments, expected), (status, output) in zip(cases, said, strict=True):
        assert re.search(expected, output), (arguments, output)
        assert status == 0 or output.count("\n") == 1


def test_of_two_runs_the_second_waits_and_goes_on_where_the_first_was_killed(
    server: Server, worker: None, job: JobFolder
) -> None:
    _write(job, _name(job), SLOW)
    server.gramflow("deploy", job.manifest, "--pool", POOL)
    assert [server.gramflow("trigger", _name(job))[0] for _ in range(2)] == [0, 0]
    wait_until(lambda: len(_records(job)) > 0, "something is on record", seconds=90)
    states = {run["state"]["type"]: run for run in server.runs(_name(job))}
    assert set(states) == {"RUNNING", "SCHEDULED"}
    os.kill(_process_of(states["RUNNING"]), signal.SIGKILL)
    kept = _records(job)
    assert len(kept) < 12
    wait_until(lambda: server.state(states["RUNNING"]) == "CRASHED", "it is marked", seconds=60)
    wait_until(lambda: server.state(states["SCHEDULED"]) == "COMPLETED", "the other is done")
    crashed, completed = sorted(server.runs(_name(job)), key=lambda run: str(run["start_time"]))
    assert crashed["end_time"] <= completed["start_time"]
    assert len(job.images()) == 12
    assert kept < _records(job)


def _process_of(run: Any) -> int:
    """Prefect tells the process of a run, in its environment, which run that is."""
    for number in processes_with("prefect.engine"):
        if run["id"].encode() in Path(f"/proc/{number}/environ").read_bytes():
            return number
    raise AssertionError(f"no process runs {run['id']}")


def test_a_run_from_the_command_line_that_dies_is_marked_by_the_automation(
    server: Server, worker: None, job: JobFolder
) -> None:
    _write(job, _name(job), SLOW)
    server.gramflow("deploy", job.manifest, "--pool", POOL)
    (automation,) = server.ask("automations/filter", {})
    assert automation["trigger"]["within"] == 90
    # Ten seconds is the least that Prefect takes.
    automation["trigger"]["within"] = 10
    changed = {
        key: automation[key] for key in ("name", "description", "enabled", "trigger", "actions")
    }
    server.ask(f"automations/{automation['id']}", changed, "PUT")

    process = server.start("flows", "run", job.manifest)
    wait_until(lambda: len(_records(job)) > 0, "something is on record", seconds=90)
    process.kill()
    process.communicate()
    (run,) = [run for run in server.runs() if run["deployment_id"] is None]
    wait_until(lambda: server.state(run) == "CRASHED", "it is marked", seconds=60)
    server.gramflow("deploy", job.manifest, "--pool", POOL)
    (automation,) = server.ask("automations/filter", {})
    assert automation["trigger"]["within"] == 90


def test_prefect_yaml_deploys_the_same(server: Server, worker: None, job: JobFolder) -> None:
    server.gramflow("deploy", "--pool", POOL)
    by_command = server.deployment("reprocess-folder/on-demand")
    server.ask(f"deployments/{by_command['id']}", method="DELETE")
    server.prefect("--no-prompt", "deploy", "--all", GRAMFLOW_MANIFEST=str(job.manifest))
    by_file = server.deployment("reprocess-folder/on-demand")
    for same in (
        "entrypoint",
        "parameters",
        "parameter_openapi_schema",
        "concurrency_options",
        "description",
        "job_variables",
        "tags",
        "work_pool_name",
        "pull_steps",
    ):
        assert by_file[same] == by_command[same], same
    nightly = server.deployment("stylize-dataset/nightly")
    assert nightly["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    status, output = server.gramflow("trigger", "nightly", "-p", "limit=1", "--wait")
    assert status == 0, output
    assert len(job.images()) == 1


def test_a_served_job_runs_by_its_schedule_until_it_is_interrupted(
    server: Server, job: JobFolder
) -> None:
    process = server.start("flows", "serve", job.manifest, "--interval", "5")
    try:
        wait_until(
            lambda: any(run["state"]["type"] == "COMPLETED" for run in server.runs(_name(job))),
            "a scheduled run is done",
            seconds=90,
        )
        assert len(job.images()) == 12
        _write(job, _name(job), SLOW)
        before = _records(job)
        wait_until(lambda: _records(job) > before, "one is at work", seconds=90)
        underway = [run for run in server.runs(_name(job)) if run["state"]["type"] == "RUNNING"]
    finally:
        # Ctrl-C in a terminal reaches the run's process as well.
        os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "serving stylize-dataset/" in output
    told = [line.partition(f" stylize {_name(job)}: ")[2] for line in output.splitlines()]
    assert f"Completed: 12 images made, 0 failed; 12 in {job.out}" in told, output
    assert "started" in told, output
    assert "what is finished is kept, and the schedule is paused" in output
    assert [server.state(run) in ("CANCELLED", "CRASHED") for run in underway] == [True]
    stands = "\n".join(lines_of(status_of(job.out)))
    assert "stopped" in stands
    assert "left; " in stands
    assert server.deployment(f"stylize-dataset/{_name(job)}")["paused"]
    for number in processes_with("prefect.engine"):
        assert underway[0]["id"].encode() not in Path(f"/proc/{number}/environ").read_bytes()


def test_a_closed_terminal_ends_serving_in_good_order(server: Server, job: JobFolder) -> None:
    process = server.start("flows", "serve", job.manifest, "--cron", "0 2 * * *")
    full_name = f"stylize-dataset/{_name(job)}"
    try:
        wait_until(lambda: _is_served(server, full_name), "it is served", seconds=90)
        time.sleep(2)
    finally:
        process.send_signal(signal.SIGHUP)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert server.deployment(full_name)["paused"]


def _is_served(server: Server, full_name: str) -> bool:
    try:
        return bool(server.deployment(full_name))
    except urllib.error.HTTPError:  # not yet
        return False


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(401)

    do_POST = do_GET


class _HangsUp(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.endswith("/health"):
            self.send_error(404)

    def do_POST(self) -> None:
        """Ends without an answer."""


@pytest.mark.parametrize(
    ("answers", "why"),
    [(_Refuses, "401 Unauthorized.*PREFECT_API_KEY"), (_HangsUp, "disconnected")],
)
def test_a_server_that_refuses_or_goes_is_a_sentence(
    answers: type[BaseHTTPRequestHandler], why: str, job: JobFolder, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        server = Server(f"http://127.0.0.1:{stranger.server_port}/api", tmp_path)
        commands: list[list[str | Path]] = [
            ["trigger", "small"],
            ["deploy", job.manifest, "--pool", POOL],
            ["serve", job.manifest],
        ]
        for status, output in server.said(commands, PREFECT_CLIENT_MAX_RETRIES="0"):
            assert status == 2, output
            assert re.search(why, output), output
            assert output.splitlines()[-1].startswith("error: the Prefect server at http://127"), (
                output
            )
        stranger.shutdown()


def test_what_needs_a_server_says_how_to_start_one(job: JobFolder, server: Server) -> None:
    nowhere = Server("", server.home)
    commands: list[list[str | Path]] = [
        ["trigger", "small"],
        ["deploy", job.manifest, "--pool", POOL],
    ]
    for status, output in nowhere.said(commands):
        assert status == 2
        assert "start one with `prefect server start --host 127.0.0.1`" in output
        assert len(output.splitlines()) == 1
