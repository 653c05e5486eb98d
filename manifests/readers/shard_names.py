"""Which tar shards a path names: one, those of a folder, or those of WebDataset's pattern."""

from __future__ import annotations

import os
import re

from manifests.listings import files_in, folders_in, globbed, is_folder
from manifests.storage import Place, normal

_SUFFIX = ".tar"
_TARS = f"*{_SUFFIX}"
_WILD = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,12})\.\.(\d{1,12})")
_MOST_SHARDS = 100_000


def names_shards(path: Place) -> bool:
    """Whether a path that is no folder is that of a tar, or a pattern of tars."""
    return path.suffix == _SUFFIX


def has_shards(folder: Place) -> bool:
    """Whether tars lie directly in a folder."""
    return bool(files_in(folder, _TARS))


def shards_of(path: Place) -> list[str]:
    """The shards that a path names; those of braces whether they are there or not.

    Raises:
        ValueError: for braces that name too many.
    """
    if is_folder(path):
        folders = [path, *(path / name for name in folders_in(path))]
        return sorted(file for folder in folders for file in files_in(folder, _TARS))
    shards: list[str] = []
    for pattern in expand_braces(str(path)):
        is_glob = any(character in pattern for character in "*?[")
        shards += globbed(pattern) if is_glob else [pattern]
    return list(map(normal, shards))


def expand_braces(pattern: str) -> list[str]:
    """`a-{08..10}` as a-08, a-09, a-10; `{a,b}` as a, b.

    Raises:
        ValueError: for more than 100,000.
    """
    patterns, rest = [""], pattern
    while found := _BRACES.search(rest):
        before, rest = rest[: found.start()], rest[found.end() :]
        choices = _choices(found.group(1))
        if len(patterns) * len(choices) > _MOST_SHARDS:
            raise ValueError(f"{pattern} names more than {_MOST_SHARDS:,} shards")
        patterns = [first + before + choice for first in patterns for choice in choices]
    return [first + rest for first in patterns]


def shards_root(path: str) -> str:
    """The folder that all shards of a path are below."""
    if path.endswith(_SUFFIX) or _WILD.search(path):
        return os.path.dirname(_WILD.split(path, maxsplit=1)[0])
    return path


def _choices(inside: str) -> list[str]:
    bounds = _RANGE.fullmatch(inside)
    if bounds is None:
        return inside.split(",")
    low, high = map(int, bounds.groups())
    count = min(high - low, _MOST_SHARDS) + 1
    return [str(low + step).zfill(len(bounds.group(1))) for step in range(count)]
