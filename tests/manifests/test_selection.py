"""A few of many: spread over all that they differ in."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from manifests.labels import Labels
from manifests.selection import Facets, candidates, spread
from manifests.sources import ContentImage


def of(colour: int, size: int) -> Facets:
    return {("colour", colour): 1.0, ("size", size): 1.0}


def test_what_is_seldom_so_far_comes_first() -> None:
    items = [(0, 0), (0, 0), (0, 1), (1, 0), (2, 2), (0, 2)]
    taken = spread(items, [of(*item) for item in items], 3)
    assert taken == [(0, 0), (2, 2), (0, 1)], "both new before one new"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=40), st.integers(0, 50))
def test_a_larger_choice_is_the_smaller_one_and_more(
    items: list[tuple[int, int]], count: int
) -> None:
    numbered = list(enumerate(items))
    facets = [of(*item) for item in items]
    taken = spread(numbered, facets, count)
    assert len(taken) == min(count, len(items))
    assert len(set(taken)) == len(taken)
    assert spread(numbered, facets, count + 1)[:count] == taken


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30))
def test_each_choice_gains_the_most(items: list[tuple[int, int]]) -> None:
    taken = spread(items, [of(*item) for item in items], len(items))
    left, seen = Counter(items), Counter[tuple[str, int]]()

    def gain(item: tuple[int, int]) -> float:
        return sum(1 / (1 + seen[facet]) for facet in (("colour", item[0]), ("size", item[1])))

    for one in taken:
        assert gain(one) == max(map(gain, left))
        left -= Counter([one])
        seen.update([("colour", one[0]), ("size", one[1])])


def content(split: str, class_name: str, number: int) -> ContentImage:
    name = f"{class_name}{number}.jpg"
    return ContentImage(name, name, name, split, Labels(class_name=class_name))


def test_candidates_are_of_all_splits_and_classes() -> None:
    images = [content("train", "cat", i) for i in range(1000)]
    images += [content("train", "dog", i) for i in range(5)]
    images += [content("test", "cat", 0)]
    taken = candidates(images, 12)
    assert len(taken) == len(set(taken)) <= 12
    groups = Counter((images[i].split, images[i].labels.class_name) for i in taken)
    assert groups["test", "cat"] == 1
    assert groups["train", "dog"] == groups["train", "cat"] == 4
    assert candidates(images, 5000) == list(range(len(images)))


def test_of_more_classes_than_wanted_some_are_taken() -> None:
    images = [content("train", f"class{i}", 0) for i in range(1000)]
    assert len(candidates(images, 12)) == 12
    assert candidates([], 12) == []
