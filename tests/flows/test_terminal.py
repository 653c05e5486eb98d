"""What a run says as it goes."""

from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console

from flows.progress import ChunkDone, Event, Hashing, InStage, Optimised, Started, Waiting
from flows.terminal import RunDisplay
from flows.wording import counted, duration, file_size

UNDERWAY: tuple[Event, ...] = (
    Hashing(3),
    Started(images=120_000, to_do=108_000, pairs=2000, work=4000.0, chunks=300),
    ChunkDone(images=5, failed=1, pairs=2, work=3.0, left_out=1),
    InStage(4, 250, "decode"),
    InStage(5, 256, "wait"),
    InStage(6, 256, "optimise"),
    InStage(7, 240, "write"),
    Optimised(chunk=6, pairs=2.5, iteration=10, of=1200),
)
DONE: tuple[Event, ...] = (
    Started(images=12, to_do=8, pairs=2, work=4.0, chunks=2),
    ChunkDone(images=5, failed=1, pairs=2, work=3.0),
    ChunkDone(images=2, failed=0, pairs=0, work=1.0),
)


def shown(*events: Event, terminal: bool, width: int = 120, stop: bool = False) -> str:
    stream, stopping = io.StringIO(), threading.Event()
    console = Console(
        file=stream, force_terminal=terminal, width=width, color_system=None, _environ={}
    )
    with RunDisplay(console, stopping) as display:
        for event in events:
            display.tell(event)
        if stop:
            stopping.set()
    return stream.getvalue()


def last_frame(*events: Event, width: int, stop: bool = False) -> list[str]:
    """The lines that were in place at the end."""
    text = shown(*events, terminal=True, width=width, stop=stop)
    frames = re.split(r"(?:\x1b\[\d*[A-Za-z]|\x1b\[\?25[lh]|\r)+", text)
    return [frame for frame in frames if frame.strip()][-1].splitlines()


def test_without_a_terminal_there_are_plain_lines() -> None:
    text = shown(*DONE, terminal=False)
    lines = text.splitlines()
    assert "\x1b" not in text
    assert lines[0] == "8 of 12 images to make"
    assert re.fullmatch(r"8/8 images · 1 failed · [\d.]+ pairs/s", lines[-1])


def test_without_a_terminal_stages_are_said_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flows.terminal._PLAIN_LINE_EVERY_S", 0.0)
    line = shown(*UNDERWAY, terminal=False).splitlines()[-1]
    assert line.startswith("7/108,000 images · 1 failed · 1 left out · ")
    assert line.endswith("decode 250, wait 256, optimise 256, write 240")


def test_while_it_waits_a_run_says_for_what() -> None:
    waiting = Waiting("other runs have the \x1b[31mGPUs")
    assert last_frame(waiting, width=80) == ["waiting: other runs have the \\x1b[31mGPUs"]
    assert shown(waiting, terminal=False) == "waiting: other runs have the \\x1b[31mGPUs\n"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_in_a_terminal_four_lines_stay_in_place_at_every_width(width: int) -> None:
    lines = last_frame(*UNDERWAY, width=width)
    assert len(lines) == 4
    assert max(map(len, lines)) <= min(width, 100)
    assert lines[0].endswith(" 7/108,000 images")
    assert lines[1].startswith("1 failed · 1 left out · ")
    if width >= 60:
        assert lines[2] == "images  decode 250 · wait 256 · optimise 256 · write 240"
        assert re.fullmatch(r"time    decode \d+ % · optimise \d+ % · write \d+ %", lines[3])


def test_a_terminal_is_left_as_it_was() -> None:
    text = shown(*DONE, terminal=True)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rstrip().endswith("\x1b[2K")


def test_a_run_that_is_to_stop_says_so_among_its_lines() -> None:
    *_, last = last_frame(*UNDERWAY, width=80, stop=True)
    assert last == "stopping; what is finished is kept (Ctrl-C again ends it)"


def test_workers_that_tell_no_stages_have_the_images() -> None:
    away = (UNDERWAY[1], InStage(4, 250, "away"), InStage(5, 6, "away"))
    assert last_frame(*away, width=80)[2] == "images  256 with the workers"


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


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1000, "1,000 images")]
)
def test_what_is_counted_is_one_or_many(count: int, text: str) -> None:
    assert counted(count, "image") == text
    assert counted(count, "class") == text.replace("images", "classes").replace("image", "class")
