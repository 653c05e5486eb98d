"""From an image at the output size to the files of one variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from augment.labels import Keep, unmoved
from augment.recipes import Recipe, Varied
from flows.load import Pixels
from flows.ready import Ready
from manifests.identity import seed_of
from manifests.images import encode_image
from manifests.labels import Category
from manifests.plan import Variant
from manifests.schema import ImageFormat, Manifest


@dataclass(frozen=True)
class Encoded:
    """The bytes of an image file and of its semantic mask, where it has one."""

    image: bytes
    mask: bytes | None


def recipes_of(manifest: Manifest, categories: Sequence[Category]) -> dict[str, Recipe]:
    """The manifest's recipes by name. Not for several threads at once."""
    augment = manifest.augment
    keep = Keep(augment.min_visibility, augment.min_area)
    return {name: Recipe(steps, categories, keep) for name, steps in augment.recipes.items()}


def varied(image: Ready, variant: Variant, recipes: Mapping[str, Recipe]) -> Varied:
    """The variant's pixels and labels; what is drawn for it follows from its id.

    Raises:
        ValueError: if the recipe cannot be applied to this image.
    """
    labels, semantic_mask = image.loaded.labels, image.loaded.semantic_mask
    if variant.recipe is None:
        return Varied(image.pixels, unmoved(labels), [], semantic_mask)
    recipe = recipes[variant.recipe]
    try:
        return recipe.vary(image.pixels, labels, seed_of(variant.id), semantic_mask)
    except ValueError as error:
        raise ValueError(f"recipe {variant.recipe}: {error}") from error


def encoded(made: Varied, output: ImageFormat) -> Encoded:
    """The files of a variant; the mask is a PNG."""
    image = encode_image(_picture(made.image), output.type, output.quality)
    if made.semantic_mask is None:
        return Encoded(image, None)
    return Encoded(image, encode_image(_picture(made.semantic_mask), "png", quality=100))


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels))
