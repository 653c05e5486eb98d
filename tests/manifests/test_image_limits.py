"""Image files that would take the machine, its programs or its day are refused at once."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from manifests.errors import ManifestError
from manifests.facts import FactsCache
from manifests.images import (
    TooManyPixels,
    UnusableImage,
    decode_class_indices,
    decode_image,
    image_size,
)
from tests.flows.pictures import photo

PHOTO = photo(1, 48, 40)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000"])
def test_the_limit_is_by_pixels_and_can_be_moved(kind: str) -> None:
    data = saved(PHOTO, kind)
    for read in (decode_image, image_size):
        assert read(data, max_pixels=48 * 40)
        with pytest.raises(TooManyPixels, match="max_pixels"):
            read(data, max_pixels=48 * 40 - 1)


def test_the_limit_is_for_masks_too() -> None:
    mask = saved(Image.new("L", (20, 20), 3), "PNG")
    assert decode_class_indices(mask, max_pixels=400).size == (20, 20)
    with pytest.raises(TooManyPixels, match="max_pixels"):
        decode_class_indices(mask, max_pixels=399)


def test_facts_of_what_was_too_large_are_found_when_the_limit_is_raised(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    PHOTO.save(file)
    os.utime(file, (1, 1))  # long ago, so that its facts can be remembered
    sizes, hashes = [], set()
    for max_pixels in (100, 48 * 40, 100):
        cache = FactsCache(tmp_path / "facts.sqlite", max_pixels)
        (facts,) = cache.of_files([str(file)])
        cache.close()
        sizes.append((facts.width, facts.height))
        hashes.add(facts.sha256)
    assert sizes == [(0, 0), (48, 40), (48, 40)]
    assert len(hashes) == 1


def test_the_limit_is_no_part_of_any_id(make_plan: Callable[..., Any]) -> None:
    def ids(**changes: Any) -> list[str]:
        return [one.id for base in make_plan(**changes).bases() for one in base.variants]

    assert ids() == ids(max_pixels=10) == ids(max_pixels=1_000_000_000)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many", 1_000_000_001])
def test_a_limit_that_is_none_is_refused(make_plan: Callable[..., Any], value: Any) -> None:
    with pytest.raises(ManifestError, match=r"job\.yaml:\d+: max_pixels: expected"):
        make_plan(max_pixels=value)


@pytest.mark.parametrize(
    "data",
    [
        # Pillow hands it to Ghostscript, which runs what it says.
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\nshowpage\n%%EOF\n",
        saved(PHOTO, "TGA"),
        saved(PHOTO, "ICO"),
    ],
)
def test_only_formats_of_photographs_are_opened(data: bytes) -> None:
    with pytest.raises(UnusableImage, match="is no image of AVIF, BMP, GIF, JPEG"):
        decode_image(data)


def test_a_jpeg_of_more_scans_than_any_photograph_is_refused() -> None:
    whole = saved(PHOTO, "JPEG", progressive=True)
    again = whole[whole.rindex(b"\xff\xc4") : -2]
    assert decode_image(whole[:-2] + again * 20 + b"\xff\xd9").image.size == PHOTO.size
    with pytest.raises(UnusableImage, match="more than 100 scans"):
        decode_image(whole[:-2] + again * 101 + b"\xff\xd9")


def test_a_tiff_of_tiles_far_larger_than_itself_is_refused() -> None:
    data = zlib.compress(bytes(1_000_000))
    place = 8 + 2 + 12 * 10 + 4
    tags = [
        *((256, 32), (257, 32), (258, 8), (259, 8), (262, 1), (277, 1)),
        *((322, 16_000), (323, 16_000), (324, place), (325, len(data))),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    with pytest.raises(TooManyPixels, match="tiles of 16000x16000"):
        decode_image(header + entries + bytes(4) + data)


def test_text_and_profiles_that_inflate_without_end_are_refused_or_left_out() -> None:
    bomb = "a" * 80_000_000
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", bomb, zip=True)
    with pytest.raises(UnusableImage, match="cannot be"):
        decode_image(saved(PHOTO, "PNG", pnginfo=text))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    inflating = saved(PHOTO, "PNG", icc_profile=profile + bytes(80_000_000))
    assert len(inflating) < 200_000
    with pytest.raises(UnusableImage, match="cannot be"):
        decode_image(inflating)


_WITH_LITTLE_MEMORY = """
import resource, sys
from manifests.images import UnusableImage, read_file
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
try:
    read_file(sys.argv[1])
except UnusableImage as error:
    print(error)
"""


def test_a_file_larger_than_the_memory_fails_alone(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as sparse:
        sparse.truncate(8 * 2**30)
    command = [sys.executable, "-c", _WITH_LITTLE_MEMORY, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "is larger than the memory there is\n", done.stderr


def test_others_in_the_process_open_as_large_images_as_before(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "image.png")
    with pytest.raises(TooManyPixels):
        decode_image((tmp_path / "image.png").read_bytes(), max_pixels=100)
    with Image.open(tmp_path / "image.png") as image:
        assert image.size == (40, 30)
