"""A Prefect server as a user's, and the commands that a user gives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_SAY = """
import json, sys
from typer.testing import CliRunner
from flows.cli import app
said = [CliRunner().invoke(app, arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([(one.exit_code, one.output) for one in said]))
"""


@dataclass(frozen=True)
class Server:
    """A Prefect server that is up, and its folder."""

    url: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PREFECT_API_URL": self.url, "PREFECT_HOME": str(self.home)}

    def start(self, module: str, *arguments: str | Path, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment | more,
            cwd=ROOT,
            start_new_session=True,
        )

    def gramflow(self, *arguments: str | Path) -> tuple[int, str]:
        process = self.start("flows", *arguments)
        output, _ = process.communicate(timeout=200)
        return process.returncode, output

    def said(self, commands: list[list[str | Path]], **more: str) -> list[tuple[int, str]]:
        """Exit status and output of each command; one process for all of them, which is quicker."""
        arguments = json.dumps([list(map(str, one)) for one in commands])
        done = subprocess.run(
            [sys.executable, "-c", _SAY, arguments],
            env=self.environment | more,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        return [(status, output) for status, output in json.loads(done.stdout)]

    def prefect(self, *arguments: str, **more: str) -> str:
        process = self.start("prefect", *arguments, **more)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
        return output

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        while True:
            try:
                with urllib.request.urlopen(request, timeout=100) as answer:
                    text = answer.read()
            except urllib.error.HTTPError as error:
                # Its database is locked for a moment, which Prefect's own client waits for too.
                if error.code != 503:
                    raise
                time.sleep(0.2)
                continue
            return json.loads(text) if text else None

    def deployment(self, full_name: str) -> Any:
        return self.ask(f"deployments/name/{full_name}")

    def runs(self, deployment: str | None = None) -> list[Any]:
        """Runs of a deployment, or all, the oldest first."""
        wanted = {"deployments": {"name": {"any_": [deployment]}}} if deployment else {}
        return list(
            reversed(self.ask("flow_runs/filter", wanted | {"sort": "EXPECTED_START_TIME_DESC"}))
        )

    def state(self, run: Any) -> str:
        return str(self.ask(f"flow_runs/{run['id']}")["state"]["type"])
