"""Some files of a finished dataset made again, and how near they come to what is there."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from flows.replay import CannotReplay, differences, origins_of, psnr_db, replay
from manifests.exporters.finished import FinishedDataset, Row
from manifests.stores import read_bytes
from manifests.verification import Finding, files_of


@dataclass
class Sampled:
    """Attributes:
    differences: what is other here than where they were made.
    images: made again.
    same: of them, byte for byte, with their masks.
    lowest_psnr_db: of the others; None if there are none.
    """

    differences: list[str] = field(default_factory=list)
    images: int = 0
    same: int = 0
    lowest_psnr_db: float | None = None

    def __str__(self) -> str:
        said = f"{self.images:,} made again, {self.same:,} of them byte for byte"
        if self.lowest_psnr_db is not None:
            said += f", the others with a PSNR of {self.lowest_psnr_db:.1f} dB or more"
        return "; ".join([said, *self.differences])


def sampled(dataset: FinishedDataset, count: int, told: Sampled) -> Iterator[Finding]:
    """Make `count` files again, drawn at random; finds those that come out otherwise.

    Where versions or machine are others than then, other bytes are to be expected: how near they
    are is then told, and is no finding.

    Args:
        told: is filled with what came of it.

    Raises:
        ManifestError: content and styles cannot be found; says which.
        EncoderUnavailable: the encoder's weights cannot be had.
    """
    origins = origins_of(dataset)
    for split, row in _drawn(dataset, count):
        file, *masks = files_of(dataset, split, row)
        try:
            again = replay(origins, row)
        except CannotReplay as error:
            yield Finding("replay", file, f"cannot be made again: {error}")
            continue
        told.images += 1
        hashes = [_sha256(again.image), _sha256(again.mask) if again.mask else ""]
        if hashes == [row["sha256"], row["mask_sha256"]]:
            told.same += 1
        elif hashes[0] == row["sha256"]:
            yield Finding("replay", masks[0] if masks else file, "its mask comes out otherwise")
        else:
            others = differences(dataset, row)
            told.differences += [one for one in others if one not in told.differences]
            yield from _otherwise(dataset, file, again.image, told, expected=bool(others))
        if again.applied != row["applied_transforms"]:
            yield Finding("replay", file, "other transforms are drawn for it than its row says")


def _otherwise(
    dataset: FinishedDataset, file: str, again: bytes, told: Sampled, expected: bool
) -> Iterator[Finding]:
    try:
        near = psnr_db(read_bytes(dataset.out / file), again)
    except (OSError, ValueError):  # found as missing or damaged already
        return
    if near is None:
        yield Finding("replay", file, "comes out in another size")
        return
    told.lowest_psnr_db = min(near, near if told.lowest_psnr_db is None else told.lowest_psnr_db)
    if not expected:
        yield Finding(
            "replay",
            file,
            f"comes out with other bytes (PSNR {near:.1f} dB), though versions and machine are "
            "those of then",
        )


def _drawn(dataset: FinishedDataset, count: int) -> list[tuple[str, Row]]:
    """Rows with their splits, each as likely as any other; read once, kept are `count`."""
    kept: list[tuple[str, Row]] = []
    rows = ((split, row) for split in dataset.splits for row in dataset.rows(split))
    for number, one in enumerate(rows):
        if number < count:
            kept.append(one)
        elif (place := random.randrange(number + 1)) < count:
            kept[place] = one
    return kept


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
