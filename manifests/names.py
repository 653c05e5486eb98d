"""How files that gramflow makes are named; what is named otherwise is the user's."""

from __future__ import annotations

import re

# Pattern of an image's name without its extension.
STEM = r"[^/]+-(?:original|augmented|stylized|stylized_augmented)-[a-z2-7]{12}"
EXTENSION = r"(?:jpg|png|webp)"

_MADE = re.compile(rf"{STEM}\.{EXTENSION}")


def is_of_gramflow(file_name: str) -> bool:
    """Whether an image or a mask, by its name without folders, is one that gramflow made."""
    return _MADE.fullmatch(file_name) is not None


def stem_of(file_name: str) -> str:
    """Name of an image without folders and extension: no dot in it, no two in a dataset."""
    return file_name.rpartition("/")[2].rpartition(".")[0]


def extension_of(file_name: str) -> str:
    """Without its dot."""
    return file_name.rpartition(".")[2]
