"""What all commands have in common: completion, colours, defects, and a light start."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import flows.status
from flows.cli import app
from tests.flows.conftest import JobFolder
from tests.flows.processes import finished

SHELLS = ("bash", "zsh", "fish")
_STYLE = re.compile(r"\x1b\[[\d;]*m")


def in_terminal(*arguments: str | Path, **environment: str) -> str:
    """What `gramflow ARGUMENTS` writes to a terminal."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm-256color"} | environment,
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 4096):
            written += part
    except OSError:  # its end, on Linux
        pass
    os.close(ours)
    process.wait(timeout=60)
    return written.decode()


def test_the_command_line_starts_without_what_takes_its_time() -> None:
    heavy = {"torch", "prefect", "albumentations", "numpy", "pyarrow", "PIL", "fsspec", "pydantic"}
    script = f"import sys, flows.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_and_options_are_completed(shell: str) -> None:
    def completed(line: str) -> str:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        asked = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        _, output = finished(_GRAMFLOW_COMPLETE=f"complete_{shell}", **words, **asked)
        return output

    assert {"status", "stylize"} <= set(re.findall(r"\w+", completed("gramflow st")))
    assert "verify" not in completed("gramflow st")
    assert "--retry-failed" in completed("gramflow run --re")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_is_shown(shell: str) -> None:
    undetected = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    status, output = finished("--show-completion", shell, **undetected)
    assert status == 0
    assert f"complete_{shell}" in output


def test_the_script_of_bash_is_installed_and_completes(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    status, output = finished("--install-completion", "bash", **home)
    assert status == 0, output
    command = tmp_path / "gramflow"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m flows "$@"\n')
    command.chmod(0o755)
    script = (
        "shopt -s expand_aliases; . ~/.bashrc; COMP_WORDS=(gramflow sta); COMP_CWORD=1; "
        "$(complete -p gramflow | sed 's/.*-F \\([^ ]*\\) .*/\\1/') gramflow; "
        'echo "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | home | {"PATH": path},
    )
    assert done.stdout.split() == ["status"], done


def test_colours_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    wrong = ("status", tmp_path)
    assert _STYLE.search(in_terminal(*wrong))
    assert "\x1b" not in in_terminal(*wrong, NO_COLOR="1")
    assert "\x1b" not in finished(*wrong)[1]
    assert _STYLE.search(finished(*wrong, FORCE_COLOR="1")[1])
    assert _STYLE.search(in_terminal("--help"))
    assert "\x1b" not in in_terminal("--help", NO_COLOR="1")
    assert "\x1b" not in in_terminal("status", NO_COLOR="1")
    assert "\x1b" not in finished("--help")[1]


def test_a_run_in_a_pipe_writes_no_escapes_and_with_no_color_no_colours(job: JobFolder) -> None:
    status, output = finished("run", job.manifest)
    assert (status, "\x1b" in output) == (0, False), output
    assert "36 of 36 images to make\n" in output
    job.write(seed=8)
    written = in_terminal("run", job.manifest, NO_COLOR="1", PREFECT_API_URL="")
    assert "reading files, starting Prefect's server" in written
    assert f"36 images in {job.out}" in written
    assert "images  decode " in written
    assert not _STYLE.search(written)


def test_a_defect_is_one_sentence_and_its_place_is_shown_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(out: object) -> None:
        raise LookupError("no such\nthing")

    monkeypatch.setattr(flows.status, "status_of", broken)
    result = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert result.exit_code == 70
    assert result.stderr == (
        "error: this is a defect in gramflow: LookupError: no such thing; `gramflow --debug …` "
        "shows where\n"
    )
    result = CliRunner().invoke(app, ["--debug", "status", str(tmp_path)])
    assert result.exit_code == 70
    assert "Traceback (most recent call last):" in result.stderr
    assert "in broken" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: this is a defect in gramflow: ")


def test_where_wrong_input_was_found_is_shown_only_when_asked_for(tmp_path: Path) -> None:
    status, output = finished("--debug", "status", tmp_path)
    assert status == 2
    assert "Traceback" in output
    assert output.splitlines()[-1].startswith(f"error: {tmp_path}: no run has written here")
    result = CliRunner().invoke(app, ["status", str(tmp_path)])
    assert "Traceback" not in result.output
