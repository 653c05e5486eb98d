"""A finished dataset: what OUT/dataset.json and OUT/<split>/metadata.jsonl say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.categories import described_categories
from manifests.errors import ManifestError, Problem
from manifests.label_rows import named, objects_of
from manifests.labels import Category, Object
from manifests.lineage import Relative
from manifests.storage import Place, local_folder, normal, place
from manifests.stores import is_there, opened, read_bytes

Row = dict[str, Any]

_NO_OBJECTS: Row = {
    name: [] for name in ("bbox", "categories", "area", "iscrowd", "segmentation", "keypoints")
} | {"extras": []}


@dataclass(frozen=True)
class FinishedDataset:
    """Attributes:
    out: its folder, absolute, or its URL.
    about: dataset.json.
    splits: by name.
    categories: of objects, in the order that metadata numbers them.
    classes: of whole images, by name.
    """

    out: Place
    about: Mapping[str, Any]
    splits: tuple[str, ...]
    categories: tuple[Category, ...]
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.about.get("manifest", {}).get("name", self.out.name))

    @property
    def version(self) -> str:
        """Of the gramflow that made it."""
        return str(self.about.get("gramflow_version", ""))

    @property
    def temporary_folder(self) -> Path:
        """For files of OUT while they grow."""
        return local_folder(self.out) / "tmp"

    def index(self, split: str) -> Place:
        return self.out / split / "metadata.jsonl"

    def rows(self, split: str) -> Iterator[Row]:
        """The rows of a split, one at a time.

        Raises:
            ManifestError: for a line that is no row, or has a category that there is not.
        """
        with opened(self.index(split)) as lines:
            for number, line in enumerate(lines, start=1):
                yield _row(line, self.index(split), number, len(self.categories))

    def image(self, split: str, row: Row) -> Place:
        return self.out.joinpath(split, row["file_name"])

    def mask(self, split: str, row: Row) -> Place | None:
        """The semantic mask of an image, where it has one."""
        name = row.get("mask_file_name") or row.get("mask_path")
        return place(normal(self.out / split / name)) if name else None

    def objects(self, row: Row) -> tuple[Object, ...]:
        """In pixels of the image; none for rows of datasets without objects."""
        names = [category.name for category in self.categories]
        return objects_of(named(objects_column_of(row), names))

    def relatives(self, split: str) -> Iterator[Relative]:
        for row in self.rows(split):
            name = str(row.get("content_path", row["file_name"]))
            yield Relative(row.get("source_id") or "", row.get("group_id") or "", name)


def objects_column_of(row: Row) -> Row:
    """The column `objects`, empty where an older row has none."""
    column: Row = row.get("objects") or _NO_OBJECTS
    return column


def read_of_row(file: Place) -> bytes:
    """A file that a row names.

    Raises:
        FileNotFoundError: saying how to mend it.
    """
    try:
        return read_bytes(file)
    except FileNotFoundError:
        raise gone(file) from None


def gone(file: Place) -> FileNotFoundError:
    """The error of a file that a row names and that is not there."""
    return FileNotFoundError(
        f"{file} is gone, but metadata.jsonl names it; `gramflow run` makes it again"
    )


def read_finished(out: Place) -> FinishedDataset:
    """The dataset in the folder `out`.

    Raises:
        ManifestError: where there is none, it has odd categories, or an index of it is missing.
    """
    out = place(normal(out.absolute()))
    file = out / "dataset.json"
    try:
        about = json.loads(read_bytes(file))
        splits = tuple(sorted(about["counts"]["split"]))
        classes = tuple(sorted(about["counts"]["class"]))
    except FileNotFoundError:
        expected = "there is none; expected the folder of a finished dataset, see `gramflow run`"
        raise _error(file, None, expected) from None
    except (ValueError, KeyError, TypeError) as error:
        message = f"does not describe a dataset ({error!r}); `gramflow run` writes it again"
        raise _error(file, None, message) from None
    categories = described_categories(about.get("categories") or [], file)
    dataset = FinishedDataset(out, about, splits, categories, classes)
    if not splits:
        raise _error(file, None, "the dataset has no images; there is nothing to export")
    missing = [dataset.index(split) for split in splits if not is_there(dataset.index(split))]
    if missing:
        message = "is missing; `gramflow run` writes it again"
        raise ManifestError([Problem(str(index), None, "", message) for index in missing])
    return dataset


def _row(line: bytes, file: Place, number: int, categories: int) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise _error(file, number, f"is not JSON ({error}); `gramflow run` mends it") from None
    if not isinstance(row, dict) or "file_name" not in row:
        raise _error(file, number, "expected a row with file_name; `gramflow run` mends it")
    for category in objects_column_of(row)["categories"]:
        if type(category) is not int or not 0 <= category < categories:
            expected = f"expected one of the {categories} categories of dataset.json, from 0"
            raise _error(file, number, f"{expected}, got {category!r}; `gramflow run` mends it")
    return row


def _error(file: Place, line: int | None, message: str) -> ManifestError:
    return ManifestError([Problem(str(file), line, "", message)])
