"""What is known about an image besides its pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of one image; boxes, masks and keypoints will stand here beside the class.

    Attributes:
        class_name: one plain folder name, or None where the image has no class.
    """

    class_name: str | None = None


def check_class_name(name: str) -> str:
    """A class name that can be a folder of its own on every file system.

    Raises:
        ValueError: saying what was expected.
    """
    bad = any(ord(character) < 32 or character in '/\\:*?"<>|' for character in name)
    if not name.strip() or name.startswith(".") or bad or len(name.encode()) > 200:
        raise ValueError(
            f'expected a class name of at most 200 bytes without / \\ : * ? " < > | and no '
            f"leading '.', got {name!r}"
        )
    return name
