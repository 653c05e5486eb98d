"""The ledger: one small durable record per finished chunk. A record that exists is true."""

from __future__ import annotations

import json
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from manifests.ahead import read_ahead
from manifests.chunks import Chunk
from manifests.durable import written_whole
from manifests.hashes import hash_of, holds
from manifests.identity import short_id
from manifests.spacing import evenly_spaced
from manifests.storage import Place, is_in_store, local_folder
from manifests.stores import names_in, opened, read_first_line

Row = dict[str, Any]

_FORMAT = 1
# What is asked of a store for a header first; one of 256 ids has about 8 kB.
_HEADER_BYTES = 16 * 2**10


class LedgerError(RuntimeError):
    """A record cannot be read; the message names it."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Variant ids that the ledger knows.

    One may be both done and left out: it is done where its file is there, else left out.

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

    def __init__(self, out: Place) -> None:
        self.folder = out / ".gramflow" / "ledger"
        self.temporary_folder = local_folder(out) / "tmp"
        self.style_grams_folder = local_folder(out) / "styles"

    def clear_temporary(self) -> None:
        """Delete what a killed run left half written."""
        shutil.rmtree(self.temporary_folder, ignore_errors=True)
        for file in self.style_grams_folder.glob("*.tmp"):
            file.unlink(missing_ok=True)

    def ids(self, max_pixels: int = 0) -> Ids:
        """All ids on record; what failed once and was done later counts as done.

        Args:
            max_pixels: of the manifest; what failed for a lower limit is not among the failed, so
                that it is tried again. 0 to have it there.
        """
        done: set[str] = set()
        failed: set[str] = set()
        left_out: set[str] = set()
        for file, first_line in read_ahead(_first_line, self._records(), in_store=self._in_store):
            header = _header(first_line, file)
            done.update(header["done"])
            limits = header["refused"]
            failed.update(
                one for one in header["failed"] if limits.get(one, max_pixels) >= max_pixels
            )
            left_out.update(header["left_out"])
        # In place: a copy of a million ids is as much memory as the rest of a run takes.
        failed -= done
        failed -= left_out
        return Ids(done, failed, left_out)

    def repeated(self) -> dict[str, int]:
        """Ids that several records have as done, for their files were lost -> how many have."""
        hashes = array("Q", map(hash_of, self._done()))
        each = np.sort(np.frombuffer(hashes, np.uint64))
        again = np.unique(each[1:][each[1:] == each[:-1]])
        return Counter(one for one in self._done() if holds(again, one)) if len(again) else {}

    def _done(self) -> Iterator[str]:
        for file, first_line in read_ahead(_first_line, self._records(), in_store=self._in_store):
            yield from _header(first_line, file)["done"]

    def rows(self) -> Iterator[Row]:
        """All rows of all records, in the order of the plans they were made by."""
        yield from self._rows_of(self._records())

    def _rows_of(self, records: Iterable[Place]) -> Iterator[Row]:
        for file, record in read_ahead(_opened, records, in_store=self._in_store):
            with record:
                _header(record.readline(), file)
                for line in record:
                    try:
                        row = json.loads(line)
                    except (ValueError, RecursionError):
                        raise _damaged(file) from None
                    if not isinstance(row, dict):
                        raise _damaged(file)
                    yield row

    def rows_of_some(self, most_records: int) -> Iterator[Row]:
        """The rows of as many records, evenly spaced over the ledger; of fewer where it has fewer.

        Raises:
            LedgerError: for a record that cannot be read.
        """
        chosen = evenly_spaced(self.names(), most_records)
        yield from self._rows_of(self.folder / name for name in chosen)

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
        # Of what failed, the limit it is over.
        refused = {row["variant_id"]: row["max_pixels"] for row in failed if "max_pixels" in row}
        if refused:
            header["refused"] = refused
        with written_whole(file, self.temporary_folder) as record:
            for line in (header, *done, *failed, *left_out):
                record.write(json_line(line))

    @property
    def _in_store(self) -> bool:
        return is_in_store(self.folder)

    def names(self) -> list[str]:
        """Of all records, in the order of the plans they were made by."""
        return sorted(name for name in names_in(self.folder) if name.endswith(".jsonl"))

    def _records(self) -> Iterable[Place]:
        return (self.folder / name for name in self.names())


def _opened(file: Place) -> tuple[Place, BinaryIO]:
    return file, opened(file)


def _first_line(file: Place) -> tuple[Place, bytes]:
    return file, read_first_line(file, _HEADER_BYTES)


def json_line(value: Any) -> bytes:
    """One line of a .jsonl file."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _header(line: bytes, file: Place) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(line)
        if header["format"] == _FORMAT:
            # Records of versions before there was a gate have no `left_out`.
            return {
                "done": header["done"],
                "failed": header["failed"],
                "left_out": header.get("left_out", []),
                "refused": header.get("refused", {}),
            }
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise _damaged(file)


def _damaged(file: Place) -> LedgerError:
    return LedgerError(
        f"{file} is no ledger record of format {_FORMAT}; delete it to have its chunk done again"
    )
