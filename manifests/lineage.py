"""Whether images that belong together are in one split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np

from manifests.hashes import hashes_of, holds

_NAMED = 10


class LineageError(ValueError):
    """Images that belong together are in more than one split; the message names them."""


@dataclass(frozen=True, slots=True)
class Relative:
    """An image among those that it belongs together with.

    Attributes:
        source: id of the content image that it descends from; empty where it is not known.
        group: empty for none.
        name: of the content image, for messages.
    """

    source: str
    group: str
    name: str


RelativesOf = Callable[[str], Iterable[Relative]]
# ("group" or "source", its name)
Bond = tuple[str, str]


def check_lineage(splits: Iterable[str], relatives_of: RelativesOf) -> None:
    """Refuse sources and groups that are in more than one split.

    Args:
        relatives_of: the images of a split; asked again where something is to be named.

    Raises:
        LineageError: naming the first ten, with their splits, and how many there are.
    """
    crossing = _crossing(sorted(splits), relatives_of)
    groups = {group: where for (kind, group), where in crossing.items() if kind == "group"}
    sources = {source: where for (kind, source), where in crossing.items() if kind == "source"}
    lines = []
    if groups:
        lines.append(_sentence("groups", groups, "give all images of a group one `split`"))
    if sources:
        where = _with_names(sources, relatives_of)
        lines.append(_sentence("content images", where, "name each image in one split only"))
    if lines:
        raise LineageError("\n".join(lines))


def _crossing(splits: list[str], relatives_of: RelativesOf) -> dict[Bond, list[str]]:
    """What binds images together -> their splits, where they are in more than one."""
    if len(splits) < 2:
        return {}
    hashes = [hashes_of(map(str, _bonds(relatives_of(split)))) for split in splits]
    shared = reduce(np.union1d, (np.intersect1d(a, b) for a, b in combinations(hashes, 2)))
    found: dict[Bond, set[str]] = {}
    if len(shared):
        for split in splits:
            for bond in _bonds(relatives_of(split)):
                if holds(shared, str(bond)):
                    found.setdefault(bond, set()).add(split)
    return {bond: sorted(of) for bond, of in sorted(found.items()) if len(of) > 1}


def _bonds(relatives: Iterable[Relative]) -> Iterator[Bond]:
    for one in relatives:
        if one.group:
            yield "group", one.group
        if one.source:
            yield "source", one.source


def _with_names(sources: dict[str, list[str]], relatives_of: RelativesOf) -> dict[str, list[str]]:
    """Source -> its splits, each with the content image's name there."""
    names: dict[str, dict[str, str]] = {source: {} for source in sources}
    for split in {split for splits in sources.values() for split in splits}:
        for one in relatives_of(split):
            if one.source in names:
                names[one.source].setdefault(split, one.name)
    return {
        source: [f"{split}: {name}" for split, name in sorted(where.items())]
        for source, where in names.items()
    }


def _sentence(what: str, crossing: dict[str, list[str]], mend: str) -> str:
    first = [f"{text} ({', '.join(where)})" for text, where in list(crossing.items())[:_NAMED]]
    more = ", …" if len(crossing) > _NAMED else ""
    return (
        f"{len(crossing)} {what} are in more than one split, so that a model would be tested on "
        f"what it was trained on: {', '.join(first)}{more}; {mend}"
    )
