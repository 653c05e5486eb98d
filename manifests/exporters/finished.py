"""A finished dataset: what OUT/dataset.json and OUT/<split>/metadata.jsonl say."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.categories import described_categories
from manifests.errors import ManifestError, Problem
from manifests.exporters.about import check_about
from manifests.exporters.columns import check_characters, check_columns
from manifests.label_rows import named, objects_of
from manifests.labels import Category, Object
from manifests.lineage import Relative
from manifests.names import EXTENSION, extension_of
from manifests.readers.findings import check_path, inside_folder
from manifests.readers.shapes import shown
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
        """The manifest's, else that of the folder."""
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
        """Where the rows of a split are."""
        return self.out / split / "metadata.jsonl"

    def rows(self, split: str) -> Iterator[Row]:
        """The rows of a split, one at a time.

        Raises:
            ManifestError: where there is none; for a line that is no row, has a class or category
                that there is not, or names files outside OUT or in a hidden folder.
        """
        number = 0
        with opened(self.index(split)) as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = self._row(line, split)
                except ValueError as error:
                    message = f"{error}; `gramflow run` mends it"
                    raise _error(self.index(split), number, message) from None
                yield row
        if not number:
            raise _error(self.index(split), None, "has no rows; `gramflow run` mends it")

    def _row(self, line: bytes, split: str) -> Row:
        try:
            row: Row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"is not JSON ({error})") from None
        check_columns(row, self.categories)
        if b"\\u" in line:
            check_characters(row)
        name, mask = row["file_name"], row.get("mask_file_name") or row.get("mask_path")
        if not re.fullmatch(EXTENSION, extension_of(check_path(name))):
            raise ValueError(f"file_name: expected a .jpg, .png or .webp, got {shown(name)}")
        inside_folder(self.out / split, check_path(name))
        if mask:
            inside_folder(self.out, os.path.join(split, check_path(mask)))
        for path in filter(None, (name, mask)):
            if _is_below_hidden(split, path):
                raise ValueError(f"expected no file in a hidden folder, got {path!r}")
        if (label := row.get("label")) and label not in self.classes:
            raise ValueError(f"expected a label among the classes of dataset.json, got {label!r}")
        return row

    def image(self, split: str, row: Row) -> Place:
        """Where the image of a row is."""
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
        """What each row of a split descends from and belongs to."""
        for row in self.rows(split):
            name = str(row.get("content_path", row["file_name"]))
            yield Relative(row.get("source_id") or "", row.get("group_id") or "", name)


def objects_column_of(row: Row) -> Row:
    """The column `objects`, empty where an older row has none."""
    column: Row = row.get("objects") or _NO_OBJECTS
    return column


def _is_below_hidden(split: str, path: str) -> bool:
    """As what is gramflow's own, to go on with; `path` is relative to the split."""
    folders = os.path.normpath(os.path.join(split, path)).split(os.sep)[:-1]
    return any(folder.startswith(".") for folder in folders)


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


def read_finished(out: Place, to: str | None = None) -> FinishedDataset:
    """The dataset in the folder `out`.

    Args:
        to: what is to be done with its images; None where one without any will do.

    Raises:
        ManifestError: where there is none, it has odd categories, an index of it is missing, or
            it has no images for what is to be done.
    """
    out = place(normal(out.absolute()))
    file = out / "dataset.json"
    try:
        about = check_about(json.loads(read_bytes(file)))
    except FileNotFoundError:
        expected = "there is none; expected the folder of a finished dataset, see `gramflow run`"
        raise _error(file, None, expected) from None
    except (ValueError, RecursionError) as error:
        message = f"does not describe a dataset ({error}); `gramflow run` writes it again"
        raise _error(file, None, message) from None
    splits, classes = (tuple(sorted(about["counts"][name])) for name in ("split", "class"))
    categories = described_categories(about.get("categories") or [], file)
    dataset = FinishedDataset(out, about, splits, categories, classes)
    if to is not None and not splits:
        raise _error(file, None, f"the dataset has no images; there is nothing to {to}")
    missing = [dataset.index(split) for split in splits if not is_there(dataset.index(split))]
    if missing:
        message = "is missing; `gramflow run` writes it again"
        raise ManifestError([Problem(str(index), None, "", message) for index in missing])
    return dataset


def _error(file: Place, line: int | None, message: str) -> ManifestError:
    return ManifestError([Problem(str(file), line, "", message)])
