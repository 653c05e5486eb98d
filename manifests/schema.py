"""Manifest schema v1: what the user wants. Data only; nothing here opens a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from manifests import json_values
from manifests.images import MAX_PIXELS, MOST_MAX_PIXELS
from manifests.json_values import LARGEST, PLAIN_NAME, SMALLEST

_PLAIN_NAME = re.compile(PLAIN_NAME)


def check_version(version: object) -> object:
    """`true` equals 1, and is no version."""
    if isinstance(version, bool):
        raise ValueError(f"expected 1, got {version!r}")
    return version


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


def check_pattern(pattern: object) -> object:
    """A regular expression."""
    if isinstance(pattern, str):
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"expected a regular expression, got {pattern!r}: {error}") from None
    return pattern


def check_steps(steps: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """The steps of a recipe, each one transform with its arguments."""
    if not steps or any(len(step) != 1 for step in steps):
        raise ValueError(
            "expected a list of {Transform: {argument: value}}, one transform an entry"
        )
    return steps


def check_one_or_several(value: object) -> object:
    """One name, or a list of them."""
    return (value,) if isinstance(value, str) else value


PlainName = Annotated[str, BeforeValidator(check_plain_name), WithJsonSchema(json_values.NAME)]
SplitName = Annotated[str, BeforeValidator(check_split), WithJsonSchema(json_values.SPLIT)]
PathText = Annotated[str, Field(min_length=1), AfterValidator(check_path_text)]
Whole = Annotated[int, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]

ContentFormat = Literal["folder", "list", "coco", "yolo", "voc", "imagefolder", "webdataset"]
OutputFormat = Literal["imagefolder", "coco", "yolo", "voc", "webdataset"]

Size = Annotated[
    int | Literal["original"] | None, BeforeValidator(check_size), WithJsonSchema(json_values.SIZE)
]
Strength = Annotated[tuple[float, float], WithJsonSchema(json_values.STRENGTH)]
ColorWay = Annotated[
    Literal["no", "luminance", "match"],
    BeforeValidator(check_preserve_color),
    WithJsonSchema(json_values.COLOR_WAY),
]
Override = Annotated[dict[str, Any], WithJsonSchema(json_values.OVERRIDE)]
Steps = Annotated[tuple[dict[str, dict[str, Any]], ...], AfterValidator(check_steps)]
Recipes = Annotated[dict[PlainName, Steps], WithJsonSchema(json_values.RECIPES)]
OutputFormats = Annotated[
    tuple[OutputFormat, ...],
    Field(min_length=1),
    BeforeValidator(check_one_or_several),
    WithJsonSchema(json_values.one_or_several(get_args(OutputFormat))),
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(_Model):
    """Content images with their labels."""

    path: PathText = Field(
        description="A folder, glob, image, list, data.yaml of YOLO, or tar shards; or its URL."
    )
    format: ContentFormat | None = Field(
        default=None, description="Found by looking at `path`, where it is not given."
    )
    annotations: PathText | None = Field(
        default=None, description="COCO's JSON file, where `path` is the folder of its images."
    )
    masks: PathText | None = Field(
        default=None, description="Folder of semantic masks, PNG files named as the images."
    )
    split: SplitName = Field(
        default="",
        description="Of images of which the dataset itself does not say it (then `train`, where "
        "this is empty too); else which of its splits.",
    )
    group: Annotated[PathText | None, BeforeValidator(check_pattern)] = Field(
        default=None,
        description="Regular expression, searched in an image's path below `path`; images for "
        "which it finds the same (its first group, or the whole) belong together, in one split.",
    )


class Style(_Model):
    """Style images."""

    path: PathText = Field(description="A folder, glob, image or list; or its URL.")
    weight: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = Field(
        default=1.0, description="Share in random pairing, per image."
    )


class Pair(_Model):
    """One pair of strategy `listed`."""

    content: PathText = Field(description="A file that `content` names.")
    style: PathText = Field(description="A file that `styles` names.")


class Pairing(_Model):
    """Which styles each content image gets."""

    strategy: Literal["random", "all", "zip", "listed"] = Field(
        default="random",
        description="`random`: some styles each; `all`: each style; `zip`: in order; `listed`: "
        "as `pairs` says.",
    )
    styles_per_content: Annotated[Whole, Field(ge=1)] = Field(
        default=1, description="How many, with strategy `random`."
    )
    pairs: PathText | tuple[Pair, ...] | None = Field(
        default=None,
        description="With strategy `listed`: pairs, or a .csv or .jsonl with columns content and "
        "style.",
    )

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

    encoder: Annotated[str, WithJsonSchema(json_values.ENCODER)] = Field(
        default="compact", description="Whose features are compared; `random` is for tests."
    )
    weights: PathText | None = Field(
        default=None, description="For vgg19 and vgg16: file of torchvision's weights, on a disk."
    )
    preset: Annotated[str, WithJsonSchema(json_values.PRESET)] = Field(
        default="fast", description="The numbers of the optimisation: nst_core/presets.py."
    )
    size: Size = Field(
        default=None,
        description="Long side of the output in pixels, by default the preset's; nothing is "
        "enlarged. `original`: worked at the preset's size, finished at the photograph's own.",
    )
    strength: Strength = Field(
        default=(1.0, 1.0),
        description="0 keeps the content's texture, 1 has all of the style's; [low, high] is "
        "drawn for each pair.",
    )
    preserve_color: ColorWay = Field(
        default="no",
        description="`luminance`, or true: transfer brightness only; `match`: give the style the "
        "photograph's colours first.",
    )
    override: Override = Field(
        default={}, description="Fields of the preset, as {style_weight: 10, scales: [[1.0, 50]]}."
    )

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
    """What becomes of stylized images that keep too little of their content's structure."""

    min: Share = Field(
        default=0.0,
        description="Smallest score of the image and of each of its objects: 1 keeps all.",
    )
    action: Literal["flag", "drop", "retry"] = Field(
        default="flag",
        description="`flag` says so in the metadata; `drop` leaves the pair out; `retry` stylizes "
        "again with less strength, at most three times, then drops.",
    )


class Variants(_Model):
    """How many variants of each recipe an image gets, by what it descends from."""

    original: Annotated[Whole, Field(ge=0, le=10_000)] = Field(
        default=1, description="Of each photograph as it is."
    )
    stylized: Annotated[Whole, Field(ge=0, le=10_000)] = Field(
        default=1, description="Of each stylized image."
    )


class Augment(_Model):
    """Geometric and colour variants of photographs and stylized images."""

    include_original: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="Also write each photograph as it is."
    )
    min_visibility: Share = Field(
        default=0.0,
        description="An object is dropped where less than this share of its area is left in the "
        "image, whatever it is magnified by.",
    )
    min_area: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="And where less than so many square pixels are."
    )
    recipes: Recipes = Field(
        default={}, description="Name -> list of {albumentations transform: its arguments}."
    )
    variants: Variants = Variants()


class ImageFormat(_Model):
    """How images are encoded."""

    type: Literal["jpeg", "png", "webp"] = Field(
        default="jpeg", description="Of files; png is lossless."
    )
    quality: Annotated[Whole, Field(ge=1, le=100)] = Field(
        default=95, description="Of jpeg and webp."
    )


class Output(_Model):
    """Where the dataset goes, and how it is written."""

    path: PathText = Field(description="A folder, or its URL.")
    format: OutputFormats = Field(
        default=("imagefolder",),
        description="One or several, beside the imagefolder that is always there.",
    )
    image: ImageFormat = ImageFormat()
    splits: Annotated[tuple[PlainName, ...], Field(min_length=1)] = Field(
        default=("train",), description="That are augmented; others are copied without variants."
    )


class Manifest(_Model):
    """A gramflow job. Relative paths are relative to the manifest's folder.

    The schema knows fields and ranges; `gramflow validate` also looks at files and recipes.
    """

    version: Annotated[Literal[1], BeforeValidator(check_version)] = Field(
        description="Of this schema."
    )
    name: PlainName = Field(description="Of the job.")
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(
        default=0, description="Another seed draws other styles, strengths and variants."
    )
    max_pixels: Annotated[Whole, Field(ge=1, le=MOST_MAX_PIXELS)] = Field(
        default=MAX_PIXELS,
        description="Of an image file; what has more is refused before it is decoded. No part of "
        "any id.",
    )
    content: Annotated[tuple[Content, ...], Field(min_length=1)] = Field(
        description="The photographs, with their labels."
    )
    styles: tuple[Style, ...] = Field(
        default=(), description="None: variants of the photographs only."
    )
    pairing: Pairing = Pairing()
    stylize: Stylize = Stylize()
    fidelity: Fidelity = Fidelity()
    augment: Augment = Augment()
    output: Output

    def augments(self, split: str) -> bool:
        """Whether the images of a split get styles and variants; else they are copied."""
        return split in self.output.splits
