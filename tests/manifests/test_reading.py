"""Manifests read from YAML, and what is said of wrong ones."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests.errors import ManifestError
from manifests.reading import ReadManifest, read_manifest

WHOLE = """\
version: 1
name: street-painted
seed: 7
content:   [{path: photos/, split: train}]
styles:    [{path: paintings/*.jpg, weight: 2}]
pairing:   {strategy: random, styles_per_content: 2}
stylize:   {encoder: compact, preset: fast, size: 256, strength: [0.5, 1.0], preserve_color: false}
augment:
  include_original: true
  recipes:
    flip_turn: [{HorizontalFlip: {p: 0.5}}, {Rotate: {limit: 15, p: 1.0}}]
    light:     [{RandomBrightnessContrast: {p: 1.0}}]
  variants: {original: 1, stylized: 2}
output:
  {path: out/street, format: imagefolder, image: {type: jpeg, quality: 95}, splits: [train]}
"""


def read(folder: Path, text: str) -> ReadManifest:
    file = folder / "street.yaml"
    file.write_text(text)
    return read_manifest(file)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ManifestError) as error:
        read(folder, text)
    return [str(problem).removeprefix(str(folder) + "/") for problem in error.value.problems]


def test_the_whole_schema_reads(tmp_path: Path) -> None:
    manifest = read(tmp_path, WHOLE).manifest
    assert manifest.name == "street-painted"
    assert manifest.stylize.strength == (0.5, 1.0)
    assert manifest.styles[0].weight == 2
    assert list(manifest.augment.recipes) == ["flip_turn", "light"]
    assert manifest.augment.recipes["light"] == ({"RandomBrightnessContrast": {"p": 1.0}},)
    assert manifest.output.splits == ("train",)


def test_one_number_is_a_strength_too(tmp_path: Path) -> None:
    assert (
        read(tmp_path, WHOLE.replace("[0.5, 1.0]", "0.5")).manifest.stylize.strength == (0.5,) * 2
    )


def test_relative_paths_are_relative_to_the_manifest(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE).resolve("photos") == tmp_path / "photos"
    assert read(tmp_path, WHOLE).resolve("/data") == Path("/data")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 7", "sed: 7", "street.yaml:3: sed: unknown field, did you mean seed?"),
        ("split: train}]\ns", "splt: train}]\ns", "street.yaml:4: content[0].splt: unknown field"),
        ("version: 1", "version: 2", "street.yaml:1: version: expected 1, got 2"),
        ("name: street-painted\n", "", "street.yaml:1: name: is required"),
        ("name: street-painted", "name: a b", "street.yaml:2: name: expected letters"),
        ("name: street-painted", "name: ../x", "street.yaml:2: name: expected letters"),
        ("seed: 7", "seed: x", "street.yaml:3: seed: expected a valid integer, got 'x'"),
        ("seed: 7", "seed: -1", "street.yaml:3: seed: expected greater than or equal to 0"),
        ("seed: 7", "seed: 7\nseed: 8", "street.yaml:4: seed: is given twice"),
        ("[{path: photos/, split: train}]", "[]", "street.yaml:4: content: "),
        ("[{path: photos/, split: train}]", "photos", "street.yaml:4: content: expected a list"),
        ("split: train}]\ns", "split: ../x}]\ns", "street.yaml:4: content[0].split: expected let"),
        ("weight: 2", "weight: 0", "street.yaml:5: styles[0].weight: expected greater than 0"),
        ("weight: 2", "weight: .nan", "street.yaml:5: styles[0].weight: "),
        ("strategy: random", "strategy: rand", "street.yaml:6: pairing.strategy: expected 'rand"),
        ("strategy: random", "strategy: all", "street.yaml:6: pairing: styles_per_content belongs"),
        ("strategy: random", "strategy: listed", "street.yaml:6: pairing: pairs belongs to stra"),
        ("size: 256", "size: 8", "street.yaml:7: stylize.size: expected greater than or equal"),
        ("[0.5, 1.0]", "[1.0, 0.5]", "street.yaml:7: stylize.strength: expected a number in 0..1"),
        ("[0.5, 1.0]", "2", "street.yaml:7: stylize.strength: expected a number in 0..1"),
        ("flip_turn:", "'f t':", "street.yaml:11: augment.recipes.f t: expected letters"),
        ("{p: 1.0}}]\n  v", "1}]\n  v", "street.yaml:12: augment.recipes.light[0].RandomBrightn"),
        ("original: 1", "original: -1", "street.yaml:13: augment.variants.original: expected"),
        ("quality: 95", "quality: 0", "street.yaml:15: output.image.quality: expected greater"),
        ("type: jpeg", "type: bmp", "street.yaml:15: output.image.type: expected 'jpeg'"),
        ("seed: 7", "seed: &s 7\nx: *s", "street.yaml:4: x: is a YAML alias"),
        ("seed: 7", "seed: [", "street.yaml:"),
        ("seed: 7", "seed: !!python/name:os.system", "street.yaml:3: "),
        ("seed: 7", "? [1]\n: 2", "expected a plain name as key"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert old in WHOLE
    found = problems(tmp_path, WHOLE.replace(old, new, 1))
    assert any(expected in problem for problem in found), found


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = WHOLE.replace("size: 256", "size: big").replace("seed: 7", "seed: x")
    found = problems(tmp_path, text.replace("quality: 95", "quality: 101"))
    assert [problem.split(":")[1] for problem in found] == ["3", "7", "15"]


@pytest.mark.parametrize("text", ["", "- a\n", "just text", "[" * 5000])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


def test_a_missing_file_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        read_manifest(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ManifestError, match="not UTF-8"):
        read_manifest(tmp_path / "binary.yaml")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(sorted(yaml.safe_load(WHOLE))), value=_VALUES)
def test_any_value_of_any_field_reads_or_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    text = yaml.safe_dump(yaml.safe_load(WHOLE) | {field: value})
    with suppress(ManifestError):
        assert read(tmp_path, text).manifest.version == 1


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80))
def test_any_text_is_refused_and_never_worse(tmp_path: Path, text: str) -> None:
    (tmp_path / "any.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ManifestError):
        read_manifest(tmp_path / "any.yaml")
