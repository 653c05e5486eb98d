"""A watched folder: what is grouped into one run, and what a run that fails does to the others."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.watching import settled_images
from tests.flows.pictures import photo
from tests.flows.processes import gramflow, wait_until
from tests.stores import Server, s3_folder

SETTLE_S = 1.0


class _Over(Exception):
    """Ends a watch, which would wait for its folder."""


@dataclass
class _Said:
    """What a watch says; the test's end makes it the last."""

    sentences: list[str] = field(default_factory=list)
    is_over: bool = False

    def __call__(self, sentence: str) -> None:
        if self.is_over:
            raise _Over
        self.sentences.append(sentence)


@pytest.fixture
def said() -> _Said:
    return _Said()


@pytest.fixture
def groups(tmp_path: Path, said: _Said) -> Iterator[Queue[list[Path]]]:
    """Of the folder `in`, which has one image already."""
    found: Queue[list[Path]] = Queue()
    folder = tmp_path / "in"
    folder.mkdir()
    photo(1).save(folder / "first.png")

    def watch() -> None:
        with suppress(_Over):
            for group in settled_images(folder, SETTLE_S, said):
                found.put(group)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield found
    said.is_over = True
    shutil.rmtree(folder, ignore_errors=True)
    thread.join(20)
    assert not thread.is_alive()


def _names(group: list[Path]) -> list[str]:
    return [file.name for file in group]


def test_images_that_grow_are_one_group_when_they_are_whole(
    tmp_path: Path, groups: Queue[list[Path]]
) -> None:
    assert _names(groups.get(timeout=20)) == ["first.png"]
    photo(2).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    for step in range(1, 7):
        for name in ("a.png", "b.png"):
            (tmp_path / "in" / name).write_bytes(data[: len(data) * step // 6])
        time.sleep(0.4)
        assert groups.empty()
    assert _names(groups.get(timeout=20)) == ["a.png", "b.png"]
    (tmp_path / "in" / "a.png").write_bytes(data + b"more")
    assert _names(groups.get(timeout=20)) == ["a.png"]


def test_only_images_count_and_a_busy_log_does_not_hold_them_up(
    tmp_path: Path, groups: Queue[list[Path]]
) -> None:
    groups.get(timeout=20)
    photo(2).save(tmp_path / "in" / "a.png")
    photo(2).save(tmp_path / "in" / ".hidden.png")
    until = time.monotonic() + 20
    while groups.empty() and time.monotonic() < until:
        with (tmp_path / "in" / "log.txt").open("a") as log:
            log.write("x")
        time.sleep(0.02)
    assert _names(groups.get_nowait()) == ["a.png"]
    (tmp_path / "in" / "a.png").unlink()
    with pytest.raises(Empty):
        groups.get(timeout=3 * SETTLE_S)


def test_images_of_a_folder_that_is_moved_there_are_found(
    tmp_path: Path, groups: Queue[list[Path]]
) -> None:
    groups.get(timeout=20)
    (tmp_path / "more" / "deep").mkdir(parents=True)
    photo(2).save(tmp_path / "more" / "deep" / "a.png")
    (tmp_path / "more").rename(tmp_path / "in" / "more")
    assert _names(groups.get(timeout=20)) == ["a.png"]


def test_images_that_keep_coming_do_not_hold_up_those_that_are_whole(
    tmp_path: Path, groups: Queue[list[Path]]
) -> None:
    groups.get(timeout=20)
    until = time.monotonic() + 20
    came = 0
    while groups.empty() and time.monotonic() < until:
        photo(2).save(tmp_path / "in" / f"{came:03}.png")
        came += 1
        time.sleep(0.3)
    first = _names(groups.get_nowait())
    assert first == [f"{index:03}.png" for index in range(len(first))]
    assert len(first) < came
    assert _names(groups.get(timeout=20))[0] == f"{len(first):03}.png"


@pytest.mark.parametrize("how", ["another is moved there", "made again"])
def test_a_folder_in_place_of_the_watched_one_is_watched(
    tmp_path: Path, groups: Queue[list[Path]], how: str
) -> None:
    groups.get(timeout=20)
    folder = tmp_path / "in"
    if how == "another is moved there":
        shutil.copytree(folder, tmp_path / "new")
        folder.rename(tmp_path / "away")
        (tmp_path / "new").rename(folder)
    else:  # its number is that of the first, as a rule
        shutil.rmtree(folder)
        folder.mkdir()
        photo(1).save(folder / "first.png")
    assert _names(groups.get(timeout=20)) == ["first.png"]
    photo(2).save(folder / "second.png")
    assert _names(groups.get(timeout=20)) == ["second.png"]


def test_a_folder_that_goes_is_waited_for(
    tmp_path: Path, groups: Queue[list[Path]], said: _Said
) -> None:
    groups.get(timeout=20)
    folder = tmp_path / "in"
    folder.rename(tmp_path / "away")
    wait_until(lambda: len(said.sentences) == 1, "it says so")
    time.sleep(2)
    photo(2).save(tmp_path / "away" / "second.png")
    (tmp_path / "away").rename(folder)
    assert _names(groups.get(timeout=20)) == ["first.png", "second.png"]
    assert said.sentences == [
        f"{folder}: is gone; waiting until it is there again",
        f"{folder}: is there again",
    ]


def test_watch_goes_on_after_a_run_that_fails_until_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    content, style, out = tmp_path / "in", tmp_path / "style.png", tmp_path / "out"
    content.mkdir()
    photo(1).save(content / "first.png")
    photo(2).save(style)
    process = gramflow(
        "watch", content, "--style", style, "--out", out,
        "--encoder", "random", "--size", "32", "--settle", "1",
    )  # fmt: skip

    def made() -> int:
        return len(list(out.glob("train/**/*.jpg")))

    try:
        wait_until(lambda: made() == 1, "what is there is made", seconds=90)
        wait_until((out / "dataset.json").exists, "the first run ends")
        time.sleep(1)
        style.rename(tmp_path / "away.png")
        photo(3).save(content / "second.png")
        time.sleep(6)
        (tmp_path / "away.png").rename(style)
        photo(4).save(content / "third.png")
        wait_until(lambda: made() == 3, "both are made", seconds=60)
        time.sleep(4)  # for the run to end
        content.rename(tmp_path / "gone")
        time.sleep(2)
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert output.endswith("stopped watching; what is finished is kept\n")
    assert "new or changed: first.png" in output
    assert f"{content}: is gone; waiting until it is there again" in output
    assert "there is no such style image or folder" in output
    assert "Traceback" not in output


def test_sigterm_during_a_run_ends_watch_with_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: Server
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    content, style, bucket = tmp_path / "in", tmp_path / "style.png", s3_folder()
    content.mkdir()
    for index in range(8):  # each of a shape, and so a chunk, of its own
        photo(index, 40, 52 + 8 * index).save(content / f"{index}.png")
    photo(9).save(style)
    process = gramflow(
        "watch", content, "--style", style, "--out", bucket.file("out"),
        "--encoder", "random", "--preset", "gatys2016", "--size", "96", "--settle", "0",
    )  # fmt: skip

    def made() -> int:
        return sum(name.endswith(".jpg") for name in bucket.names("out/train"))

    try:
        wait_until(lambda: made() > 0, "something is made", seconds=90)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 143, output
    assert "same command again" in output
    assert made() < 8


def test_a_store_cannot_be_watched_nor_have_the_demo() -> None:
    for arguments in (
        ["watch", "memory://in", "--style", "a", "--out", "b"],
        ["demo", "--out", "memory://demo"],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert "expected a folder on a disk, got 'memory://" in result.output
