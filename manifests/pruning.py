"""What in an output folder nobody needs any more, and its removal."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from manifests import stores
from manifests.ledger import Ledger
from manifests.names import is_of_gramflow
from manifests.storage import Place
from manifests.verification import half_written

_ASIDE = ".gramflow/set_aside"
# As manifests.durable and nst_core name what grows.
_GROWING = re.compile(r"\d+-[0-9a-f]{16}(?:\.tmp)?")


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A file that may go.

    Attributes:
        why: one of few sentences.
    """

    file: Place
    size_bytes: int
    why: str


@dataclass(frozen=True)
class Pruning:
    """Attributes:
    unneeded: files that gramflow made and that no dataset has.
    kept: files among them that nothing shows to be gramflow's.
    """

    unneeded: tuple[Unneeded, ...]
    kept: tuple[Place, ...]


def prunable(out: Place) -> Pruning:
    """Look for files that may go; removes nothing.

    Files that a run has set aside may go where the ledger has written that very file, byte for
    byte, and what was growing when a run was killed. Nobody may write into OUT meanwhile.

    Raises:
        LedgerError: for a record that cannot be read.
    """
    unneeded: list[Unneeded] = []
    kept: list[Place] = []
    written = _written(out)
    for inside, size_bytes in _files_below(out / _ASIDE):
        file = out / _ASIDE / inside
        if is_of_gramflow(file.name) and _sha256(file) in written[inside]:
            unneeded.append(Unneeded(file, size_bytes, "the plan no longer wants it"))
        else:
            kept.append(file)
    for half in half_written(out):
        if _GROWING.fullmatch(half.name):
            size_bytes = half.lstat().st_size
            unneeded.append(Unneeded(half, size_bytes, "half written by a killed run"))
        else:
            kept.append(half)
    return Pruning(tuple(unneeded), tuple(kept))


def remove(out: Place, unneeded: Iterable[Unneeded]) -> None:
    """Remove the files, and what folders of set-aside files are then empty."""
    for one in unneeded:
        if isinstance(one.file, UPath):
            stores.remove(one.file)
        else:
            one.file.unlink(missing_ok=True)
    if isinstance(out, UPath):  # which has no folders of their own
        return
    for parent, _, _ in os.walk(out / _ASIDE, topdown=False):
        if not os.listdir(parent):
            os.rmdir(parent)


def _written(out: Place) -> dict[str, set[str]]:
    """Path of each set-aside file -> hashes of the files that the ledger has by that path."""
    written = {inside: set[str]() for inside, _ in _files_below(out / _ASIDE)}
    for row in Ledger(out).rows() if written else ():
        for file, sha256 in (("file", "sha256"), ("mask_file_name", "mask_sha256")):
            if row.get(sha256) and row[file] in written:
                written[row[file]].add(row[sha256])
    return written


def _files_below(folder: Place) -> Iterator[tuple[str, int]]:
    """(path below it, bytes) of each file; links are not followed."""
    if isinstance(folder, UPath):
        yield from ((inside, state.size_bytes) for inside, state in stores.list_below(folder))
        return
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for file in (Path(parent, name) for name in sorted(names)):
            yield file.relative_to(folder).as_posix(), file.lstat().st_size


def _sha256(file: Place) -> str:
    """Of a file; empty for what is no regular one."""
    if isinstance(file, Path) and (file.is_symlink() or not file.is_file()):
        return ""
    return hashlib.sha256(stores.read_bytes(file)).hexdigest()
