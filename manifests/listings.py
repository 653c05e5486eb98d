"""What is where datasets are read from: on a disk looked up, of stores each folder listed once.

A store is asked for a folder, never for one file after the other. What it said is remembered in
this process until `forget_listings`, with which each reading of a manifest begins.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock

from upath import UPath

from manifests.storage import Place, State, is_url, list_below, list_folder, normal, place

_MAGIC = re.compile(r"[*?[]")
# Of a glob's name: stars, a question mark, characters to choose from, a character.
_PARTS = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)

# URL of a folder -> name -> state; None for a folder.
_folders: dict[str, dict[str, State | None]] = {}
# URLs of folders of which all folders are among those.
_known_below: set[str] = set()
_lock = Lock()


def forget_listings() -> None:
    """Stores are asked again from now on."""
    with _lock:
        _folders.clear()
        _known_below.clear()


def is_file(file: Place | str) -> bool:
    """Whether there is such a file. Raises OSError where a store cannot be asked."""
    text = str(file)
    return state_of(text) is not None if is_url(text) else os.path.isfile(text)


def is_folder(folder: Place | str) -> bool:
    """Whether there is such a folder. Raises OSError where a store cannot be asked."""
    text = str(folder)
    return bool(_listed(normal(text))) if is_url(text) else os.path.isdir(text)


def exists(file: Place | str) -> bool:
    """Whether there is a file or a folder. Raises OSError where a store cannot be asked."""
    text = str(file)
    if not is_url(text):
        return os.path.exists(text)
    folder, _, name = normal(text).rpartition("/")
    return name in _listed(folder) if is_url(folder) else is_folder(text)


def state_of(file: str) -> State | None:
    """The state of a file; None where there is none. Raises OSError if that cannot be told."""
    if is_url(file):
        folder, _, name = normal(file).rpartition("/")
        # Above a bucket there is nothing to list.
        return _listed(folder).get(name) if is_url(folder) else None
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return State(found.st_size, found.st_mtime_ns)


def folders_in(folder: Place) -> list[str]:
    """Names of the folders that lie directly in a folder, sorted; those of a missing one: none."""
    if isinstance(folder, UPath):
        return sorted(name for name, state in _listed(normal(folder)).items() if state is None)
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except FileNotFoundError:
        return []


def files_in(folder: Place, pattern: str) -> list[str]:
    """Files that lie directly in a folder and whose names match a pattern, sorted."""
    if isinstance(folder, Path):
        return sorted(map(normal, folder.glob(pattern)))
    names = (name for name, state in _listed(normal(folder)).items() if state is not None)
    return sorted(f"{normal(folder)}/{name}" for name in fnmatch.filter(names, pattern))


def files_below(folder: Place) -> list[str]:
    """All files in a folder of a store and its folders, hidden ones too."""
    url = normal(folder)
    with _lock:
        if not _is_known_below(url):
            found: dict[str, dict[str, State | None]] = {url: {}}
            for inside, state in list_below(_in_store(url)):
                inner, _, name = f"{url}/{inside}".rpartition("/")
                _add_folder(inner, found)
                found[inner][name] = state
            _folders.update(found)
            _known_below.add(url)
        return list(_walked(url))


def _walked(folder: str) -> Iterator[str]:
    for name, state in _folders.get(folder, {}).items():
        if state is not None:
            yield f"{folder}/{name}"
        else:
            yield from _walked(f"{folder}/{name}")


def _is_known_below(folder: str) -> bool:
    while is_url(folder):
        if folder in _known_below:
            return True
        folder = folder.rpartition("/")[0]
    return False


def _add_folder(folder: str, found: dict[str, dict[str, State | None]]) -> None:
    """Add a folder, and those around it up to one that is there."""
    if folder not in found:
        around, _, name = folder.rpartition("/")
        _add_folder(around, found)
        found[around][name] = None
        found[folder] = {}


def globbed(pattern: str) -> list[str]:
    """Files and folders that a pattern matches, as `glob.glob` finds them; of a store, files."""
    if not is_url(pattern):
        return sorted(glob.glob(pattern, recursive=True))
    wild = _MAGIC.search(pattern)
    if wild is None:
        return [normal(pattern)] if is_file(pattern) else []
    root = pattern[: wild.start()].rpartition("/")[0]
    inside = pattern[len(root) + 1 :]
    files = files_below(place(root)) if "/" in inside or "**" in inside else _files_of(root)
    matches = _matcher(inside)
    return sorted(file for file in files if matches.fullmatch(file[len(normal(root)) + 1 :]))


def _files_of(folder: str) -> list[str]:
    url = normal(folder)
    return [f"{url}/{name}" for name, state in _listed(url).items() if state is not None]


def _listed(folder: str) -> dict[str, State | None]:
    with _lock:
        if folder not in _folders:
            known = _is_known_below(folder)
            _folders[folder] = {} if known else list_folder(_in_store(folder))
        return _folders[folder]


def _in_store(url: str) -> UPath:
    where = place(url)
    assert isinstance(where, UPath)
    return where


@lru_cache(maxsize=16)
def _matcher(pattern: str) -> re.Pattern[str]:
    """The regular expression of a glob: `**` is any folders; a wildcard finds no hidden name."""
    *folders, name = pattern.split("/")
    if name == "**":
        folders, name = [*folders, name], "*"
    parts = [
        r"(?:[^./][^/]*/)*" if folder == "**" else _of_name(folder) + "/" for folder in folders
    ]
    return re.compile("".join(parts) + _of_name(name), re.DOTALL)


def _of_name(pattern: str) -> str:
    visible = "" if pattern.startswith(".") else r"(?!\.)"
    return visible + "".join(map(_of_part, _PARTS.findall(pattern)))


def _of_part(part: str) -> str:
    if part[0] in "*?":
        return "[^/]*" if part[0] == "*" else "[^/]"
    if len(part) == 1:
        return re.escape(part)
    one_of = re.sub(r"[\\^\[\]]", r"\\\g<0>", part[1:-1].removeprefix("!"))
    return f"[{'^/' if part[1] == '!' else ''}{one_of}]"
