"""The README's manifest and Python, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.flows.pictures import photo, write_classes

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_manifest_of_the_readme_is_valid(tmp_path: Path) -> None:
    from flows.job import check_manifest
    from flows.reading import read_for_run

    write_classes(tmp_path / "photos", count=2)
    (tmp_path / "paintings").mkdir()
    photo(3).save(tmp_path / "paintings" / "one.jpg")
    (tmp_path / "street.yaml").write_text(_block("yaml"))
    assert check_manifest(read_for_run(tmp_path / "street.yaml")).images
    assert len(_block("yaml").splitlines()) == 10


def test_the_python_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(_block("python"), {})
    assert "torch.Size([1, 3, 64, 96])" in capsys.readouterr().out


def test_the_table_of_the_readme_names_every_field_of_the_schema() -> None:
    from manifests.schema import Augment, Content, Manifest, Output, Pairing, Style, Stylize

    models = (Manifest, Content, Style, Pairing, Stylize, Augment, Output)
    for model in models:
        for name in model.model_fields:
            assert re.search(rf"[`{{., ]{name}[`}}:, .]", README), f"{model.__name__}.{name}"


def test_the_example_manifests_are_manifests() -> None:
    from manifests.schema import Manifest

    examples = Path(__file__).parents[1] / "manifests" / "examples"
    for example in examples.glob("*.yaml"):
        Manifest.model_validate(yaml.safe_load(example.read_text()))


def test_the_content_of_the_readme_is_content() -> None:
    from manifests.schema import Content

    labels_in = README.partition("### Labels in")[2]
    found = re.search(r"```yaml\n(.*?)```", labels_in, re.DOTALL)
    assert found is not None
    entries = [Content.model_validate(one) for one in yaml.safe_load(found.group(1))["content"]]
    assert [entry.format for entry in entries] == ["coco", "yolo", "voc", None]
