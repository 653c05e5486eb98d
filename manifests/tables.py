"""Lists in .csv and .jsonl files: rows as mappings, each with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from manifests.errors import ManifestError, Problem

SUFFIXES = frozenset({".csv", ".jsonl"})


def read_table(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of a .csv with a header line, or of a .jsonl with one object a line.

    Raises:
        ManifestError: with file and line, for what is neither.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            if file.suffix.lower() == ".csv":
                yield from _read_csv(lines, file)
            else:
                yield from _read_jsonl(lines, file)
    except OSError as error:
        raise _error(file, None, error.strerror or "unreadable") from None
    except UnicodeDecodeError as error:
        raise _error(file, None, f"is not UTF-8 text ({error.reason})") from None


def _read_csv(lines: Any, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(lines, strict=True)
    try:
        for row in reader:
            if None in row:
                raise _error(file, reader.line_num, "has more values than the header has columns")
            yield reader.line_num, {key: value for key, value in row.items() if value}
    except csv.Error as error:
        raise _error(file, reader.line_num, f"is not CSV: {error}") from None


def _read_jsonl(lines: Any, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _error(file, number, f"is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise _error(file, number, f"expected an object, got {text.strip()[:40]}")
        yield number, {key: value for key, value in row.items() if value is not None}


def _error(file: Path, line: int | None, message: str) -> ManifestError:
    return ManifestError([Problem(str(file), line, "", message)])
