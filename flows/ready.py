"""What variants are made of, and the rows that a chunk comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from augment.fidelity import Scores
from flows.load import Loaded, Pixels
from flows.rows import Optimisation
from manifests.ledger import Row


@dataclass(frozen=True)
class Ready:
    """An image with its labels, at the output size.

    Attributes:
        loaded: the content image and its labels.
        pixels: its own or, stylized, those of the result; H x W x 3, uint8, sRGB.
        optimisation: None without style.
        scores: what it kept of the content's structure; all 1 without style.
    """

    loaded: Loaded
    pixels: Pixels
    optimisation: Optimisation | None
    scores: Scores

    @staticmethod
    def as_it_is(loaded: Loaded) -> Ready:
        """The content image itself."""
        return Ready(loaded, loaded.pixels, None, Scores(1.0, (1.0,) * len(loaded.labels.objects)))


@dataclass
class ChunkRows:
    """Rows of a chunk for the ledger, one a variant."""

    done: list[Row] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)
    left_out: list[Row] = field(default_factory=list)
