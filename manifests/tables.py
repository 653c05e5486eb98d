"""Tables in .csv, .jsonl and .parquet files: rows as mappings, each with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Any

import pyarrow
import pyarrow.parquet

from manifests.errors import ManifestError, Problem
from manifests.listings import exists, is_file
from manifests.storage import Place, opened

SUFFIXES = frozenset({".csv", ".jsonl"})


def read_table(file: Place) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of a .csv with a header line, or of a .jsonl with one object a line.

    Of a .parquet, (number of the row from 1, row). What is empty is left out of a row.

    Raises:
        ManifestError: for what is neither, with file and every line that is wrong, once the rows
            of the others are out.
    """
    if not is_file(file):
        raise _error(file, None, "is no file" if exists(file) else "No such file or directory")
    problems: list[Problem] = []
    try:
        if file.suffix.lower() == ".parquet":
            yield from _read_parquet(file)
        else:
            with TextIOWrapper(opened(file), encoding="utf-8-sig", newline="") as lines:
                is_csv = file.suffix.lower() == ".csv"
                yield from (_read_csv if is_csv else _read_jsonl)(lines, file, problems)
    except OSError as error:
        problems.append(_problem(file, None, error.strerror or "unreadable"))
    except UnicodeDecodeError as error:
        problems.append(_problem(file, None, f"is not UTF-8 text ({error.reason})"))
    if problems:
        raise ManifestError(problems)


def _read_csv(
    lines: Any, file: Place, problems: list[Problem]
) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(lines, strict=True)
    try:
        for row in reader:
            if None in row:
                message = "has more values than the header has columns"
                problems.append(_problem(file, reader.line_num, message))
            else:
                yield reader.line_num, {key: value for key, value in row.items() if value}
    except csv.Error as error:
        line = max(1, reader.line_num)  # 0 where the header is wrong already
        problems.append(_problem(file, line, f"is not CSV: {error}"))


def _read_jsonl(
    lines: Any, file: Place, problems: list[Problem]
) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            problems.append(_problem(file, number, f"is not JSON: {error}"))
            continue
        if isinstance(row, dict):
            yield number, {key: value for key, value in row.items() if value is not None}
        else:
            message = f"expected an object, got {text.strip()[:40]}"
            problems.append(_problem(file, number, message))


def _read_parquet(file: Place) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        with opened(file) as rows, pyarrow.parquet.ParquetFile(rows) as table:
            for batch in table.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield number, {key: value for key, value in row.items() if value is not None}
    except pyarrow.ArrowException as error:
        raise _error(file, None, f"is not Parquet: {error}") from None


def _problem(file: Place, line: int | None, message: str) -> Problem:
    return Problem(str(file), line, "", message)


def _error(file: Place, line: int | None, message: str) -> ManifestError:
    return ManifestError([_problem(file, line, message)])
