"""What is asked of a place, and put there: in a store, where fsspec does it, as on a disk.

Errors of a store are those of the system, whatever its client raises.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.core import url_to_fs
from upath import UPath

from manifests.storage import EXTRAS, S3, Place, bucket_of

# A store is asked each time: what it held a while ago is remembered where that is wanted.
_OPTIONS = {"use_listings_cache": False}
# By which stores say that an object is another than before, the surest first.
_VERSIONS = (
    *("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "created"),
)


class StoreError(OSError):
    """A store refused, or did not answer; `strerror` says why, `filename` is the URL.

    It comes after the tries that the store's client makes: five with growing pauses for S3, or
    what AWS_MAX_ATTEMPTS and AWS_RETRY_MODE say.
    """


@dataclass(frozen=True, slots=True)
class State:
    """What changes when a file's bytes do.

    Attributes:
        version: modification time in ns on a disk; in a store a number made of the ETag, or of
            the modification time.
    """

    size_bytes: int
    version: int


def only_plain(path: str, flags: int) -> int:
    """The opener of `open` for files: a pipe would block for good, a device have no end."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):  # of a folder the system says it better
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "is a pipe or a device, not a file", path)


def open_plain(file: Path) -> BinaryIO:
    """A file on a disk to be read. Raises OSError, also for what is no plain file."""
    return open(file, "rb", opener=only_plain)


def read_bytes(file: Place, start: int | None = None, end: int | None = None) -> bytes:
    """All bytes of a file, or those from `start` to before `end`, which is not beyond its end.

    Raises:
        OSError: FileNotFoundError where there is none; of a store, StoreError.
    """
    if isinstance(file, Path):
        with open_plain(file) as opened_file:
            opened_file.seek(start or 0)
            return opened_file.read(-1 if end is None else end - (start or 0))
    # Without this S3 is asked for the size first, to read large files in parts.
    once = {"max_concurrency": 1} if file.protocol in S3 else {}
    with _told(file) as (store, path):
        return bytes(store.cat_file(path, start=start, end=end, **once))


def read_first_line(file: Place, most_bytes: int) -> bytes:
    """The first line of a file, of which no more is read than twice that or `most_bytes`.

    Raises:
        OSError: as `opened`.
    """
    if isinstance(file, Path):
        with open_plain(file) as lines:
            return lines.readline()
    with opened_in_parts(file, most_bytes) as parts:
        return parts.readline()


def opened(file: Place) -> BinaryIO:
    """A file to be read in order; one of a store comes to a temporary file first.

    Raises:
        OSError: FileNotFoundError where there is none; of a store, StoreError.
    """
    if isinstance(file, Path):
        return open_plain(file)
    descriptor, name = tempfile.mkstemp()
    copy = os.fdopen(descriptor, "rb")
    try:
        with _told(file) as (store, path):
            store.get_file(path, name)
    except BaseException:
        copy.close()
        raise
    finally:
        os.unlink(name)
    return copy


@contextmanager
def opened_in_parts(file: UPath, part_bytes: int) -> Iterator[BinaryIO]:
    """A file of a store of which only the parts that are asked for are read, each ahead a little.

    Raises:
        OSError: FileNotFoundError where there is none; StoreError.
    """
    with (
        _told(file) as (store, path),
        store.open(path, "rb", block_size=part_bytes, cache_type="readahead") as parts,
    ):
        yield parts


def names_in(folder: Place) -> list[str]:
    """Names of what lies directly in a folder now, in any order; none where it is not there.

    Raises:
        OSError: as `list_folder`.
    """
    if isinstance(folder, UPath):
        return list(list_folder(folder))
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_there(file: Place) -> bool:
    """Whether there is such a file now."""
    if isinstance(file, Path):
        return file.is_file()
    with _told(file) as (store, path):
        try:
            return bool(store.info(path)["type"] == "file")
        except FileNotFoundError:
            return False


def state_now(file: Place) -> State | None:
    """The state of a file; None for a folder, and where there is nothing. Raises StoreError."""
    if isinstance(file, Path):
        if not file.is_file():
            return None
        found = file.stat()
        return State(found.st_size, found.st_mtime_ns)
    with _told(file) as (store, path):
        try:
            entry = store.info(path)
        except FileNotFoundError:
            return None
        return _state(entry) if entry["type"] == "file" else None


def list_folder(folder: UPath) -> dict[str, State | None]:
    """Name -> state of what lies directly in a folder of a store now; None for a folder.

    Raises:
        OSError: FileNotFoundError where the bucket is missing, StoreError; a folder that is not
            there is empty.
    """
    with _told(folder) as (store, path):
        try:
            listed = store.ls(path, detail=True)
        except FileNotFoundError:
            _check_container(store, path)
            return {}
        return dict(_entries(store, path, listed, deep=False))


def list_below(folder: UPath) -> Iterator[tuple[str, State]]:
    """(path below it, state) of all files in a folder of a store and its folders, now.

    Raises:
        OSError: as `list_folder`.
    """
    with _told(folder) as (store, path):
        listed = store.find(path, detail=True).values()
        if not listed:
            _check_container(store, path)
        for inside, state in _entries(store, path, listed, deep=True):
            if state is not None:
                yield inside, state


def put(data: bytes, file: UPath) -> None:
    """Write a whole file of a store in one request. Raises StoreError."""
    with _told(file) as (store, path):
        store.pipe_file(path, data)


def put_new(data: bytes, file: UPath) -> None:
    """Write a file of a store if there is none of that name. Raises FileExistsError, StoreError."""
    with _told(file) as (store, path):
        store.pipe_file(path, data, mode="create")


def put_file(source: Path, file: UPath) -> None:
    """Have a local file in a store, whole or not at all. Raises StoreError."""
    with _told(file) as (store, path):
        store.put_file(str(source), path)


def copy(source: UPath, target: UPath) -> None:
    """Copy a file within its store. Raises FileNotFoundError, StoreError."""
    with _told(source) as (store, path):
        store.cp_file(path, store._strip_protocol(str(target)))


def remove(file: UPath) -> None:
    """Remove a file of a store, where there is one. Raises StoreError."""
    with _told(file) as (store, path):
        try:
            store.rm_file(path)
        except FileNotFoundError:
            return


def check_store(place: UPath) -> None:
    """Ask the bucket of a place for itself. Raises FileNotFoundError, StoreError."""
    with _told(place) as (store, path):
        _check_container(store, path)


@contextmanager
def _told(file: UPath) -> Iterator[tuple[Any, str]]:
    """(file system, its name of the file); errors of the block become those of the system."""
    url = str(file)
    try:
        yield url_to_fs(url, **_OPTIONS)
    except (FileNotFoundError, FileExistsError) as error:
        kind = errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EEXIST
        # Stores word it differently; only a missing bucket is another thing to mend.
        is_bucket = kind == errno.ENOENT and "bucket" in str(error)
        why = f"{bucket_of(url)} does not exist" if is_bucket else os.strerror(kind)
        raise type(error)(kind, why, url) from error
    except StoreError:
        raise
    except Exception as error:  # each store's client has errors of its own
        raise StoreError(
            getattr(error, "errno", None) or errno.EIO, _first_line(error), url
        ) from error


def _first_line(error: Exception) -> str:
    lines = (getattr(error, "strerror", None) or str(error)).splitlines()
    return lines[0] if lines else type(error).__name__


def _check_container(store: Any, path: str) -> None:
    """Raises FileNotFoundError, naming it, where the bucket of a path is missing."""
    container = path.strip("/").partition("/")[0]
    if not set(_protocols(store)) & EXTRAS.keys():
        return
    try:
        store.info(container)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no bucket {container}") from None


def _protocols(store: Any) -> tuple[str, ...]:
    return (store.protocol,) if isinstance(store.protocol, str) else tuple(store.protocol)


def _entries(store: Any, path: str, listed: Any, deep: bool) -> Iterator[tuple[str, State | None]]:
    """Path below a folder -> state; the folder itself, and what stands for a folder, left out."""
    above = path.rstrip("/") + "/"
    for entry in listed:
        name = store._strip_protocol(entry["name"])
        inside = name.removeprefix(above)
        if name == inside or not inside or (deep and entry["name"].endswith("/")):
            continue
        yield inside.rstrip("/"), None if entry["type"] == "directory" else _state(entry)


def _state(entry: dict[str, Any]) -> State:
    said = next((str(entry[name]) for name in _VERSIONS if entry.get(name)), "")
    number = int.from_bytes(hashlib.sha256(said.encode()).digest()[:8], "big") >> 1
    return State(int(entry["size"] or 0), number)
