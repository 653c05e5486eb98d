"""A Prefect server for all tests of the session, and jobs small enough for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flows.pictures import photo, write_classes

TINY = {"encoder": "random", "size": 48, "override": {"scales": [[1.0, 2]]}}


@pytest.fixture(scope="session")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server; what runs in this process and in child processes uses it."""
    from flows.server import prefect_server

    with prefect_server(tmp_path_factory.mktemp("prefect")) as url:
        yield url


@dataclass(frozen=True)
class JobFolder:
    """A folder with photos, styles and a manifest that a test can change."""

    folder: Path

    @staticmethod
    def of_small_job(folder: Path) -> JobFolder:
        """Four photos in two classes and three styles; 36 images."""
        write_classes(folder / "photos", count=4)
        (folder / "styles").mkdir()
        for index in range(3):
            photo(100 + index, 40, 52).save(folder / "styles" / f"style{index}.png")
        job = JobFolder(folder)
        job.write()
        return job

    @property
    def manifest(self) -> Path:
        return self.folder / "job.yaml"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self, **changes: Any) -> None:
        """Write the manifest: the small job below with some of its fields replaced."""
        described: dict[str, Any] = {
            "version": 1,
            "name": "small",
            "seed": 7,
            "content": [{"path": "photos"}],
            "styles": [{"path": "styles"}],
            "pairing": {"strategy": "random", "styles_per_content": 2},
            "stylize": TINY,
            "augment": {
                "recipes": {
                    "turn": [{"Rotate": {"limit": 15, "p": 1.0}}],
                    "light": [{"RandomBrightnessContrast": {"p": 1.0}}],
                },
                "variants": {"original": 1, "stylized": 1},
            },
            "output": {"path": "out"},
        }
        self.manifest.write_text(yaml.safe_dump(described | changes, sort_keys=False))

    def run(self, **arguments: Any) -> Any:
        """Run the flow in this process; returns its Summary."""
        # Imported late: prefect reads the server's address when it is imported.
        from flows.dataset import stylize_dataset

        return stylize_dataset(self.manifest, **arguments)

    def images(self, out: Path | None = None) -> dict[str, bytes]:
        """Path below the output folder -> bytes, of every image file of the dataset."""
        folder = out or self.out
        return {
            str(file.relative_to(folder)): file.read_bytes()
            for file in sorted(folder.glob("[!.]*/**/*.jpg"))
        }


@pytest.fixture
def job(tmp_path: Path, api_url: str) -> JobFolder:
    """Four photos in two classes and three styles; 36 images."""
    return JobFolder.of_small_job(tmp_path)


@pytest.fixture(scope="module")
def on_disk(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> JobFolder:
    """The small job, made on a disk."""
    job = JobFolder.of_small_job(tmp_path_factory.mktemp("on_disk"))
    assert job.run().made == 36
    return job
