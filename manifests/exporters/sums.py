"""What the files of an export were when they were written: OUT/.gramflow/exports/<format>.sha256.

In the form of `sha256sum`; paths are relative to the folder of the export.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from manifests.ahead import read_ahead
from manifests.comparison import FilesOnDisk
from manifests.durable import check_stays_inside, remove_durably, written_whole
from manifests.exporters.finished import FinishedDataset
from manifests.readers.shapes import shown
from manifests.storage import Place, is_in_store
from manifests.stores import is_there, opened, read_bytes

_BLOCK_BYTES = 1 << 20
# What may take more memory than there is.
_LARGE = (".tar", ".json", ".parquet")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")
# Who moves the folder of a YOLO export is to change its path there, or to take it out.
_DATA_YAML = "data.yaml"
_PATH_IN_IT = re.compile(rb"^path:.*\n(?: .*\n)*", re.MULTILINE)


class Sums:
    """The record of an export while it grows."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines

    def add(self, inside: str, sha256: str) -> None:
        """A file of the export, by its path in there; without a sha256 nothing is known of it."""
        if sha256:
            self._lines.write(f"{sha256}  {inside}\n".encode())

    def add_bytes(self, inside: str, data: bytes) -> None:
        """A file of the export with these bytes."""
        self.add(inside, _sha256_of(inside, data))

    @contextmanager
    def of_growing(self, inside: str, growing: BinaryIO) -> Iterator[BinaryIO]:
        """The growing file, of which all that is written in the block is summed."""
        summed = _Summed(growing)
        yield summed  # type: ignore[misc]  # it delegates what else there is to ask of a file
        self.add(inside, summed.sha256.hexdigest())


class _Summed:
    """A file to write, one part after the other."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def summed(dataset: FinishedDataset, format: str) -> Iterator[Sums]:
    """The record of an export that is written in the block; it is there when all of that is.

    The older one goes first: there is none of a mixture of both.
    """
    record = _record(dataset.out, format)
    check_stays_inside(record.parent, dataset.out)
    remove_durably(record)
    with written_whole(record, dataset.temporary_folder) as lines:
        yield Sums(lines)


def forget_sums(out: Place, format: str) -> None:
    """Remove the record of an export that is to be removed."""
    remove_durably(_record(out, format))


def has_sums(out: Place, format: str) -> bool:
    """Whether it is known what the files of an export were; gramflow did not always keep that."""
    return is_there(_record(out, format))


@dataclass(frozen=True, slots=True)
class Other:
    """A file of an export that is not as it was written.

    Attributes:
        inside: its path in the folder of the export.
        what: is wrong with it.
        kind: changed, where it is there with other bytes.
    """

    inside: str
    what: str
    kind: Literal["changed", "gone", "unknown"]


def others(out: Place, format: str, folder: Place) -> Iterator[Other]:
    """The files of an export that are not as its record has them; none where there is no record.

    Hard links to files of OUT are not read: those are compared with their rows.
    """
    if not has_sums(out, format):
        return
    linked = _Linked(out) if isinstance(folder, Path) and isinstance(out, Path) else None

    def compared(line: bytes) -> Other | None:
        found = _LINE.fullmatch(line.decode(errors="replace"))
        if found is None:
            return Other(shown(line.decode(errors="replace")), f"is no line of {record}", "unknown")
        sha256, inside = found.groups()
        file = folder / inside
        try:
            if linked is not None and isinstance(file, Path) and file in linked:
                return None
            if _sha256(file) == sha256:
                return None
        except FileNotFoundError:
            return Other(inside, "is not there", "gone")
        except OSError as error:
            return Other(inside, f"cannot be read: {error.strerror}", "unknown")
        return Other(inside, "its bytes are not those that were written", "changed")

    record = _record(out, format)
    with opened(record) as lines:
        for other in read_ahead(compared, lines, in_store=is_in_store(folder)):
            if other is not None:
                yield other


class _Linked:
    """The files of a dataset, by which a hard link to one of them is known."""

    def __init__(self, out: Path) -> None:
        self._device = out.stat().st_dev
        self._inodes = {(out / file).lstat().st_ino for file in FilesOnDisk(out).left()}

    def __contains__(self, file: Path) -> bool:
        found = file.lstat()
        of_this_disk = found.st_nlink > 1 and found.st_dev == self._device
        return of_this_disk and found.st_ino in self._inodes


def _sha256(file: Place) -> str:
    # Small files of a store come in one request.
    is_small = is_in_store(file) and not file.name.endswith(_LARGE)
    if is_small or file.name == _DATA_YAML:
        return _sha256_of(file.name, read_bytes(file))
    digest = hashlib.sha256()
    with opened(file) as whole:
        while block := whole.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _sha256_of(inside: str, data: bytes) -> str:
    if inside == _DATA_YAML:
        data = _PATH_IN_IT.sub(b"", data)
    return hashlib.sha256(data).hexdigest()


def _record(out: Place, format: str) -> Place:
    return out / ".gramflow" / "exports" / f"{format}.sha256"
