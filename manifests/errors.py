"""What is wrong with the user's input, in sentences with a place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

# Where in a manifest: keys, and numbers in lists.
Field = tuple[str | int, ...]

# What differs between two problems of one kind: numbers, paths, what is quoted.
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|\S*/\S*|\d+")
# Characters of a message that say of what kind it is; the search above takes the square of them.
_SAID_FIRST = 300
# Files may hold text without end, and a message quotes it.
_LONGEST_SENTENCE = 2_000


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `file`, `line` (1 is the first; None: the file as a whole),
    `field` (dotted, may be empty), and what was expected."""

    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        message = self.message
        if len(message) > _LONGEST_SENTENCE:
            message = message[:_LONGEST_SENTENCE] + "…"
        return f"{place}: {self.field}: {message}" if self.field else f"{place}: {message}"


class ManifestError(ValueError):
    """The manifest, or a list it names, is not usable; holds every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[ManifestError], tuple[tuple[Problem, ...]]]:
        # Errors are pickled by what Exception was made with, which here is their text.
        return type(self), (self.problems,)


def few_of_each_kind(problems: Sequence[Problem], most: int) -> list[str]:
    """Problems as lines; of those that say the same of a folder's files, `most` and the count."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        said = _PARTICULARS.sub("", f"{problem.field} {problem.message}"[:_SAID_FIRST])
        kinds.setdefault((os.path.dirname(problem.file), said), []).append(problem)
    lines: list[str] = []
    for of_kind in kinds.values():
        lines += map(str, of_kind[:most])
        if len(of_kind) > most:
            lines.append(f"… and {len(of_kind) - most:,} more of this kind")
    return lines
