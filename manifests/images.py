"""The one function through which images are opened: any file in, 8-bit sRGB out."""

from __future__ import annotations

import io
import os
import stat
import warnings
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from manifests.members import UnusableShard, read_shard, split_member
from manifests.storage import is_url, place
from manifests.stores import State, read_bytes

# Of an image file, unless the manifest says otherwise; and what it can say.
MAX_PIXELS = 100_000_000
MOST_MAX_PIXELS = 1_000_000_000
# What an encoder can take: the stride of its deepest layer.
MIN_SIDE_PX = 16
MAX_ASPECT = 32

SUFFIXES = frozenset(
    {
        *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm"),
        *(".png", ".ppm", ".tif", ".tiff", ".webp"),
    }
)

# Of all that Pillow reads; some of its other readers start programs or take minutes.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# Encoders write about ten. Each costs a walk over all pixels, and may be a few bytes long.
_MOST_JPEG_SCANS = 100
_START_OF_SCAN = b"\xff\xda"
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 322, 323

# The check below refuses what Pillow warns of.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
# Pillow tells of damaged EXIF and goes on without it, naming no file.
warnings.filterwarnings("ignore", module=r"PIL\.")

_NO_STATED_RANGE = "has 32-bit pixels without a stated range; save it with 8 or 16 bits"
_SRGB = ImageCms.createProfile("sRGB")
_ROTATED_BY_A_QUARTER = {5, 6, 7, 8}
# By what Pillow multiplies grey of 2 and 4 bits, so that white is 255 in each.
_GREY_STEPS = {"L;2": 85, "L;4": 17}
_EXIF_ORIENTATION = 0x0112


class UnusableImage(ValueError):
    """The bytes are no image that can be used; the message says why."""


class TooManyPixels(UnusableImage):
    """More than the manifest allows."""


@dataclass(frozen=True)
class Decoded:
    """Attributes:
    image: mode RGB, upright, sRGB.
    notes: what had to be assumed about the file, one sentence each.
    orientation: EXIF's, 1..8, by which it was turned or mirrored; 1 where it was stored upright.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()
    orientation: int = 1

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) in pixels, as before it was turned upright."""
        width, height = self.image.size
        return (height, width) if self.orientation in _ROTATED_BY_A_QUARTER else (width, height)


def read_file(file: str | os.PathLike[str]) -> tuple[bytes, State | None]:
    """All bytes of a file or of a member of a tar, and the file's state as they were read.

    Returns:
        No state of a file in a store, which does not tell it with the bytes.

    Raises:
        UnusableImage: if it cannot be read, or is a pipe or device, which could block for ever.
    """
    on_disk, member = split_member(os.fspath(file))
    try:
        if is_url(on_disk):
            return _read_from_store(on_disk, member), None
        descriptor = os.open(on_disk, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as opened:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise UnusableImage("is a folder, pipe or device; expected a file")
            as_read = State(state.st_size, state.st_mtime_ns)
            if not member:
                return opened.read(), as_read
            where = read_shard(on_disk).places[member]
            opened.seek(where.offset)
            return opened.read(where.size_bytes), as_read
    except KeyError:
        raise UnusableImage(f"is not in {on_disk}") from None
    except UnusableShard as error:
        raise UnusableImage(f"{on_disk} {error}") from None
    except IsADirectoryError:
        raise UnusableImage("is a folder; expected an image") from None
    except OSError as error:
        raise UnusableImage(error.strerror or "cannot be read") from None
    except MemoryError:
        raise UnusableImage("is larger than the memory there is") from None


def _read_from_store(url: str, member: str) -> bytes:
    if not member:
        return read_bytes(place(url))
    where = read_shard(url).places[member]
    # No store has a range of no bytes.
    if where.size_bytes == 0:
        return b""
    return read_bytes(place(url), where.offset, where.offset + where.size_bytes)


def image_size(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) in pixels of the upright image, from the header alone.

    Raises:
        TooManyPixels: if the header names more.
        UnusableImage: if it is none.
    """
    with _open(data, max_pixels) as image:
        width, height = image.size
        try:
            orientation = _orientation(image)
        except Exception as error:  # Pillow looks for a PNG's EXIF in all of its data
            raise UnusableImage(f"cannot be decoded: {error}") from error
        return (height, width) if orientation in _ROTATED_BY_A_QUARTER else (width, height)


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Decoded:
    """The image upright (EXIF), in sRGB (ICC), 8 bits, on white where it was transparent.

    Of an animation, the first frame. CMYK goes through its profile where it has one.

    Raises:
        TooManyPixels: more than `max_pixels`.
        UnusableImage: empty, truncated, broken or no image.
    """
    with _open(data, max_pixels) as image:
        # Other formats give 16 bits in this mode.
        if image.mode == "I" and image.format == "TIFF":
            raise UnusableImage(_NO_STATED_RANGE)
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
            decoded = _as_srgb(upright, image.info.get("icc_profile"))
            return replace(decoded, orientation=_orientation(image))
        except UnusableImage:
            raise
        except Exception as error:  # Pillow's readers raise whatever their parsing trips over
            raise UnusableImage(f"cannot be decoded: {error}") from error


def decode_class_indices(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A semantic mask: mode L, a class index a pixel, from palette or greyscale of 1 to 8 bits.

    Of grey with less than 8 bits, the numbers that the file has. EXIF orientation is not looked
    at: a mask has none.

    Raises:
        TooManyPixels: more than `max_pixels`.
        UnusableImage: empty, truncated, no image, or of other pixels.
    """
    with _open(data, max_pixels) as image:
        if image.mode not in ("P", "L", "1"):
            raise UnusableImage(
                f"has pixels of mode {image.mode}; expected a class index a pixel: a "
                "palette or greyscale PNG of at most 8 bits"
            )
        step = _grey_step(image)
        try:
            return Image.fromarray(np.asarray(image, np.uint8) // step)
        except Exception as error:  # Pillow's readers raise whatever their parsing trips over
            raise UnusableImage(f"cannot be decoded: {error}") from error


def _grey_step(image: ImageFile.ImageFile) -> int:
    """By what Pillow will multiply the grey of an image that it has not decoded yet."""
    layouts = (args if isinstance(args, str) else args[0] for *_, args in image.tile if args)
    return max((_GREY_STEPS.get(str(layout)[:3], 1) for layout in layouts), default=1)


def fit_within(width: int, height: int, long_side_px: int) -> tuple[int, int]:
    """(width, height) with a long side of at most `long_side_px`; nothing is enlarged."""
    factor = min(1.0, long_side_px / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def check_shape(width: int, height: int) -> None:
    """Raises UnusableImage for a side under MIN_SIDE_PX, and for sides beyond MAX_ASPECT:1."""
    if min(width, height) < MIN_SIDE_PX:
        raise UnusableImage(
            f"{width}x{height} px at the size of the work; both sides must be >= {MIN_SIDE_PX} px"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UnusableImage(f"{width}x{height} px; sides must be at most {MAX_ASPECT}:1")


def _open(data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    if not data:
        raise UnusableImage("is empty (0 bytes)")
    # Pillow's own limit is for the whole process: others may count on what it is.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(max_pixels, Image.MAX_IMAGE_PIXELS)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise UnusableImage(f"is no image of {', '.join(_FORMATS)}") from None
    except Image.DecompressionBombError:
        raise TooManyPixels(f"has more than {max_pixels:,} pixels (max_pixels)") from None
    except Exception as error:  # Pillow's readers raise whatever their parsing trips over
        raise UnusableImage(f"cannot be opened: {error}") from error
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(f"has {width}x{height} pixels, more than {max_pixels:,} (max_pixels)")
    _check_cost(image, data, max_pixels)
    return image


def _check_cost(image: Image.Image, data: bytes, max_pixels: int) -> None:
    """Raises UnusableImage for files that take far more time or memory than their pixels do."""
    if image.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) > _MOST_JPEG_SCANS:
        raise UnusableImage(f"has more than {_MOST_JPEG_SCANS} scans; save it anew")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        sides = (image.tag_v2.get(tag, 0) for tag in (_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT))
        tile = [side for side in sides if isinstance(side, int)]
        if len(tile) == 2 and tile[0] * tile[1] > max_pixels:
            raise TooManyPixels(f"has tiles of {tile[0]}x{tile[1]} pixels, more than max_pixels")


def _orientation(image: Image.Image) -> int:
    orientation = image.getexif().get(_EXIF_ORIENTATION)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _as_srgb(image: Image.Image, profile: bytes | None) -> Decoded:
    image = _as_8_bits(image)
    alpha = None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    notes: tuple[str, ...] = ()
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
            image = converted or image
        except (ImageCms.PyCMSError, OSError):
            notes = (f"ICC profile unusable for {image.mode}; pixels taken as they are",)
    image = image.convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        image = Image.composite(image, white, alpha)
    return Decoded(image, notes)


def _as_8_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise UnusableImage(_NO_STATED_RANGE)
    return Image.fromarray((values.astype(np.uint32) // 257).astype(np.uint8))


def encode_image(image: Image.Image, kind: str, quality: int) -> bytes:
    """The bytes of a "jpeg", "png" or "webp" file; `quality` 1..100 counts for jpeg and webp."""
    with _file_in_memory() as data:
        if kind == "jpeg":
            # Full colour resolution: halving it smears the edges of saturated strokes.
            image.save(data, "JPEG", quality=quality, subsampling="4:4:4")
        elif kind == "webp":
            image.save(data, "WEBP", quality=quality)
        else:
            image.save(data, "PNG")
        data.seek(0)
        return data.read()


def _file_in_memory() -> BinaryIO:
    """Where the system has real ones: other threads run on while Pillow encodes into a file."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("image"), "w+b")
    return io.BytesIO()
