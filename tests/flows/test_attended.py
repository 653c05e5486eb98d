"""What becomes of a flow when Prefect fails around it."""

from __future__ import annotations

import os
import signal
import time

import httpx
import pytest

from flows.commands.attended import attended
from flows.commands.running import run_shown
from flows.progress import Control, outcome_kept
from flows.server import ServerError
from flows.summary import Summary


def test_what_the_flow_came_to_outlives_prefects_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    control = Control()

    def run() -> str:
        with outcome_kept(control) as keep:
            keep("made")
        raise httpx.ConnectError("refused")

    assert attended(run, control) == "made"
    assert "the Prefect server is gone" in capsys.readouterr().err


def test_the_flows_own_error_comes_before_prefects() -> None:
    control = Control()

    def run() -> None:
        try:
            with outcome_kept(control):
                raise OSError(28, "No space left on device")
        except OSError:
            raise httpx.ConnectError("refused") from None

    with pytest.raises(OSError, match="No space left"):
        attended(run, control)


def test_a_server_that_is_gone_before_the_flow_begins_is_one_sentence() -> None:
    def run() -> None:
        try:
            raise httpx.ConnectError("refused")
        except httpx.ConnectError as error:
            raise RuntimeError("Failed to reach API at http://127.0.0.1:9/api/") from error

    with pytest.raises(ServerError, match=r"^the Prefect server failed .* run again to go on$"):
        attended(run, Control())


def test_other_errors_are_as_they_were() -> None:
    def run() -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match=r"^ours$"):
        attended(run, Control())


def test_a_signal_at_the_end_of_a_run_is_for_what_comes_after_it() -> None:
    def run() -> Summary:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
        return Summary("out", 1, 0, 0, 1, (), 0, False, 0, (), False, "")

    assert run_shown(run) == 0, "all is done"
    assert run_shown(run, more_to_come=True) == 143
