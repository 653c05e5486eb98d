"""Content-addressed ids: the same inputs give the same id, on any machine, in any order."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
# What ten bits come to.
_TWO_CHARACTERS = [first + second for first in _ALPHABET for second in _ALPHABET]
_ID = re.compile("[a-z2-7]{26}")
_SHORT_ID_CHARACTERS = 12  # 60 bits: enough among the files of one name
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def digest(*parts: Any) -> str:
    """Id of a sequence of plain values (text, numbers, lists, mappings)."""
    return _id_of(canonical_json(parts))


def known_by(sha256: bytes, name: str) -> bytes:
    """What ids have of a file: of one that cannot be read its name, for there may be several."""
    return sha256 or hashlib.sha256(canonical_json(["unreadable", name]).encode()).digest()


def source_id(content_sha256: bytes) -> str:
    """Id of a content image: the same bytes are the same source, wherever they lie."""
    return digest("source", content_sha256.hex())


def pair_id(
    content_sha256: bytes, style_sha256: bytes, parameters: str, encoder_sha256: str, seed: int
) -> str:
    """Id of a stylized image; `parameters` is the canonical JSON of all that shapes it."""
    quoted = canonical_json([parameters, encoder_sha256, seed])
    return _id_of(f'["pair","{content_sha256.hex()}","{style_sha256.hex()}",{quoted[1:]}')


def variant_id(base_id: str, recipe: str, index: int, seed: int | None, output: str) -> str:
    """Id of one file that comes out.

    A plan has so many that what they share is given as text that is made once.

    Args:
        recipe: canonical JSON of its name and steps, `null` for none.
        output: canonical JSON of all that else shapes the file.
    """
    drawn_by = "null" if seed is None else seed
    return _id_of(f'["variant","{base_id}",{recipe},{index},{drawn_by},{output}]')


def is_id(text: str) -> bool:
    """Whether it is one of these ids, by its form: one of a stranger may be any text."""
    return _ID.fullmatch(text) is not None


def short_id(full_id: str) -> str:
    """The part of an id that file names carry."""
    return full_id[:_SHORT_ID_CHARACTERS]


def seed_of(*parts: Any) -> int:
    """A seed in 0..2^63 that depends on the parts alone."""
    number = hashlib.sha256(canonical_json(["seed", *parts]).encode()).digest()[:8]
    return int.from_bytes(number, "big") >> 1


def _id_of(text: str) -> str:
    """The first 130 bits of its sha256 as base32, in small letters.

    As base64.b32encode has them, but six times as fast: a plan has millions.
    """
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:17], "big") >> 6
    two, first, rest = _TWO_CHARACTERS, bits >> 60, bits & (1 << 60) - 1
    return (
        f"{two[first >> 60]}{two[first >> 50 & 1023]}{two[first >> 40 & 1023]}"
        f"{two[first >> 30 & 1023]}{two[first >> 20 & 1023]}{two[first >> 10 & 1023]}"
        f"{two[first & 1023]}{two[rest >> 50]}{two[rest >> 40 & 1023]}{two[rest >> 30 & 1023]}"
        f"{two[rest >> 20 & 1023]}{two[rest >> 10 & 1023]}{two[rest & 1023]}"
    )
