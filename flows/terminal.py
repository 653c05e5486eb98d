"""What a run shows in a terminal: a few lines that stay in place, or plain ones elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.progress import ChunkDone, Event, Started, Waiting
from flows.standing import Reckoning, Standing
from flows.telling import STOPPING, doing, facts_of, in_stages, stages_of
from flows.wording import counted, printable

_PLAIN_LINE_EVERY_S = 10.0
_FRAMES_PER_S = 4.0
_WIDEST = 100


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
            facts.append(in_stages(standing, ", "))
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
