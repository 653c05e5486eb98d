"""The loss curve of one pair a chunk: in the ledger, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from flows.loss_curves import LossCurve, Point, loss_curve_column, thinned
from nst_core import Progress
from tests.flows.conftest import TINY, JobFolder

TERMS = ("content", "style", "total_variation")


def records(job: JobFolder) -> list[list[dict[str, Any]]]:
    """The rows of each record of the ledger."""
    files = sorted((job.out / ".gramflow" / "ledger").glob("*.jsonl"))
    return [[json.loads(line) for line in file.open()][1:] for file in files]


def test_the_first_row_of_each_chunk_of_pairs_has_the_curve_of_its_pair(job: JobFolder) -> None:
    job.write(stylize=TINY | {"override": {"scales": [[0.5, 30], [1.0, 70]], "least_fall": 0}})
    job.run()
    with_pairs = [rows for rows in records(job) if any(row["style_path"] for row in rows)]
    assert with_pairs
    assert len(with_pairs) < len(records(job))
    for rows in records(job):
        has_curve = ["loss_curve" in row for row in rows]
        assert has_curve == [rows in with_pairs] + [False] * (len(rows) - 1)
    for first, *_ in with_pairs:
        curve = first["loss_curve"]
        assert list(curve) == ["iteration", "total", *TERMS]
        assert {len(values) for values in curve.values()} == {40}
        assert (curve["iteration"][0], curve["iteration"][-1]) == (1, 100)
        for *terms, total in zip(*(curve[name] for name in (*TERMS, "total"))):
            assert sum(terms) == pytest.approx(total, rel=2e-3)
        assert curve["total"][-1] < curve["total"][0]


def test_no_index_has_the_curve(job: JobFolder) -> None:
    job.write(output={"path": "out", "format": ["imagefolder", "coco", "webdataset"]})
    job.run()
    assert any("loss_curve" in row for rows in records(job) for row in rows)
    indexes = [
        *job.out.rglob("metadata*"),
        *job.out.glob("annotations/*"),
        job.out / "dataset.json",
    ]
    indexes += [job.out / "croissant.json", *job.folder.glob("out.webdataset/*.tar")]
    for index in indexes:
        assert b"loss_curve" not in index.read_bytes(), index


def test_a_ledger_without_curves_goes_on(job: JobFolder) -> None:
    job.run(limit=20)
    for file in (job.out / ".gramflow" / "ledger").glob("*.jsonl"):
        lines = [json.loads(line) for line in file.open()]
        for line in lines:
            line.pop("loss_curve", None)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = job.run()
    assert (summary.failed, len(job.images())) == (0, 36)


def heard(pair: int, iterations: Iterable[int], of: int = 100) -> list[Progress]:
    def look(pair: int) -> Tensor:
        raise AssertionError("a curve needs no image")

    return [
        Progress((pair,), (n,), of, 12, 8, (6.0 * n,), (1.0 * n,), (2.0 * n,), (3.0 * n,), look)
        for n in iterations
    ]


@pytest.mark.parametrize("again_from", [1, 5, 9])
def test_what_the_first_pair_did_before_it_began_again_is_forgotten(again_from: int) -> None:
    curve = LossCurve()
    for one in [*heard(0, range(1, 10)), *heard(3, range(1, 50)), *heard(0, range(again_from, 12))]:
        curve.hear(one)
    assert [point.iteration for point in curve.points] == list(range(1, 12))
    assert curve.points[-1] == Point(11, 11.0, 22.0, 33.0, 66.0, 12)


def test_the_first_pair_is_heard_among_others() -> None:
    def look(pair: int) -> Tensor:
        raise AssertionError("a curve needs no image")

    each = (3.0, 30.0), (1.0, 10.0), (1.0, 10.0), (1.0, 10.0)
    curve = LossCurve()
    curve.hear(Progress((5, 0), (9, 2), 100, 12, 8, *each, look))
    assert curve.points == (Point(2, 10.0, 10.0, 10.0, 30.0, 12),)


@given(st.integers(0, 3000), st.integers(2, 60))
def test_thinned_points_are_spread_evenly_from_first_to_last(length: int, most: int) -> None:
    points = [Point(iteration, 0, 0, 0, 0, 8) for iteration in range(length)]
    kept = [point.iteration for point in thinned(points, most)]
    assert len(kept) == min(length, most)
    assert kept[:1] + kept[-1:] == [0, length - 1][: 2 if length else 0]
    gaps = {after - before for before, after in pairwise(kept)}
    assert all(gap > 0 for gap in gaps)
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_the_column_has_four_significant_digits() -> None:
    column = loss_curve_column([Point(12345, 0.123456, 12345.6, 0.0, 1e-7 / 3, 8)])
    assert column == {
        "iteration": [12345],
        "content": [0.1235],
        "style": [12350.0],
        "total_variation": [0.0],
        "total": [3.333e-08],
    }
