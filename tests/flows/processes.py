"""The command line as a user starts it: a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Commands ignore what their starter ignores, as tests in the background do with these.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def gramflow(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start `gramflow ARGUMENTS`; standard output and error are one pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    )


def finished(*arguments: str | Path, **environment: str) -> tuple[int, str]:
    """Exit status and output of `gramflow ARGUMENTS`."""
    process = gramflow(*arguments, **environment)
    output, _ = process.communicate(timeout=200)
    return process.returncode, output


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll until `condition` holds; fails the test, saying `what`, when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(0.005)


def processes_with(text: str) -> list[int]:
    """Ids of live processes whose command line contains `text`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:  # it ended meanwhile
                continue
            if text.encode() in command:
                found.append(int(folder.name))
    return found
