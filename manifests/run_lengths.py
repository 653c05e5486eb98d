"""COCO's compressed run lengths of a mask, as numbers.

Format: rleFrString in https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c. Groups
of five bits, lowest first, 0x20 where more follow; the highest bit of the last group is the sign;
from the fourth length on, the difference to the length two before.
"""

from __future__ import annotations

# A run length of an image of 1,000,000,000 pixels has at most seven groups of five bits.
_MOST_BITS = 35
_SHOWN_CHARACTERS = 60


def run_lengths(counts: str) -> list[int]:
    """Pixels of each run, of 0 and of 1 in turn, column by column.

    Raises:
        ValueError: for text that is no run lengths; pycocotools reads past the end of such.
    """
    lengths: list[int] = []
    value = bits = 0
    for character in counts:
        group = ord(character) - 48
        if not 0 <= group < 64 or bits > _MOST_BITS:
            raise ValueError(f"counts are no run lengths: {counts[:_SHOWN_CHARACTERS]!r}")
        value |= (group & 0x1F) << bits
        bits += 5
        if group & 0x20:
            continue
        if group & 0x10:
            value -= 1 << bits
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = bits = 0
    if bits or not lengths:
        raise ValueError(f"counts end too early: {counts[:_SHOWN_CHARACTERS]!r}")
    if min(lengths) < 0:
        raise ValueError(f"counts are no run lengths: {counts[:_SHOWN_CHARACTERS]!r}")
    return lengths
