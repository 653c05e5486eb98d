"""What an imagefolder has besides metadata.jsonl: its rows as Parquet, and croissant.json."""

from __future__ import annotations

from collections import Counter
from typing import Any

from manifests.exporters.croissant import write_croissant
from manifests.exporters.finished import FinishedDataset, objects_column_of
from manifests.exporters.parquet import write_parquet
from manifests.exporters.sums import summed
from manifests.exporters.written import Written

_UNEVEN = (
    "one split has objects or keypoints and another has none: load metadata_<split>.parquet, for "
    "`datasets` takes types from the rows of metadata.jsonl and refuses two of one column"
)


def write_imagefolder(dataset: FinishedDataset) -> Written:
    """Write OUT/metadata_<split>.parquet and OUT/croissant.json; metadata.jsonl is there."""
    with summed(dataset, "imagefolder") as sums:
        write_parquet(dataset, sums)
        write_croissant(dataset, sums)
    written = Written("imagefolder", dataset.out)
    types: set[tuple[tuple[str, int], ...]] = set()
    for split in dataset.splits:
        depths: Counter[str] = Counter()
        for row in dataset.rows(split):
            column = objects_column_of(row)
            written.images += 1
            written.objects += len(column["bbox"])
            depths |= Counter({part: _depth(values) for part, values in column.items()})
        types.add(tuple(sorted(depths.items())))
    if len(types) > 1:
        written.notes[_UNEVEN] += 1
    return written


def _depth(values: Any) -> int:
    """How many lists deep values are found: what a reader of JSON knows of their type."""
    if not isinstance(values, list):
        return 1
    return 1 + max(map(_depth, values)) if values else 0
