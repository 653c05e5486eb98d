"""The small job in a store, and what a test asks of what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from flows.cli import app
from tests.flows.conftest import JobFolder
from tests.stores import Folder

IMAGES = 36


@dataclass(frozen=True)
class Stored:
    """The small job in a store, and the same job made on a disk."""

    job: JobFolder
    folder: Folder

    @property
    def out(self) -> str:
        return self.folder.file("out")

    def write(self, **changes: Any) -> None:
        paths: dict[str, Any] = {
            "content": [{"path": self.folder.file("photos")}],
            "styles": [{"path": self.folder.file("styles")}],
            "output": {"path": self.out},
        }
        self.job.write(**(paths | changes))

    def images(self) -> dict[str, bytes]:
        files = self.folder.files("out")
        return {name: data for name, data in files.items() if name.endswith(".jpg")}

    def images_there(self) -> int:
        return sum(name.endswith(".jpg") for name in self.folder.names("out/train"))

    def rows(self) -> list[dict[str, Any]]:
        """Of the index; where content and styles lie is left out of their paths."""
        return _rows(self.folder.read("out/train/metadata.jsonl"), self.folder.url + "/")

    def check(self, made_on_disk: Path) -> None:
        """It is whole, and that which was made on the disk."""
        images, rows = self.images(), self.rows()
        assert sorted(f"train/{row['file_name']}" for row in rows) == sorted(images)
        assert images == {
            str(file.relative_to(made_on_disk)): file.read_bytes()
            for file in made_on_disk.glob("train/*/*.jpg")
        }
        assert rows == _rows((made_on_disk / "train" / "metadata.jsonl").read_bytes(), "")
        assert json.loads(self.folder.read("out/dataset.json"))["images"] == IMAGES


def said(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and output of `gramflow ARGUMENTS`, in this process."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


def _rows(lines: bytes, root: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.decode().replace(root, "").splitlines()]


def stored_in(folder: Folder, on_disk: JobFolder, tmp_path: Path) -> Stored:
    """The small job with its photographs and styles in a store."""
    for name in ("photos", "styles"):
        folder.put(on_disk.folder / name, name)
    stored = Stored(JobFolder(tmp_path), folder)
    stored.write()
    return stored
