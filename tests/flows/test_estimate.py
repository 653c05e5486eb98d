"""What `plan` says that a run will take."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch

import flows.trial
from flows.estimate import Range, estimate
from flows.job import prepare
from flows.progress import Control
from flows.reading import read_for_run
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo
from tests.flows.processes import finished, gramflow, wait_until


@pytest.fixture
def small(tmp_path: Path) -> JobFolder:
    """Four photos in two classes and three styles; no server."""
    return JobFolder.of_small_job(tmp_path)


def told(job: JobFolder) -> dict[str, Any]:
    status, output = finished("plan", job.manifest, "--json")
    assert status == 0, output
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def is_range(of: dict[str, float]) -> bool:
    return 0 < of["low"] < of["likely"] < of["high"]


def test_plan_tells_machines_of_counts_and_ranges(job: JobFolder) -> None:
    before = told(job)
    assert before["counts"] == {
        **{"new": 36, "done": 0, "failed": 0},
        **{"left_out": 0, "stale": 0, "orphan": 0},
    }
    assert (before["images"], before["rows"], before["pairs"]) == (36, 36, 8)
    assert before["copies"] == 0
    for name in ("seconds", "disk_bytes", "processor_hours"):
        assert is_range(before[name]), name
    assert before["gpu_hours"] == {"low": 0, "likely": 0, "high": 0}
    assert before["devices"] == ["cpu"]
    assert before["pairs_tried"] > 0
    assert not job.images(), "what is made on trial is thrown away"
    job.run(limit=18)
    half = told(job)
    assert half["images"] == 18
    assert half["pairs_on_record"] > 0
    job.run()
    nothing = told(job)
    assert nothing["counts"]["done"] == 36
    assert nothing["seconds"] == nothing["disk_bytes"] == {"low": 0, "likely": 0, "high": 0}
    assert nothing["pairs_tried"] == 0


def test_the_disk_is_what_the_run_writes(job: JobFolder) -> None:
    for index in range(20):
        photo(index, 48, 40).save(job.folder / "photos" / "cat" / f"more{index}.png")
    of_disk = told(job)["disk_bytes"]
    before = sum(file.stat().st_size for file in job.out.rglob("*") if file.is_file())
    job.run()
    after = sum(file.stat().st_size for file in job.out.rglob("*") if file.is_file())
    assert of_disk["low"] < after - before < of_disk["high"]


def test_pairs_on_record_tell_how_early_the_others_stop(job: JobFolder) -> None:
    # Flat after 30 iterations at the earliest, as all of these are.
    job.write(stylize=TINY | {"override": {"scales": [[1.0, 3000]], "least_fall": 0.999}})
    first = estimate(prepare(read_for_run(job.manifest)), Control())
    assert first.pairs_tried > 0
    assert first.seconds.high < 120, "not as long as 3000 iterations of 8 pairs would be"
    job.run(limit=20)
    second = estimate(prepare(read_for_run(job.manifest)), Control())
    assert second.pairs_on_record >= 2


def test_rows_of_an_older_version_tell_nothing(job: JobFolder) -> None:
    job.run(limit=20)
    read = read_for_run(job.manifest)
    assert estimate(prepare(read), Control()).pairs_on_record > 0
    columns = cycle(("pair_id", "stylize_parameters", "iterations"))
    for record in (job.out / ".gramflow" / "ledger").glob("*.jsonl"):
        header, *rows = map(json.loads, record.read_text().splitlines())
        for row in rows:
            del row[next(columns)]
        record.write_text("".join(json.dumps(line) + "\n" for line in (header, *rows)))
    assert estimate(prepare(read), Control()).pairs_on_record == 0


def test_pairs_that_take_too_long_for_a_trial_are_seen_in_part(
    small: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows.trial, "_END_WITHIN_S", 2.0)
    job = prepare(read_for_run(small.manifest))
    small.write(stylize=TINY | {"override": {"scales": [[1.0, 100_000]], "least_fall": 0}})
    long = prepare(read_for_run(small.manifest))
    seen = estimate(long, Control())
    assert seen.pairs_tried == 0
    assert seen.seconds.low > 20 * estimate(job, Control()).seconds.likely
    small.write(stylize=TINY | {"override": {"scales": [[1.0, 100_000]], "least_fall": 0.1}})
    unsure = estimate(prepare(read_for_run(small.manifest)), Control())
    assert unsure.seconds.low < 0.6 * unsure.seconds.likely, "they may stop long before"


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_of_the_trial(asked: signal.Signals, small: JobFolder) -> None:
    small.write(stylize=TINY | {"override": {"scales": [[1.0, 100_000]], "least_fall": 0}})
    temporary = small.folder / "tmp"
    temporary.mkdir()
    process = gramflow("plan", small.manifest, "--json", TMPDIR=str(temporary))
    # Photographs are done, and pairs are being optimised.
    wait_until(lambda: len(list(temporary.rglob("*.jsonl"))) >= 4, "the trial is underway")
    process.send_signal(asked)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + asked, output
    assert "error: interrupted; there is no estimate" in output
    assert not list(temporary.glob("gramflow-*"))


def test_several_gpus_share_the_work(small: JobFolder) -> None:
    small.write(stylize=TINY | {"override": {"scales": [[1.0, 200]]}})
    one = prepare(read_for_run(small.manifest))
    four = replace(one, devices=one.devices * 4)
    alone, shared = estimate(one, Control()).seconds, estimate(four, Control()).seconds
    around_s = 7.0
    assert shared.likely - around_s < 0.6 * (alone.likely - around_s)


def test_without_styles_there_is_no_optimising(small: JobFolder) -> None:
    small.write(styles=[])
    left = estimate(prepare(read_for_run(small.manifest)), Control())
    assert (left.images, left.pairs, left.pairs_tried) == (12, 0, 0)
    assert left.seconds.likely < 10
    assert left.disk_bytes.low > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_counted_in_hours(small: JobFolder) -> None:
    left = estimate(prepare(read_for_run(small.manifest)), Control())
    assert left.gpus == torch.cuda.device_count()
    assert left.gpu_hours.likely > 0
    assert left.processor_hours == Range(0, 0, 0)
