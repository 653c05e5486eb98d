"""Recipes: albumentations pipelines from the manifest, checked before any work starts."""

from __future__ import annotations

import difflib
import inspect
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# albumentations asks the network for its newest version when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from augment.labels import KEEP_ALL, Keep, Moved, Moving
from augment.step import CUTS_OBJECTS_APART, LabelledStep
from manifests.labels import Category, Labels

Step = Mapping[str, Mapping[str, Any]]
Applied = list[tuple[str, dict[str, Any]]]

_CONTAINERS = ("OneOf", "SomeOf", "RandomOrder", "Sequential")
# Their results are no 8-bit images, or they need code or a volume to work on.
_NOT_FOR_IMAGE_FILES = frozenset(
    {
        *("BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D", "Lambda"),
        *("FromFloat", "Normalize", "ToFloat", "ToTensor3D", "ToTensorV2"),
        *("FrequencyMasking", "TimeMasking", "TimeReverse", "CubicSymmetry"),
        # They fail, or do nothing, for images without boxes or masks.
        *("CropNonEmptyMaskIfExists", "ConstrainedCoarseDropout"),
    }
)
# Arrays in the applied parameters up to this size are kept; noise maps and the like are not.
_MAX_LOGGED_VALUES = 64


@dataclass(frozen=True)
class RecipeProblem:
    """Something wrong with a recipe: where below `augment.recipes`, and what was expected."""

    field: tuple[str | int, ...]
    message: str


@dataclass(frozen=True)
class Varied:
    """Attributes:
    image: H x W x 3, uint8, RGB.
    moved: the labels of this image.
    applied: (transform, its drawn parameters) in the order they were applied, plain values.
    semantic_mask: H x W, uint8, where one was given.
    """

    image: npt.NDArray[np.uint8]
    moved: Moved
    applied: Applied
    semantic_mask: npt.NDArray[np.uint8] | None = None


class Recipe:
    """One named pipeline. Not for several threads at once: drawing moves its generators."""

    def __init__(
        self, steps: Sequence[Step], categories: Sequence[Category] = (), keep: Keep = KEEP_ALL
    ) -> None:
        """Build the transforms.

        Args:
            steps: transform -> its arguments, as a manifest has them, in their order.
            categories: of the objects; their `flip_idx` says what keypoints become in a mirror.
            keep: what must be left of an object, else it is dropped.

        Raises:
            ValueError: for the first problem that `check_recipes` would list.
        """
        self._pipeline = A.Compose(
            [_build(name, arguments) for step in steps for name, arguments in step.items()]
        )
        self._flip_idx = {category.name: category.flip_idx for category in categories}
        self._keep = keep

    def vary(
        self,
        image: npt.NDArray[np.uint8],
        labels: Labels,
        seed: int,
        semantic_mask: npt.NDArray[np.uint8] | None = None,
    ) -> Varied:
        """One variant; the same image and seed give the same variant.

        Where no transform moved pixels, the labels come back as they were. Dropouts paint over
        pixels: labels stay, a keypoint there becomes an occluded one, and what is painted over
        counts as lost for `keep`. What a reflected border repeats has no labels.

        Args:
            image: H x W x 3, uint8, RGB.
            labels: in pixels of the image.
            seed: whole number that everything drawn follows from, in 0..2^63.
            semantic_mask: H x W, uint8, class indices.

        Returns:
            The image in the size that the transforms give it, with its labels.

        Raises:
            ValueError: if a transform cannot be applied to this image (a crop larger than it),
                or labels are for another size.
        """
        height, width = image.shape[:2]
        if labels.objects and (labels.width, labels.height) != (width, height):
            own = f"{labels.width:g}x{labels.height:g} px"
            raise ValueError(f"labels are for {own}, the image has {width}x{height} px")
        self._pipeline.set_random_seed(seed)
        moving = Moving(labels) if labels.objects else None
        masks = {} if semantic_mask is None else {"mask": semantic_mask}
        data: dict[str, Any] = {"image": image, **masks, "moving": moving, "applied": []}
        try:
            result = self._pipeline(**data)
        except Exception as error:  # each transform fails in its own way
            raise ValueError(f"transform failed: {type(error).__name__}: {error}") from error
        applied = [(name, _plain(params)) for name, params in result["applied"]]
        moved = Moved(labels, (), ())
        if moving is not None:
            moved = moving.arrived(self._flip_idx, self._keep)
        return Varied(result["image"], moved, applied, result.get("mask"))


def check_recipes(
    recipes: Mapping[str, Sequence[Step]], *, with_objects: bool = False
) -> list[RecipeProblem]:
    """Every problem of every recipe: unknown transforms, unknown or unusable arguments.

    Args:
        recipes: name -> steps, as `augment.recipes` of a manifest has them.
        with_objects: that images have objects, which not all transforms can move.

    Returns:
        The problems, in the recipes' order; none of them where all can be built.
    """
    return [
        problem
        for name, steps in recipes.items()
        for index, step in enumerate(steps)
        for problem in _check_step(step, (name, index), with_objects)
    ]


def _check_step(
    step: Step, field: tuple[str | int, ...], with_objects: bool
) -> Iterator[RecipeProblem]:
    for name, arguments in step.items():
        inner = arguments.get("transforms")
        problems: list[RecipeProblem] = []
        if name in _CONTAINERS and not isinstance(inner, list):
            problems = [RecipeProblem((*field, name), "expected transforms, a list")]
        elif name in _CONTAINERS:
            for index, one in enumerate(inner or ()):
                place = (*field, name, "transforms", index)
                if _is_step(one):
                    problems += _check_step(one, place, with_objects)
                else:
                    message = f"expected {{Transform: {{argument: value}}}}, got {one!r}"
                    problems.append(RecipeProblem(place, message))
        elif with_objects and name == A.RandomGridShuffle.__name__:
            problems = [RecipeProblem((*field, name), CUTS_OBJECTS_APART)]
        yield from problems
        if not problems:
            try:
                _build(name, arguments)
            except ValueError as error:
                yield RecipeProblem((*field, name), str(error))


def _is_step(value: Any) -> bool:
    return (
        isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), dict)
    )


def _build(name: str, arguments: Mapping[str, Any]) -> Any:
    kind: Any = getattr(A, name, None)
    if name in _CONTAINERS:
        steps = arguments.get("transforms")
        if not isinstance(steps, list) or not steps or not all(map(_is_step, steps)):
            raise ValueError(f"{name}: expected transforms, a list of {{Transform: {{…}}}}")
        inner = [_build(*next(iter(step.items()))) for step in steps]
        arguments = {**arguments, "transforms": inner}
    elif not _is_transform(name):
        close = difflib.get_close_matches(name, _names_of_transforms(), n=1)
        names = f"did you mean {close[0]}?" if close else "see its documentation for the names"
        raise ValueError(
            f"{name} is no transform of albumentations {A.__version__} that takes and gives "
            f"8-bit images; {names}"
        )
    known = inspect.signature(kind).parameters
    for argument in arguments:
        if argument not in known:
            raise ValueError(f"{name} has no argument {argument}; it has {', '.join(known)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            built = kind(**arguments) if name in _CONTAINERS else LabelledStep(kind, arguments)
    except (ValueError, TypeError, ZeroDivisionError, UserWarning) as error:
        raise ValueError(f"{name}: {_first_reason(error)}") from None
    transform = getattr(built, "transform", built)
    _check_what_albumentations_lets_through(name, transform)
    _check_that_labels_can_follow(name, transform)
    needs = getattr(transform, "targets_as_params", None)
    if needs:
        raise ValueError(
            f"{name} needs {', '.join(needs)} beside the image; it cannot be used here"
        )
    return built


def _check_what_albumentations_lets_through(name: str, transform: Any) -> None:
    if not isinstance(transform.p, (int, float)) or not 0 <= transform.p <= 1:
        raise ValueError(f"{name}: p: expected a number in 0..1, got {transform.p!r}")
    if getattr(transform, "n", 1) < 1:
        raise ValueError(f"{name}: n: expected a number >= 1, got {transform.n!r}")
    if getattr(transform, "num_output_channels", 3) != 3:
        raise ValueError(f"{name}: num_output_channels: expected 3, images stay RGB")


def _check_that_labels_can_follow(name: str, transform: Any) -> None:
    nearest = cv2.INTER_NEAREST
    if getattr(transform, "mask_interpolation", None) not in (None, nearest):
        raise ValueError(
            f"{name}: mask_interpolation: expected {nearest}, nearest neighbour; others mix classes"
        )
    if getattr(transform, "area_for_downscale", None) == "image_mask":
        raise ValueError(
            f"{name}: area_for_downscale: expected image, image_mask mixes the classes of masks"
        )
    if getattr(transform, "rotate_method", "largest_box") != "largest_box":
        raise ValueError(
            f"{name}: rotate_method: expected largest_box, the box of an ellipse cuts its object"
        )


def _is_transform(name: str) -> bool:
    """Whether it is one of albumentations that takes and gives 8-bit images."""
    kind = getattr(A, name, None)
    if name in _NOT_FOR_IMAGE_FILES or name.endswith("3D"):
        return False
    return inspect.isclass(kind) and issubclass(kind, A.BasicTransform)


def _names_of_transforms() -> list[str]:
    return [*_CONTAINERS, *filter(_is_transform, dir(A))]


def _first_reason(error: BaseException) -> str:
    """The first thing pydantic found wrong, in one line; other errors as they are."""
    errors = getattr(error.__cause__ or error.__context__, "errors", None)
    if errors is None:
        return str(error).splitlines()[0]
    first = errors()[0]
    place = ".".join(str(part) for part in first["loc"][:1])
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _plain(value: Any) -> Any:
    """Parameters as JSON has them; of large arrays only their shape."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if key != "shape"}
    if isinstance(value, np.ndarray):
        if value.size > _MAX_LOGGED_VALUES:
            return {"array": list(value.shape)}
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        if len(value) > _MAX_LOGGED_VALUES:
            return {"list": len(value)}
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else str(value)
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)
