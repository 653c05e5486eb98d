"""What an export came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from manifests.storage import Place

CLASSES_LEFT_OUT = "classes of whole images left out, which the format has not"


@dataclass
class Written:
    """One export, counted while it grows.

    Attributes:
        where: folder or file pattern, for people.
        notes: what was left out or written otherwise than it is -> how often.
    """

    format: str
    where: Place
    images: int = 0
    objects: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counted = f"{self.where}: {self.images:,} images, {self.objects:,} objects"
        notes = [f"{note} ({times:,})" for note, times in sorted(self.notes.items())]
        return "; ".join([f"{self.format}: {counted}", *notes])
