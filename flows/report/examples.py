"""Which rows stand for a dataset: some of each style, class and kind, and the least faithful."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import Any

from manifests.exporters.finished import Row

MOST_EXAMPLES = 48
_OF_EACH_GROUP = 3
_LEAST_FAITHFUL = 8
# Beyond so many, further styles, classes and kinds have no candidates of their own.
_MOST_GROUPS = 600
_CHARACTERS_COMPARED = 16


@dataclass(frozen=True, slots=True)
class Example:
    """A row with its split and kind."""

    split: str
    kind: str
    row: Row

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
    _offered: int = 0

    def offer(self, example: Example) -> bool:
        """Whether the row is taken; it may give way to another later."""
        self._offered += 1
        variant_id = example.row["variant_id"]
        by_id = _descending(variant_id)
        taken = self._put(("kind", example.kind), by_id, example, MOST_EXAMPLES)
        if example.kind != "augmented":
            taken |= self._put(("class", example.label), by_id, example, _OF_EACH_GROUP)
        if example.kind == "stylized":
            taken |= self._put(("style", example.style), by_id, example, _OF_EACH_GROUP)
            least = (-example.fidelity, by_id)
            taken |= self._put(("fidelity", ""), least, example, _LEAST_FAITHFUL)
        return taken

    def all(self) -> list[Example]:
        """Each once, by id."""
        those = {one.row["variant_id"]: one for heap in self.heaps.values() for *_, one in heap}
        return [those[variant_id] for variant_id in sorted(those)]

    def _put(self, group: tuple[str, str], key: Any, example: Example, most: int) -> bool:
        if group not in self.heaps and len(self.heaps) >= _MOST_GROUPS:
            return False
        heap = self.heaps.setdefault(group, [])
        # The number parts rows of strangers that have one id.
        entry = (key, example.row["variant_id"], self._offered, example)
        if len(heap) < most:
            heappush(heap, entry)
            return True
        if heap[0][0] >= key:
            return False
        heapreplace(heap, entry)
        return True


def _descending(variant_id: str) -> int:
    """A key by which the highest comes first: heaps give up their lowest."""
    return -int.from_bytes(
        variant_id[:_CHARACTERS_COMPARED].encode().ljust(_CHARACTERS_COMPARED), "big"
    )


def choose(candidates: Iterable[Example], most: int = MOST_EXAMPLES) -> list[Example]:
    """So many of them, spread over styles, classes and kinds; stylized ones come first.

    Every fourth is the least faithful of those that are left.
    """
    left = list(candidates)
    used: Counter[tuple[str, str]] = Counter()
    chosen: list[Example] = []

    def cost(one: Example) -> float:
        is_stylized = one.kind == "stylized"
        return (
            used["style", one.style]
            + used["class", one.label]
            + 3 * used["photograph", one.row.get("content_path") or ""]
            + (0 if is_stylized else 4 + 2 * used["kind", one.kind])
        )

    while left and len(chosen) < most:
        of_styles = [one for one in left if one.kind == "stylized"]
        if len(chosen) % 4 == 3 and of_styles:
            one = min(of_styles, key=lambda one: one.fidelity)
        else:
            one = min(left, key=cost)
        left.remove(one)
        chosen.append(one)
        used["style", one.style] += 1
        used["class", one.label] += 1
        used["kind", one.kind] += 1
        used["photograph", one.row.get("content_path") or ""] += 1
    return chosen
