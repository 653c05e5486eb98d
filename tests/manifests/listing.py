"""What a manifest's content comes to: its images and labels, or its problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.errors import ManifestError
from manifests.reading import read_manifest
from manifests.sources import ContentImage, ListedContent, list_content
from tests.flows.pictures import photo


def listed(folder: Path, *entries: dict[str, Any]) -> ListedContent:
    """The content of a manifest in `folder` with these entries."""
    described = {"version": 1, "name": "x", "content": list(entries), "output": {"path": "o"}}
    (folder / "job.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    return list_content(read_manifest(folder / "job.yaml"))


def only_image(folder: Path, *entries: dict[str, Any]) -> ContentImage:
    (image,) = listed(folder, *entries).images
    return image


def problems(folder: Path, *entries: dict[str, Any]) -> list[str]:
    """What is wrong with such a manifest; paths are relative to the folder."""
    with pytest.raises(ManifestError) as caught:
        listed(folder, *entries)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def add_photos(folder: Path, *names: str) -> None:
    """Photographs of 48 x 40 px."""
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        photo(index).save(folder / name)
