"""The folder beside OUT that an export has to itself: OUT.<format>/."""

from __future__ import annotations

import json
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
from upath import UPath

from manifests.durable import (
    Write,
    check_stays_inside,
    remove_durably,
    write_whole,
    written_together,
    written_whole,
)
from manifests.exporters.finished import FinishedDataset, gone
from manifests.exporters.sums import Sums, forget_sums, summed
from manifests.exporters.written import Written
from manifests.hashes import Hashes, hash_of, hashes_of, holds
from manifests.ledger import json_line
from manifests.names import EXTENSION, STEM
from manifests.storage import Place
from manifests.stores import is_there, list_below, read_bytes, remove

EXPORT = "export.json"

# Paths of the files that an export consists of; whatever else is in its folder stays.
_MADE = {
    "yolo": re.compile(rf"images/[^/]+/{STEM}\.{EXTENSION}|labels/[^/]+/{STEM}\.txt|data\.yaml"),
    "voc": re.compile(
        rf"Annotations/{STEM}\.xml|JPEGImages/{STEM}\.{EXTENSION}|SegmentationClass/{STEM}\.png"
        r"|ImageSets/(?:Main|Segmentation)/[^/]+\.txt"
    ),
    "webdataset": re.compile(r"[^/]+-\d{6}\.(?:tar|stats\.json)|info\.json"),
}
# The file that programs read first.
_BEGINS_WITH = {"yolo": "data.yaml", "webdataset": "info.json"}
# Formats that have a folder to themselves.
BESIDE = tuple(_MADE)


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
    sums: Sums
    files: array[int] = field(default_factory=lambda: array("Q"))
    last: dict[str, bytes] = field(default_factory=dict)
    checked: set[str] = field(default_factory=set)

    def write(self, inside: str, data: bytes) -> None:
        """Write a small file; it may take its name later than this returns."""
        self._keep(inside)
        self.sums.add_bytes(inside, data)
        if inside == self.begins_with:
            self.last[inside] = data
        else:
            self.write_file(self.path / inside, data)

    @contextmanager
    def open(self, inside: str) -> Iterator[BinaryIO]:
        """Write a large file."""
        self._keep(inside)
        with (
            written_whole(self.path / inside, self.temporary_folder) as growing,
            self.sums.of_growing(inside, growing) as summed_file,
        ):
            yield summed_file

    def link(self, file: Place, inside: str, sha256: str) -> None:
        """Have a file of OUT in the export.

        Args:
            sha256: that its row says; empty where it says none.

        Raises:
            FileNotFoundError: saying how to mend it.
        """
        self._keep(inside)
        self.sums.add(inside, sha256)
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


def is_whole(out: Place, format: str) -> bool:
    """Whether the export in OUT.<format>/ has all its files, and no other like them, by name.

    One by an older gramflow does not say what files it has, and is taken for whole.
    """
    path = path_beside(out, format)
    files = json.loads(read_bytes(path / EXPORT)).get("files")
    return files is None or files == _counted(hashes_of(_made_files(path, _MADE[format])))


@contextmanager
def export_folder(dataset: FinishedDataset, format: str) -> Iterator[ExportFolder]:
    """OUT.<format>/, to be filled in the block; at its end export.json says what was written.

    The older export's export.json and the file that programs read first go before anything is
    replaced, and come again when all is: after an interruption nothing takes a mixture of both for
    an export.

    Args:
        format: files of an older export of it that this one has not are removed.
    """
    path = path_beside(dataset.out, format)
    temporary_folder = (
        path / ".tmp" if isinstance(path, Path) else dataset.temporary_folder / format
    )
    shutil.rmtree(temporary_folder, ignore_errors=True)
    _remove_what_is_read_first(path, format)
    try:
        with (
            summed(dataset, format) as sums,
            written_together(path, temporary_folder) as write_file,
        ):
            written = Written(format, path)
            begins_with = _BEGINS_WITH.get(format, "")
            folder = ExportFolder(path, temporary_folder, written, begins_with, write_file, sums)
            yield folder
        for inside, data in folder.last.items():
            write_whole(path / inside, data, temporary_folder)
        kept = np.unique(np.frombuffer(folder.files, np.uint64))
        write_whole(path / EXPORT, _told(dataset, written, kept), temporary_folder)
    finally:
        shutil.rmtree(temporary_folder, ignore_errors=True)
    _remove_others(path, _MADE[format], kept)


def remove_export_beside(out: Place, format: str) -> None:
    """Remove all files of the export from OUT.<format>/; whatever else is there stays.

    What says that there is an export goes first, so that nothing takes the rest for one.
    """
    path = path_beside(out, format)
    _remove_what_is_read_first(path, format)
    forget_sums(out, format)
    _remove_others(path, _MADE[format], hashes_of(()))


def _remove_what_is_read_first(path: Place, format: str) -> None:
    for name in filter(None, (EXPORT, _BEGINS_WITH.get(format))):
        remove_durably(path / name)


def _told(dataset: FinishedDataset, written: Written, kept: Hashes) -> bytes:
    return json_line(
        {
            "format": written.format,
            "dataset": dataset.name,
            "gramflow_version": dataset.version,
            "images": written.images,
            "objects": written.objects,
            "notes": dict(sorted(written.notes.items())),
            "files": _counted(kept),
        }
    )


def _counted(files: Hashes) -> dict[str, int]:
    """How many files, and the sum of the hashes of their paths modulo 2^64."""
    return {"count": len(files), "paths": int(files.sum(dtype=np.uint64))}


def _made_files(path: Place, made: re.Pattern[str]) -> Iterator[str]:
    """Paths below `path` of the files that gramflow made there."""
    if isinstance(path, Path):
        files = (Path(parent, name) for parent, _, names in os.walk(path) for name in names)
        below = (_inside(file, path) for file in files)
    else:
        below = (inside for inside, _ in list_below(path))
    return (inside for inside in below if made.fullmatch(inside))


def _remove_others(path: Place, made: re.Pattern[str], kept: Hashes) -> None:
    others = [path / inside for inside in _made_files(path, made) if not holds(kept, inside)]
    for file in others:
        remove(file) if isinstance(file, UPath) else file.unlink()
    inner = {file.parent for file in others if isinstance(file, Path)}
    folders = inner | {above for folder in inner for above in folder.parents}
    for folder in sorted(folders, reverse=True):  # inner ones first
        if path in folder.parents and not os.listdir(folder):
            os.rmdir(folder)


def _inside(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()
