"""A folder that is watched: images that came or changed, once they have stopped growing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from watchfiles import Change, watch

from manifests.images import SUFFIXES
from manifests.readers.folders import image_files

_LOOK_EVERY_S = 0.5

# What tells a file that is still written from one that is not: bytes, and when it was written.
_State = tuple[int, int]


class _LastChange(NamedTuple):
    """Of an image: what it changed to, and when that was seen."""

    to: _State
    seen: float


def settled_images(
    folder: Path, settle_s: float, say: Callable[[str], None]
) -> Iterator[list[Path]]:
    """Images that came or changed, in groups that are whole; first those that are there already.

    An image is whole when it has not changed for `settle_s`; others, that come or change meanwhile
    or while the caller is busy with a group, are part of a later one. Of a folder that takes the
    place of `folder` all images have come; one that is gone is waited for.

    Args:
        say: called with a sentence when the folder is gone, and when it is there again.
    """
    moving: dict[str, _LastChange] = {}
    for changed in _looks(folder, say):
        now = time.monotonic()
        for image in moving.keys() | changed:
            state = _state(image)
            if state is None:
                moving.pop(image, None)
            elif image in changed or state != moving[image].to:
                moving[image] = _LastChange(state, now)
        settled = [image for image, last in moving.items() if now - last.seen >= settle_s]
        for image in settled:
            del moving[image]
        if settled:
            yield sorted(map(Path, settled))


def _looks(folder: Path, say: Callable[[str], None]) -> Iterator[set[str]]:
    """The images that came or changed since the look before; all of a folder that is new there."""
    while True:
        # Unlike Path.is_dir, it raises nothing for a mount whose other end is gone.
        if not os.path.isdir(folder):
            say(f"{folder}: is gone; waiting until it is there again")
            while not os.path.isdir(folder):
                time.sleep(_LOOK_EVERY_S)
            say(f"{folder}: is there again")
        # It may go before it is watched.
        with suppress(FileNotFoundError):
            yield from _looks_until_replaced(folder)


def _looks_until_replaced(folder: Path) -> Iterator[set[str]]:
    watched = _identity(folder)
    is_first = True
    # Filtered here, for of a log that is written all the time it would hand out nothing at all.
    for changes in watch(
        folder,
        watch_filter=None,
        debounce=int(1000 * _LOOK_EVERY_S),
        rust_timeout=int(1000 * _LOOK_EVERY_S),
        yield_on_timeout=True,
    ):
        changed = {image for _, path in changes for image in _images(folder, path)}
        # Listed once they are watched: none can come in between.
        yield changed.union(image_files(folder)) if is_first else changed
        is_first = False
        # A folder made where one was deleted may have its number: only the event tells them apart.
        if _identity(folder) != watched or (Change.deleted, str(folder)) in changes:
            return


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which folder a path leads to; None where it leads to none."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _images(folder: Path, path: str) -> Iterator[str]:
    """The image that changed; of a folder that came, all, for its images may have no event."""
    inside = Path(path).relative_to(folder)
    if any(part.startswith(".") for part in inside.parts):
        return
    if os.path.isdir(path):
        yield from image_files(Path(path))
    elif inside.suffix.lower() in SUFFIXES:
        yield path


def _state(file: str) -> _State | None:
    """None where it is gone."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
