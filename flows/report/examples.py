"""Which rows stand for a dataset: some of each style, class and kind, and the least faithful."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import Any

from manifests.exporters.finished import Row
from manifests.selection import Facets, spread

MOST_EXAMPLES = 48
_OF_EACH_GROUP = 3
_LEAST_FAITHFUL = 8
# Beyond so many, further styles, classes and kinds have no candidates of their own.
_MOST_GROUPS = 600
_CHARACTERS_COMPARED = 16


@dataclass(frozen=True, slots=True)
class Example:
    """A row with its split and kind.

    Attributes:
        number: of the row, as the dataset has them.
    """

    split: str
    kind: str
    row: Row
    number: int

    @property
    def style(self) -> str:
        return self.row.get("style_path") or ""

    @property
    def label(self) -> str:
        return self.row.get("label") or ""

    @property
    def strength(self) -> float:
        return float(self.row.get("strength", 1.0))

    @property
    def fidelity(self) -> float:
        """1 where the row has none: nothing of it is known to be lost."""
        return float(self.row.get("fidelity", 1.0)) if self.style else 1.0


@dataclass
class Candidates:
    """A few rows of each group.

    Ids are hashes, so that the lowest of a group are a fair draw, and the same one each time.
    """

    heaps: dict[tuple[str, str], list[Any]] = field(default_factory=dict)

    def offer(self, example: Example) -> None:
        """Take the row where it is one of its groups' few; it may give way to another later."""
        by_id = _descending(example.row["variant_id"])
        self._put(("kind", example.kind), by_id, example, MOST_EXAMPLES)
        if example.kind != "augmented":
            self._put(("class", example.label), by_id, example, _OF_EACH_GROUP)
        if example.kind == "stylized":
            self._put(("style", example.style), by_id, example, _OF_EACH_GROUP)
            least = (-example.fidelity, by_id)
            self._put(("fidelity", ""), least, example, _LEAST_FAITHFUL)

    def all(self) -> list[Example]:
        """Each once, by id."""
        those = {one.row["variant_id"]: one for heap in self.heaps.values() for _, _, one in heap}
        return [those[variant_id] for variant_id in sorted(those)]

    def _put(self, group: tuple[str, str], key: Any, example: Example, most: int) -> None:
        if group not in self.heaps and len(self.heaps) >= _MOST_GROUPS:
            return
        heap = self.heaps.setdefault(group, [])
        entry = (key, example.row["variant_id"], example)
        if len(heap) < most:
            heappush(heap, entry)
        elif heap[0][0] < key:
            heapreplace(heap, entry)


def _descending(variant_id: str) -> int:
    """A key by which the highest comes first: heaps give up their lowest."""
    return -int.from_bytes(
        variant_id[:_CHARACTERS_COMPARED].encode().ljust(_CHARACTERS_COMPARED), "big"
    )


def choose(candidates: Iterable[Example], most: int = MOST_EXAMPLES) -> list[Example]:
    """So many of them, spread over photographs, styles, classes and kinds; most are stylized.

    Every fourth is one of the least faithful.
    """
    everyone = list(candidates)
    stylized = sorted((one for one in everyone if one.kind == "stylized"), key=_fidelity)
    least_faithful = stylized[: min(most, len(stylized)) // 4]
    others = [one for one in everyone if one not in least_faithful]
    chosen = spread(others, [_facets(one) for one in others], most - len(least_faithful))
    for place, one in enumerate(least_faithful):
        chosen.insert(4 * place + 3, one)
    return chosen


def _fidelity(one: Example) -> float:
    return one.fidelity


def _facets(one: Example) -> Facets:
    facets: Facets = {
        ("photograph", one.row.get("content_path") or ""): 3.0,
        ("style", one.style): 1.0,
        ("class", one.label): 1.0,
        ("kind", one.kind): 2.0,
    }
    if one.kind == "stylized":
        # A facet of its own, which counts as much however many there are.
        facets["stylized", one.row["variant_id"]] = 4.0
    return facets
