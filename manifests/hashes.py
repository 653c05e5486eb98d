"""Many texts, remembered in eight or nine bytes each."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Set

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def hash_of(text: str) -> int:
    """A number in 0..2^64, the same on any machine. Two texts share one by a chance of 5e-20."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def hashes_of(texts: Iterable[str]) -> Hashes:
    """The hashes of all texts, sorted, each once."""
    return np.unique(np.frombuffer(array("Q", map(hash_of, texts)), np.uint64))


def holds(hashes: Hashes, text: str) -> bool:
    """Whether `hashes_of` was given this text."""
    wanted = np.uint64(hash_of(text))
    place = int(np.searchsorted(hashes, wanted))
    return place < len(hashes) and hashes[place] == wanted


def repeated(sha256: Iterable[bytes]) -> Set[int]:
    """First eight bytes, as a number, of those hashes of files that there are several of."""
    each = np.sort(np.fromiter(map(first_bytes, sha256), np.uint64))
    return frozenset(map(int, each[1:][each[1:] == each[:-1]]))


def first_bytes(sha256: bytes) -> int:
    """The first eight bytes of a hash as a number."""
    return int.from_bytes(sha256[:8], "big")


class Checklist:
    """Texts that can be taken off a list, each once, for as long as this process lives.

    By Python's own hash, which is quick: that two texts share one has a chance of 5e-20.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._take(np.unique(np.fromiter(map(hash, texts), np.int64)))

    @classmethod
    def of_sorted(cls, hashes: NDArray[np.int64]) -> Checklist:
        """Of texts with these of Python's hashes, sorted, each once."""
        checklist = cls(())
        checklist._take(hashes)
        return checklist

    def _take(self, hashes: NDArray[np.int64]) -> None:
        self._hashes = array("q", hashes.tobytes())
        self._is_off = bytearray(len(hashes))

    def __contains__(self, text: str) -> bool:
        """Whether it is on the list, still."""
        place = self.place(text)
        return place is not None and not self._is_off[place]

    def discard(self, text: str) -> None:
        """Take it off, if it is on."""
        place = self.place(text)
        if place is not None:
            self._is_off[place] = True

    def place(self, text: str) -> int | None:
        """That of its hash among the sorted ones, be it on or off; None where it has none."""
        wanted = hash(text)
        place = bisect_left(self._hashes, wanted)
        there = place < len(self._hashes) and self._hashes[place] == wanted
        return place if there else None
