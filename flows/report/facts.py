"""What a report shows of a dataset, gathered in one pass over its rows, in a few bytes a row."""

from __future__ import annotations

import os
import posixpath
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from flows.report.distribution import Distribution
from flows.report.examples import Candidates, Example, choose
from flows.report.outlines import Outline, outlines_of
from manifests.exporters.finished import FinishedDataset, Row, objects_column_of
from manifests.hashes import hash_of
from manifests.labels import Category

# Rows that the page can filter; of a larger dataset as many, evenly spaced.
MOST_ROWS = 100_000
# Photographs of which the report knows their copy in the dataset.
_MOST_ORIGINALS = 200_000
# Rows besides the examples whose labels the page can draw, and how long their paths may get.
_MOST_LABELLED_ROWS = 2_000
_MOST_PATH_CHARACTERS = 2_000_000
_LOSS_BINS_PER_DECADE = 50
_FIDELITY_BINS = 100

# Of a variant id, as file names have them.
ID_CHARACTERS = 12
COUNTED = ("split", "kind", "class", "style", "object")


@dataclass
class Table:
    """Rows that the page can filter, as columns of one length.

    Attributes:
        file: relative to OUT.
        id: as much of the variant id as `gramflow replay` needs.
        split, kind, label, style, content, recipe, note: places in the names of the column.
        objects: the same; a name is the numbers of the categories that the row's objects have.
        strength, fidelity, loss: None where a row has none.
        width, height: in pixels.
    """

    names: dict[str, dict[str, int]] = field(
        default_factory=lambda: {
            name: {}
            for name in ("split", "kind", "label", "style", "content", "recipe", "note", "objects")
        }
    )
    file: list[str] = field(default_factory=list)
    id: list[str] = field(default_factory=list)
    split: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    style: list[int] = field(default_factory=list)
    content: list[int] = field(default_factory=list)
    recipe: list[int] = field(default_factory=list)
    note: list[int] = field(default_factory=list)
    strength: list[float | None] = field(default_factory=list)
    fidelity: list[float | None] = field(default_factory=list)
    loss: list[float | None] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)
    width: list[int] = field(default_factory=list)
    height: list[int] = field(default_factory=list)

    def put_in_order(self, places: Sequence[int]) -> None:
        """Bring the rows into the order of their present places that is given."""
        for column in fields(self):
            if column.name != "names":
                values = getattr(self, column.name)
                setattr(self, column.name, [values[place] for place in places])

    def add(self, split: str, row: Row) -> int:
        """Take a row up; its place."""
        is_stylized = bool(row.get("style_path"))
        named = {
            "split": split,
            "kind": kind_of(row),
            "label": row.get("label") or "",
            "style": row.get("style_path") or "",
            "content": row.get("content_path") or "",
            "recipe": row.get("recipe") or "",
            "note": row.get("notes") or "",
            "objects": " ".join(map(str, sorted(set(objects_column_of(row)["categories"])))),
        }
        for name, value in named.items():
            places = self.names[name]
            getattr(self, name).append(places.setdefault(value, len(places)))
        self.file.append(file_of(split, row))
        self.id.append(row["variant_id"][:ID_CHARACTERS])
        self.strength.append(row.get("strength") if is_stylized else None)
        self.fidelity.append(row.get("fidelity") if is_stylized else None)
        self.loss.append(row.get("total_loss_end") if is_stylized else None)
        self.width.append(row["width"])
        self.height.append(row["height"])
        return len(self.file) - 1


@dataclass
class Facts:
    """Attributes:
    images: of the dataset.
    photographs: that they descend from.
    counts: of images by split, kind, class and style, and of objects by category.
    fidelity, loss: of each style's stylized images.
    noted: images with notes.
    table: rows that the page can filter.
    examples: rows whose pictures the page holds itself; their places in the table.
    outlines: drawn labels by place in the table, of examples and of as many others as fit.
    originals: path of a photograph -> its copy in the dataset, relative to OUT.
    """

    images: int = 0
    photographs: int = 0
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in COUNTED}
    )
    fidelity: dict[str, Distribution] = field(
        default_factory=lambda: defaultdict(lambda: Distribution.even(_FIDELITY_BINS))
    )
    loss: dict[str, Distribution] = field(
        default_factory=lambda: defaultdict(lambda: Distribution.by_decades(_LOSS_BINS_PER_DECADE))
    )
    noted: int = 0
    table: Table = field(default_factory=Table)
    examples: dict[int, Example] = field(default_factory=dict)
    outlines: dict[int, list[Outline]] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        return self.counts["object"].total()

    @property
    def labelled(self) -> int:
        """Rows of the table that have objects."""
        none = self.table.names["objects"].get("")
        return sum(place != none for place in self.table.objects)


def gather(dataset: FinishedDataset, most_rows: int = MOST_ROWS) -> Facts:
    """One pass over the rows of all splits.

    Raises:
        ManifestError: for a line that is no row.
    """
    facts, candidates = Facts(), Candidates()
    expected = max(1, int(dataset.about["images"]))
    photographs = array("Q")
    numbers: list[int] = []
    drawn_characters = 0
    for split in dataset.splits:
        for row in dataset.rows(split):
            number = facts.images
            kept = min(1.0, most_rows / expected)
            is_kept = int((number + 1) * kept) > int(number * kept)
            _count(facts, split, row, dataset.categories)
            photographs.append(hash_of(row.get("content_path") or row["file_name"]))
            if kind_of(row) == "original" and len(facts.originals) < _MOST_ORIGINALS:
                facts.originals[row.get("content_path") or ""] = file_of(split, row)
            candidates.offer(Example(split, kind_of(row), row, number))
            if not is_kept or len(facts.table.file) >= most_rows:
                continue
            place = facts.table.add(split, row)
            numbers.append(number)
            has_room = drawn_characters < _MOST_PATH_CHARACTERS
            if has_room and len(facts.outlines) < _MOST_LABELLED_ROWS:
                outlines = outlines_of(dataset, row)
                drawn_characters += sum(map(len, outlines))
                if outlines:
                    facts.outlines[place] = outlines
    facts.photographs = len(np.unique(np.frombuffer(photographs, np.uint64)))
    _take_up(facts, dataset, choose(candidates.all()), numbers)
    return facts


def _take_up(
    facts: Facts, dataset: FinishedDataset, examples: Sequence[Example], numbers: list[int]
) -> None:
    """Put the examples into the table, where they are not there yet, each at its place.

    Args:
        numbers: of the table's rows, rising.
    """
    known = set(numbers)
    for example in examples:
        if example.number not in known:
            facts.table.add(example.split, example.row)
            numbers.append(example.number)
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    facts.table.put_in_order(order)
    now = {before: place for place, before in enumerate(order)}
    facts.outlines = {now[before]: outlines for before, outlines in facts.outlines.items()}
    places = {numbers[before]: place for before, place in now.items()}
    for example in examples:
        place = places[example.number]
        facts.examples[place] = example
        if outlines := outlines_of(dataset, example.row):
            facts.outlines[place] = outlines


def _count(facts: Facts, split: str, row: Row, categories: Sequence[Category]) -> None:
    facts.images += 1
    style = row.get("style_path") or ""
    counted = (("split", split), ("kind", kind_of(row)), ("class", row.get("label")))
    for name, value in (*counted, ("style", style)):
        if value:
            facts.counts[name][value] += 1
    facts.noted += bool(row.get("notes"))
    for number in objects_column_of(row)["categories"]:
        facts.counts["object"][categories[number].name] += 1
    if kind_of(row) == "stylized":
        if row.get("fidelity") is not None:
            facts.fidelity[style].add(row["fidelity"])
        if (row.get("total_loss_end") or 0) > 0:
            facts.loss[style].add(row["total_loss_end"])


def kind_of(row: Row) -> str:
    """What an image is; rows that do not say it are told by their style."""
    return row.get("kind") or ("stylized" if row.get("style_path") else "original")


def file_of(split: str, row: Row) -> str:
    """Path of a row's image relative to OUT."""
    return posixpath.normpath(f"{split}/{row['file_name']}".replace(os.sep, "/"))
