"""What every reader is given, and what it finds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from manifests.errors import Problem
from manifests.labels import Category, Labels


@dataclass(frozen=True)
class Source:
    """One entry of the manifest's `content`, or of `styles`.

    Attributes:
        path: resolved; may not exist, may be a glob.
        written: the path as the manifest has it.
        annotations: resolved file or folder of labels, or None.
        split: the one the manifest gives, or empty.
        problem: a problem with the entry's path, placed at its line; takes the message.
    """

    path: Path
    written: str
    problem: Callable[[str], Problem]
    annotations: Path | None = None
    split: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One image.

    Attributes:
        file: absolute path.
        name: its path as the manifest would write it; for metadata.
        inside: its path below the dataset's root, with '/'.
        split, group: where the dataset says them.
    """

    file: str
    name: str
    inside: str
    labels: Labels = field(default_factory=Labels)
    split: str = ""
    group: str = ""


@dataclass
class Findings:
    """What readers add to.

    Attributes:
        categories: of objects, in the order that class numbers follow.
        problems: what the user has to mend before anything is made.
    """

    images: list[Found] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def joined(folder: str, inside: str) -> str:
    """A path as metadata has it: with '/', and as UTF-8, which file names need not be."""
    path = os.path.normpath(os.path.join(folder, inside)).replace(os.sep, "/")
    return os.fsencode(path).decode(errors="backslashreplace")


def normal(path: Path | str) -> str:
    """An absolute path without `.` and `..`; one spelling a file."""
    return os.path.normpath(path)


def inside_folder(folder: Path, name: str) -> Path:
    """The file `name` of a dataset that lies in `folder`.

    Raises:
        ValueError: for a name that leads out of the folder, or is none.
    """
    path = os.path.normpath(name)
    leads_out = os.path.isabs(path) or path.split(os.sep)[0] == os.pardir
    if not name or "\0" in name or path == os.curdir or leads_out:
        raise ValueError(f"expected a file name that stays inside {folder}, got {name!r}")
    return folder / path
