"""Every transform that moves pixels, and labels moved by it."""

from __future__ import annotations

from typing import Any

import numpy as np

from augment.labels import KEEP_ALL, Keep, Moved
from augment.recipes import Recipe, Varied
from manifests.labels import Category, Labels, Object

# Every transform that moves pixels, with parameters as people use them.
STRAIGHT: dict[str, dict[str, Any]] = {
    "AtLeastOneBBoxRandomCrop": {"height": 16, "width": 20},
    "BBoxSafeRandomCrop": {"erosion_rate": 0.2},
    "CenterCrop": {"height": 16, "width": 20},
    "Crop": {"x_min": 3, "y_min": 2, "x_max": 20, "y_max": 18},
    "CropAndPad": {"percent": [-0.2, 0.2]},
    "D4": {},
    "HorizontalFlip": {},
    "LongestMaxSize": {"max_size": 80},
    "Pad": {"padding": [3, 5, 2, 1], "fill_mask": 255},
    "PadIfNeeded": {"min_height": 70, "min_width": 70, "fill_mask": 7},
    "RandomCrop": {"height": 16, "width": 20, "pad_if_needed": True},
    "RandomCropFromBorders": {},
    "RandomResizedCrop": {"size": [32, 40], "scale": [0.3, 1.0]},
    "RandomRotate90": {},
    "RandomScale": {"scale_limit": 0.4},
    "RandomSizedBBoxSafeCrop": {"height": 40, "width": 32},
    "RandomSizedCrop": {"min_max_height": [12, 20], "size": [32, 40]},
    "Resize": {"height": 33, "width": 57},
    "SmallestMaxSize": {"max_size": 30},
    "SquareSymmetry": {},
    "Transpose": {},
    "VerticalFlip": {},
}
# Of what these turn, the box of an object without a mask is the one round its turned box.
TURNING: dict[str, dict[str, Any]] = {
    "Affine": {"scale": [0.7, 1.4], "rotate": [-40, 40], "shear": [-15, 15], "fill_mask": 9},
    "ElasticTransform": {"alpha": 30, "sigma": 5},
    "GridDistortion": {"distort_limit": 0.3},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 3},
    "OpticalDistortion": {"distort_limit": 0.3},
    "Perspective": {"scale": [0.02, 0.1], "fill_mask": 1},
    "Rotate": {"limit": 90, "fill_mask": 3},
    "SafeRotate": {"limit": 90},
    "ThinPlateSpline": {"scale_range": [0.1, 0.2]},
}
GEOMETRY = STRAIGHT | TURNING
BENDS = {
    *("ElasticTransform", "GridDistortion", "GridElasticDeform", "OpticalDistortion"),
    "ThinPlateSpline",
}
PAINTS_OVER = {"CoarseDropout", "Erasing", "GridDropout", "XYMasking"}
MOVES_NOTHING = {"Morphological", "NoOp", "PixelDropout"}
HAND = Category("hand", keypoints=("left", "right", "middle"), flip_idx=(1, 0, 2))


def step(name: str, **arguments: Any) -> dict[str, Any]:
    return {name: {**GEOMETRY.get(name, {}), "p": 1.0, **arguments}}


def vary(
    steps: list[dict[str, Any]],
    labels: Labels,
    seed: int = 0,
    mask: np.ndarray | None = None,
    keep: Keep = KEEP_ALL,
) -> Varied:
    image = np.zeros((int(labels.height), int(labels.width), 3), np.uint8)
    return Recipe(steps, [HAND], keep).vary(image, labels, seed, mask)


def moved(steps: list[dict[str, Any]], *objects: Object, keep: Keep = KEEP_ALL) -> Moved:
    return vary(steps, Labels(objects=objects, width=64, height=48), keep=keep).moved
