"""The rows as OUT/metadata_<split>.parquet.

They lie beside the splits' folders, not in them: Hugging Face's imagefolder refuses a folder
that has metadata.jsonl and metadata.parquet. `file_name` is relative to OUT/<split>/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.durable import remove_durably, written_whole
from manifests.exporters.finished import FinishedDataset, Row
from manifests.exporters.sums import Sums
from manifests.storage import Place
from manifests.stores import names_in

_ROWS_A_GROUP = 1024

_MADE = re.compile(r"metadata_[^/]+\.parquet")
_NUMBERS = pa.list_(pa.float64())
_OBJECTS = pa.struct(
    [
        ("bbox", pa.list_(_NUMBERS)),
        ("categories", pa.list_(pa.int64())),
        ("area", _NUMBERS),
        ("iscrowd", pa.list_(pa.int64())),
        ("fidelity", _NUMBERS),
        ("segmentation", pa.list_(pa.string())),
        ("keypoints", pa.list_(_NUMBERS)),
        ("extras", pa.list_(pa.string())),
    ]
)
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def write_parquet(dataset: FinishedDataset, sums: Sums) -> None:
    """Write one file a split, all with the same columns."""
    schema = _schema(row for split in dataset.splits for row in dataset.rows(split))
    for split in dataset.splits:
        file = dataset.out / parquet_name(split)
        with (
            written_whole(file, dataset.temporary_folder) as growing,
            sums.of_growing(file.name, growing) as summed_file,
            pq.ParquetWriter(summed_file, schema, compression="zstd") as parquet,
        ):
            for rows in _batches(_flat(row, schema) for row in dataset.rows(split)):
                parquet.write_table(pa.Table.from_pylist(rows, schema))
    wanted = {parquet_name(split) for split in dataset.splits}
    for old in parquet_files(dataset.out):
        if old.name not in wanted:
            remove_durably(old)


def parquet_files(out: Place) -> list[Place]:
    """The files of rows that there are in `out`."""
    return [out / name for name in sorted(names_in(out)) if _MADE.fullmatch(name)]


def parquet_name(split: str) -> str:
    """The name in OUT of a split's rows as Parquet."""
    return f"metadata_{split}.parquet"


def _schema(rows: Iterable[Row]) -> pa.Schema:
    """The columns of all rows; what is neither text nor number is JSON text."""
    types: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            # A column of numbers may begin with whole ones.
            if value is not None and types.get(name) in (None, pa.int64()):
                types[name] = _type(name, value)
    return pa.schema(types.items())


def _type(name: str, value: Any) -> Any:
    return _OBJECTS if name == "objects" else _TYPES.get(type(value), pa.string())


def _flat(row: Row, schema: pa.Schema) -> Row:
    def flat(name: str, value: Any) -> Any:
        if name == "objects" or value is None or type(value) in _TYPES:
            return value
        return json.dumps(value, ensure_ascii=False)

    return {name: flat(name, value) for name, value in row.items()}


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _ROWS_A_GROUP)):
        yield batch
