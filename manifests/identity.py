"""Content-addressed ids: the same inputs give the same id, on any machine, in any order."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

_ID_CHARACTERS = 26  # of base32: 130 bits
_SHORT_ID_CHARACTERS = 12  # 60 bits: enough among the files of one name


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(*parts: Any) -> str:
    """Id of a sequence of plain values (text, numbers, lists, mappings)."""
    return _encode(hashlib.sha256(canonical_json(parts).encode()).digest())


def source_id(content_sha256: bytes) -> str:
    """Id of a content image: the same bytes are the same source, wherever they lie."""
    return digest("source", content_sha256.hex())


def pair_id(
    content_sha256: bytes, style_sha256: bytes, parameters: str, encoder_sha256: str, seed: int
) -> str:
    """Id of a stylized image; `parameters` is the canonical JSON of all that shapes it."""
    return digest(
        "pair", content_sha256.hex(), style_sha256.hex(), parameters, encoder_sha256, seed
    )


def variant_id(base_id: str, recipe: Any, index: int, seed: int | None, output: Any) -> str:
    """Id of one file that comes out."""
    return digest("variant", base_id, recipe, index, seed, output)


def short_id(full_id: str) -> str:
    """The part of an id that file names carry."""
    return full_id[:_SHORT_ID_CHARACTERS]


def seed_of(*parts: Any) -> int:
    """A seed in 0..2^63 that depends on the parts alone."""
    number = hashlib.sha256(canonical_json(["seed", *parts]).encode()).digest()[:8]
    return int.from_bytes(number, "big") >> 1


def _encode(sha256: bytes) -> str:
    return base64.b32encode(sha256).decode("ascii").lower()[:_ID_CHARACTERS]
