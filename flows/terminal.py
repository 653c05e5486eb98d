"""What a run shows in a terminal: a few lines that stay in place, or plain ones elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from unicodedata import category

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.commands.stopping import STOPPING
from flows.progress import ChunkDone, Event, Stage, Started, Waiting
from flows.standing import WORK_STAGES, Reckoning, Standing

_PLAIN_LINE_EVERY_S = 10.0
_FRAMES_PER_S = 4.0
_WIDEST = 100
# Unicode's categories: control, format (which can turn a line round), half a character.
_STEERING = ("Cc", "Cf", "Cs")


class RunDisplay:
    """Shows events as they come. Use it as a context; `tell` may be called from any thread.

    Attributes:
        is_live: whether its lines stay in place, which others who write there would disturb.
    """

    def __init__(self, console: Console, stop: threading.Event) -> None:
        self._console = console
        self._stop = stop
        self._reckoning = Reckoning()
        # Where the cursor cannot be moved, lines that stay in place would pile up.
        self._live = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._picture,
                console=console,
                refresh_per_second=_FRAMES_PER_S,
                transient=True,
            )
        self._last_line_s = time.monotonic()

    @property
    def is_live(self) -> bool:
        return self._live is not None

    def __enter__(self) -> RunDisplay:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def tell(self, event: Event) -> None:
        """Show one event."""
        self._reckoning.tell(event)
        if not self._live:
            self._tell_in_lines(event)

    def _picture(self) -> Group:
        picture = _picture_of(self._reckoning.standing(), min(self._console.width, _WIDEST))
        return Group(*picture, *([_line(STOPPING)] if self._stop.is_set() else []))

    def _tell_in_lines(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._say(f"waiting: {event.why}")
        elif isinstance(event, Started):
            self._last_line_s = time.monotonic()
            self._say(f"{event.to_do:,} of {counted(event.images, 'image')} to make")
        else:
            self._say_now_and_then(event)

    def _say_now_and_then(self, event: Event) -> None:
        now_s = time.monotonic()
        standing = self._reckoning.standing()
        is_last = isinstance(event, ChunkDone) and standing.settled == standing.to_do
        is_time = standing.phase == "making" and now_s - self._last_line_s > _PLAIN_LINE_EVERY_S
        if not is_time and not is_last:
            return
        self._last_line_s = now_s
        facts = [f"{standing.settled:,}/{standing.to_do:,} images", *facts_of(standing)]
        if not is_last:
            facts.append(_in_stages(standing, ", "))
        self._say(" · ".join(facts))

    def _say(self, line: str) -> None:
        with suppress(OSError):  # nobody reads it any more; the run is worth more than the line
            self._console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


def _picture_of(standing: Standing, width: int) -> list[Table | Text]:
    """Lines of at most so many columns, the same number of them from frame to frame."""
    if standing.phase != "making":
        return [_line(doing(standing))]
    share = ProgressBar(total=1.0, completed=standing.share)
    bar = Table.grid(expand=False, padding=(0, 1))
    count = f"{standing.settled:,}/{standing.to_do:,} images"
    bar.add_column(no_wrap=True, width=max(1, width - len(count) - 1))
    bar.add_column(no_wrap=True)
    bar.add_row(share, count)
    return [bar, *map(_line, (" · ".join(facts_of(standing)), *stages_of(standing)))]


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def doing(standing: Standing) -> str:
    """What a run does while it makes no images."""
    if standing.phase == "waiting":
        return f"waiting: {printable(standing.waiting_for)}"
    if standing.phase == "indexing":
        return "writing indexes and exports"
    return f"reading files: {standing.files:,}" if standing.files else "reading files"


def facts_of(standing: Standing) -> list[str]:
    """What failed, how fast it goes, and how long it will take."""
    facts = [f"{standing.failed:,} failed"]
    if standing.left_out:
        facts.append(f"{standing.left_out:,} left out")
    if standing.pairs_per_s:
        facts.append(f"{standing.pairs_per_s:.2f} pairs/s")
    if standing.left_s is not None and standing.settled < standing.to_do:
        facts.append(f"{duration(standing.left_s)} left")
    if standing.iteration is not None:
        facts.append("iteration {}/{}".format(*standing.iteration))
    return facts


def stages_of(standing: Standing) -> list[str]:
    """Two lines: images in each stage now, and the stages' shares of the time."""
    shares = [f"{stage} {100 * standing.time_share.get(stage, 0.0):.0f} %" for stage in WORK_STAGES]
    return [f"images  {_in_stages(standing, ' · ')}", f"time    {' · '.join(shares)}"]


def _in_stages(standing: Standing, between: str) -> str:
    """Stages of work are always named, the others where something is in them."""
    images = standing.images_in
    if set(images) == {"away"}:
        return f"{images['away']:,} with the workers"
    shown: list[Stage] = ["decode", "wait", "optimise", "write", "away"]
    return between.join(
        f"{stage} {images.get(stage, 0):,}"
        for stage in shown
        if stage in WORK_STAGES or stage in images
    )


def counted(count: int, noun: str) -> str:
    """1 image, 2 images, 1,000 images."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


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
