"""What a run shows in a terminal: a live bar, or plain lines where the output is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from unicodedata import category

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
)

from flows.progress import ChunkDone, Event, Hashing, Optimised, Started

_PLAIN_LINE_EVERY_S = 10.0
# Unicode's categories: control, format (which can turn a line round), half a character.
_STEERING = ("Cc", "Cf", "Cs")


class RunDisplay:
    """Shows events as they come. Use it as a context; `tell` may be called from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("starting", total=None, note="")
        self._total = self._images = self._failed = self._pairs = self._pairs_to_do = 0
        self._work = self._work_done = 0.0
        self._started_s = self._last_line_s = time.monotonic()

    def __enter__(self) -> RunDisplay:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def tell(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Hashing):
            self._bar.update(self._task, description="reading files", note=f"{event.files}")
        elif isinstance(event, Started):
            self._total, self._pairs_to_do, self._work = event.to_do, event.pairs, event.work
            self._started_s = time.monotonic()
            self._bar.reset(self._task, total=event.to_do, description="images", note="")
            self._say(f"{event.to_do} of {event.images} images to make")
        elif isinstance(event, Optimised):
            self._show(f"optimising {event.pairs} pairs, iteration {event.iteration}/{event.of}")
        elif isinstance(event, ChunkDone):
            self._images += event.images + event.failed + event.left_out
            self._failed += event.failed
            self._pairs += event.pairs
            self._work_done += event.work
            self._show("")
            self._bar.update(self._task, completed=self._images)
            self._say_now_and_then()

    def _show(self, doing: str) -> None:
        self._bar.update(self._task, note=self._facts(doing))

    def _facts(self, doing: str = "") -> str:
        facts = [f"{self._failed} failed", self._speed(), self._left(), doing]
        return " · ".join(fact for fact in facts if fact)

    def _speed(self) -> str:
        elapsed_s = time.monotonic() - self._started_s
        return f"{self._pairs / elapsed_s:.2f} pairs/s" if self._pairs else ""

    def _left(self) -> str:
        # Pairs are nearly all of the work; before the first is done nothing is known of it.
        if not self._work_done or (self._pairs_to_do and not self._pairs):
            return ""
        elapsed_s = time.monotonic() - self._started_s
        return f"{duration(elapsed_s / self._work_done * (self._work - self._work_done))} left"

    def _say(self, line: str) -> None:
        if not self._live:
            self._console.print(line, highlight=False)

    def _say_now_and_then(self) -> None:
        now_s = time.monotonic()
        if now_s - self._last_line_s < _PLAIN_LINE_EVERY_S and self._images < self._total:
            return
        self._last_line_s = now_s
        self._say(f"{self._images}/{self._total} images · {self._facts()}")


def printable(text: str) -> str:
    """Text of files and their names, without what would steer a terminal or cannot be encoded."""
    return "".join(
        one.encode("unicode_escape").decode() if category(one) in _STEERING else one for one in text
    )


def duration(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


def file_size(count_bytes: float) -> str:
    """1.5 GB, 20 MB, 3 kB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count_bytes >= size:
            return f"{count_bytes / size:.1f} {unit}"
    return f"{count_bytes / 1e3:.1f} kB"
