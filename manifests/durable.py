"""Files that are either whole under their final name, or not there.

On a disk they take their name by renaming, when their bytes are durable; in a store, which has no
renaming, they are put there whole or not at all. A temporary folder is on a disk: that of the file.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from upath import UPath

from manifests.ahead import THREADS
from manifests.storage import Place
from manifests.stores import copy, put, put_file, remove

_FILES_TOGETHER = 1000
_WAITING_FOR_STORES = 64

# Takes a file and its bytes, or the file that it is to be a link to, or a copy of.
Write = Callable[[Place, "bytes | Place"], None]


class LeadsOut(OSError):
    """A folder of the dataset is a link to somewhere else; `strerror` says what to do."""


@contextmanager
def written_whole(file: Place, temporary_folder: Path) -> Iterator[BinaryIO]:
    """A binary file that takes its final name, durably, when the block ends without an error.

    Args:
        temporary_folder: on the same file system; holds the file while it grows.
    """
    if isinstance(file, UPath):
        temporary = _temporary(temporary_folder)
        try:
            with temporary.open("xb") as growing:
                yield growing
            put_file(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(temporary_folder)
    try:
        with _refusals_of(temporary, file):
            with temporary.open("xb") as growing:
                yield growing
                growing.flush()
                os.fsync(growing.fileno())
            os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(file.parent)


@contextmanager
def _refusals_of(temporary: Path, file: Place) -> Iterator[None]:
    """Errors in the block that name the temporary file name the one that it was to become."""
    try:
        yield
    except OSError as error:
        if str(error.filename) != str(temporary):
            raise
        raise type(error)(error.errno, error.strerror, str(file)) from error


def write_whole(file: Place, data: bytes, temporary_folder: Path) -> None:
    """Write `data` as `written_whole` does."""
    if isinstance(file, UPath):
        put(data, file)
        return
    with written_whole(file, temporary_folder) as growing:
        growing.write(data)


def check_writable(file: Path) -> None:
    """Refuse a file on a disk that could not be written, before the work whose result it is to be.

    Raises:
        OSError: naming the file.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(file).st_mode):  # which also refuses a name that is too long
            raise IsADirectoryError(errno.EISDIR, "is a folder; expected a file", str(file))
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        why = f"{folder} cannot be written to: {error.strerror}"
        raise type(error)(error.errno, why, str(file)) from None


def remove_durably(file: Place) -> None:
    """Remove a file, where there is one, before anything that is written later takes its name."""
    if isinstance(file, UPath):
        remove(file)
    elif file.exists():
        file.unlink()
        _sync_folder(file.parent)


def move(file: Place, target: Place) -> None:
    """Give a file another name on its file system, or in its store."""
    if isinstance(file, UPath) and isinstance(target, UPath):
        copy(file, target)
        remove(file)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(str(file), str(target))


def check_stays_inside(folder: Place, out: Place) -> None:
    """Refuse a folder of `out` that a link leads elsewhere: nothing is written out of it.

    Raises:
        LeadsOut: naming where it leads.
    """
    if isinstance(folder, UPath) or isinstance(out, UPath):
        return
    real = os.path.realpath(folder)
    if not Path(real).is_relative_to(os.path.realpath(out)):
        why = f"is a link that leads out of {out}, to {real}; put a folder in its place"
        raise LeadsOut(errno.EXDEV, why, str(folder))


@contextmanager
def written_together(folder: Place, temporary_folder: Path) -> Iterator[Write]:
    """A function that writes many small files: each is whole under its final name, or not there.

    On a disk they take their names, in the order of the calls, a thousand at a time and at the end
    of the block, when their bytes are durable: waiting for the disk for each would take a hundred
    times as long. What waits when the block ends with an error is not written. In a store they are
    put there by a few threads, in about that order, and all are there when the block has ended.

    Args:
        folder: that all of them are in.
        temporary_folder: on the same file system as the files.
    """
    together = _put_together if isinstance(folder, UPath) else _named_together
    with together(temporary_folder) as write:
        yield write


@contextmanager
def _put_together(temporary_folder: Path) -> Iterator[Write]:
    waiting: deque[Future[None]] = deque()

    def write(file: Place, data: bytes | Place) -> None:
        if len(waiting) == _WAITING_FOR_STORES:
            waiting.popleft().result()
        if isinstance(data, bytes):
            waiting.append(stores.submit(write_whole, file, data, temporary_folder))
        else:
            waiting.append(stores.submit(link_or_copy, data, file, temporary_folder))

    with ThreadPoolExecutor(THREADS) as stores:
        try:
            yield write
            while waiting:
                waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def _named_together(temporary_folder: Path) -> Iterator[Write]:
    waiting: list[tuple[Path, Place]] = []

    def write(file: Place, data: bytes | Place) -> None:
        if not isinstance(data, bytes):
            link_or_copy(data, file, temporary_folder)
            return
        temporary = _temporary(temporary_folder)
        waiting.append((temporary, file))
        with _refusals_of(temporary, file):
            temporary.write_bytes(data)
        if len(waiting) >= _FILES_TOGETHER:
            name_all()

    def name_all() -> None:
        _sync_files(temporary for temporary, _ in waiting)
        for temporary, file in waiting:
            file.parent.mkdir(parents=True, exist_ok=True)
            with _refusals_of(temporary, file):
                os.replace(temporary, str(file))
        waiting.clear()

    try:
        yield write
        name_all()
        _sync_files(())
    finally:
        for temporary, _ in waiting:
            temporary.unlink(missing_ok=True)


def link_or_copy(source: Place, target: Place, temporary_folder: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has no links.

    A store copies for itself.

    Raises:
        FileNotFoundError: there is no `source`.
    """
    if isinstance(source, UPath) or isinstance(target, UPath):
        assert isinstance(source, UPath)
        assert isinstance(target, UPath)
        copy(source, target)
        return
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(temporary_folder)
    try:
        os.link(source, temporary)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        with source.open("rb") as whole, written_whole(target, temporary_folder) as growing:
            shutil.copyfileobj(whole, growing)
    else:
        try:
            with _refusals_of(temporary, target):
                os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def _temporary(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{os.getpid()}-{secrets.token_hex(8)}"


def _sync_files(files: Iterable[Path]) -> None:
    """Make files, and names of files, durable."""
    if hasattr(os, "sync"):
        os.sync()
        return
    for file in files:  # Windows
        with file.open("r+b") as written:
            os.fsync(written.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
