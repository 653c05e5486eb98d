"""Every kind of image file comes out as upright 8-bit sRGB, or is refused with a reason."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from manifests.images import (
    UnusableImage,
    check_shape,
    decode_class_indices,
    decode_image,
    encode_image,
    fit_within,
    image_size,
)
from tests.flows.pictures import _png_header, photo

PHOTO = photo(1, 48, 32)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def difference(data: bytes, expected: Image.Image) -> float:
    found = np.asarray(decode_image(data).image, dtype=float)
    assert decode_image(data).image.mode == "RGB"
    return float(np.abs(found - np.asarray(expected.convert("RGB"), dtype=float)).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = PHOTO if stored is None else PHOTO.transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(image, "PNG", exif=exif)
    assert difference(data, PHOTO) == 0
    assert image_size(data) == (48, 32)
    decoded = decode_image(data)
    assert (decoded.orientation, decoded.stored_size) == (orientation, image.size)


def test_transparency_is_flattened_on_white() -> None:
    clear = PHOTO.convert("RGBA")
    clear.putalpha(0)
    half = PHOTO.convert("RGBA")
    half.putalpha(128)
    white = Image.new("RGB", PHOTO.size, "white")
    assert difference(saved(clear, "PNG"), white) == 0
    assert difference(saved(half, "PNG"), Image.blend(white, PHOTO, 128 / 255)) < 1
    palette = PHOTO.quantize(16)
    assert difference(saved(palette, "PNG", transparency=bytes(16)), white) == 0
    gray = PHOTO.convert("LA")
    gray.putalpha(0)
    assert difference(saved(gray, "PNG"), white) == 0


def test_deep_narrow_and_indexed_pixels_become_8_bit_rgb() -> None:
    gray = PHOTO.convert("L")
    sixteen = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    assert difference(saved(sixteen, "PNG"), gray) == 0
    assert difference(saved(sixteen, "TIFF"), gray) == 0
    assert difference(saved(gray.convert("1"), "PNG"), gray.convert("1")) == 0
    palette = PHOTO.quantize(256)
    assert difference(saved(palette, "PNG"), palette) == 0


def test_cmyk_becomes_rgb() -> None:
    assert difference(saved(PHOTO.convert("CMYK"), "JPEG", quality=100, subsampling=0), PHOTO) < 3


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [PHOTO, photo(2, 48, 32)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert difference(data, PHOTO) < 8


def test_an_icc_profile_is_followed() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(saved(PHOTO, "PNG", icc_profile=srgb), PHOTO) < 1
    lab = ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    in_lab = ImageCms.applyTransform(PHOTO, transform)
    assert in_lab is not None
    profile = ImageCms.ImageCmsProfile(lab).tobytes()
    assert difference(saved(in_lab, "TIFF", icc_profile=profile), PHOTO) < 6


def test_a_broken_icc_profile_is_noted() -> None:
    decoded = decode_image(saved(PHOTO, "PNG", icc_profile=b"no profile"))
    assert decoded.notes == ("ICC profile unusable for RGB; pixels taken as they are",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"just text\n", "is no image"),
        (_png_header(20_000, 20_000), "more than 100,000,000"),
        (_png_header(12_000, 12_000), "12000x12000 pixels, more than"),
        (saved(PHOTO, "JPEG")[:400], "Truncated"),
        (saved(PHOTO, "PNG")[:-300], "cannot be decoded"),
        (saved(Image.fromarray(np.ones((20, 20), np.float32)), "TIFF"), "32-bit pixels"),
        (saved(Image.fromarray(np.ones((20, 20), np.int32)), "TIFF"), "32-bit pixels"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableImage, match=reason):
        decode_image(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP"])
def test_the_size_of_a_damaged_file_is_found_or_the_file_refused(kind: str) -> None:
    whole = saved(PHOTO, kind)
    for cut in range(8, len(whole), max(1, len(whole) // 40)):
        for damaged in (whole[:cut], whole[:cut] + b"garbage" + whole[cut + 7 :]):
            with suppress(UnusableImage):
                assert min(image_size(damaged)) > 0


def test_the_size_of_a_png_with_broken_data_is_refused_as_the_image_is() -> None:
    whole = bytearray(saved(PHOTO, "PNG"))
    whole[whole.index(b"IDAT") + 20] ^= 1
    for read in (image_size, decode_image):
        with pytest.raises(UnusableImage, match="cannot be decoded"):
            read(bytes(whole))


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), long_side=st.integers(16, 1024))
def test_fitting_keeps_proportions_and_never_enlarges(
    width: int, height: int, long_side: int
) -> None:
    fitted = fit_within(width, height, long_side)
    assert max(fitted) <= max(long_side, 1)
    assert fitted[0] <= width
    assert fitted[1] <= height
    factor = min(1, long_side / max(width, height))
    assert abs(fitted[0] - width * factor) <= 1
    assert abs(fitted[1] - height * factor) <= 1


@pytest.mark.parametrize(
    ("width", "height", "fits"), [(16, 16, True), (15, 99, False), (33 * 16, 16, False)]
)
def test_shapes_that_an_encoder_cannot_take_are_refused(
    width: int, height: int, fits: bool
) -> None:
    if fits:
        check_shape(width, height)
    else:
        with pytest.raises(UnusableImage, match=f"{width}x{height}"):
            check_shape(width, height)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_encoded_images_decode_to_the_same_picture(kind: str) -> None:
    data = encode_image(PHOTO, kind, 95)
    assert data == encode_image(PHOTO, kind, 95)
    assert difference(data, PHOTO) < 5


GREY, PALETTE = 0, 3


def png_of_indices(indices: np.ndarray, bits: int, kind: int) -> bytes:
    """Each index in so many bits, written as the PNG specification has it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    height, width = indices.shape
    samples = (indices[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    lines = np.packbits(samples.reshape(height, -1).astype(np.uint8), axis=1)
    colours = bytes(range(255, 255 - 3 * 2 ** min(bits, 4), -1))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)),
            chunk(b"PLTE", colours) if kind == PALETTE else b"",
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))),
            chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize("kind", [GREY, PALETTE])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_class_indices_are_the_numbers_that_the_file_has(bits: int, kind: int) -> None:
    # A line that ends within a byte, too.
    indices = np.arange(3 * 87).reshape(3, 87) % 2**bits
    decoded = decode_class_indices(png_of_indices(indices, bits, kind))
    assert decoded.mode == "L"
    assert np.array_equal(np.asarray(decoded), indices)
