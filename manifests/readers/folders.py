"""Plain images: folders whose first folder is the class, globs, single files."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from manifests import images
from manifests.labels import Labels
from manifests.readers.findings import Findings, Found, Source, joined, normal

_MAGIC = "*?["
_REPEATED = re.compile(r"(?:\*\*/){2,}")


def is_glob(path: str) -> bool:
    return any(character in path for character in _MAGIC)


def read_folder(source: Source, findings: Findings) -> None:
    """Image files below a folder; the first folder is the class, as in torchvision's ImageFolder.

    Hidden files and folders are left out.
    """
    for file in sorted(image_files(source.path)):
        findings.images.append(
            _found_inside(file, source.written, os.path.relpath(file, source.path))
        )


def read_glob(source: Source, findings: Findings) -> None:
    """The part before the first wildcard is the folder whose class folders become labels."""
    # Of `**/**/`, which means the same, every file would be found many times.
    pattern, written = _REPEATED.sub("**/", str(source.path)), source.written
    root = os.path.dirname(_before_wildcard(pattern))
    root_written = os.path.dirname(_before_wildcard(written))
    for file in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isdir(file) or Path(file).suffix.lower() not in images.SUFFIXES:
            continue
        inside = os.path.relpath(file, root)
        if inside.startswith(os.pardir + os.sep):
            findings.problems.append(source.problem(f"leads out of {root} again, to {file}"))
            return
        findings.images.append(_found_inside(file, root_written, inside))


def read_file(source: Source, findings: Findings) -> None:
    """One image."""
    findings.images.append(Found(normal(source.path), joined("", source.written), source.path.name))


def image_files(folder: Path) -> Iterator[str]:
    """Image files below a folder, hidden ones left out; a ring of links is walked once."""
    walked: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in walked:
            folders.clear()
            continue
        walked.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in images.SUFFIXES:
                yield os.path.join(parent, name)


def _before_wildcard(pattern: str) -> str:
    return pattern[: min(i for i, c in enumerate(pattern) if c in _MAGIC)]


def _found_inside(file: str, root_written: str, inside: str) -> Found:
    inside = joined("", inside)
    first, separator, _ = inside.partition("/")
    labels = Labels(class_name=first if separator else None)
    return Found(normal(file), joined(root_written, inside), inside, labels)
