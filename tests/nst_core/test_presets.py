"""Every number of the presets with a source, and every wrong override."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_core.presets import PRESETS, Preset, Scale, resolve_preset

NUMBERS: dict[str, dict[str, Any]] = {
    "report2019": {
        "encoder": "vgg19",
        "size": 400,
        "pooling": "max",
        "initial": "content",
        "optimiser": "adam",
        "learning_rate": 0.003,
        "scales": [[1.0, 2000]],
        "least_fall": 0.0,
        "style_shape": "content",
        "content_layers": {"conv4_2": 1.0},
        "style_layers": {
            "conv1_1": 1.0,
            "conv2_1": 0.75,
            "conv3_1": 0.2,
            "conv4_1": 0.2,
            "conv5_1": 0.2,
        },
        "content_weight": 1.0,
        "style_weight": 1e6,
        "total_variation_weight": 0.0,
        "content_error": "mean",
        "style_error": "mean_per_feature",
        "adam_betas": [0.9, 0.999],
        "pixels": "imagenet",
        "precision": "fp32",
    },
    "gatys2016": {
        "encoder": "vgg19",
        "size": 512,
        "pooling": "average",
        "initial": "noise",
        "optimiser": "lbfgs",
        "learning_rate": 1.0,
        "scales": [[1.0, 500]],
        "least_fall": 0.0,
        "style_shape": "long_side",
        "content_layers": {"conv4_2": 1.0},
        "style_layers": {
            "conv1_1": 1e3 / 64**2,
            "conv2_1": 1e3 / 128**2,
            "conv3_1": 1e3 / 256**2,
            "conv4_1": 1e3 / 512**2,
            "conv5_1": 1e3 / 512**2,
        },
        "content_weight": 1.0,
        "style_weight": 1.0,
        "total_variation_weight": 0.0,
        "content_error": "mean",
        "style_error": "mean",
        "adam_betas": [0.9, 0.999],
        "pixels": "imagenet",
        "precision": "fp32",
    },
}

OVERRIDES: dict[str, Any] = {
    "size": 64,
    "pooling": "max",
    "initial": "style",
    "optimiser": "sgd",
    "learning_rate": 1,
    "style_shape": "content",
    "content_layers": {"conv3_2": 2.0},
    "style_layers": {"conv1_2": 0.0, "conv2_2": 3},
    "content_weight": 0,
    "style_weight": 12.5,
    "total_variation_weight": 1e-3,
    "content_error": "mean",
    "style_error": "mean",
    "adam_betas": [0.5, 0],
    "pixels": "imagenet",
    "precision": "bf16",
    "least_fall": 0.01,
}

WRONG: list[tuple[str, Any, str]] = [
    ("size", 15, "size: expected a whole number >= 16, got 15"),
    ("size", 400.0, "size: expected a whole number >= 16, got 400.0"),
    ("size", "400", "size: expected a whole number >= 16, got '400'"),
    ("size", True, "size: expected a whole number >= 16, got True"),
    ("learning_rate", 0, "learning_rate: expected a number > 0, got 0"),
    ("learning_rate", -0.1, "learning_rate: expected a number > 0, got -0.1"),
    ("learning_rate", math.nan, "learning_rate: expected a number > 0, got nan"),
    ("learning_rate", math.inf, "learning_rate: expected a number > 0, got inf"),
    ("learning_rate", None, "learning_rate: expected a number > 0, got None"),
    ("content_weight", -1, "content_weight: expected a number >= 0, got -1"),
    ("style_weight", "1e6", "style_weight: expected a number >= 0, got '1e6'"),
    ("total_variation_weight", [1], "total_variation_weight: expected a number >= 0, got [1]"),
    ("pooling", "avg", "pooling: expected one of average, max, got 'avg'"),
    ("initial", ["noise"], "initial: expected one of content, noise, style, got ['noise']"),
    ("optimiser", "Adam", "optimiser: expected one of adam, lbfgs, sgd, got 'Adam'"),
    ("style_shape", 1, "style_shape: expected one of long_side, content, got 1"),
    ("content_error", "sum", "content_error: expected one of mean, relative, got 'sum'"),
    (
        "style_error",
        "sum",
        "style_error: expected one of mean, mean_per_feature, relative, got 'sum'",
    ),
    ("adam_betas", [0.9, 1], "adam_betas: expected a number >= 0 and <= 0.9999, got 1"),
    ("adam_betas", 0.9, "adam_betas: expected a list of two numbers, got 0.9"),
    ("least_fall", 1.5, "least_fall: expected a number >= 0 and <= 1, got 1.5"),
    ("least_fall", "1%", "least_fall: expected a number >= 0 and <= 1, got '1%'"),
    ("precision", "fp16", "precision: expected one of auto, fp32, tf32, bf16, got 'fp16'"),
    ("pixels", None, "pixels: expected one of rgb, imagenet, got None"),
    ("content_layers", {}, "content_layers: expected a mapping of layer to weight, got {}"),
    (
        "style_layers",
        ["conv1_1"],
        "style_layers: expected a mapping of layer to weight, got ['conv1_1']",
    ),
    ("style_layers", {"conv1_1": -1}, "style_layers conv1_1: expected a number >= 0, got -1"),
    ("content_layers", {"conv4_2": "x"}, "content_layers conv4_2: expected a number >= 0, got 'x'"),
    ("scales", 5, "scales: expected a list of [fraction, iterations], got 5"),
    ("scales", [1.0, 100], "scales: expected a list of [fraction, iterations], got [1.0, 100]"),
    ("scales", [[1.0]], "scales: expected a list of [fraction, iterations], got [[1.0]]"),
    ("scales", [], "scales: expected at least one [fraction, iterations]"),
    ("scales", [[0.5, 10]], "scales: the last fraction must be 1, got 0.5"),
    ("scales", [[1, 9], [0.5, 9]], "scales: the last fraction must be 1, got 0.5"),
    ("scales", [[0, 9], [1, 9]], "scales fraction: expected a number > 0 and <= 1, got 0"),
    ("scales", [[2, 9], [1, 9]], "scales fraction: expected a number > 0 and <= 1, got 2"),
    ("scales", [["1", 9]], "scales fraction: expected a number > 0 and <= 1, got '1'"),
    ("scales", [[1, 0]], "scales iterations: expected a whole number >= 1 and <= 1e+06, got 0"),
    ("scales", [[1, 1.5]], "scales iterations: expected a whole number >= 1 and <= 1e+06, got 1.5"),
    (
        "scales",
        [[1, 10**6 + 1]],
        "scales iterations: expected a whole number >= 1 and <= 1e+06, got 1000001",
    ),
    ("iterations", 100, "iterations: not a field of a preset; expected one of size, pooling"),
    ("encoder", "vgg16", "encoder: not a field of a preset; expected one of size, pooling"),
]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_of_a_preset_is_that_of_its_source(name: str) -> None:
    assert resolve_preset(name).as_dict() == NUMBERS[name]


def test_fast_ends_at_full_size_and_starts_smaller() -> None:
    scales = resolve_preset("fast").scales
    assert scales[0].fraction < scales[-1].fraction == 1


@pytest.mark.parametrize("name", PRESETS)
def test_layers_are_those_of_both_losses_once(name: str) -> None:
    preset = PRESETS[name]
    assert len(preset.layers) == len(set(preset.layers))
    assert set(preset.layers) == {*preset.style_layers, *preset.content_layers}
    assert set(preset.layers) >= {"conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2"}
    # conv5_1 of compact, which fast is tuned for, knows too little.
    assert ("conv5_1" in preset.layers) == (name != "fast")


def test_iterations_are_counted_over_all_scales() -> None:
    preset = resolve_preset("gatys2016", {"scales": [[0.25, 7], [0.5, 5], [1, 3]]})
    assert preset.iterations == 15
    assert preset.scales == (Scale(0.25, 7), Scale(0.5, 5), Scale(1, 3))


@pytest.mark.parametrize("field", OVERRIDES)
def test_an_override_changes_its_field_and_no_other(field: str) -> None:
    plain = resolve_preset("fast").as_dict()
    changed = resolve_preset("fast", {field: OVERRIDES[field]}).as_dict()
    assert plain[field] != OVERRIDES[field]
    assert changed == {**plain, field: OVERRIDES[field]}


def test_overrides_leave_the_table_as_it_was() -> None:
    resolve_preset("report2019", OVERRIDES)
    resolve_preset("report2019").as_dict()["style_layers"]["conv1_1"] = 99
    assert resolve_preset("report2019").as_dict() == NUMBERS["report2019"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_made_again_from_its_dictionary(name: str) -> None:
    fields = PRESETS[name].as_dict()
    del fields["encoder"]
    assert resolve_preset(name, fields) == PRESETS[name]


def test_an_unknown_preset_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="preset: expected one of report2019, gatys2016, fast, got 'slow'"
    ):
        resolve_preset("slow")


@pytest.mark.parametrize(("field", "value", "message"), WRONG)
def test_a_wrong_override_is_named_with_what_was_expected(
    field: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=r"^\w+") as raised:
        resolve_preset("fast", {field: value})
    assert str(raised.value).startswith(message)


def test_a_number_too_large_for_a_float_is_refused_like_any_other() -> None:
    with pytest.raises(ValueError, match="style_weight: expected a number >= 0"):
        resolve_preset("fast", {"style_weight": 10**400})


@pytest.mark.parametrize("field", ["content_layers", "style_layers"])
def test_a_layer_that_is_no_name_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}.*1"):
        resolve_preset("fast", {field: {1: 1.0}})


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.one_of(st.floats(), st.lists(st.integers(), max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.floats(), st.none()), max_size=2),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(field=st.sampled_from([*OVERRIDES, "scales"]), value=anything)
def test_whatever_a_manifest_says_resolves_or_is_refused_by_field(field: str, value: Any) -> None:
    preset: Preset | None = None
    message = ""
    try:
        preset = resolve_preset("fast", {field: value})
    except ValueError as error:
        message = str(error)
    assert preset.as_dict()[field] == value if preset else message.startswith(field)
