"""Facts about image files (hash, size in pixels), remembered while a file's state is the same."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from manifests.ahead import THREADS
from manifests.images import MAX_PIXELS, TooManyPixels, UnusableImage, image_size, read_file
from manifests.listings import state_of
from manifests.members import split_member
from manifests.storage import State, is_url

_THREADS = 4
_BATCH = 256
_SELECT = "select bytes, modified_ns, sha256, width, height from facts"
# For a lock of another program; beyond that, reading the images costs no more than waiting.
_WAIT_S = 2.0
# A file changed within this time after it was hashed could keep its size and time.
_RACY_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """Attributes:
    sha256: of the bytes, 32 bytes; empty where the file cannot be read.
    width, height: in pixels, upright; 0 where the header is unusable or names too many.
    """

    sha256: bytes
    width: int
    height: int


class FactsCache:
    """Facts kept in one SQLite file, which can be deleted at any time.

    One that is damaged is begun anew; where none can be written, and while another program locks
    it, nothing is remembered beyond this object: every file is then read each time, and the facts
    are the same.

    Args:
        max_pixels: of an image; what has more is read each time, for another run may allow it.
    """

    def __init__(self, file: Path, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = _opened(file)
        except sqlite3.DatabaseError as error:
            self._database = _begun_anew(file) if _is_damage(error) else _opened(":memory:")

    def close(self) -> None:
        self._database.close()

    def of_files(
        self, files: Iterable[str], on_file: Callable[[], None] = lambda: None
    ) -> Iterator[Facts]:
        """Facts of each file, in order; what is not remembered is read by a few threads.

        Args:
            on_file: called after each file, for a progress display.
        """
        iterator = iter(files)
        with (
            ThreadPoolExecutor(_THREADS) as disks,
            ThreadPoolExecutor(THREADS) as stores,
        ):

            def begin(file: str) -> Future[tuple[Facts, State | None]]:
                return (stores if is_url(file) else disks).submit(_read, file, self._max_pixels)

            while batch := list(islice(iterator, _BATCH)):
                known = [self._remembered(file) for file in batch]
                read = [None if facts else begin(file) for file, facts in zip(batch, known)]
                for file, facts, reading in zip(batch, known, read):
                    if reading is not None:
                        facts, state = reading.result()
                        self._remember(file, facts, state)
                    assert facts is not None
                    yield facts
                    on_file()
                with suppress(sqlite3.DatabaseError):
                    self._database.commit()

    def _remembered(self, file: str) -> Facts | None:
        try:
            row = self._database.execute(
                _SELECT + " where file = ?", (os.fsencode(file),)
            ).fetchone()
        except sqlite3.DatabaseError:
            return None
        if row is None:
            return None
        state = _state_now(file)
        if state is None or (state.size_bytes, state.version) != row[:2]:
            return None
        return Facts(*row[2:])

    def _remember(self, file: str, facts: Facts, state: State | None) -> None:
        if state is None:
            return
        if not is_url(file) and time.time_ns() - state.version < _RACY_NS:
            return
        row = (
            os.fsencode(file),
            state.size_bytes,
            state.version,
            facts.sha256,
            facts.width,
            facts.height,
        )
        with suppress(sqlite3.DatabaseError):  # a full disk
            self._database.execute("insert or replace into facts values (?, ?, ?, ?, ?, ?)", row)


def _begun_anew(file: Path) -> sqlite3.Connection:
    with suppress(OSError):
        file.unlink()
    try:
        return _opened(file)
    except sqlite3.DatabaseError:
        return _opened(":memory:")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is no database, or one with other columns, and not merely locked."""
    operational = isinstance(error, sqlite3.OperationalError)
    return not operational or "no such column" in str(error)


def _opened(file: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_WAIT_S)
    try:
        database.execute(
            "create table if not exists facts (file blob primary key, bytes integer,"
            " modified_ns integer, sha256 blob, width integer, height integer) without rowid"
        )
        database.execute(_SELECT + " limit 1").fetchone()
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _state_now(file: str) -> State | None:
    try:
        return state_of(split_member(file)[0])
    except OSError:
        return None


def _read(file: str, max_pixels: int) -> tuple[Facts, State | None]:
    # What a store has put in its place since it was listed is noticed the next time.
    listed = _state_now(file) if is_url(file) else None
    try:
        data, state = read_file(file)
    except UnusableImage:
        return Facts(b"", 0, 0), None
    try:
        width, height = image_size(data, max_pixels)
    except TooManyPixels:
        return Facts(hashlib.sha256(data).digest(), 0, 0), None
    except UnusableImage:
        width = height = 0
    return Facts(hashlib.sha256(data).digest(), width, height), state or listed
