"""Ids for formats that want numbers: made of a text, so that they stay as a dataset grows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from manifests.hashes import hash_of

# Readers keep ids in float64, which is exact to 2^53.
_BITS = 52


def clashing_numbers(keys: Iterable[str]) -> frozenset[int]:
    """The numbers that more than one of the keys would have; eight bytes of memory a key."""
    numbers = np.frombuffer(array("Q", (_number(key) for key in keys)), np.uint64)
    numbers.sort()
    twins = numbers[1:][numbers[1:] == numbers[:-1]]
    return frozenset(map(int, twins))


class Numbers:
    """Unique numbers in 1..2^53 for keys that are all different.

    A key's number depends on the key alone, but where two keys have the same: there the one that
    comes later gets one above 2^52.

    Args:
        clashing: what `clashing_numbers` says of the same keys.
    """

    def __init__(self, clashing: frozenset[int]) -> None:
        self._clashing = clashing
        self._taken: set[int] = set()

    def of(self, key: str) -> int:
        """The number of a key; of one whose number clashes, another that is free."""
        number = _number(key)
        if number not in self._clashing:
            return number
        while number in self._taken:
            key += "'"
            number = 2**_BITS + _number(key)
        self._taken.add(number)
        return number


def _number(key: str) -> int:
    most: int = 2**_BITS - 1
    return 1 + hash_of(key) % most
