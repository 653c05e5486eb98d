"""What belongs together stays in one split."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from manifests.errors import ManifestError
from manifests.lineage import LineageError, Relative, check_lineage
from tests.manifests.conftest import MakePlan


def test_one_source_or_group_in_two_splits_is_named_once() -> None:
    images = {
        "train": [Relative("s1", "g1", "a"), Relative("s1", "g1", "b"), Relative("", "", "f")],
        "val": [Relative("s1", "g2", "c"), Relative("", "", "e")],
        "test": [Relative("s2", "g1", "d")],
    }
    with pytest.raises(LineageError) as caught:
        check_lineage(images, images.__getitem__)
    groups, sources = str(caught.value).splitlines()
    assert groups.startswith("1 groups are in more than one split")
    assert "g1 (test, train)" in groups
    assert "s1 (train: a, val: c)" in sources


def test_a_photograph_that_lies_in_two_splits_stops_the_plan(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    (tmp_path / "held").mkdir()
    source = sorted((tmp_path / "photos").rglob("*.png"))[0]
    shutil.copy(source, tmp_path / "held" / "other_name.png")
    with pytest.raises(ManifestError, match=r"1 content images are .*val: held/other_name\.png"):
        make_plan(content=[{"path": "photos"}, {"path": "held", "split": "val"}])


def test_groups_come_from_a_pattern_and_stop_the_plan_where_they_cross(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
    photos = sorted((tmp_path / "photos").rglob("*.png"))
    shutil.copy(photos[0], tmp_path / "train" / "drive7_frame1.png")
    shutil.copy(photos[1], tmp_path / "val" / "drive7_frame2.png")

    def content(pattern: str) -> list[dict[str, str]]:
        return [{"path": s, "split": s, "group": pattern} for s in ("train", "val")]

    with pytest.raises(ManifestError, match=r"1 groups are in more .* drive7 \(train, val\)"):
        make_plan(content=content(r"(drive\d+)_"))
    plan = make_plan(content=content(r"frame\d+"))
    assert [image.group for image in plan.content] == ["frame1", "frame2"]


def test_a_pattern_that_is_none_is_refused(make_plan: MakePlan) -> None:
    with pytest.raises(ManifestError, match=r"content\[0\]\.group: expected a regular expression"):
        make_plan(content=[{"path": "photos", "group": "(drive"}])
