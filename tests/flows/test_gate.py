"""The gate of label fidelity in a run: scores in the metadata, and what fails it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.flows.conftest import JobFolder
from tests.flows.test_labelled_run import write, write_coco

CROP = {"crop": [{"Crop": {"x_min": 0, "y_min": 0, "x_max": 20, "y_max": 32}}]}
STRONG = {
    "encoder": "random",
    "size": 40,
    "override": {"scales": [[1.0, 25]], "learning_rate": 0.05, "content_weight": 0.1},
}


@pytest.fixture
def coco(job: JobFolder) -> JobFolder:
    """A job of two photos with objects, each stylized once."""
    write_coco(job.folder / "coco")
    return job


def run(job: JobFolder, strength: float = 1.0, **fidelity: Any) -> Any:
    write(
        job,
        stylize=STRONG | {"strength": strength},
        fidelity=fidelity,
        augment={"recipes": CROP, "include_original": False},
    )
    return job.run()


def rows(job: JobFolder, kind: str = "stylized") -> list[dict[str, Any]]:
    lines = (job.out / "train" / "metadata.jsonl").open()
    return [row for row in map(json.loads, lines) if row["kind"].startswith(kind)]


def lowest(row: dict[str, Any]) -> float:
    return min(row["fidelity"], *row["objects"]["fidelity"])


def test_every_image_has_a_score_and_one_for_each_object_it_has(coco: JobFolder) -> None:
    run(coco)
    for row in rows(coco):
        assert 0 < row["fidelity"] < 1
        assert len(row["objects"]["fidelity"]) == len(row["objects"]["bbox"])
    whole, cropped = rows(coco)[:2]
    assert (whole["kind"], cropped["kind"]) == ("stylized", "stylized_augmented")
    assert (len(whole["objects"]["fidelity"]), len(cropped["objects"]["fidelity"])) == (3, 1)
    assert cropped["objects"]["fidelity"] == whole["objects"]["fidelity"][:1]
    assert all(row["fidelity"] == 1 for row in rows(coco, "augmented"))


def test_flag_says_so_and_keeps_the_image(coco: JobFolder) -> None:
    summary = run(coco, min=0.99, action="flag")
    assert (summary.failed, summary.left_out) == (0, 0)
    assert len(rows(coco)) == 4
    for row in rows(coco):
        assert "is below 0.99" in row["notes"]
        if not row["recipe"]:
            assert f"fidelity {lowest(row):.3f} of " in row["notes"]


def test_drop_leaves_the_pair_out_and_the_next_run_has_nothing_to_do(coco: JobFolder) -> None:
    summary = run(coco, min=0.99, action="drop")
    assert (summary.left_out, summary.failed, summary.left) == (4, 0, 0)
    assert rows(coco) == []
    assert len(rows(coco, "augmented")) == 2
    lines = [json.loads(line) for line in (coco.out / "left_out.jsonl").open()]
    assert [line["content_path"] for line in lines] == [
        "coco/images/photo0.png",
        "coco/images/photo1.png",
    ]
    assert {line["images"] for line in lines} == {2}
    again = run(coco, min=0.99, action="drop")
    assert (again.made, again.left_out, again.left) == (0, 4, 0)


def test_retry_lowers_the_strength_until_the_pair_passes(coco: JobFolder) -> None:
    run(coco, strength=1.0)
    full = {row["content_path"]: lowest(row) for row in rows(coco) if not row["recipe"]}
    run(coco, strength=0.5)
    half = {row["content_path"]: lowest(row) for row in rows(coco) if not row["recipe"]}
    enough = (max(full.values()) + min(half.values())) / 2
    assert max(full.values()) < enough < min(half.values())
    summary = run(coco, strength=1.0, min=enough, action="retry")
    assert (summary.left_out, summary.failed) == (0, 0)
    for row in rows(coco):
        assert row["strength"] in (0.75, 0.5)
        assert "so strength lowered to 0." in row["notes"]
        if not row["recipe"]:
            assert lowest(row) >= enough


def test_retry_leaves_out_what_passes_with_no_strength(coco: JobFolder) -> None:
    summary = run(coco, min=1.0, action="retry")
    assert (summary.left_out, summary.left) == (4, 0)


def test_another_minimum_makes_its_pairs_again_and_nothing_else(coco: JobFolder) -> None:
    run(coco, min=0.99, action="drop")
    assert run(coco, min=0.01, action="drop").made == 4
