"""What every reader is given, and what it finds."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from manifests.errors import Problem
from manifests.labels import Category, Labels
from manifests.listings import is_file
from manifests.readers.shapes import shown
from manifests.storage import Place, normal, relative

# What Linux and macOS take.
_LONGEST_NAME_BYTES = 255
_LONGEST_PATH_BYTES = 4095

_SPLIT_FOLDERS = frozenset(
    {
        *("train", "training", "validation", "valid", "val", "dev"),
        *("test", "testing", "eval", "evaluation"),
    }
)


@dataclass(frozen=True)
class Source:
    """One entry of the manifest's `content`, or of `styles`.

    Attributes:
        path: resolved; may not exist, may be a glob, may be in a store.
        written: the path as the manifest has it.
        annotations: resolved file of labels, or None.
        split: the one the manifest gives, or empty.
        problem: a problem with the entry's path, placed at its line; takes the message.
    """

    path: Place
    written: str
    problem: Callable[[str], Problem]
    annotations: Place | None = None
    split: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One image.

    Attributes:
        file: absolute path, or URL.
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
        notes: what the user may want to know of how a dataset is read.
    """

    images: list[Found] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def complain(self, file: str, line: int | None, place: str, message: str) -> None:
        """Add a problem of a dataset's file."""
        self.problems.append(Problem(file, line, place, message))


def joined(folder: str, inside: str) -> str:
    """A path as metadata has it: with '/', and as UTF-8, which file names need not be."""
    path = normal(os.path.join(folder, inside)).replace(os.sep, "/")
    return os.fsencode(path).decode(errors="backslashreplace")


def named(source: Source, file: str) -> str:
    """A dataset's file as the manifest would write it, whose `path` is the dataset's main file."""
    inside = relative(file, source.path.parent)
    return joined(os.path.dirname(source.written), inside)


def split_of_folder(name: str) -> str:
    """The split that a folder's name says, in the words that `datasets` knows; empty for others."""
    return name if name.lower() in _SPLIT_FOLDERS else ""


def category_name(value: object) -> str:
    """The name of a class of objects. YAML and JSON may have it as a whole number.

    Raises:
        ValueError: for what is no text, or none that can be written down.
    """
    name = str(value) if type(value) is int else value
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"expected the name of a category, text, got {value!r}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"expected the name of a category, got half a character: {name!r}"
        ) from None
    if any(unicodedata.category(one) == "Cc" or one in "\ufffe\uffff" for one in name):
        raise ValueError(
            f"expected the name of a category without control characters, got {name!r}"
        )
    return name


def supercategory_name(value: object) -> str:
    """The name of what a class of objects is one of; empty for none."""
    return category_name(value) if value else ""


def check_path(value: object) -> str:
    """A path to a file.

    Raises:
        ValueError: for what is no text, or none that can be a path.
    """
    if value is None or value == "":
        raise ValueError("is required")
    path = str(value) if type(value) is int else value
    if not isinstance(path, str) or "\0" in path:
        raise ValueError(f"expected a path, got {value!r}")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError(f"expected a path, got half a character: {path!r}") from None
    longest_bytes = max(len(os.fsencode(name)) for name in path.split("/"))
    if longest_bytes > _LONGEST_NAME_BYTES or len(os.fsencode(path)) > _LONGEST_PATH_BYTES:
        raise ValueError(f"expected a path, got one too long for a file: {shown(path)}")
    return path


def image_inside(folder: Place, name: object) -> str:
    """The image `name` of a dataset that lies in `folder`.

    Raises:
        ValueError: for what is no name, a name that leads out of the folder, no image there.
    """
    path = check_path(name)
    file = str(inside_folder(folder, path))
    if not is_file(file):
        raise ValueError(f"there is no image {path!r} in {folder}")
    return file


def inside_folder(folder: Place, name: str) -> Place:
    """The file `name` of a dataset that lies in `folder`, whether it is there or not.

    Raises:
        ValueError: for a name that leads out of the folder, or is none.
    """
    path = os.path.normpath(name)
    leads_out = os.path.isabs(path) or path.split(os.sep)[0] == os.pardir
    if not name or path == os.curdir or leads_out:
        raise ValueError(f"expected a file name that stays inside {folder}, got {name!r}")
    return folder / path
