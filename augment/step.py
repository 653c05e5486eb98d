"""One step of a recipe: a transform of albumentations, and what it does to labels."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt
from albumentations.augmentations.dropout.transforms import BaseDropout
from albumentations.augmentations.geometric.distortion import BaseDistortion

from augment.labels import Move, Moving

# Each worker varies an image of its own; OpenCV's threads would be in the way of the others.
cv2.setNumThreads(1)

# They change colours, pixel by pixel or with their neighbours, though albumentations has them
# change labels too.
_MOVES_NOTHING = (A.NoOp, A.Morphological, A.PixelDropout)
# Their boxes and keypoints come from where pixels went: albumentations' own are wrong where boxes
# overlap, and its keypoints take a second an image.
_BENDS = (BaseDistortion, A.GridElasticDeform)
_DRAWN_FROM_BOXES = (A.BBoxSafeRandomCrop, A.AtLeastOneBBoxRandomCrop)

CUTS_OBJECTS_APART = "RandomGridShuffle cuts objects apart, which then have no box"

# What labels need, whatever the manifest says of borders and of semantic masks.
_FOR_LABELS = {
    "border_mode": cv2.BORDER_CONSTANT,
    "fill_mask": 0,
    "mask_interpolation": cv2.INTER_NEAREST,
}


class LabelledStep(A.BaseCompose):
    """A transform that takes labels (augment.labels.Moving) with the image, and logs itself.

    The data that runs through a recipe holds, beside albumentations' targets, `moving` (None
    where the image has no objects) and `applied`, the log.
    """

    def __init__(self, kind: type[A.BasicTransform], arguments: Mapping[str, Any]) -> None:
        """Raises what albumentations does for arguments that it cannot use."""
        self.transform = kind(**arguments)
        super().__init__([self.transform], p=self.transform.p)
        known = inspect.signature(kind).parameters
        fixed = {name: value for name, value in _FOR_LABELS.items() if name in known}
        # Draws nothing; only applies to labels what was drawn for the image.
        self._for_labels = kind(**{**arguments, **fixed})

    def set_random_seed(self, seed: int | None) -> None:
        """Of the transform; the step itself draws nothing."""
        self.transform.set_random_seed(seed)

    def __call__(self, *, force_apply: bool = False, **data: Any) -> dict[str, Any]:
        transform, moving, mask = self.transform, data["moving"], data.get("mask")
        if isinstance(transform, _DRAWN_FROM_BOXES):
            data["bboxes"] = np.zeros((0, 5)) if moving is None else moving.boxes_as_shares()
        data = transform(force_apply=force_apply, **data)
        data.pop("bboxes", None)
        if isinstance(transform, A.Morphological) and mask is not None:
            data["mask"] = mask  # it would grow one class over another
        if transform.params:
            data["applied"].append((type(transform).__name__, transform.params.copy()))
            if moving is not None:
                self._take_along(moving, transform.params, data["image"].shape)
        return data

    def _take_along(self, moving: Moving, drawn: dict[str, Any], shape: tuple[int, ...]) -> None:
        transform = self.transform
        if isinstance(transform, A.RandomGridShuffle):
            raise ValueError(CUTS_OBJECTS_APART)
        if isinstance(transform, BaseDropout):
            moving.hide(drawn["holes"])
        elif isinstance(transform, A.DualTransform) and not isinstance(transform, _MOVES_NOTHING):
            size = shape[1], shape[0]
            moving.go(self._move(drawn), size, bends=isinstance(transform, _BENDS))

    def _move(self, drawn: dict[str, Any]) -> Move:
        params = drawn | ({"fill_mask": 0} if "fill_mask" in drawn else {})

        def move(**targets: npt.NDArray[Any]) -> dict[str, Any]:
            moved: dict[str, Any] = self._for_labels.apply_with_params(params, **targets)
            return moved

        return move
