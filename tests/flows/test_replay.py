"""One file of a finished dataset made again from its metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.replay import CannotReplay, Origins, differences, origins_of, psnr_db, replay
from manifests.errors import ManifestError
from manifests.exporters.finished import FinishedDataset, Row, read_finished
from manifests.schema import Manifest
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo
from tests.flows.processes import finished


def rows_of(dataset: FinishedDataset) -> list[Row]:
    return [row for split in dataset.splits for row in dataset.rows(split)]


def all_made_again(job: JobFolder) -> list[Row]:
    """The rows, all of which come out byte for byte."""
    dataset = read_finished(job.out)
    origins, rows = origins_of(dataset), rows_of(dataset)
    for row in rows:
        again = replay(origins, row)
        assert again.image == dataset.image(row["split"], row).read_bytes(), row["file_name"]
        assert again.applied == row["applied_transforms"]
    return rows


NOISE = {"preset": "gatys2016", "encoder": "random", "size": 48}
GATE = {"min": 0.999, "action": "retry"}


@pytest.mark.parametrize(
    "changes",
    [
        {"stylize": NOISE | {"override": {"scales": [[1.0, 2]]}}, "seed": 3},
        {"stylize": TINY | {"size": "original", "override": {"scales": [[1.0, 2]], "size": 32}}},
        {"stylize": TINY | {"preserve_color": "match", "strength": [0.3, 0.9]}},
        {"output": {"path": "out", "image": {"type": "webp", "quality": 80}}},
        {"pairing": {"strategy": "all"}},
        {"content": [{"path": "photos/cat"}, {"path": "photos/dog", "split": "val"}]},
        {"styles": [], "pairing": {}},
    ],
)
def test_files_come_out_byte_for_byte(changes: dict[str, Any], job: JobFolder) -> None:
    job.write(**changes)
    job.run()
    assert all_made_again(job)


def test_a_pair_whose_strength_was_lowered_comes_out_as_it_is(job: JobFolder) -> None:
    """The strength that it came to counts, the id of the pair is of the one it began with."""
    override = {"scales": [[1.0, 30]], "initial": "noise"}
    job.write(stylize=TINY | {"override": override}, fidelity=GATE | {"min": 0.03})
    job.run()
    rows = all_made_again(job)
    assert any(0 < row["strength"] < 1 for row in rows)


@pytest.fixture
def dataset(job: JobFolder) -> FinishedDataset:
    job.run(limit=36)
    return read_finished(job.out)


def _of(dataset: FinishedDataset, kind: str) -> Row:
    return next(row for row in rows_of(dataset) if row["kind"] == kind)


def test_what_has_changed_or_is_gone_is_named(job: JobFolder, dataset: FinishedDataset) -> None:
    row = _of(dataset, "stylized")
    style, content = job.folder / row["style_path"], job.folder / row["content_path"]
    photo(55).save(style)
    with pytest.raises(CannotReplay, match=rf"^{row['style_path']}: has changed since"):
        replay(origins_of(dataset), row)
    style.unlink()
    with pytest.raises(CannotReplay, match=rf"^{row['style_path']}: is gone"):
        replay(origins_of(dataset), row)
    photo(56).save(content)
    with pytest.raises(CannotReplay, match=rf"^{row['content_path']}: has changed since"):
        replay(origins_of(dataset), row)
    content.unlink()
    with pytest.raises(CannotReplay, match=rf"^{row['content_path']}: is gone"):
        replay(origins_of(dataset), row)


def test_a_row_of_an_older_version_is_named(dataset: FinishedDataset) -> None:
    row = {name: value for name, value in _of(dataset, "original").items() if name != "pair_id"}
    with pytest.raises(CannotReplay, match="its row is of an older gramflow"):
        replay(origins_of(dataset), row)


ODD_PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({"scales": None}, "stylize_parameters: lacks scales; `gramflow run` writes"),
    ({"size": "original"}, "lacks working_size beside size original"),
    ({"swirl": 3}, r"stylize_parameters: gramflow .* does not know 'swirl'; replay with"),
    ({"size": "big"}, "size: expected a whole number >= 16, got 'big'"),
    ({"size": 1}, "size: expected a whole number >= 16, got 1"),
    ({"size": 1e300}, "size: expected a whole number >= 16"),
    ({"scales": 7}, r"scales: expected a list of \[fraction, iterations\], got 7"),
    ({"content_layers": {"conv9_9": 1}}, "content_layers: expected one of conv1_1"),
    ({"adam_betas": {}}, "adam_betas: expected a list of two numbers"),
    ({"optimiser": []}, r"optimiser: expected one of adam, lbfgs, sgd, got \[\]"),
    ({"preserve_color": {}}, "preserve_color: expected no, luminance, match"),
]
NO_PARAMETERS = [
    ("", "stylize_parameters: is not JSON"),
    ("[" * 100_000, "stylize_parameters: is not JSON"),
    ("[1]", r"stylize_parameters: expected an object, got \[1\]; `gramflow run` writes"),
]


def test_odd_parameters_of_a_stranger_are_named(dataset: FinishedDataset) -> None:
    origins, row = origins_of(dataset), _of(dataset, "stylized")
    parameters = json.loads(row["stylize_parameters"])
    texts = list(NO_PARAMETERS)
    for changes, expected in ODD_PARAMETERS:
        changed = (parameters | changes).items()
        kept = {name: value for name, value in changed if value is not None}
        texts.append((json.dumps(kept), expected))
    for text, expected in texts:
        with pytest.raises(CannotReplay, match=expected):
            replay(origins, row | {"stylize_parameters": text})


def test_whatever_column_is_missing_or_odd_is_one_sentence(dataset: FinishedDataset) -> None:
    """As text or numbers, which `read_finished` has seen to."""
    origins = origins_of(dataset)
    refusals = []
    for kind in ("original", "augmented", "stylized", "stylized_augmented"):
        row = _of(dataset, kind)
        for column in row:
            for changed in (
                {name: value for name, value in row.items() if name != column},
                row | {column: "odd" if isinstance(row[column], str) else 10**9},
            ):
                try:
                    replay(origins, changed)
                except CannotReplay as error:
                    refusals.append(str(error))
    assert refusals
    assert all(len(one.splitlines()) == 1 for one in refusals)
    assert "lacks recipe_index; `gramflow run`" in _refusal(origins, row, "recipe_index")


def _refusal(origins: Origins, row: Row, column: str) -> str:
    with pytest.raises(CannotReplay) as refused:
        replay(origins, {name: value for name, value in row.items() if name != column})
    return str(refused.value)


def test_another_encoder_is_named(dataset: FinishedDataset) -> None:
    row = _of(dataset, "stylized") | {"encoder_sha256": "1" * 64}
    with pytest.raises(CannotReplay, match="encoder random has other weights here"):
        replay(origins_of(dataset), row)


def test_weights_in_a_store_are_refused(dataset: FinishedDataset) -> None:
    """No manifest may name some, but a dataset.json can come from anywhere."""
    about = json.loads((dataset.out / "dataset.json").read_text())
    about["manifest"]["stylize"]["weights"] = "memory://a/vgg.pth"
    (dataset.out / "dataset.json").write_text(json.dumps(about))
    origins = origins_of(read_finished(dataset.out))
    with pytest.raises(CannotReplay, match="weights: expected a local file, got 'memory://a/vgg"):
        replay(origins, _of(dataset, "stylized"))


def test_a_whole_folder_that_is_gone_is_named(job: JobFolder, dataset: FinishedDataset) -> None:
    (job.folder / "photos").rename(job.folder / "elsewhere")
    with pytest.raises(ManifestError, match=r"nothing at .*photos"):
        origins_of(dataset)


def test_other_versions_are_said(dataset: FinishedDataset) -> None:
    """Those of the row count, and dataset.json's only where an older one does not say."""
    row = _of(dataset, "stylized")
    assert differences(dataset, row) == []
    about = json.loads((dataset.out / "dataset.json").read_text())
    about["versions"]["torch"] = "1.0"
    about["device"] = "cuda:0"
    (dataset.out / "dataset.json").write_text(json.dumps(about))
    dataset = read_finished(dataset.out)
    assert differences(dataset, row) == []
    other = json.loads(row["made_with"]) | {"torch": "2.0", "device": "mps"}
    said = differences(dataset, row | {"made_with": json.dumps(other)})
    assert [one.split()[:2] for one in said] == [["torch", "2.0"], ["device", "mps"]]
    said = differences(dataset, {name: row[name] for name in row if name != "made_with"})
    assert [one.split()[:3] for one in said] == [
        ["torch", "1.0", "there,"],
        ["device", "cuda", "there,"],
    ]


def test_the_command_writes_the_file(job: JobFolder, dataset: FinishedDataset) -> None:
    row, target = _of(dataset, "stylized_augmented"), job.folder / "again.jpg"
    status, output = finished("replay", job.out, row["variant_id"][:12], "-o", target)
    assert status == 0, output
    file = dataset.image("train", row)
    assert output == f"{target}: the bytes of {file}\n"
    assert target.read_bytes() == file.read_bytes()
    photo(1, 48, 40).save(file)
    status, output = finished("replay", job.out, row["variant_id"], "-o", target)
    assert status == 0
    assert "not the bytes of" in output
    file.write_bytes(b"damaged")
    status, output = finished("replay", job.out, row["variant_id"], "-o", target)
    assert status == 0, output
    assert f"{target}: not the bytes of {file}: is damaged" in output
    status, output = finished("replay", job.out, "nonsense", "-o", target)
    assert status == 2
    assert f"nonsense: expected the variant_id or the file of a row of {job.out}" in output


def test_the_command_knows_a_row_by_its_file(
    job: JobFolder, dataset: FinishedDataset, tmp_path: Path
) -> None:
    row, target = _of(dataset, "stylized_augmented"), tmp_path / "again.jpg"
    status, output = finished("replay", job.out, row["file_name"], "-o", target)
    assert status == 0, output
    assert target.read_bytes() == dataset.image("train", row).read_bytes()


def test_the_beginning_of_many_ids_is_refused(
    job: JobFolder, dataset: FinishedDataset, tmp_path: Path
) -> None:
    ids = [row["variant_id"] for row in dataset.rows("train")]
    status, output = finished("replay", job.out, "", "-o", tmp_path / "again.jpg")
    assert status == 2
    assert f"but {len(ids)} match, as {ids[0]}, " in output
    assert not (tmp_path / "again.jpg").exists()


def test_psnr_of_pictures(tmp_path: Path) -> None:
    for name, picture in (("a", photo(1)), ("b", photo(2)), ("c", photo(1, 20, 20))):
        picture.save(tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert psnr_db(a, a) == float("inf")
    assert psnr_db(a, c) is None
    near = psnr_db(a, b)
    assert near is not None
    assert 0 < near < 20


def test_a_resolved_manifest_is_a_manifest(job: JobFolder, dataset: FinishedDataset) -> None:
    for changes in ({}, {"pairing": {"strategy": "all"}}, {"styles": []}):
        job.write(**changes)
        manifest = Manifest.model_validate(yaml.safe_load(job.manifest.read_text()))
        assert Manifest.model_validate(manifest.model_dump(mode="json")) == manifest
