"""Whatever text stands in a manifest: it reads, or what is wrong is said."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import manifests
from manifests.errors import ManifestError
from manifests.reading import read_manifest

WHOLE = (Path(manifests.__file__).parent / "examples" / "demo.yaml").read_text()


def _reads_or_says_why(folder: Path, data: bytes) -> None:
    (folder / "job.yaml").write_bytes(data)
    try:
        manifest = read_manifest(folder / "job.yaml")
    except ManifestError as error:
        problems = error.problems
    else:
        assert manifest.manifest.version == 1
        return
    assert problems
    for problem in problems:
        assert problem.message
        assert problem.line is None or problem.line >= 1
        assert str(problem).startswith(str(folder / "job.yaml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading")


@given(st.one_of(st.text().map(str.encode), st.binary()))
@settings(deadline=None)
def test_any_text_reads_or_says_why(folder: Path, data: bytes) -> None:
    _reads_or_says_why(folder, data)


YAML_BITS = st.sampled_from([
    "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!!str ", ">", "? ", "<<: ", "'", '"', "%", "#",
    "@", "`", "~", ".nan", "1e999", "0x", "=", "\\x", "é", "|\n", "\n", "\t", "  ", "---\n", "...\n"
])  # fmt: skip


@given(st.data())
@settings(deadline=None)
def test_any_damage_to_a_manifest_reads_or_says_why(folder: Path, data: st.DataObject) -> None:
    text = WHOLE
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(YAML_BITS | st.text(max_size=3)) + text[end:]
    _reads_or_says_why(folder, text.encode())


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
    | st.sampled_from(["train", "random", "fast", "photos", 1, 0.5, datetime.datetime(2001, 1, 1)])
)
NAMES = st.sampled_from([
    "version", "name", "seed", "content", "styles", "pairing", "stylize", "augment", "output",
    "path", "split", "weight", "strategy", "pairs", "recipes", "variants", "image", "splits",
    "strength", "override", "type", "quality",
])  # fmt: skip
STRUCTURES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(STRUCTURES)
@settings(deadline=None)
def test_any_structure_reads_or_says_why(folder: Path, structure: Any) -> None:
    _reads_or_says_why(folder, yaml.safe_dump(structure, allow_unicode=True).encode())


@given(changes=st.dictionaries(NAMES, STRUCTURES, max_size=2), inner=STRUCTURES, name=NAMES)
@settings(deadline=None)
def test_any_value_of_any_field_reads_or_says_why(
    folder: Path, changes: dict[str, Any], inner: Any, name: str
) -> None:
    manifest = yaml.safe_load(WHOLE)
    section = manifest[name] if name in manifest else manifest["augment"]
    if isinstance(section, dict):
        section[name] = inner
    _reads_or_says_why(folder, yaml.safe_dump(manifest | changes).encode())
