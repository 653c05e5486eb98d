"""Texts that are remembered as numbers, against sets of the texts themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manifests.hashes import Checklist

few_texts = st.lists(st.text(max_size=2), max_size=20)


@given(few_texts, few_texts, few_texts)
def test_a_checklist_holds_what_a_set_would(
    texts: list[str], taken_off: list[str], asked: list[str]
) -> None:
    checklist, truth = Checklist(iter(texts)), set(texts)
    for text in taken_off:
        checklist.discard(text)
        truth.discard(text)
    for text in [*texts, *taken_off, *asked]:
        assert (text in checklist) == (text in truth)
