"""How much of the plan a run has to make, and which chunks those are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from manifests.chunks import Chunk
from manifests.comparison import Todo, first_images

# What is to be made first is remembered, so that work begins at once wherever it lies in the plan.
_REMEMBERED_IMAGES = 10_000


@dataclass(frozen=True)
class Extent:
    """What one walk through the plan finds.

    Attributes:
        images: of the whole plan.
        pending: of those, images that are to be made, in this run or later ones.
        to_do: images that this run is to make.
        tasks, pairs: chunks and pairs that it has for them.
        work: nominal seconds of those.
    """

    images: int
    pending: int
    to_do: int
    tasks: int
    pairs: int
    work: float
    _first: tuple[Chunk, ...]
    _rest: Callable[[], Iterator[Chunk]]

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of this run with what is to be done of them, in the plan's order."""
        return chain(self._first, self._rest())


def extent_of(
    plan: Callable[[], Iterable[Chunk]],
    todo: Todo,
    work_of: Callable[[Chunk], float],
    limit: int | None,
) -> Extent:
    """Compare the whole plan with what is there.

    Args:
        plan: all its chunks, the same on each call.
        work_of: nominal seconds of a chunk.
        limit: images that this run is to make at most.
    """
    images = pending = to_do = tasks = pairs = remembered = 0
    work = 0.0
    first: list[Chunk] = []
    for chunk in plan():
        left = todo.of_chunk(chunk)
        images += chunk.images
        pending += left.images
        cut = _cut(left, math.inf if limit is None else limit - to_do)
        if not cut.images:
            continue
        to_do += cut.images
        tasks += 1
        pairs += cut.pairs
        work += work_of(cut)
        if remembered < _REMEMBERED_IMAGES:
            remembered += cut.images
            first.append(cut)

    def rest() -> Iterator[Chunk]:
        if tasks == len(first):
            return
        left = to_do - remembered
        for chunk in plan():
            if chunk.number <= first[-1].number:
                continue
            cut = _cut(todo.of_chunk(chunk), left)
            left -= cut.images
            if cut.images:
                yield cut
            if not left:
                return

    return Extent(images, pending, to_do, tasks, pairs, work, tuple(first), rest)


def _cut(chunk: Chunk, limit: float) -> Chunk:
    return chunk if chunk.images <= limit else first_images(chunk, int(limit))
