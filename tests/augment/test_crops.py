"""Crops that are larger than every image: what is refused could never have been applied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.crops import too_large_crops
from augment.recipes import Recipe, check_recipes
from manifests.labels import Labels
from tests.augment.test_recipes import USABLE, step_of

Steps = list[dict[str, Any]]


def crop(height: int, width: int, kind: str = "RandomCrop", **more: Any) -> dict[str, Any]:
    return {kind: {"height": height, "width": width, **more}}


def refused(steps: Steps, *sizes: tuple[int, int]) -> list[str]:
    assert check_recipes({"cut": steps}) == []
    return [str(problem.message) for problem in too_large_crops({"cut": steps}, sizes)]


def fails(steps: Steps, size: tuple[int, int], seed: int = 0) -> bool:
    width, height = size
    try:
        Recipe(steps).vary(np.full((height, width, 3), 128, np.uint8), Labels(), seed)
    except ValueError:
        return True
    return False


TOO_LARGE: list[Steps] = [
    [crop(33, 8)],
    [crop(8, 49, "CenterCrop")],
    [crop(33, 8, "AtLeastOneBBoxRandomCrop")],
    [{"Crop": {"x_min": 40, "x_max": 49, "y_max": 8}}],
    [{"Crop": {}}],
    [{"HorizontalFlip": {}}, {"Rotate": {"crop_border": True}}, crop(33, 8)],
    [{"Transpose": {"p": 1.0}}, crop(49, 49)],
    [crop(16, 16), crop(8, 17)],
    [{"Crop": {"x_min": 8, "y_min": 8, "x_max": 20, "y_max": 20}}, crop(13, 12)],
]


@pytest.mark.parametrize("steps", TOO_LARGE, ids=str)
def test_a_crop_larger_than_every_image_is_refused(steps: Steps) -> None:
    assert fails(steps, (48, 32))
    assert len(refused(steps, (20, 10), (48, 32))) == 1


def test_what_is_refused_is_named_with_its_place_and_both_sizes() -> None:
    steps = [{"HorizontalFlip": {}}, crop(512, 500)]
    (problem,) = too_large_crops({"fits": [crop(9, 9)], "cut": steps}, [(256, 256)])
    assert problem.field == ("cut", 1, "RandomCrop")
    assert problem.message == (
        "RandomCrop needs images of 500x512 px, and none has more than 256x256 px there; "
        "expected a smaller crop, or PadIfNeeded before it"
    )


@pytest.mark.parametrize(
    "steps",
    [
        [crop(32, 48)],
        [crop(99, 99, pad_if_needed=True)],
        [crop(99, 99, p=0.5)],
        [{"PadIfNeeded": {"min_height": 99, "min_width": 99}}, crop(99, 99)],
        [{"RandomScale": {"scale_limit": [1.0, 2.0], "p": 1.0}}, crop(40, 50)],
        [{"OneOf": {"transforms": [crop(99, 99), {"NoOp": {}}]}}],
        [{"Sequential": {"transforms": [{"Pad": {"padding": 50}}]}}, crop(99, 99)],
        [{"Transpose": {"p": 0.5}}, crop(48, 32)],
    ],
    ids=str,
)
def test_what_some_image_may_have_is_let_through(steps: Steps) -> None:
    assert refused(steps, (48, 32)) == []


def test_one_image_that_is_large_enough_is_enough() -> None:
    assert refused([crop(30, 30)], (20, 99), (99, 20), (30, 30)) == []
    assert len(refused([crop(30, 30)], (20, 99), (99, 20))) == 1
    assert refused([crop(30, 30)]) == [], "of no readable images nothing is known"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", USABLE)
def test_no_transform_makes_a_refused_crop_possible(name: str) -> None:
    size = (48, 32)
    for height, width in ((33, 8), (8, 49), (49, 8), (60, 60), (49, 49)):
        steps = [step_of(name), crop(height, width)]
        if refused(steps, size):
            assert all(fails(steps, size, seed) for seed in range(8))


@given(
    first=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    then=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_crops_alone_are_refused_exactly_where_they_fail(
    first: tuple[int, int], then: tuple[int, int], size: tuple[int, int]
) -> None:
    steps = [crop(*first), crop(*then, kind="CenterCrop")]
    assert bool(refused(steps, size)) == fails(steps, size)
