"""What all readers ask of names."""

from __future__ import annotations

import pytest

from manifests.readers.findings import category_name


@pytest.mark.parametrize("name", ["car", "Fußgänger", "traffic light", "犬", 7])
def test_names_of_categories_are_text_or_whole_numbers(name: object) -> None:
    assert category_name(name) == str(name)


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x1b[1m", "\x7f", "a\x85b", "\uffff"])
def test_names_that_no_xml_can_hold_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="category without control characters, got"):
        category_name(name)


@pytest.mark.parametrize("name", ["", "  ", None, True, 1.5, "\ud800"])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="expected the name of a category"):
        category_name(name)
