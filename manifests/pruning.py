"""What in an output folder nobody needs any more, and its removal."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from manifests.ledger import Ledger
from manifests.names import is_of_gramflow
from manifests.verification import half_written

# As manifests.durable and nst_core name what grows.
_GROWING = re.compile(r"\d+-[0-9a-f]{16}(?:\.tmp)?")


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A file that may go.

    Attributes:
        why: one of few sentences.
    """

    file: Path
    size_bytes: int
    why: str


@dataclass(frozen=True)
class Pruning:
    """Attributes:
    unneeded: files that gramflow made and that no dataset has.
    kept: files among them that nothing shows to be gramflow's.
    """

    unneeded: tuple[Unneeded, ...]
    kept: tuple[Path, ...]


def prunable(out: Path) -> Pruning:
    """Look for files that may go; removes nothing.

    Files that a run has set aside may go where the ledger has written that very file, byte for
    byte, and what was growing when a run was killed. Nobody may write into OUT meanwhile.

    Raises:
        LedgerError: for a record that cannot be read.
    """
    unneeded, kept = [], []
    written = _written(out)
    for file in _files_below(out / ".gramflow" / "set_aside"):
        inside = file.relative_to(out / ".gramflow" / "set_aside").as_posix()
        if is_of_gramflow(file.name) and _sha256(file) in written.get(inside, ()):
            unneeded.append(_unneeded(file, "the plan no longer wants it"))
        else:
            kept.append(file)
    for file in half_written(out):
        if _GROWING.fullmatch(file.name):
            unneeded.append(_unneeded(file, "half written by a killed run"))
        else:
            kept.append(file)
    return Pruning(tuple(unneeded), tuple(kept))


def remove(out: Path, unneeded: Iterable[Unneeded]) -> None:
    """Remove the files, and what folders of set-aside files are then empty."""
    for one in unneeded:
        one.file.unlink(missing_ok=True)
    for parent, _, _ in os.walk(out / ".gramflow" / "set_aside", topdown=False):
        if not os.listdir(parent):
            os.rmdir(parent)


def _written(out: Path) -> dict[str, set[str]]:
    """Path of each set-aside file -> hashes of the files that the ledger has by that path."""
    aside = out / ".gramflow" / "set_aside"
    written = {file.relative_to(aside).as_posix(): set[str]() for file in _files_below(aside)}
    for row in Ledger(out).rows() if written else ():
        for file, sha256 in (("file", "sha256"), ("mask_file_name", "mask_sha256")):
            if row.get(sha256) and row[file] in written:
                written[row[file]].add(row[sha256])
    return written


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def _unneeded(file: Path, why: str) -> Unneeded:
    return Unneeded(file, file.lstat().st_size, why)


def _sha256(file: Path) -> str:
    """Of a file; empty for what is no regular one."""
    if file.is_symlink() or not file.is_file():
        return ""
    return hashlib.sha256(file.read_bytes()).hexdigest()
