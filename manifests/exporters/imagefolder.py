"""What an imagefolder has besides metadata.jsonl: its rows as Parquet, and croissant.json."""

from __future__ import annotations

from manifests.exporters.croissant import write_croissant
from manifests.exporters.finished import FinishedDataset, objects_column_of
from manifests.exporters.parquet import write_parquet
from manifests.exporters.written import Written


def write_imagefolder(dataset: FinishedDataset) -> Written:
    """Write OUT/metadata_<split>.parquet and OUT/croissant.json; metadata.jsonl is there."""
    write_parquet(dataset)
    write_croissant(dataset)
    written = Written("imagefolder", dataset.out)
    for split in dataset.splits:
        for row in dataset.rows(split):
            written.images += 1
            written.objects += len(objects_column_of(row)["bbox"])
    return written
