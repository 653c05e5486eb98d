"""Files that are either whole under their final name, or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_whole(file: Path, temporary_folder: Path) -> Iterator[BinaryIO]:
    """A binary file that takes its final name, durably, when the block ends without an error.

    Args:
        temporary_folder: on the same file system; holds the file while it grows.
    """
    temporary_folder.mkdir(parents=True, exist_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_folder / f"{os.getpid()}-{secrets.token_hex(8)}"
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


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
