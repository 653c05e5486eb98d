"""The folder beside OUT that an export has to itself: OUT.<format>/."""

from __future__ import annotations

import os
import re
import shutil
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from manifests.durable import link_or_copy, remove_durably, written_together, written_whole
from manifests.exporters.finished import FinishedDataset, gone
from manifests.exporters.written import Written
from manifests.hashes import Hashes, hash_of, holds
from manifests.ledger import json_line

EXPORT = "export.json"


@dataclass(frozen=True)
class ExportFolder:
    """Attributes:
    written: what is told of the export.
    files: hashes of the paths that the export consists of.
    """

    path: Path
    temporary_folder: Path
    written: Written
    write_file: Callable[[Path, bytes], None]
    files: array[int] = field(default_factory=lambda: array("Q"))

    def write(self, inside: str, data: bytes) -> None:
        """Write a small file; it may take its name later than this returns."""
        self._keep(inside)
        self.write_file(self.path / inside, data)

    @contextmanager
    def open(self, inside: str) -> Iterator[BinaryIO]:
        """Write a large file."""
        self._keep(inside)
        with written_whole(self.path / inside, self.temporary_folder) as growing:
            yield growing

    def link(self, file: Path, inside: str) -> None:
        """Have a file of OUT in the export.

        Raises:
            FileNotFoundError: saying how to mend it.
        """
        self._keep(inside)
        try:
            link_or_copy(file, self.path / inside, self.temporary_folder)
        except FileNotFoundError:
            raise gone(file) from None

    def _keep(self, inside: str) -> None:
        self.files.append(hash_of(inside))


def path_beside(out: Path, format: str) -> Path:
    """OUT.<format>/"""
    return out.with_name(f"{out.name}.{format}")


def has_export_beside(out: Path, format: str) -> bool:
    """Whether there is a whole export in OUT.<format>/."""
    return (path_beside(out, format) / EXPORT).is_file()


@contextmanager
def export_folder(
    dataset: FinishedDataset, format: str, made: re.Pattern[str], begins_with: str = ""
) -> Iterator[ExportFolder]:
    """OUT.<format>/, to be filled in the block; at its end export.json says what was written.

    The older export's export.json and `begins_with` go before anything is replaced, and come
    again when all is: after an interruption nothing takes a mixture of both for an export.

    Args:
        begins_with: the file that programs read first, and that the block writes last.
        made: paths of the files that such an export consists of. Those of an older export that
            this one has not are removed; whatever else is in the folder stays.
    """
    path = path_beside(dataset.out, format)
    temporary_folder = path / ".tmp"
    shutil.rmtree(temporary_folder, ignore_errors=True)
    for name in filter(None, (EXPORT, begins_with)):
        remove_durably(path / name)
    try:
        with written_together(temporary_folder) as write_file:
            folder = ExportFolder(path, temporary_folder, Written(format, path), write_file)
            yield folder
            folder.write(EXPORT, _told(dataset, folder.written))
    finally:
        shutil.rmtree(temporary_folder, ignore_errors=True)
    _remove_others(folder, made)


def _told(dataset: FinishedDataset, written: Written) -> bytes:
    return json_line(
        {
            "format": written.format,
            "dataset": dataset.name,
            "gramflow_version": dataset.version,
            "images": written.images,
            "objects": written.objects,
            "notes": dict(sorted(written.notes.items())),
        }
    )


def _remove_others(folder: ExportFolder, made: re.Pattern[str]) -> None:
    kept = np.unique(np.frombuffer(folder.files, np.uint64))
    for parent, _, names in os.walk(folder.path, topdown=False):
        old = [name for name in names if _is_old(Path(parent, name), folder.path, made, kept)]
        for name in old:
            Path(parent, name).unlink()
        if old and not os.listdir(parent):
            os.rmdir(parent)


def _is_old(file: Path, folder: Path, made: re.Pattern[str], kept: Hashes) -> bool:
    inside = file.relative_to(folder).as_posix()
    return made.fullmatch(inside) is not None and not holds(kept, inside)
