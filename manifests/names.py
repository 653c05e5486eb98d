"""How files that gramflow makes are named; what is named otherwise is the user's."""

from __future__ import annotations

# Pattern of an image's name without its extension.
STEM = r"[^/]+-(?:original|augmented|stylized|stylized_augmented)-[a-z2-7]{12}"
EXTENSION = r"(?:jpg|png|webp)"


def stem_of(file_name: str) -> str:
    """Name of an image without folders and extension: no dot in it, no two in a dataset."""
    return file_name.rpartition("/")[2].rpartition(".")[0]


def extension_of(file_name: str) -> str:
    """Without its dot."""
    return file_name.rpartition(".")[2]
