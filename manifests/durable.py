"""Files that are either whole under their final name, or not there."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_FILES_TOGETHER = 1000


@contextmanager
def written_whole(file: Path, temporary_folder: Path) -> Iterator[BinaryIO]:
    """A binary file that takes its final name, durably, when the block ends without an error.

    Args:
        temporary_folder: on the same file system; holds the file while it grows.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(temporary_folder)
    try:
        with temporary.open("xb") as growing:
            yield growing
            growing.flush()
            os.fsync(growing.fileno())
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(file.parent)


def write_whole(file: Path, data: bytes, temporary_folder: Path) -> None:
    """Write `data` as `written_whole` does."""
    with written_whole(file, temporary_folder) as growing:
        growing.write(data)


def remove_durably(file: Path) -> None:
    """Remove a file, where there is one, before anything that is written later takes its name."""
    if file.exists():
        file.unlink()
        _sync_folder(file.parent)


@contextmanager
def written_together(temporary_folder: Path) -> Iterator[Callable[[Path, bytes], None]]:
    """A function that writes many small files: each is whole under its final name, or not there.

    They take their names, in the order of the calls, a thousand at a time and at the end of the
    block, when their bytes are durable: waiting for the disk for each would take a hundred times
    as long. What waits when the block ends with an error is not written.

    Args:
        temporary_folder: on the same file system as the files.
    """
    waiting: list[tuple[Path, Path]] = []

    def write(file: Path, data: bytes) -> None:
        temporary = _temporary(temporary_folder)
        waiting.append((temporary, file))
        temporary.write_bytes(data)
        if len(waiting) >= _FILES_TOGETHER:
            name_all()

    def name_all() -> None:
        _sync_files(temporary for temporary, _ in waiting)
        for temporary, file in waiting:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, file)
        waiting.clear()

    try:
        yield write
        name_all()
        _sync_files(())
    finally:
        for temporary, _ in waiting:
            temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path, temporary_folder: Path) -> None:
    """Make `target` a hard link to `source`, or a copy where the file system has no links.

    Raises:
        FileNotFoundError: there is no `source`.
    """
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(temporary_folder)
    try:
        os.link(source, temporary)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        with source.open("rb") as whole, written_whole(target, temporary_folder) as copy:
            shutil.copyfileobj(whole, copy)
    else:
        os.replace(temporary, target)


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
