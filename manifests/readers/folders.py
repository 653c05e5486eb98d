"""Plain images: folders whose first folder is the class, globs, single files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from manifests import images
from manifests.labels import Labels
from manifests.listings import files_below, globbed
from manifests.readers.findings import Findings, Found, Source, joined
from manifests.storage import Place, normal, relative

_MAGIC = "*?["
_REPEATED = re.compile(r"(?:\*\*/){2,}")


def is_glob(path: str) -> bool:
    """Whether a path of a manifest is a pattern."""
    return any(character in path for character in _MAGIC)


def read_folder(source: Source, findings: Findings) -> None:
    """Image files below a folder; the first folder is the class, as in torchvision's ImageFolder.

    Hidden files and folders are left out.
    """
    for file in sorted(image_files(source.path)):
        findings.images.append(_found_inside(file, source.written, relative(file, source.path)))


def read_glob(source: Source, findings: Findings) -> None:
    """The part before the first wildcard is the folder whose class folders become labels."""
    # Of `**/**/`, which means the same, every file would be found many times.
    pattern, written = _REPEATED.sub("**/", str(source.path)), source.written
    root = os.path.dirname(_before_wildcard(pattern))
    root_written = os.path.dirname(_before_wildcard(written))
    for file in globbed(pattern):
        if not _is_image(file) or os.path.isdir(file):
            continue
        inside = relative(file, root)
        if inside.startswith(os.pardir + os.sep):
            findings.problems.append(source.problem(f"leads out of {root} again, to {file}"))
            return
        findings.images.append(_found_inside(file, root_written, inside))


def read_file(source: Source, findings: Findings) -> None:
    """One image."""
    findings.images.append(Found(normal(source.path), joined("", source.written), source.path.name))


def image_files(folder: Place) -> Iterator[str]:
    """Image files below a folder, hidden ones left out; a ring of links is walked once."""
    if not isinstance(folder, Path):
        yield from (file for file in files_below(folder) if _is_shown(relative(file, folder)))
        return
    walked: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in walked:
            folders.clear()
            continue
        walked.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and _is_image(name):
                yield os.path.join(parent, name)


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in images.SUFFIXES


def _is_shown(inside: str) -> bool:
    """Whether it is an image that is not hidden, nor in a hidden folder."""
    return _is_image(inside) and not any(name.startswith(".") for name in inside.split("/"))


def _before_wildcard(pattern: str) -> str:
    return pattern[: min(i for i, c in enumerate(pattern) if c in _MAGIC)]


def _found_inside(file: str, root_written: str, inside: str) -> Found:
    inside = joined("", inside)
    first, separator, _ = inside.partition("/")
    labels = Labels(class_name=first if separator else None)
    return Found(normal(file), joined(root_written, inside), inside, labels)
