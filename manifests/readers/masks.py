"""Semantic masks in a folder of their own: a PNG with a class index a pixel for each image."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from manifests.errors import Problem
from manifests.listings import is_file, is_folder
from manifests.readers.findings import Findings, Found
from manifests.storage import Place, normal

# Where datasets have their images; masks beside it have the same paths below their own folder.
_IMAGES = "images/"


def add_masks(folder: Place, findings: Findings, problem: Callable[[str], Problem]) -> None:
    """Give each image the mask of its name.

    The mask of `train/a.jpg`, and of `images/train/a.jpg`, is `train/a.png`. Whether it is a PNG
    of the image's size shows when it is read.

    Args:
        problem: places a message at the manifest's `masks`.
    """
    if not is_folder(folder):
        findings.problems.append(problem(f"expected a folder of PNG files, got {folder}"))
        return
    for index, image in enumerate(findings.images):
        masks = [folder / name for name in _names(image)]
        there = [mask for mask in masks if is_file(mask)]
        if there:
            labels = replace(image.labels, semantic_mask=normal(there[0]))
            findings.images[index] = replace(image, labels=labels)
        else:
            findings.problems.append(problem(f"{image.name} has no mask {masks[-1]}"))


def _names(image: Found) -> list[str]:
    # Of an image in a shard, the path in the shard.
    inside = image.inside.rpartition("!/")[2]
    name = os.path.splitext(inside)[0] + ".png"
    return [name, name.removeprefix(_IMAGES)] if name.startswith(_IMAGES) else [name]
