"""How numbers and the text of files are written for people, wherever they read it."""

from __future__ import annotations

from unicodedata import category

# Unicode's categories: control, format (which can turn a line round), half a character.
_STEERING = ("Cc", "Cf", "Cs")


def counted(count: int, noun: str) -> str:
    """1 image, 2 images, 1,000 classes."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{plural}"


def of_copies(count: int) -> str:
    """That so many files of content and styles are left out, and why."""
    files, have = counted(count, "file"), "it has" if count == 1 else "they have"
    return f"{files} left out: {have} the bytes of another, which gives the same images"


def printable(text: str) -> str:
    """Text of files and their names, without what would steer a terminal or cannot be encoded."""
    return "".join(
        one.encode("unicode_escape").decode() if category(one) in _STEERING else one for one in text
    )


def duration(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


def file_size(count_bytes: float) -> str:
    """1.5 GB, 20 MB, 3 kB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count_bytes >= size:
            return f"{count_bytes / size:.1f} {unit}"
    return f"{count_bytes / 1e3:.1f} kB"
