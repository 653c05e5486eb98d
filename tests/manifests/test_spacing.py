"""Some of many, evenly spaced."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from manifests.spacing import evenly_spaced


@given(st.integers(0, 500), st.integers(0, 60))
def test_they_are_as_many_and_as_far_apart(length: int, count: int) -> None:
    chosen = evenly_spaced(range(length), count)
    assert len(chosen) == min(length, count)
    assert chosen == sorted(set(chosen))
    gaps = [after - before for before, after in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    if chosen:
        before, after = chosen[0], length - 1 - chosen[-1]
        assert abs(before - after) <= 1
