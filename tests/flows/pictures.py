"""Image files that tests make: good ones, and every kind of bad one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def photo(seed: int, width: int = 48, height: int = 40) -> Image.Image:
    """Smooth blobs of colour, different for each seed."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def write_classes(folder: Path, count: int, classes: tuple[str, ...] = ("cat", "dog")) -> None:
    """`count` photos, in turn in each class folder, in a few shapes."""
    for index in range(count):
        file = folder / classes[index % len(classes)] / f"photo{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        photo(index, width=48, height=32 + 4 * (index % 4)).save(file)


def write_bad_files(folder: Path) -> tuple[list[str], list[str]]:
    """Eight awkward files; returns the names of those that can be used and of those that cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    photo(1).save(folder / "truncated.jpg", quality=95)
    whole = (folder / "truncated.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("this is no picture\n")
    (folder / "empty.jpg").write_bytes(b"")
    Image.new("RGB", (1, 1), "red").save(folder / "one_pixel.png")
    (folder / "bomb.png").write_bytes(_png_header(20_000, 20_000))
    photo(2).convert("CMYK").save(folder / "cmyk.jpg")
    gray = np.asarray(photo(3).convert("L")).astype(np.uint16) * 257
    Image.fromarray(gray).save(folder / "sixteen_bit.png")
    frames = [photo(4), photo(5)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    good = ["cmyk.jpg", "sixteen_bit.png", "animated.gif"]
    bad = ["truncated.jpg", "text.png", "empty.jpg", "one_pixel.png", "bomb.png"]
    return good, bad


def _png_header(width: int, height: int) -> bytes:
    """A PNG that promises width x height pixels; its data would inflate to as many."""

    def block(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = zlib.compress(bytes(1 + 3 * width) * 64)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", row) + block(b"IEND", b"")
