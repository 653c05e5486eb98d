"""The ledger: one small durable record per finished chunk. A record that exists is true."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.chunks import Chunk
from manifests.durable import written_whole
from manifests.identity import short_id

Row = dict[str, Any]

_FORMAT = 1


class LedgerError(RuntimeError):
    """A record cannot be read; the message names it."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Variant ids that the ledger knows; an id is in one of the three.

    Attributes:
        left_out: not made, because their pair kept too little of its content's structure.
    """

    done: Set[str]
    failed: Set[str]
    left_out: Set[str] = frozenset()


class Ledger:
    """Records under OUT/.gramflow/ledger, one file a chunk.

    The first line of a record lists its ids, so that resuming reads one line a chunk; the others
    are rows: the metadata of a file, a failure (a row with `error`), or a variant that was left
    out (a row with `left_out`).
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / ".gramflow" / "ledger"
        self.temporary_folder = out / ".gramflow" / "tmp"
        self.style_grams_folder = out / ".gramflow" / "styles"

    def clear_temporary(self) -> None:
        """Delete what a killed run left half written."""
        shutil.rmtree(self.temporary_folder, ignore_errors=True)
        for file in self.style_grams_folder.glob("*.tmp"):
            file.unlink(missing_ok=True)

    def ids(self) -> Ids:
        """All ids on record; what failed once and was done later counts as done."""
        done: set[str] = set()
        failed: set[str] = set()
        left_out: set[str] = set()
        for file in self._records():
            with file.open("rb") as record:
                header = _header(record.readline(), file)
            done.update(header["done"])
            failed.update(header["failed"])
            left_out.update(header["left_out"])
        # In place: a copy of a million ids is as much memory as the rest of a run takes.
        failed -= done
        failed -= left_out
        left_out -= done
        return Ids(done, failed, left_out)

    def rows(self) -> Iterator[Row]:
        """All rows of all records, in the order of the plans they were made by."""
        for file in self._records():
            with file.open("rb") as record:
                _header(record.readline(), file)
                for line in record:
                    try:
                        yield json.loads(line)
                    except ValueError:
                        raise _damaged(file) from None

    def record(
        self,
        chunk: Chunk,
        done: Sequence[Row],
        failed: Sequence[Row],
        left_out: Sequence[Row] = (),
    ) -> None:
        """Put a finished chunk on record: one row a variant, whatever it came to."""
        file = self.folder / f"{chunk.number:06d}-{short_id(chunk.id)}.jsonl"
        header = {
            "format": _FORMAT,
            "done": [row["variant_id"] for row in done],
            "failed": [row["variant_id"] for row in failed],
            "left_out": [row["variant_id"] for row in left_out],
        }
        with written_whole(file, self.temporary_folder) as record:
            for line in (header, *done, *failed, *left_out):
                record.write(json_line(line))

    def _records(self) -> Iterable[Path]:
        return sorted(self.folder.glob("*.jsonl"))


def json_line(value: Any) -> bytes:
    """One line of a .jsonl file."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _header(line: bytes, file: Path) -> dict[str, list[str]]:
    try:
        header: dict[str, Any] = json.loads(line)
        if header["format"] == _FORMAT:
            # Records of versions before there was a gate have no `left_out`.
            left_out = header.get("left_out", [])
            return {"done": header["done"], "failed": header["failed"], "left_out": left_out}
    except (ValueError, KeyError, TypeError):
        pass
    raise _damaged(file)


def _damaged(file: Path) -> LedgerError:
    return LedgerError(
        f"{file} is no ledger record of format {_FORMAT}; delete it to have its chunk done again"
    )
