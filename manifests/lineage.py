"""Lineage: what descends from one photograph, or belongs to one group, stays in one split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One image, by what it must share its split with.

    Attributes:
        name: for messages.
        source: id of the photograph's bytes; empty where they are unknown.
        group: empty for none.
    """

    name: str
    split: str
    source: str
    group: str


def crossings(members: Iterable[Member]) -> Iterator[str]:
    """A sentence for each source and each group that is in more than one split."""
    first_of_source: dict[str, tuple[str, str]] = {}
    first_of_group: dict[str, tuple[str, str]] = {}
    told: set[str] = set()
    for one in members:
        here = one.name, one.split
        if one.source:
            name, split = first_of_source.setdefault(one.source, here)
            if split != one.split and one.source not in told:
                told.add(one.source)
                yield (
                    f"{name} in split {split} and {one.name} in split {one.split} are the same "
                    "image; expected it in one split"
                )
        if one.group:
            name, split = first_of_group.setdefault(one.group, here)
            if split != one.split and one.group not in told:
                told.add(one.group)
                yield (
                    f"group {one.group} is in split {split} ({name}) and in split {one.split} "
                    f"({one.name}); expected it in one split"
                )
