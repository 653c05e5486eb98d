"""What the documentation says, run or looked up as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from pydantic import BaseModel
from typer.main import get_command

from tests.flows.pictures import photo, write_classes

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


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


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(1, 96, 64).save(tmp_path / "photo.jpg")
    photo(2, 80, 80).save(tmp_path / "painting.jpg")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert blocks[0].count("\n") <= 6
    images, content = names["result"].images, names["content"]
    assert images.shape == content.shape == (1, 3, 64, 96)
    assert 0.02 < float((images - content).abs().mean()) < 0.5
    assert names["result"].end.of_pair(0)["total"] < names["result"].start.of_pair(0)["total"]
    assert (names["done"].image.shape, names["index"]) == ((3, 64, 96), 1)
    with Image.open("result.png") as written:
        assert written.size == (96, 64)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["0", "1", "10/20:", "20/20:"]


def _command_lines() -> Iterator[str]:
    """Every `gramflow …` of the README's and the scheduled example's commands."""
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL):
        yield from (line for line in block.splitlines() if line.startswith("gramflow "))
    scheduled = (ROOT / "manifests" / "examples" / "scheduled.yaml").read_text()
    yield from (found.strip() for found in re.findall(r"^#.*(gramflow .*)$", scheduled, re.M))


@pytest.mark.parametrize("line", _command_lines())
def test_commands_of_the_readme_are_commands(line: str) -> None:
    from flows.cli import app

    _, name, *arguments = shlex.split(line.partition(" > ")[0], comments=True)
    command = get_command(app).commands[name]
    command.make_context(name, arguments).close()


def test_the_readme_names_every_command_and_no_option_that_there_is_not() -> None:
    from flows.cli import app

    group = get_command(app)
    for name in group.commands:
        assert re.search(rf"gramflow {name}\b", README), name
    parsers = (group, *group.commands.values())
    known = {option for one in parsers for param in one.params for option in param.opts}
    of_prefect = {"--host", "--type"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named <= known | of_prefect | {"--help"}


def test_targets_and_modules_of_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    project = (ROOT / "pyproject.toml").read_text()
    extras = project.partition("[project.optional-dependencies]")[2].partition("[project.scripts]")[
        0
    ]
    targets |= {f"install-{name}" for name in re.findall(r"^([a-z0-9]+) = ", extras, re.M)}
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text()
        assert set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", text, re.M)) <= targets
        for module in re.findall(r"python -m ((?:tests|nst_core|flows)[\w.]*)", text):
            assert find_spec(module), module


def test_files_that_the_documentation_names_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md", ".github/architecture.svg"):
        text = (ROOT / name).read_text()
        rooms = r"(?:manifests|nst_core|augment|flows|tests)"
        for path in re.findall(rf"[`>(]({rooms}/[\w/.]+?)[`<)]", text):
            assert (ROOT / path).exists(), f"{name}: {path}"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings
        elif "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_table_of_the_readme_names_every_field_of_the_schema() -> None:
    from manifests import schema

    for model in vars(schema).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name in model.model_fields:
                assert re.search(rf"[`{{., ]{name}[`}}:, .]", README), f"{model.__name__}.{name}"


def test_the_content_of_the_readme_is_content() -> None:
    from manifests.schema import Content

    labels_in = README.partition("## Labels in")[2]
    found = re.search(r"```yaml\n(.*?)```", labels_in, re.DOTALL)
    assert found is not None
    entries = [Content.model_validate(one) for one in yaml.safe_load(found.group(1))["content"]]
    assert [entry.format for entry in entries] == ["coco", "yolo", "voc", None]
