"""A few images of a plan that show what all of it will be like: spread over all that differs."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import TypeVar

from manifests.plan import Base, Variant
from manifests.sources import ContentImage
from manifests.spacing import evenly_spaced

T = TypeVar("T")

# What an image differs in -> how much it counts that it differs from those before.
Facets = dict[tuple[str, Hashable], float]

Item = tuple[Base, Variant]


def spread(items: Sequence[T], facets: Sequence[Facets], count: int) -> list[T]:
    """`count` of the items, or all, each the one that has most that is seldom among those before.

    A facet that `n` before have counts its weight / (1 + n). Of equals the first is taken.

    Args:
        facets: of each item.
    """
    seen: Counter[tuple[str, Hashable]] = Counter()

    def gain(place: int) -> float:
        return sum(weight / (1 + seen[facet]) for facet, weight in facets[place].items())

    # A gain only falls, so that one worked out earlier is a bound for it.
    bounds = [(-gain(place), place) for place in range(len(items))]
    heapq.heapify(bounds)
    taken: list[T] = []
    while bounds and len(taken) < count:
        bound, place = heapq.heappop(bounds)
        now = -gain(place)
        if now > bound:
            heapq.heappush(bounds, (now, place))
            continue
        taken.append(items[place])
        seen.update(facets[place].keys())
    return taken


def candidates(content: Sequence[ContentImage], count: int) -> list[int]:
    """Places of about `count` content images, spread over splits and classes; no file is read."""
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for place, one in enumerate(content):
        groups[one.split, class_of(one)].append(place)
    some = evenly_spaced(list(groups.values()), count)
    of_each = [evenly_spaced(places, -(-count // len(some))) for places in some]
    in_turn = chain.from_iterable(zip_longest(*of_each))
    return sorted([place for place in in_turn if place is not None][:count])


def images_to_show(bases: Iterable[Base], strengths: tuple[float, float], count: int) -> list[Item]:
    """`count` images spread over splits, classes, styles, strengths, kinds, recipes, photographs.

    Of each recipe's variants of a base only the first is considered.

    Args:
        strengths: lowest and highest of the manifest.
    """
    items = [(base, v) for base in bases for v in base.variants if v.index == 0]
    # Ids are as good as drawn at random, and the same wherever files lie.
    items.sort(key=lambda item: item[1].id)
    return spread(items, [_facets(*item, strengths) for item in items], count)


def class_of(content: ContentImage) -> str:
    """The class of an image, else the category of its first object; empty without labels."""
    labels = content.labels
    return labels.class_name or next((one.category for one in labels.objects), "")


def _facets(base: Base, variant: Variant, strengths: tuple[float, float]) -> Facets:
    facets: Facets = {
        ("photograph", base.content_sha256): 3.0,
        ("split", base.content.split): 2.0,
        ("class", class_of(base.content)): 2.0,
        ("kind", base.kind(variant)): 3.0,
    }
    if base.style is not None:
        facets["style", base.style_sha256] = 3.0
        facets["strength", _third(base.strength, strengths)] = 1.0
        facets["recipe", variant.recipe] = 1.0
    return facets


def _third(strength: float, strengths: tuple[float, float]) -> int:
    """0, 1 or 2: low, middle or high in the range."""
    low, high = strengths
    return 0 if low == high else min(2, int(3 * (strength - low) / (high - low)))
