"""How a flow uses the engine: lanes, sizes, colour, kept styles, pairs at fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from flows.engine import Lanes, choose_lanes, torch_threads
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo

ONLY_PAIRS: dict[str, Any] = {"augment": {"include_original": False}}


def rows(job: JobFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.out / "train" / "metadata.jsonl").open()]


@pytest.mark.parametrize(
    ("size", "cores", "count", "threads"),
    [(256, 2, 2, 1), (256, 16, 16, 1), (512, 16, 4, 4), (512, 2, 1, 2), (4096, 16, 1, 16)],
)
def test_small_pairs_have_a_core_each_and_large_ones_share(
    size: int, cores: int, count: int, threads: int
) -> None:
    lanes = choose_lanes(torch.device("cpu"), size, cores)
    assert (lanes.count, lanes.threads) == (count, threads)


def test_a_gpu_has_one_lane() -> None:
    lanes = choose_lanes(torch.device("cuda"), 256, 16)
    assert lanes == Lanes(1, 16, beside=6)


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_original_size_is_kept_and_the_rest_worked_small(job: JobFolder) -> None:
    photo(70, 96, 128).save(job.folder / "photos" / "cat" / "large.png")
    job.write(stylize=TINY | {"size": "original", "override": {"size": 48, **TINY["override"]}})
    assert job.run().failed == 0
    sizes = {(row["width"], row["height"]) for row in rows(job) if "large" in row["file_name"]}
    assert sizes == {(96, 128)}
    styled = next(r for r in rows(job) if r["kind"] == "stylized" and "large" in r["file_name"])
    assert styled["iterations"] == 2 + 2, "two at the working size, two at its own"
    assert json.loads(styled["stylize_parameters"])["working_size"] == 48


@pytest.mark.parametrize("way", ["luminance", "match"])
def test_colour_is_kept_as_the_manifest_says(way: str, job: JobFolder) -> None:
    job.write(stylize=TINY | {"preserve_color": way}, **ONLY_PAIRS)
    assert job.run().failed == 0
    assert {json.loads(r["stylize_parameters"])["preserve_color"] for r in rows(job)} == {way}


def test_a_loss_that_has_flattened_ends_a_pair_and_its_row_says_so(job: JobFolder) -> None:
    settings = {"scales": [[1.0, 400]], "least_fall": 0.5}
    job.write(stylize=TINY | {"override": settings}, **ONLY_PAIRS)
    job.run()
    assert {row["stop_reason"] for row in rows(job)} == {"flat"}
    assert all(30 <= row["iterations"] < 400 for row in rows(job))


def test_styles_are_kept_beside_the_ledger_and_used_again(job: JobFolder) -> None:
    job.write(pairing={"strategy": "all"}, **ONLY_PAIRS)
    job.run()
    kept = {
        file: file.stat().st_mtime_ns
        for file in (job.out / ".gramflow" / "styles").glob("*.safetensors")
    }
    assert kept
    before = job.images()
    for name in before:
        (job.out / name).unlink()
    job.run()
    assert job.images() == before
    again = (job.out / ".gramflow" / "styles").glob("*.safetensors")
    assert {file: file.stat().st_mtime_ns for file in again} == kept


def test_a_pair_that_the_engine_refuses_fails_alone(job: JobFolder) -> None:
    # Wide enough for the reader, and at 48 px less high than the deepest layer's stride.
    Image.new("RGB", (400, 20)).save(job.folder / "photos" / "cat" / "narrow.png")
    job.write(**ONLY_PAIRS)
    summary = job.run()
    assert (summary.made, summary.failed) == (8, 2)
    ((path, why, missing),) = summary.failures
    assert path == "photos/cat/narrow.png"
    assert "px" in why
    assert missing == 2


def test_a_size_that_is_neither_number_nor_original_is_refused(tmp_path: Path) -> None:
    from manifests.errors import ManifestError
    from manifests.reading import read_manifest

    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "version: 1\nname: m\ncontent: [{path: p}]\nstylize: {size: full}\noutput: {path: o}\n"
    )
    with pytest.raises(ManifestError, match="or original, got 'full'"):
        read_manifest(manifest)
