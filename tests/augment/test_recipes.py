"""Recipes: what is refused before any work starts, and what a variant is."""

import inspect
import json
from typing import Any

import albumentations as A
import numpy as np
import pytest

from augment.recipes import Recipe, RecipeProblem, Varied, check_recipes
from manifests.labels import Labels

Steps = list[dict[str, Any]]

FLIP = {"HorizontalFlip": {"p": 1.0}}
UNSTEADY: Steps = [
    {"HorizontalFlip": {"p": 0.5}},
    {"OneOf": {"transforms": [{"GaussNoise": {}}, {"GaussianBlur": {}}, {"RandomRotate90": {}}]}},
    {"SomeOf": {"transforms": [{"Rotate": {}}, {"ColorJitter": {}}, {"Affine": {}}], "n": 2}},
    {"Sequential": {"transforms": [{"RandomGamma": {}}, {"CoarseDropout": {}}], "p": 0.5}},
]


WRONG_STEPS: list[tuple[dict[str, Any], str]] = [
    ({"Rotat": {}}, "Rotat is no transform of albumentations"),
    ({"Compose": {"transforms": [FLIP]}}, "Compose is no transform of albumentations"),
    ({"os": {}}, "os is no transform of albumentations"),
    ({"Rotate": {"angle": 10}}, "Rotate has no argument angle; it has limit, interpolation"),
    ({"HorizontalFlip": {"always": True}}, "HorizontalFlip has no argument always; it has p"),
    ({"OneOf": {"transforms": [FLIP], "n": 1}}, "OneOf has no argument n; it has transforms"),
    ({"Rotate": {"limit": "far"}}, "Rotate: limit"),
    ({"HorizontalFlip": {"p": 2}}, "HorizontalFlip: p: Input should be less than or equal"),
    ({"Resize": {"height": 16.5, "width": 8}}, "Resize: height: Input should be a valid int"),
    ({"Resize": {"height": 0, "width": 8}}, "Resize: height: Input should be greater than"),
    ({"RandomCrop": {"width": 8}}, "RandomCrop: height: Field required"),
    ({"SomeOf": {"transforms": [FLIP], "n": 2}}, "SomeOf: `n` is greater than number of tr"),
    ({"OneOf": {}}, "expected transforms, a list"),
    ({"Sequential": {"transforms": FLIP}}, "expected transforms, a list"),
]


def photo(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth enough that blurs, noise, turns and colours all show."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(rows / (7 + k) + columns / (11 - k)) for k in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def vary(steps: Steps, seed: int = 0, image: np.ndarray | None = None) -> Varied:
    return Recipe(steps).vary(photo() if image is None else image, Labels(), seed)


def problems(*steps: Any) -> list[RecipeProblem]:
    return check_recipes({"mine": list(steps)})


def one_problem(*steps: Any) -> RecipeProblem:
    (problem,) = problems(*steps)
    return problem


def names(varied: Varied) -> list[str]:
    return [name for name, _ in varied.applied]


# What is refused


def test_a_good_recipe_has_no_problems() -> None:
    assert check_recipes({"flip": [FLIP], "unsteady": UNSTEADY, "nothing": []}) == []


@pytest.mark.parametrize(("step", "message"), WRONG_STEPS)
def test_a_wrong_step_is_named_with_what_was_expected(step: dict[str, Any], message: str) -> None:
    problem = one_problem(FLIP, step)
    assert problem.field == ("mine", 1, *step)
    assert problem.message.startswith(message)


@pytest.mark.parametrize("step", [step for step, _ in WRONG_STEPS])
def test_no_recipe_is_made_of_a_wrong_step(step: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(step))):
        Recipe([FLIP, step])


@pytest.mark.parametrize(
    "name", ["Normalize", "ToFloat", "FromFloat", "ToTensorV2", "Lambda", "CenterCrop3D"]
)
def test_a_transform_whose_result_is_no_image_file_is_refused(name: str) -> None:
    problem = one_problem({name: {}})
    assert problem.field == ("mine", 0, name)
    assert "takes and gives 8-bit images" in problem.message


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("FDA", "fda_metadata"),
        ("HistogramMatching", "hm_metadata"),
        ("PixelDistributionAdaptation", "pda_metadata"),
        ("Mosaic", "mosaic_metadata"),
        ("OverlayElements", "overlay_metadata"),
        ("MaskDropout", "mask"),
    ],
)
def test_a_transform_that_needs_more_than_the_image_is_refused(name: str, needs: str) -> None:
    assert one_problem({name: {}}).message == (
        f"{name} needs {needs} beside the image; it cannot be used here"
    )


def test_a_result_that_is_no_colour_image_is_never_handed_out() -> None:
    with pytest.raises(ValueError, match="ToGray"):
        vary([{"ToGray": {"num_output_channels": 1, "p": 1.0}}])


@pytest.mark.parametrize(
    "step",
    [
        {"OneOf": {"transforms": [{"HorizontalFlip": {"p": 0}}]}},
        {"OneOf": {"transforms": [FLIP], "p": "often"}},
        {"OneOf": {"transforms": [FLIP], "p": 7}},
        {"SomeOf": {"transforms": [FLIP], "n": -1}},
    ],
    ids=["all of probability 0", "p a word", "p above 1", "n below 0"],
)
def test_a_container_that_cannot_work_is_a_problem_at_its_place(step: dict[str, Any]) -> None:
    assert one_problem(step).field == ("mine", 0, *step)


def test_every_problem_of_every_recipe_is_listed() -> None:
    found = check_recipes(
        {
            "first": [{"Nope": {}}, FLIP, {"Rotate": {"limit": "far"}}],
            "second": [{"Normalize": {}}],
            "third": [FLIP],
        }
    )
    assert [problem.field for problem in found] == [
        ("first", 0, "Nope"),
        ("first", 2, "Rotate"),
        ("second", 0, "Normalize"),
    ]


def test_problems_inside_containers_are_found_at_their_place() -> None:
    inner = {"SomeOf": {"transforms": [FLIP, {"Nope": {}}, {"Rotate": {"angle": 1}}], "n": 1}}
    found = problems(FLIP, {"OneOf": {"transforms": [{"FDA": {}}, inner]}})
    outer = ("mine", 1, "OneOf", "transforms")
    assert [problem.field for problem in found] == [
        (*outer, 0, "FDA"),
        (*outer, 1, "SomeOf", "transforms", 1, "Nope"),
        (*outer, 1, "SomeOf", "transforms", 2, "Rotate"),
    ]


@pytest.mark.parametrize(
    "inner", ["HorizontalFlip", 3, None, {}, {"Blur": None}, {"Blur": {}, "Rotate": {}}]
)
def test_an_inner_step_of_another_form_is_shown(inner: Any) -> None:
    problem = one_problem({"OneOf": {"transforms": [FLIP, inner]}})
    assert problem.field == ("mine", 0, "OneOf", "transforms", 1)
    assert problem.message == f"expected {{Transform: {{argument: value}}}}, got {inner!r}"


# What a variant is


def test_a_flip_flips_and_says_so() -> None:
    varied = vary([FLIP])
    assert np.array_equal(varied.image, photo()[:, ::-1])
    assert varied.applied == [("HorizontalFlip", {})]


def test_labels_go_with_the_image() -> None:
    labels = Labels(class_name="cat")
    assert Recipe([FLIP]).vary(photo(), labels, 0).moved.labels == labels


def test_the_image_given_is_left_as_it_was() -> None:
    image = photo()
    for seed in range(10):
        vary(UNSTEADY, seed, image)
    assert np.array_equal(image, photo())


def test_an_empty_recipe_gives_the_image_itself() -> None:
    varied = vary([])
    assert np.array_equal(varied.image, photo())
    assert varied.applied == []


def test_the_same_seed_gives_the_same_bytes() -> None:
    for seed in range(8):
        first, again = vary(UNSTEADY, seed), vary(UNSTEADY, seed)
        assert again.image.tobytes() == first.image.tobytes()
        assert again.applied == first.applied


def test_another_seed_gives_another_image() -> None:
    steps = [{"Rotate": {"p": 1}}, {"RandomBrightnessContrast": {"p": 1}}]
    assert len({vary(steps, seed).image.tobytes() for seed in range(8)}) == 8


def test_a_variant_does_not_depend_on_earlier_ones_of_the_same_recipe() -> None:
    recipe = Recipe(UNSTEADY)
    for seed in (5, 3, 3, 4):
        drawn = recipe.vary(photo(), Labels(), seed)
        fresh = vary(UNSTEADY, seed)
        assert drawn.image.tobytes() == fresh.image.tobytes()
        assert drawn.applied == fresh.applied


def test_a_variant_does_not_depend_on_an_earlier_image_of_another_size() -> None:
    recipe = Recipe(UNSTEADY)
    recipe.vary(photo(20, 90), Labels(), 1)
    assert recipe.vary(photo(), Labels(), 2).image.tobytes() == vary(UNSTEADY, 2).image.tobytes()


def test_a_variant_does_not_depend_on_the_global_generator() -> None:
    np.random.seed(1)
    one = vary(UNSTEADY, 3)
    np.random.seed(2)
    assert vary(UNSTEADY, 3).image.tobytes() == one.image.tobytes()


@pytest.mark.parametrize("seed", [0, 2**32, 2**64 - 1])
def test_seeds_of_64_bits_are_taken(seed: int) -> None:
    assert vary(UNSTEADY, seed).image.tobytes() == vary(UNSTEADY, seed).image.tobytes()


def test_only_what_was_applied_is_listed() -> None:
    steps = [{"HorizontalFlip": {"p": 0.5}}]
    listed = set()
    for seed in range(20):
        varied = vary(steps, seed)
        flipped = np.array_equal(varied.image, photo()[:, ::-1])
        assert names(varied) == (["HorizontalFlip"] if flipped else [])
        listed.add(flipped)
    assert listed == {True, False}


def test_what_was_applied_stands_in_its_order() -> None:
    steps = [{"Transpose": {"p": 1}}, FLIP, {"VerticalFlip": {"p": 0}}, {"InvertImg": {"p": 1}}]
    varied = vary(steps)
    assert names(varied) == ["Transpose", "HorizontalFlip", "InvertImg"]
    assert np.array_equal(varied.image, 255 - photo().transpose(1, 0, 2)[:, ::-1])


def test_a_container_lists_the_one_it_chose() -> None:
    both = [{"HorizontalFlip": {"p": 1}}, {"VerticalFlip": {"p": 1}}]
    expected = {"HorizontalFlip": photo()[:, ::-1], "VerticalFlip": photo()[::-1]}
    chosen = set()
    for seed in range(20):
        varied = vary([{"OneOf": {"transforms": both, "p": 1}}], seed)
        (name,) = names(varied)
        assert np.array_equal(varied.image, expected[name])
        chosen.add(name)
    assert chosen == set(expected)


def test_a_transform_applied_twice_is_listed_twice() -> None:
    varied = vary([FLIP, {"Sequential": {"transforms": [FLIP], "p": 1}}])
    assert names(varied) == ["HorizontalFlip", "HorizontalFlip"]
    assert np.array_equal(varied.image, photo())


def test_drawn_parameters_are_those_of_the_image() -> None:
    varied = vary([{"RandomCrop": {"height": 10, "width": 12, "p": 1}}], seed=3)
    ((_, drawn),) = varied.applied
    left, top, right, bottom = drawn["crop_coords"]
    assert np.array_equal(varied.image, photo()[top:bottom, left:right])
    assert varied.image.shape == (10, 12, 3)


def test_large_arrays_are_logged_by_their_shape_and_small_ones_whole() -> None:
    noise, turn = vary([{"GaussNoise": {"p": 1}}, {"Rotate": {"p": 1}}]).applied
    assert noise == ("GaussNoise", {"noise_map": {"array": [48, 64, 3]}})
    assert np.array(turn[1]["matrix"]).shape == (3, 3)


def test_numbers_that_json_does_not_have_are_logged_as_words() -> None:
    ((_, drawn),) = vary([{"Rotate": {"fill_mask": float("nan"), "p": 1}}]).applied
    assert drawn["fill_mask"] == "nan"


def test_long_lists_are_logged_by_their_length() -> None:
    ((_, drawn),) = vary([{"RandomFog": {"p": 1}}]).applied
    assert set(drawn["particle_positions"]) == {"list"}
    assert drawn["particle_positions"]["list"] > 64


@pytest.mark.parametrize(
    "step",
    [
        {"RandomCrop": {"height": 49, "width": 64, "p": 1}},
        {"CenterCrop": {"height": 48, "width": 65, "p": 1}},
        {"Crop": {"x_max": 100, "y_max": 20, "p": 1}},
        {"OneOf": {"transforms": [{"RandomCrop": {"height": 99, "width": 9}}], "p": 1}},
    ],
    ids=lambda step: next(iter(step)),
)
def test_a_crop_larger_than_the_image_says_so(step: dict[str, Any]) -> None:
    assert problems(step) == []
    with pytest.raises(ValueError, match=r"(?i)crop"):
        vary([step])


def test_a_recipe_works_on_after_an_image_that_it_could_not_vary() -> None:
    steps = [{"RandomCrop": {"height": 40, "width": 40, "p": 1}}, FLIP]
    recipe = Recipe(steps)
    with pytest.raises(ValueError, match=r"(?i)crop"):
        recipe.vary(photo(20, 20), Labels(), 1)
    varied = recipe.vary(photo(), Labels(), 1)
    assert varied.applied == vary(steps, 1).applied
    assert varied.image.tobytes() == vary(steps, 1).image.tobytes()


# Every transform of albumentations

NEEDED: dict[str, dict[str, Any]] = {
    "AtLeastOneBBoxRandomCrop": {"height": 16, "width": 24},
    "CenterCrop": {"height": 16, "width": 24},
    "Crop": {"x_max": 24, "y_max": 16},
    "CropAndPad": {"px": 4},
    "CropNonEmptyMaskIfExists": {"height": 16, "width": 24},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 5},
    "LongestMaxSize": {"max_size": 32},
    "PadIfNeeded": {"min_height": 80, "min_width": 80},
    "RandomCrop": {"height": 16, "width": 24},
    "RandomResizedCrop": {"size": [16, 24]},
    "RandomSizedBBoxSafeCrop": {"height": 16, "width": 24},
    "RandomSizedCrop": {"min_max_height": [10, 20], "size": [16, 24]},
    "Resize": {"height": 16, "width": 24},
    "SmallestMaxSize": {"max_size": 32},
}


def step_of(name: str) -> dict[str, Any]:
    return {name: {**NEEDED.get(name, {}), "p": 1.0}}


def all_transforms() -> list[str]:
    kinds = ((name, getattr(A, name)) for name in dir(A))
    return [n for n, kind in kinds if inspect.isclass(kind) and issubclass(kind, A.BasicTransform)]


USABLE = [name for name in all_transforms() if not problems(step_of(name))]


def test_most_transforms_are_usable() -> None:
    assert len(USABLE) > 70


def test_the_table_names_no_transform_that_is_gone() -> None:
    assert set(NEEDED) <= set(all_transforms())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", USABLE)
def test_a_transform_gives_an_image_repeatably_and_plain_parameters(name: str) -> None:
    image = photo()
    for seed in range(3):
        varied = vary([step_of(name)], seed, image)
        assert np.array_equal(image, photo())
        assert varied.image.dtype == np.uint8
        assert varied.image.ndim == 3
        assert varied.image.shape[2] == 3
        assert names(varied) == [name]
        written = json.dumps(varied.applied, allow_nan=False)
        assert json.loads(written) == [list(one) for one in varied.applied]
        again = vary([step_of(name)], seed, image)
        assert again.image.tobytes() == varied.image.tobytes()
        assert again.applied == varied.applied
