"""Files inside tar shards, named `/data/shard-000000.tar!/key.jpg` and read without unpacking."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_MARK = ".tar!/"
# Images of one shard follow each other in a plan; a few shards are underway at a time.
_SHARDS_REMEMBERED = 16


class UnusableShard(ValueError):
    """The file is no tar that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member's bytes are in its tar, from the first."""

    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Shard:
    """Attributes:
    places: of its regular files, by name, in their order.
    repeated: names that it has more than once; `places` has the last, as unpacking would.
    """

    places: Mapping[str, Place]
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
    state = os.stat(tar)
    if not stat.S_ISREG(state.st_mode):
        raise UnusableShard("is no file; expected a tar")
    return _read(tar, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=_SHARDS_REMEMBERED)
def _read(tar: str, size_bytes: int, modified_ns: int) -> Shard:
    places: dict[str, Place] = {}
    repeated: list[str] = []
    try:
        with tarfile.open(tar, "r:") as opened:
            for member in opened:
                # The next would be looked for before this one, and never be the last.
                if member.size < 0:
                    raise UnusableShard(f"names a size below 0 of {member.name!r}")
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    continue
                if member.name in places:
                    repeated.append(member.name)
                places[member.name] = Place(member.offset_data, member.size)
    except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        raise UnusableShard(f"is no uncompressed tar that can be read: {error}") from None
    for name, place in places.items():
        if place.offset + place.size_bytes > size_bytes:
            raise UnusableShard(f"is cut off in {name!r}")
    return Shard(places, tuple(repeated))
