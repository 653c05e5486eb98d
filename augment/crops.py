"""Which recipes cut more out of images than these have, whatever is drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import albumentations as A
from albumentations.augmentations.dropout.transforms import BaseDropout
from albumentations.augmentations.geometric.distortion import BaseDistortion

from augment.recipes import RecipeProblem, Step

# (width, height) in pixels
Size = tuple[int, int]

_CROPS = (A.RandomCrop, A.CenterCrop, A.AtLeastOneBBoxRandomCrop)
# Images come out of them as they are, or smaller. Only such may stand before a crop that is
# refused: what is not known here may enlarge an image.
_ENLARGE_NOTHING = (
    *(A.ImageOnlyTransform, A.HorizontalFlip, A.VerticalFlip, A.NoOp, A.Rotate, A.MaskDropout),
    *(A.Morphological, A.PixelDropout, A.RandomGridShuffle, A.RandomCropFromBorders),
    *(BaseDropout, BaseDistortion),
)
_TURN = (A.Transpose, A.RandomRotate90, A.D4)


@dataclass(frozen=True)
class _TooLarge:
    """A crop, by its place in the recipe, and what it is to be cut out of at most."""

    place: int
    needed: Size
    at_most: Size


def too_large_crops(
    recipes: Mapping[str, Sequence[Step]], sizes: Collection[Size]
) -> list[RecipeProblem]:
    """The crops by which a recipe can be applied to no image.

    A recipe of which that is not sure is let through: one that pads or resizes before it crops, or
    crops now and then only.

    Args:
        recipes: as `augment.recipes` of a manifest has them, without what `check_recipes` refuses.
        sizes: of all images, or one that none exceeds in width or height.
    """
    problems = []
    for name, steps in recipes.items():
        transforms = [_transform(*one) for step in steps for one in step.items()]
        if crop := _too_large_for_all(transforms, sizes):
            kind = type(transforms[crop.place]).__name__
            problems.append(RecipeProblem((name, crop.place, kind), _sentence(kind, crop)))
    return problems


def _transform(name: str, arguments: Mapping[str, Any]) -> Any:
    """None for containers: which of their transforms are applied is drawn."""
    kind = getattr(A, name)
    return kind(**arguments) if issubclass(kind, A.BasicTransform) else None


def _too_large_for_all(transforms: Sequence[Any], sizes: Collection[Size]) -> _TooLarge | None:
    """The crop that fails on the largest of the images, if one does on each of them."""
    largest_first = sorted(sizes, key=sum, reverse=True)
    of_largest: _TooLarge | None = None
    for size in largest_first:
        crop = _too_large(transforms, size)
        if crop is None:
            return None
        of_largest = of_largest or crop
    return of_largest


def _too_large(transforms: Sequence[Any], size: Size) -> _TooLarge | None:
    """The first crop that fails on images of that size, and on all smaller ones."""
    width, height = size
    for place, transform in enumerate(transforms):
        if isinstance(transform, (*_CROPS, A.Crop)):
            if getattr(transform, "pad_if_needed", False):
                return None
            if transform.p < 1:
                continue  # images that it is not applied to are as large as before
            needed, left = _needed_and_left(transform)
            if needed[0] > width or needed[1] > height:
                return _TooLarge(place, needed, (width, height))
            width, height = left
        elif isinstance(transform, _TURN):
            width = height = max(width, height)
        elif not isinstance(transform, _ENLARGE_NOTHING):
            return None
    return None


def _needed_and_left(crop: Any) -> tuple[Size, Size]:
    if isinstance(crop, A.Crop):
        return (crop.x_max, crop.y_max), (crop.x_max - crop.x_min, crop.y_max - crop.y_min)
    return (crop.width, crop.height), (crop.width, crop.height)


def _sentence(kind: str, found: _TooLarge) -> str:
    (needs_width, needs_height), (width, height) = found.needed, found.at_most
    return (
        f"{kind} needs images of {needs_width}x{needs_height} px, and none has more than "
        f"{width}x{height} px there; expected a smaller crop, or PadIfNeeded before it"
    )
