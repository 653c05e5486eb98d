"""Files inside tar shards, named `/data/shard-000000.tar!/key.jpg` and read without unpacking."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from upath import UPath

from manifests.listings import state_of
from manifests.storage import is_url, place
from manifests.stores import opened_in_parts

_MARK = ".tar!/"
# Images of one shard follow each other in a plan; a few shards are underway at a time.
_SHARDS_REMEMBERED = 16
# Of a shard in a store: larger members than this are skipped, smaller ones read past in few turns.
_PART_BYTES = 2**20


class UnusableShard(ValueError):
    """The file is no tar that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a member's bytes are in its tar, from the first."""

    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Shard:
    """Attributes:
    places: of its regular files, by name, in their order.
    repeated: names that it has more than once; `places` has the last, as unpacking would.
    """

    places: Mapping[str, Span]
    repeated: tuple[str, ...]


def member_path(tar: str, member: str) -> str:
    """The one name of a member of a tar."""
    return f"{tar}!/{member}"


def split_member(file: str) -> tuple[str, str]:
    """(file on disk, its member); the member is empty where `file` is on disk itself."""
    tar, mark, member = file.partition(_MARK)
    return (tar + ".tar", member) if mark else (file, "")


def read_shard(tar: str) -> Shard:
    """What is in an uncompressed tar; remembered until the file changes.

    Raises:
        UnusableShard: for what is none.
        OSError: if it cannot be read.
    """
    if is_url(tar):
        found = state_of(tar)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), tar)
        return _read(tar, found.size_bytes, found.version)
    state = os.stat(tar)
    if not stat.S_ISREG(state.st_mode):
        raise UnusableShard("is no file; expected a tar")
    return _read(tar, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=_SHARDS_REMEMBERED)
def _read(tar: str, size_bytes: int, version: int) -> Shard:
    file = place(tar)
    if isinstance(file, UPath):
        with opened_in_parts(file, _PART_BYTES) as parts:
            shard = _indexed(parts)
    else:
        with file.open("rb") as opened:
            shard = _indexed(opened)
    if isinstance(shard, UnusableShard):
        raise shard
    for name, where in shard.places.items():
        if where.offset + where.size_bytes > size_bytes:
            raise UnusableShard(f"is cut off in {name!r}")
    return shard


def _indexed(file: BinaryIO) -> Shard | UnusableShard:
    places: dict[str, Span] = {}
    repeated: list[str] = []
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                # The next would be looked for before this one, and never be the last.
                if member.size < 0:
                    return UnusableShard(f"names a size below 0 of {member.name!r}")
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    continue
                if member.name in places:
                    repeated.append(member.name)
                places[member.name] = Span(member.offset_data, member.size)
    except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        return UnusableShard(f"is no uncompressed tar that can be read: {error}")
    return Shard(places, tuple(repeated))
