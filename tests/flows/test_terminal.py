"""What a run says as it goes."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from flows.progress import ChunkDone, Hashing, Optimised, Started
from flows.terminal import RunDisplay, duration, file_size


def shown(terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=120, color_system=None)
    with RunDisplay(console, threading.Event()) as display:
        display.tell(Hashing(3))
        display.tell(Started(images=12, to_do=8, pairs=2, work=4.0, chunks=2))
        display.tell(Optimised(chunk=0, pairs=2, iteration=10, of=20))
        display.tell(ChunkDone(images=5, failed=1, pairs=2, work=3.0))
        display.tell(ChunkDone(images=2, failed=0, pairs=0, work=1.0))
    return stream.getvalue()


def test_without_a_terminal_there_are_plain_lines() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines[0] == "8 of 12 images to make"
    assert lines[-1].startswith("8/8 images · 1 failed · ")
    assert lines[-1].endswith(" pairs/s")


def test_in_a_terminal_there_is_one_bar() -> None:
    text = shown(terminal=True)
    assert "8/8" in text
    assert "1 failed" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (65, "1:05"), (3599.6, "1:00:00"), (90_000, "25:00:00")]
)
def test_durations_read_as_clocks(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(20, "0.0 kB"), (2_500, "2.5 kB"), (3e6, "3.0 MB"), (4.2e12, "4.2 TB")]
)
def test_file_sizes_have_a_unit(count: float, text: str) -> None:
    assert file_size(count) == text
