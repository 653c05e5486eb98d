"""The images a manifest names: folders, globs and lists turned into sorted image files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manifests import images, tables
from manifests.errors import ManifestError, Problem
from manifests.labels import Labels, check_class_name
from manifests.reading import Field, ReadManifest
from manifests.schema import check_plain_name

_MAGIC = "*?["


@dataclass(frozen=True, slots=True)
class ContentImage:
    """One content image.

    Attributes:
        name: its path as the manifest writes it; for metadata.
        inside: its path below the folder, glob or list that names it; part of its variants' ids,
            so that moving the whole folder makes nothing stale.
    """

    file: str
    name: str
    inside: str
    split: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class StyleImage:
    """One style image and its share in random pairing."""

    file: str
    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class _Found:
    file: str
    name: str
    inside: str
    class_name: str | None = None
    split: str | None = None


def list_content(read: ReadManifest) -> list[ContentImage]:
    """All content images, in the manifest's order and by name within an entry, each once.

    Raises:
        ManifestError: with every problem: entries without images, unusable rows of lists, files
            that are in two splits or two classes.
    """
    problems: list[Problem] = []
    found: dict[str, ContentImage] = {}
    for index, entry in enumerate(read.manifest.content):
        for one in _find(read, ("content", index, "path"), entry.path, problems):
            split = one.split or entry.split
            image = ContentImage(one.file, one.name, one.inside, split, Labels(one.class_name))
            first = found.setdefault(one.file, image)
            if (first.split, first.labels) != (image.split, image.labels):
                message = (
                    f"{one.name} is in split {image.split}, class {one.class_name}, and also in "
                    f"split {first.split}, class {first.labels.class_name}"
                )
                problems.append(read.problem(("content", index, "path"), message))
    if problems:
        raise ManifestError(problems)
    return list(found.values())


def list_styles(read: ReadManifest) -> list[StyleImage]:
    """All style images, in the manifest's order and by name within an entry, each once.

    Raises:
        ManifestError: for entries without images and unusable lists.
    """
    problems: list[Problem] = []
    found: dict[str, StyleImage] = {}
    for index, entry in enumerate(read.manifest.styles):
        for one in _find(read, ("styles", index, "path"), entry.path, problems):
            found.setdefault(one.file, StyleImage(one.file, one.name, entry.weight))
    if problems:
        raise ManifestError(problems)
    return list(found.values())


def listed_pairs(read: ReadManifest) -> list[tuple[str, str]]:
    """(content file, style file) of each pair that `pairing.pairs` lists.

    Raises:
        ManifestError: for a list that cannot be read or rows without both columns.
    """
    pairs = read.manifest.pairing.pairs or ()
    if not isinstance(pairs, str):
        return [(_file(read.resolve(p.content)), _file(read.resolve(p.style))) for p in pairs]
    table, listed, problems = read.resolve(pairs), [], []
    for line, row in tables.read_table(table):
        if "content" in row and "style" in row:
            files = (_file(table.parent / str(row[key])) for key in ("content", "style"))
            listed.append((next(files), next(files)))
        else:
            problems.append(Problem(str(table), line, "", "expected columns content and style"))
    if problems:
        raise ManifestError(problems)
    return listed


def _find(
    read: ReadManifest, field: Field, written: str, problems: list[Problem]
) -> Iterator[_Found]:
    path = read.resolve(written)
    before = len(problems)
    nothing = True
    try:
        for one in _look(path, written, problems):
            nothing = False
            yield one
    except ManifestError as error:  # of a list that cannot be read
        problems += error.problems
    if nothing and len(problems) == before:
        expected = "a folder, glob, image, .csv or .jsonl"
        there = f"no image in {path}" if path.is_dir() else f"nothing at {path}"
        problems.append(read.problem(field, f"{there}; expected {expected}"))


def _look(path: Path, written: str, problems: list[Problem]) -> Iterator[_Found]:
    if path.is_dir():
        yield from _look_in_folder(path, written)
    elif path.is_file() and path.suffix.lower() in tables.SUFFIXES:
        yield from _look_in_table(path, written, problems)
    elif path.is_file():
        yield _Found(_file(path), _join("", written), path.name)
    elif any(character in written for character in _MAGIC):
        yield from _look_by_glob(path, written)


def _look_in_folder(folder: Path, written: str) -> Iterator[_Found]:
    for file in sorted(_image_files(folder)):
        inside = os.path.relpath(file, folder)
        yield _found_inside(file, written, inside)


def _look_by_glob(pattern: Path, written: str) -> Iterator[_Found]:
    """The part before the first wildcard is the folder whose class folders become labels."""
    fixed = str(pattern)[: min(i for i, c in enumerate(str(pattern)) if c in _MAGIC)]
    root = os.path.dirname(fixed)
    root_written = os.path.dirname(written[: min(i for i, c in enumerate(written) if c in _MAGIC)])
    for file in sorted(glob.glob(str(pattern), recursive=True)):
        if os.path.isfile(file) and Path(file).suffix.lower() in images.SUFFIXES:
            inside = os.path.relpath(file, root)
            yield _found_inside(file, root_written, inside)


def _look_in_table(table: Path, written: str, problems: list[Problem]) -> Iterator[_Found]:
    for line, row in tables.read_table(table):
        path = row.get("path", row.get("file_name"))
        if path is None:
            problems.append(Problem(str(table), line, "path", "is required (or file_name)"))
            continue
        try:
            label = row.get("label")
            class_name = None if label is None else check_class_name(str(label))
            split = check_plain_name(str(row["split"])) if "split" in row else None
        except ValueError as error:
            problems.append(Problem(str(table), line, "label or split", str(error)))
            continue
        name = _join(os.path.dirname(written), str(path))
        yield _Found(_file(table.parent / str(path)), name, _join("", str(path)), class_name, split)


def _image_files(folder: Path) -> Iterator[str]:
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


def _found_inside(file: str, root_written: str, inside: str) -> _Found:
    """The first folder below the root is the class, as in torchvision's ImageFolder."""
    inside = _join("", inside)
    first, separator, _ = inside.partition("/")
    class_name = first if separator else None
    return _Found(_file(Path(file)), _join(root_written, inside), inside, class_name)


def _join(folder: str, inside: str) -> str:
    """A path as metadata has it: with '/', and as UTF-8, which file names need not be."""
    path = os.path.normpath(os.path.join(folder, inside)).replace(os.sep, "/")
    return os.fsencode(path).decode(errors="backslashreplace")


def _file(path: Path) -> str:
    return os.path.normpath(path)
