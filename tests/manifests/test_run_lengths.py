"""Run lengths are those that pycocotools packs."""

from __future__ import annotations

import pycocotools.mask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.run_lengths import run_lengths


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30).filter(any))
def test_packed_run_lengths_are_read_as_they_were(lengths: list[int]) -> None:
    size = [sum(lengths), 1]
    packed = pycocotools.mask.frPyObjects({"size": size, "counts": lengths}, *size)
    assert run_lengths(packed["counts"].decode()) == lengths


@given(st.text(max_size=20))
def test_any_text_is_run_lengths_or_refused(counts: str) -> None:
    try:
        lengths = run_lengths(counts)
    except ValueError:
        return
    assert min(lengths) >= 0


@pytest.mark.parametrize("counts", ["", "P", "zzzz", "ÿ", "PPPPPPPPP1", "0`h9O"])
def test_what_is_none_is_refused(counts: str) -> None:
    with pytest.raises(ValueError, match=r"no run lengths|end too early"):
        run_lengths(counts)
