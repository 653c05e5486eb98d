"""Inputs that nobody meant: whole files with damage, values where others belong, any bytes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Inputs = st.SearchStrategy[bytes]

# What formats of text give a meaning.
TOKENS: Sequence[bytes] = (
    *(b"[", b"]", b"{", b"}", b'"', b"'", b",", b":", b": ", b"- ", b"? ", b"<<: ", b"&a ", b"*a"),
    *(b"null", b"NaN", b"1e999", b"-1", b"0", b"0x", b"9" * 400, b"true"),
    *(b"0x" + b"f" * 300, b"0x" + b"f" * 6000),
    *(b"\\ud800", b"\\0", b"\\x", b".nan", b"~", b"!!set ", b"!!binary "),
    b"!!python/name:os.system ",
    *(b"<", b">", b"&", b"&lt;", b"<!DOCTYPE", b"]]>", b"\n", b" ", b"\t", b"\r", b"\0", b"---\n"),
    *(b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe", b"../", b"/", b"~/",),
    *(b"%", b"*", b"**/", b"{0..9}", b"|\n", b"#", b"@", b"`", b"=", "é".encode(), b"\x1b[2J"),
)  # fmt: skip
_LONGEST_BYTES = 2_000_000
_REPEATED = (1, 1, 1, 1, 40, 5_000)


def any_bytes() -> Inputs:
    return st.binary(max_size=200) | st.text(max_size=100).map(str.encode)


@st.composite
def damaged(draw: st.DrawFn, wholes: Sequence[bytes], tokens: Sequence[bytes] = TOKENS) -> bytes:
    """A file of which up to four places are overwritten, repeated, swapped or cut off."""
    data = draw(st.sampled_from(wholes))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(("token", "bytes", "repeat", "cut")))
        if kind == "token":
            new = draw(st.sampled_from(tokens)) * draw(st.sampled_from(_REPEATED))
            data = data[:start] + new + data[end:]
        elif kind == "bytes":
            data = data[:start] + draw(st.binary(max_size=4)) + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[start:end] * draw(st.sampled_from(_REPEATED)) + data[end:]
        else:
            data = data[:start]
        data = data[:_LONGEST_BYTES]
    return data


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["../../x", "/etc/passwd", "a\0b", "\ud800", "a\nb", "", ".", "x" * 5_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@st.composite
def with_other_values(
    draw: st.DrawFn,
    document: Any,
    written: Callable[[Any], bytes] = lambda d: json.dumps(d).encode(),
) -> bytes:
    """A document of which one to three values, at any depth, are others, or are gone."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        inner = document
        while isinstance(inner, (dict, list)) and inner:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            key = draw(st.sampled_from(keys))
            if not isinstance(inner[key], (dict, list)) or draw(st.integers(0, 3)) == 0:
                if draw(st.integers(0, 5)) == 0:
                    del inner[key]
                else:
                    inner[key] = draw(VALUES)
                break
            inner = inner[key]
    return written(document)


def with_png_checksums(data: bytes) -> bytes:
    """A PNG whose blocks' checksums are right, so that what is in them is looked at."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        inside = data[at + 4 : at + 8 + length]
        parts += [data[at : at + 4], inside, zlib.crc32(inside).to_bytes(4, "big")]
        at += 12 + length
    return b"".join(parts) + data[at:]


def with_tar_checksums(data: bytes) -> bytes:
    """A tar in which every block that could be a header has the checksum of one."""
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    return b"".join(map(_with_checksum, blocks))


def _with_checksum(block: bytes) -> bytes:
    if len(block) < 512 or block[257:262] != b"ustar":
        return block
    total = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    return block[:148] + b"%06o\0 " % total + block[156:]
