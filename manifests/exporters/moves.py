"""What a variant's transforms may have made untrue of what its source said of an object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Names are albumentations', as `applied_transforms` has them. What is in none of these changes
# colours, or resizes.
TURNS = frozenset(
    {
        *("Affine", "D4", "HorizontalFlip", "RandomRotate90", "Rotate", "SafeRotate"),
        *("ShiftScaleRotate", "SquareSymmetry", "Transpose", "VerticalFlip"),
    }
)
CROPS = frozenset(
    {
        *("AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "CenterCrop", "Crop", "RandomCrop"),
        *("RandomCropFromBorders", "RandomResizedCrop", "RandomSizedBBoxSafeCrop"),
        "RandomSizedCrop",
    }
)
CUTS = CROPS | {
    *("Affine", "CropAndPad", "Perspective", "Rotate", "ShiftScaleRotate"),
    *("ElasticTransform", "GridDistortion", "GridElasticDeform", "OpticalDistortion"),
    *("PiecewiseAffine", "ThinPlateSpline"),
}
# After these what was at the edge of the image may be anywhere.
LEAVES_EDGES = (CUTS - CROPS) | {"Pad", "PadIfNeeded", "SafeRotate"}
RESIZES = frozenset({"LongestMaxSize", "RandomScale", "Resize", "SmallestMaxSize"})


@dataclass(frozen=True)
class Moves:
    """Attributes:
    turned: that what looked to the left may look elsewhere.
    cut: that objects may have lost what was outside the image.
    edges_left: that objects which lost something may be away from the edge of the image now.
    """

    turned: bool = False
    cut: bool = False
    edges_left: bool = False


def moves_of(row: Mapping[str, Any]) -> Moves:
    """Of a row of metadata; none for images that no transform was applied to."""
    names = [name for name, _ in json.loads(row.get("applied_transforms") or "[]")]
    first_cut = next((index for index, name in enumerate(names) if name in CUTS), len(names))
    return Moves(
        turned=not TURNS.isdisjoint(names),
        cut=first_cut < len(names),
        edges_left=not LEAVES_EDGES.isdisjoint(names[first_cut + 1 :]),
    )
