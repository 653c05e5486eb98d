"""Text and JSON files of datasets, read whole; what is wrong with them is said with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from manifests.errors import ManifestError, Problem
from manifests.images import UnusableImage, read_file

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def read_text(file: str) -> str:
    """The text of a file or of a member of a tar, UTF-8.

    Raises:
        ManifestError: if it cannot be read or is no such text.
    """
    try:
        data, _ = read_file(file)
        return data.decode("utf-8-sig")
    except UnusableImage as error:
        raise ManifestError([Problem(file, None, "", str(error))]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text (byte {error.start})"
        raise ManifestError([Problem(file, line, "", message)]) from None


def parse_json(text: str, file: str) -> Any:
    """The value that a JSON text stands for.

    Raises:
        ManifestError: if it is none.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg} (column {error.colno})"
        raise ManifestError([Problem(file, error.lineno, "", message)]) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, endless brackets
        raise ManifestError([Problem(file, None, "", f"is not JSON: {error}")]) from None


def element_lines(text: str, name: str) -> list[int]:
    """The line of each element of the list `name` of a JSON object.

    Args:
        text: of JSON, of an object whose `name` is a list.
    """
    lines: list[int] = []
    for key, start in _values(text):
        if key == name:  # of a name that is given twice, the last counts
            lines = []
            line, counted = 1, 0
            for at in _elements(text, start):
                line += text.count("\n", counted, at)
                counted = at
                lines.append(line)
    return lines


def _values(text: str) -> Iterator[tuple[str, int]]:
    """(name, where its value begins) of each value of an object."""
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        yield key, start
        at = _after_separator(text, _DECODER.raw_decode(text, start)[1])


def _elements(text: str, start: int) -> Iterator[int]:
    """Where each element of the list begins that begins at `start`."""
    at = _after_space(text, start + 1)
    while text[at] != "]":
        yield at
        at = _after_separator(text, _DECODER.raw_decode(text, at)[1])


def _after_separator(text: str, at: int) -> int:
    at = _after_space(text, at)
    return _after_space(text, at + 1) if text[at] == "," else at


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
