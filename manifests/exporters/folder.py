"""The folder beside OUT that an export has to itself: OUT.<format>/."""

from __future__ import annotations

import os
import re
import shutil
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from manifests.durable import (
    Write,
    check_stays_inside,
    remove_durably,
    write_whole,
    written_together,
    written_whole,
)
from manifests.exporters.finished import FinishedDataset, gone
from manifests.exporters.written import Written
from manifests.hashes import Hashes, hash_of, holds
from manifests.ledger import json_line
from manifests.storage import Place, is_there, list_below

EXPORT = "export.json"


@dataclass(frozen=True)
class ExportFolder:
    """Attributes:
    written: what is told of the export.
    begins_with: the file that programs read first.
    files: hashes of the paths that the export consists of.
    last: what is written when all else is there.
    checked: folders of it that no link leads elsewhere.
    """

    path: Place
    temporary_folder: Path
    written: Written
    begins_with: str
    write_file: Write
    files: array[int] = field(default_factory=lambda: array("Q"))
    last: dict[str, bytes] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)

    def write(self, inside: str, data: bytes) -> None:
        """Write a small file; it may take its name later than this returns."""
        self._keep(inside)
        if inside == self.begins_with:
            self.last[inside] = data
        else:
            self.write_file(self.path / inside, data)

    @contextmanager
    def open(self, inside: str) -> Iterator[BinaryIO]:
        """Write a large file."""
        self._keep(inside)
        with written_whole(self.path / inside, self.temporary_folder) as growing:
            yield growing

    def link(self, file: Place, inside: str) -> None:
        """Have a file of OUT in the export.

        Raises:
            FileNotFoundError: saying how to mend it.
        """
        self._keep(inside)
        try:
            self.write_file(self.path / inside, file)
        except FileNotFoundError:
            raise gone(file) from None

    def _keep(self, inside: str) -> None:
        self.files.append(hash_of(inside))
        folder = inside.rpartition("/")[0]
        if folder not in self.checked:
            check_stays_inside(self.path / folder, self.path)
            self.checked.add(folder)


def path_beside(out: Place, format: str) -> Place:
    """OUT.<format>/"""
    return out.with_name(f"{out.name}.{format}")


def has_export_beside(out: Place, format: str) -> bool:
    """Whether there is a whole export in OUT.<format>/."""
    return is_there(path_beside(out, format) / EXPORT)


@contextmanager
def export_folder(
    dataset: FinishedDataset, format: str, made: re.Pattern[str], begins_with: str = ""
) -> Iterator[ExportFolder]:
    """OUT.<format>/, to be filled in the block; at its end export.json says what was written.

    The older export's export.json and `begins_with` go before anything is replaced, and come
    again when all is: after an interruption nothing takes a mixture of both for an export.

    Args:
        begins_with: the file that programs read first, and that is written last.
        made: paths of the files that such an export consists of. Those of an older export that
            this one has not are removed; whatever else is in the folder stays.
    """
    path = path_beside(dataset.out, format)
    temporary_folder = (
        path / ".tmp" if isinstance(path, Path) else dataset.temporary_folder / format
    )
    shutil.rmtree(temporary_folder, ignore_errors=True)
    for name in filter(None, (EXPORT, begins_with)):
        remove_durably(path / name)
    try:
        with written_together(path, temporary_folder) as write_file:
            written = Written(format, path)
            folder = ExportFolder(path, temporary_folder, written, begins_with, write_file)
            yield folder
        for inside, data in folder.last.items():
            write_whole(path / inside, data, temporary_folder)
        write_whole(path / EXPORT, _told(dataset, written), temporary_folder)
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
    if not isinstance(folder.path, Path):
        for inside, _ in list_below(folder.path):
            if _is_old(inside, made, kept):
                remove_durably(folder.path / inside)
        return
    for parent, _, names in os.walk(folder.path, topdown=False):
        files = [Path(parent, name) for name in names]
        old = [one for one in files if _is_old(_inside(one, folder.path), made, kept)]
        for file in old:
            file.unlink()
        if old and not os.listdir(parent):
            os.rmdir(parent)


def _inside(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _is_old(inside: str, made: re.Pattern[str], kept: Hashes) -> bool:
    return made.fullmatch(inside) is not None and not holds(kept, inside)
