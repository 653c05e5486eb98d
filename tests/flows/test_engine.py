"""How a flow uses the engine: lanes, sizes, colour, kept styles, pairs at fault."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from flows.engine import CORES, Lanes, choose_lanes, torch_threads
from nst_core import Pair, StylizedPair, Stylizer
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


def test_threads_are_as_before_afterwards_in_lanes_that_overlap() -> None:
    inside, leave = threading.Barrier(2), threading.Event()

    def lane(first: bool) -> int:
        with torch_threads(1):
            assert torch.get_num_threads() == 1
            inside.wait()
            if not first:
                leave.wait()
        leave.set()
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as lanes:
        assert list(lanes.map(lane, [True, False])) == [CORES, CORES]
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == CORES


def test_the_original_size_is_kept_and_the_rest_worked_small(job: JobFolder) -> None:
    photo(70, 96, 128).save(job.folder / "photos" / "cat" / "large.png")
    job.write(stylize=TINY | {"size": "original", "override": {"size": 48, **TINY["override"]}})
    assert job.run().failed == 0
    sizes = {(row["width"], row["height"]) for row in rows(job) if "large" in row["file_name"]}
    assert sizes == {(96, 128)}
    styled = next(r for r in rows(job) if r["kind"] == "stylized" and "large" in r["file_name"])
    assert styled["iterations"] == 2 + 2, "two at the working size, two at its own"
    parameters = json.loads(styled["stylize_parameters"])
    assert (parameters["size"], parameters["working_size"]) == ("original", 48)
    assert json.loads((job.out / "dataset.json").read_text())["engine"]["size"] == "original"


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


def only_style0(job: JobFolder) -> None:
    """Four pairs of one style and one shape: one chunk."""
    for file in (job.folder / "photos").rglob("*.png"):
        with Image.open(file) as image:
            image.resize((48, 36)).save(file)
    job.write(styles=[{"path": "styles/style0.png"}], pairing={"strategy": "all"}, **ONLY_PAIRS)


@pytest.mark.parametrize(
    ("named", "path"), [("content", "photos/"), ("style", "styles/style0.png")]
)
def test_a_pair_that_the_engine_refuses_fails_alone(
    named: str, path: str, job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_style0(job)
    check, calls = Stylizer.check, count()

    def refusing_the_second(stylizer: Stylizer, pair: Pair) -> None:
        check(stylizer, pair)
        if next(calls) == 1:
            raise ValueError(f"{named}: expected something else")

    monkeypatch.setattr(Stylizer, "check", refusing_the_second)
    summary = job.run()
    assert (summary.made, summary.failed) == (3, 1)
    ((at_fault, why, _),) = summary.failures
    assert at_fault.startswith(path)
    assert why == f"{named}: expected something else"


Results = Iterator[tuple[int, StylizedPair]]


def test_a_loss_that_is_not_finite_fails_its_pair_alone(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_style0(job)
    each = Stylizer.each

    def first_not_finite(stylizer: Stylizer, pairs: list[Pair], **arguments: Any) -> Results:
        for index, done in each(stylizer, pairs, **arguments):
            yield index, replace(done, stop_reason="not_finite") if index == 0 else done

    monkeypatch.setattr(Stylizer, "each", first_not_finite)
    summary = job.run()
    assert (summary.made, summary.failed) == (3, 1)
    (why,) = [why for _, why, _ in summary.failures]
    assert why.startswith("the loss is not finite after 2 iterations; try a lower")


def test_what_does_not_fit_the_memory_fails_and_what_was_done_is_kept(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_style0(job)
    each = Stylizer.each

    def out_of_memory_after_one(stylizer: Stylizer, pairs: list[Pair], **arguments: Any) -> Results:
        yield next(each(stylizer, pairs, **arguments))
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Stylizer, "each", out_of_memory_after_one)
    summary = job.run()
    assert (summary.made, summary.failed) == (1, 3)
    assert {why for _, why, _ in summary.failures} == {"does not fit the memory of cpu: no room"}


def test_a_size_that_is_neither_number_nor_original_is_refused(tmp_path: Path) -> None:
    from manifests.errors import ManifestError
    from manifests.reading import read_manifest

    manifest = tmp_path / "m.yaml"
    manifest.write_text(
        "version: 1\nname: m\ncontent: [{path: p}]\nstylize: {size: full}\noutput: {path: o}\n"
    )
    with pytest.raises(ManifestError, match="or original, got 'full'"):
        read_manifest(manifest)
