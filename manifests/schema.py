"""Manifest schema v1: what the user wants. Data only; nothing here opens a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from manifests.images import MAX_PIXELS, MOST_MAX_PIXELS

SMALLEST, LARGEST = 16, 8192
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check_plain_name(name: object) -> str:
    """A name that is one folder on every file system: letters, digits, '_', '.', '-'.

    A whole number is a name too: YAML reads a folder named 2024 as one.
    """
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"expected letters, digits, '_', '.', '-' (no leading '.'), got {name!r}")
    return name


def check_split(name: object) -> object:
    """A plain name, or empty for none."""
    return name if name == "" else check_plain_name(name)


def check_size(size: object) -> object:
    """A long side in pixels, or "original"."""
    if size is None or size == "original":
        return size
    if isinstance(size, int) and not isinstance(size, bool) and SMALLEST <= size <= LARGEST:
        return size
    raise ValueError(
        f"expected a whole number >= {SMALLEST} and <= {LARGEST}, or original, got {size!r}"
    )


def check_preserve_color(way: object) -> object:
    """`false` and `true` are the words of most manifests."""
    way = {False: "no", True: "luminance"}.get(way, way) if isinstance(way, bool) else way
    if way in ("no", "luminance", "match"):
        return way
    raise ValueError(f"expected false, luminance (or true) or match, got {way!r}")


def check_path_text(path: str) -> str:
    """What can be a path on every file system."""
    if "\0" in path:
        raise ValueError(f"expected a path, got {path!r}")
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"there is no home folder {path.split('/')[0]}") from None
    return path


PlainName = Annotated[str, BeforeValidator(check_plain_name)]
PathText = Annotated[str, Field(min_length=1), AfterValidator(check_path_text)]
Whole = Annotated[int, Field(strict=True)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def check_pattern(pattern: object) -> object:
    """A regular expression."""
    if isinstance(pattern, str):
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"expected a regular expression, got {pattern!r}: {error}") from None
    return pattern


def check_one_or_several(value: object) -> object:
    """One name, or a list of them."""
    return (value,) if isinstance(value, str) else value


ContentFormat = Literal["folder", "list", "coco", "yolo", "voc", "imagefolder", "webdataset"]
OutputFormat = Literal["imagefolder", "coco", "yolo", "voc", "webdataset"]


class Content(_Model):
    """Content images with their labels.

    Attributes:
        path: a folder, glob, image, list, data.yaml of YOLO, or tar shards.
        format: found by looking, where it is not given.
        annotations: COCO's JSON file, where `path` is the folder of its images.
        masks: folder of semantic masks, PNG files named as the images.
        split: of images of which the dataset itself does not say it; else which of its splits.
        group: regular expression, searched in an image's path below `path`; images for which it
            finds the same (its first group, or the whole) belong together and into one split.
    """

    path: PathText
    format: ContentFormat | None = None
    annotations: PathText | None = None
    masks: PathText | None = None
    split: Annotated[str, BeforeValidator(check_split)] = ""
    group: Annotated[PathText | None, BeforeValidator(check_pattern)] = None


class Style(_Model):
    """Style images; `weight` is their share in random pairing, per image."""

    path: PathText
    weight: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 1.0


class Pair(_Model):
    """One pair of strategy `listed`: two files that content and styles name."""

    content: PathText
    style: PathText


class Pairing(_Model):
    """Which styles each content image gets."""

    strategy: Literal["random", "all", "zip", "listed"] = "random"
    styles_per_content: Annotated[Whole, Field(ge=1)] = 1
    pairs: PathText | tuple[Pair, ...] | None = None

    @model_validator(mode="after")
    def _fields_fit_strategy(self) -> Pairing:
        if (self.strategy == "listed") != (self.pairs is not None):
            raise ValueError(
                "pairs belongs to strategy listed, and listed needs it: a list of "
                "{content, style}, or a .csv or .jsonl with those columns"
            )
        # Its default is let through, so that a resolved manifest is a manifest.
        if self.strategy != "random" and self.styles_per_content != 1:
            raise ValueError("styles_per_content belongs to strategy random")
        return self


class Stylize(_Model):
    """How pairs are optimised; what is left out comes from the preset."""

    encoder: str = "compact"
    weights: PathText | None = None
    preset: str = "fast"
    size: Annotated[int | Literal["original"] | None, BeforeValidator(check_size)] = None
    strength: tuple[float, float] = (1.0, 1.0)
    preserve_color: Annotated[
        Literal["no", "luminance", "match"], BeforeValidator(check_preserve_color)
    ] = "no"
    override: dict[str, Any] = {}

    @field_validator("strength", mode="before")
    @classmethod
    def _one_or_range(cls, value: Any) -> Any:
        bounds = [value, value] if isinstance(value, (int, float)) else value
        numbers = isinstance(bounds, (list, tuple)) and all(
            isinstance(bound, (int, float)) and not isinstance(bound, bool) for bound in bounds
        )
        if not numbers or len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1] <= 1:
            raise ValueError("expected a number in 0..1, or [low, high] with 0 <= low <= high <= 1")
        return tuple(float(bound) for bound in bounds)


class Fidelity(_Model):
    """What becomes of stylized images that keep too little of their content's structure.

    Attributes:
        min: smallest score, 0..1, of the image and of each of its objects.
        action: `flag` says so in the metadata; `drop` leaves the pair out; `retry` stylizes again
            with less strength, at most three times, then drops.
    """

    min: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    action: Literal["flag", "drop", "retry"] = "flag"


class Variants(_Model):
    """How many variants of each recipe an image gets, by what it descends from."""

    original: Annotated[Whole, Field(ge=0, le=10_000)] = 1
    stylized: Annotated[Whole, Field(ge=0, le=10_000)] = 1


class Augment(_Model):
    """Recipes: name -> list of {albumentations transform: its arguments}.

    Attributes:
        min_visibility: an object is dropped where less than this share of its area is left in
            the image, whatever it is magnified by.
        min_area: and where less than so many square pixels are.
    """

    include_original: Annotated[bool, Field(strict=True)] = True
    min_visibility: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    min_area: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 0.0
    recipes: dict[PlainName, tuple[dict[str, dict[str, Any]], ...]] = {}
    variants: Variants = Variants()

    @field_validator("recipes")
    @classmethod
    def _one_transform_an_entry(cls, recipes: dict[str, Any]) -> dict[str, Any]:
        for name, steps in recipes.items():
            if not steps or any(len(step) != 1 for step in steps):
                raise ValueError(
                    f"recipe {name}: expected a list of {{Transform: {{argument: value}}}}, "
                    "one transform an entry"
                )
        return recipes


class ImageFormat(_Model):
    """How images are encoded; `quality` 1..100 is for jpeg and webp."""

    type: Literal["jpeg", "png", "webp"] = "jpeg"
    quality: Annotated[Whole, Field(ge=1, le=100)] = 95


class Output(_Model):
    """Where the dataset goes; splits that are not listed are copied without variants."""

    path: PathText
    format: Annotated[
        tuple[OutputFormat, ...], Field(min_length=1), BeforeValidator(check_one_or_several)
    ] = ("imagefolder",)
    image: ImageFormat = ImageFormat()
    splits: Annotated[tuple[PlainName, ...], Field(min_length=1)] = ("train",)


class Manifest(_Model):
    """A whole job. Relative paths are relative to the manifest's folder.

    Attributes:
        max_pixels: of an image file; what has more is refused before it is decoded. No part of
            any id.
    """

    version: Literal[1]
    name: PlainName
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 0
    max_pixels: Annotated[Whole, Field(ge=1, le=MOST_MAX_PIXELS)] = MAX_PIXELS
    content: Annotated[tuple[Content, ...], Field(min_length=1)]
    styles: tuple[Style, ...] = ()
    pairing: Pairing = Pairing()
    stylize: Stylize = Stylize()
    fidelity: Fidelity = Fidelity()
    augment: Augment = Augment()
    output: Output
