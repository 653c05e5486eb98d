"""Chunks: bases of one image shape, the unit of one task and of one ledger record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from manifests.identity import digest
from manifests.plan import Base

TARGET_SECONDS = 10.0
MAX_IMAGES = 256


@dataclass(frozen=True, slots=True)
class Chunk:
    """Attributes:
    number: its place in the plan, from 0.
    """

    number: int
    bases: tuple[Base, ...]

    @property
    def id(self) -> str:
        """Names what the chunk makes, so that its ledger record does."""
        return digest("chunk", [variant.id for base in self.bases for variant in base.variants])

    @property
    def images(self) -> int:
        """Files that it comes to."""
        return sum(len(base.variants) for base in self.bases)

    @property
    def pairs(self) -> int:
        """Pairs to optimise, one a base with a style; 0 for a chunk of originals."""
        return sum(base.style is not None for base in self.bases)


def chunks(bases: Iterable[Base], seconds: Callable[[Base], float]) -> Iterator[Chunk]:
    """Group bases of one shape, with or without style, in plan order.

    The grouping follows from the plan alone, never from what is left to do: a chunk that is
    repeated after a crash so has the same neighbours and gives the same bytes.

    Args:
        seconds: nominal work of a base; a function of the base, not of the clock.
    """
    number = 0
    growing: dict[tuple[bool, int, int], list[Base]] = {}
    weight: dict[tuple[bool, int, int], tuple[float, int]] = {}
    for base in bases:
        shape = (base.style is not None, base.height, base.width)
        own_work, own_images = seconds(base), len(base.variants)
        work, images = weight.get(shape, (0.0, 0))
        full = work + own_work > TARGET_SECONDS or images + own_images > MAX_IMAGES
        if shape in growing and full:
            yield Chunk(number, tuple(growing.pop(shape)))
            number += 1
            work, images = 0.0, 0
        growing.setdefault(shape, []).append(base)
        weight[shape] = (work + own_work, images + own_images)
    for rest in growing.values():
        yield Chunk(number, tuple(rest))
        number += 1
