"""The manifest's JSON Schema: that of the model, and neither stricter nor much laxer than it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import ValidationError
from typer.testing import CliRunner

from manifests import json_values
from manifests.json_schema import manifest_schema, schema_text
from manifests.schema import Manifest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))
SCHEMA = manifest_schema()
SMALL: dict[str, Any] = {
    "version": 1,
    "name": "small",
    "content": [{"path": "photos"}],
    "output": {"path": "out"},
}


def complaints(manifest: Any) -> list[str]:
    found = Draft7Validator(SCHEMA).iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_file_is_what_the_model_gives() -> None:
    file = ROOT / "manifests" / "manifest.schema.json"
    assert json.loads(file.read_text()) == SCHEMA, "`make schema` writes it again"


def test_the_command_prints_it() -> None:
    from flows.cli import app

    assert CliRunner().invoke(app, ["schema"]).output == schema_text()


def test_every_field_says_what_it_is() -> None:
    for name, model in {"Manifest": SCHEMA, **SCHEMA["$defs"]}.items():
        assert model["description"]
        assert model["additionalProperties"] is False
        for field, described in model["properties"].items():
            assert "description" in described or "$ref" in described, f"{name}.{field}"


def test_editors_are_offered_what_the_engine_has() -> None:
    from nst_core import ENCODERS, PRESETS, Preset

    assert set(json_values.ENCODER["enum"]) == set(ENCODERS)
    assert set(json_values.PRESET["enum"]) == set(PRESETS)
    fields = {field.name for field in dataclasses.fields(Preset)} - {"encoder"}
    assert set(json_values.OVERRIDE["properties"]) == fields
    for preset in PRESETS.values():
        override = {name: preset.as_dict()[name] for name in fields}
        assert not complaints(SMALL | {"stylize": {"override": override}})


def test_editors_are_offered_the_choices_of_a_preset() -> None:
    from typing import get_args, get_type_hints

    from nst_core import Preset

    for field, kind in get_type_hints(Preset).items():
        offered = json_values.OVERRIDE["properties"].get(field, {})
        if "enum" in offered:
            assert set(offered["enum"]) == set(get_args(kind)), field


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda file: file.stem)
def test_examples_name_the_schema_and_fit_it(example: Path) -> None:
    first, _, text = example.read_text().partition("\n")
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (example.parent / named).resolve() == ROOT / "manifests" / "manifest.schema.json"
    assert not complaints(yaml.safe_load(text))


def test_manifests_of_the_readme_fit() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert not complaints(SMALL | yaml.safe_load(block))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"styels": []}, "styels"),
        ({"version": 2}, "1 was expected"),
        ({"name": "../elsewhere"}, "$.name"),
        ({"seed": -1}, "$.seed"),
        ({"content": []}, "$.content"),
        ({"content": [{"path": ""}]}, "$.content[0].path"),
        ({"content": [{"path": "photos", "labels": "a.csv"}]}, "labels"),
        ({"content": [{"path": "photos", "format": "coco2"}]}, "$.content[0].format"),
        ({"styles": [{"path": "a", "weight": 0}]}, "$.styles[0].weight"),
        ({"pairing": {"strategy": "some"}}, "$.pairing.strategy"),
        ({"stylize": {"strength": 2}}, "$.stylize.strength"),
        ({"stylize": {"strength": [0.5]}}, "$.stylize.strength"),
        ({"stylize": {"preset": "quick"}}, "$.stylize.preset"),
        ({"stylize": {"encoder": "resnet"}}, "$.stylize.encoder"),
        ({"stylize": {"size": 8}}, "$.stylize.size"),
        ({"stylize": {"preserve_color": "maybe"}}, "$.stylize.preserve_color"),
        ({"stylize": {"override": {"style_wieght": 1}}}, "style_wieght"),
        ({"fidelity": {"min": 1.5}}, "$.fidelity.min"),
        ({"augment": {"recipes": {"a": {"Rotate": {}}}}}, "$.augment.recipes.a"),
        ({"augment": {"recipes": {"a": [{"Rotate": {}, "Blur": {}}]}}}, "$.augment.recipes.a[0]"),
        ({"augment": {"variants": {"original": -1}}}, "$.augment.variants.original"),
        ({"output": {"path": "out", "format": ["tfrecord"]}}, "$.output.format"),
        ({"output": {"path": "out", "image": {"quality": 101}}}, "$.output.image.quality"),
    ],
)
def test_typical_mistakes_are_refused_where_they_are(change: dict[str, Any], said: str) -> None:
    assert not complaints(SMALL)
    (complaint,) = complaints(SMALL | change)
    assert said in complaint


_NUMBERS = st.one_of(st.integers(-1, 3), st.floats(-0.5, 1.5), st.integers(), st.booleans())
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=4)
_NAMES = st.one_of(st.sampled_from(["train", "a.b-c_d", "2024", ""]), st.integers(-1, 9), _TEXTS)
_PATHS = st.one_of(st.sampled_from(["photos", "s3://bucket/a", "~/b", "a*.jpg", ""]), _TEXTS)
_RECIPES = st.dictionaries(
    st.one_of(st.just("turn"), _TEXTS),
    st.lists(st.dictionaries(_TEXTS, st.dictionaries(_TEXTS, _NUMBERS), max_size=2), max_size=2),
    max_size=2,
)


def _among(*values: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(values), st.none(), _TEXTS)


# Where in a manifest -> what may stand there, right or wrong. Names of encoders, presets and their
# fields are left out: the model takes any, and leaves it to nst_core.
_VALUES: dict[tuple[str | int, ...], st.SearchStrategy[Any]] = {
    ("version",): _among(1, 1.0, 2, True),
    ("name",): _NAMES,
    ("seed",): _NUMBERS,
    ("max_pixels",): _NUMBERS,
    ("content", 0, "path"): _PATHS,
    ("content", 0, "format"): _among("coco", "yolo"),
    ("content", 0, "annotations"): _PATHS,
    ("content", 0, "masks"): _PATHS,
    ("content", 0, "split"): _NAMES,
    ("content", 0, "group"): _PATHS,
    ("styles",): st.lists(st.fixed_dictionaries({"path": _PATHS, "weight": _NUMBERS}), max_size=2),
    ("pairing",): st.one_of(
        st.fixed_dictionaries({"strategy": _among("all", "zip", "random")}),
        st.fixed_dictionaries({"styles_per_content": _NUMBERS}),
        st.fixed_dictionaries(
            {
                "strategy": st.just("listed"),
                "pairs": st.one_of(
                    _PATHS, st.lists(st.fixed_dictionaries({"content": _PATHS, "style": _PATHS}))
                ),
            }
        ),
    ),
    ("stylize", "weights"): _PATHS,
    ("stylize", "size"): st.one_of(
        st.integers(15, 17), st.integers(8190, 8194), _among("original")
    ),
    ("stylize", "strength"): st.one_of(_NUMBERS, st.lists(_NUMBERS, max_size=3)),
    ("stylize", "preserve_color"): st.one_of(st.booleans(), _among("match", "luminance", "no")),
    ("fidelity", "min"): _NUMBERS,
    ("fidelity", "action"): _among("drop", "flag"),
    ("augment", "include_original"): _NUMBERS,
    ("augment", "min_visibility"): _NUMBERS,
    ("augment", "min_area"): _NUMBERS,
    ("augment", "recipes"): _RECIPES,
    ("augment", "variants", "original"): _NUMBERS,
    ("augment", "variants", "stylized"): _NUMBERS,
    ("output", "path"): _PATHS,
    ("output", "format"): st.one_of(_among("coco", "voc"), st.lists(_among("coco"), max_size=2)),
    ("output", "image", "type"): _among("png", "jpeg"),
    ("output", "image", "quality"): _NUMBERS,
    ("output", "splits"): st.lists(_NAMES, max_size=2),
}


@pytest.mark.parametrize("field", _VALUES, ids=lambda field: ".".join(map(str, field)))
@settings(max_examples=30)
@given(data=st.data())
def test_what_the_model_takes_fits_the_schema(
    field: tuple[str | int, ...], data: st.DataObject
) -> None:
    manifest = json.loads(json.dumps(SMALL))
    for path in (field, data.draw(st.sampled_from([*_VALUES]))):
        place = manifest
        for part in path[:-1]:
            place = place[part] if isinstance(part, int) else place.setdefault(part, {})
        place[path[-1]] = data.draw(_VALUES[path])
    try:
        taken = Manifest.model_validate(manifest)
    except ValidationError:
        return
    assert not complaints(manifest)
    assert not complaints(json.loads(taken.model_dump_json()))
