"""The flow for a folder without a manifest, and the form that Prefect's page makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from manifests.durable import LeadsOut
from manifests.errors import ManifestError
from manifests.reading import read_manifest
from tests.flows.pictures import photo


@pytest.fixture
def folder(tmp_path: Path, api_url: str) -> dict[str, Any]:
    """Arguments of the flow: two photos and a style."""
    (tmp_path / "in").mkdir()
    for index in range(2):
        photo(index).save(tmp_path / "in" / f"photo{index}.png")
    photo(9).save(tmp_path / "style.png")
    names = {"folder": "in", "style": "style.png", "out": "out"}
    paths = {one: str(tmp_path / name) for one, name in names.items()}
    return paths | {"encoder": "random", "size": 32}


def test_done_again_it_does_only_what_is_new_or_changed(folder: dict[str, Any]) -> None:
    from flows.on_demand import reprocess_folder

    assert reprocess_folder(**folder).made == 2
    assert reprocess_folder(**folder).made == 0
    photo(5).save(Path(folder["folder"], "photo2.png"))
    photo(6).save(Path(folder["folder"], "photo1.png"))
    again = reprocess_folder(**folder)
    assert (again.made, again.dataset, again.set_aside) == (2, 3, 1)


def test_a_folder_of_the_command_line_is_the_same_job(folder: dict[str, Any]) -> None:
    from typer.testing import CliRunner

    from flows.cli import app
    from flows.on_demand import reprocess_folder

    assert reprocess_folder(**folder).made == 2
    options = ["--style", folder["style"], "--out", folder["out"], "--encoder", "random"]
    arguments = ["folder", folder["folder"], *options, "--size", 32]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0
    assert "(0 made in this run)" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [("été à Nîmes", "ete-a-Nimes"), ("写真", "folder"), ("a/b (1).jpg/", "b-1-.jpg"), ("x", "x")],
)
def test_a_folders_job_has_its_name_in_plain_letters(
    tmp_path: Path, folder_name: str, name: str
) -> None:
    from flows.folder import FolderJob

    (tmp_path / folder_name).mkdir(parents=True)
    photo(9).save(tmp_path / "style.png")
    job = FolderJob(tmp_path / folder_name, tmp_path / "style.png", tmp_path / "out")
    assert read_manifest(job.write_manifest()).manifest.name == name


def test_what_another_command_asks_of_the_folder_changes_nothing_of_this_one(
    tmp_path: Path,
) -> None:
    from flows.folder import FolderJob

    (tmp_path / "photos").mkdir()
    photo(9).save(tmp_path / "style.png")
    job = FolderJob(tmp_path / "photos", tmp_path / "style.png", tmp_path / "out", strength=0.5)
    manifest = job.write_manifest()
    assert replace(job, strength=0.7).write_manifest() != manifest
    assert read_manifest(manifest).manifest.stylize.strength == (0.5, 0.5)
    assert job.write_manifest() == manifest, "and asked for again it is the same"


def test_paths_that_are_not_whole_or_not_there_are_refused(folder: dict[str, Any]) -> None:
    from flows.on_demand import reprocess_folder

    with pytest.raises(ValueError, match="out: expected a whole path, got elsewhere"):
        reprocess_folder(**folder | {"out": "elsewhere"})
    with pytest.raises(ValueError, match="nowhere: is no folder"):
        reprocess_folder(**folder | {"folder": "/nowhere"})


def test_folders_of_a_store_are_taken(folder: dict[str, Any]) -> None:
    from flows.on_demand import reprocess_folder

    memory = fsspec.filesystem("memory")
    memory.put(folder["folder"], "/on-demand/in", recursive=True)
    memory.put(folder["style"], "/on-demand/style.png")
    urls = {
        "folder": "memory://on-demand/in",
        "style": "memory://on-demand/style.png",
        "out": "memory://on-demand/out",
    }
    assert reprocess_folder(**folder | urls).made == 2
    assert len(memory.glob("/on-demand/out/train/*.jpg")) == 2


def test_every_field_of_the_form_says_what_it_is(api_url: str) -> None:
    from prefect.utilities.callables import parameter_schema

    from flows.on_demand import reprocess_folder
    from nst_core import ENCODERS, PRESETS

    schema = parameter_schema(reprocess_folder)
    assert schema.required == ["folder", "style", "out"]
    assert all(one["description"] for one in schema.properties.values())
    assert schema.properties["folder"]["type"] == "string"
    assert set(schema.properties["preset"]["enum"]) == set(PRESETS)
    assert set(schema.properties["encoder"]["enum"]) == set(ENCODERS)
    assert (schema.properties["strength"]["minimum"], schema.properties["size"]["anyOf"][0]) == (
        0,
        {"exclusiveMinimum": 0, "type": "integer"},
    )


def test_a_dataset_is_not_written_into_a_workers_temporary_folder(
    folder: dict[str, Any], tmp_path: Path
) -> None:
    from flows.dataset import stylize_dataset
    from flows.on_demand import reprocess_folder

    reprocess_folder(**folder)
    (manifest,) = Path(folder["out"], ".gramflow").glob("folder-*.yaml")
    with pytest.raises(ValueError, match="out: expected a whole path, got elsewhere"):
        stylize_dataset(manifest, out="elsewhere")


def test_a_manifest_is_not_looked_for_where_a_worker_happens_to_be(
    folder: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.dataset import stylize_dataset
    from flows.folder import FolderJob

    job = FolderJob(*(Path(folder[one]) for one in ("folder", "style", "out")), encoder="random")
    monkeypatch.chdir(job.write_manifest().parent)
    with pytest.raises(ValueError, match="manifest_path: expected a whole path, got folder"):
        stylize_dataset(Path("folder.yaml"))


def test_a_link_out_of_the_output_folder_is_refused_before_anything_is_written(
    folder: dict[str, Any], tmp_path: Path
) -> None:
    from flows.on_demand import reprocess_folder

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path(folder["out"]).mkdir()
    Path(folder["out"], ".gramflow").symlink_to(elsewhere)
    with pytest.raises(LeadsOut, match="elsewhere"):
        reprocess_folder(**folder)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"size": 3}, "^size: expected a whole number"),
        ({"encoder": "vgg16", "weights": Path("/no.pth")}, "^weights: /no.pth is no file"),
    ],
)
def test_a_wrong_parameter_is_named_and_nothing_is_written(
    folder: dict[str, Any], parameters: dict[str, Any], expected: str
) -> None:
    from flows.on_demand import reprocess_folder

    with pytest.raises(ManifestError, match=expected):
        reprocess_folder(**folder | parameters)
    assert not Path(folder["out"]).exists()
