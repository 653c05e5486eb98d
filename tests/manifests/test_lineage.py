"""What belongs together stays in one split."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from manifests.errors import ManifestError
from manifests.lineage import Member, crossings
from tests.manifests.conftest import MakePlan


def test_one_source_or_group_in_two_splits_is_named_once() -> None:
    members = [
        Member("a", "train", "s1", "g1"),
        Member("b", "train", "s1", "g1"),
        Member("c", "val", "s1", "g2"),
        Member("d", "test", "s1", "g1"),
        Member("e", "val", "", ""),
        Member("f", "train", "", ""),
    ]
    assert list(crossings(members)) == [
        "a in split train and c in split val are the same image; expected it in one split",
        "group g1 is in split train (a) and in split test (d); expected it in one split",
    ]


def test_a_photograph_that_lies_in_two_splits_stops_the_plan(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    (tmp_path / "held").mkdir()
    source = sorted((tmp_path / "photos").rglob("*.png"))[0]
    shutil.copy(source, tmp_path / "held" / "other_name.png")
    with pytest.raises(ManifestError, match=r"and held/other_name\.png in split val are the same"):
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

    with pytest.raises(ManifestError, match=r"group drive7 is in split train \(train/drive7"):
        make_plan(content=content(r"(drive\d+)_"))
    plan = make_plan(content=content(r"frame\d+"))
    assert [image.group for image in plan.content] == ["frame1", "frame2"]


def test_a_pattern_that_is_none_is_refused(make_plan: MakePlan) -> None:
    with pytest.raises(ManifestError, match=r"content\[0\]\.group: expected a regular expression"):
        make_plan(content=[{"path": "photos", "group": "(drive"}])
