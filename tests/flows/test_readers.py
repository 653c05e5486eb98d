"""The dataset read by the programs that users have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.flows.conftest import TINY, JobFolder


def _labels_agree(out: Path, cache: Path, expected: dict[str, int]) -> None:
    from datasets import load_dataset
    from torchvision.datasets import ImageFolder

    loaded = load_dataset("imagefolder", data_dir=str(out), cache_dir=str(cache))
    assert Counter(loaded["train"]["label"]) == expected
    first = loaded["train"][0]
    assert first["image"].size == (first["width"], first["height"])
    folder = ImageFolder(str(out / "train"))
    assert Counter(folder.classes[target] for target in folder.targets) == expected


def test_datasets_and_torchvision_read_the_dataset(job: JobFolder, tmp_path: Path) -> None:
    job.run()
    _labels_agree(job.out, tmp_path / "cache", {"cat": 18, "dog": 18})


def test_held_out_splits_are_splits_for_datasets(job: JobFolder, tmp_path: Path) -> None:
    from datasets import load_dataset

    content = [{"path": "photos/cat"}, {"path": "photos/dog", "split": "test"}]
    job.write(content=content)
    job.run()
    loaded = load_dataset("imagefolder", data_dir=str(job.out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 18, "test": 2}


@pytest.mark.timeout(600)
def test_the_class_folders_of_real_photographs(
    job: JobFolder, shared: Path, tmp_path: Path
) -> None:
    job.write(
        content=[{"path": str(shared / "data" / "classes")}],
        styles=[{"path": str(shared / "data" / "styles" / "*.jpg")}],
        stylize=TINY,
    )
    assert job.run().failed == 0
    names = ("bird", "cat", "dog", "fruit", "vehicle")
    _labels_agree(job.out, tmp_path / "cache", dict.fromkeys(names, 8 * 9))
