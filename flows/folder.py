"""The manifest of a folder that is stylized without one: each image in each style, once."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from manifests.durable import check_stays_inside, write_whole
from manifests.listings import exists, is_folder
from manifests.storage import Place, local_folder


@dataclass(frozen=True)
class FolderJob:
    """What a user says of a folder; see the flow `reprocess_folder`."""

    folder: Place
    style: Place
    out: Place
    preset: str = "fast"
    size: int | None = None
    strength: float = 1.0
    encoder: str = "compact"
    weights: Path | None = None

    def write_manifest(self) -> Path:
        """Write it beside what the output folder remembers; the next run of the folder replaces it.

        Raises:
            ValueError: folder or style is not there.
            LeadsOut: a link leads out of the output folder.
        """
        if not is_folder(self.folder):
            raise ValueError(f"{self.folder}: is no folder")
        if not exists(self.style):
            raise ValueError(f"{self.style}: there is no such style image or folder")
        file = local_folder(self.out).absolute() / "folder.yaml"
        check_stays_inside(file.parent, self.out)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(self._described(), sort_keys=False, allow_unicode=True)
        write_whole(file, text.encode(), file.parent)
        return file

    def _described(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "encoder": self.encoder,
            "preset": self.preset,
            "strength": self.strength,
            **({"size": self.size} if self.size is not None else {}),
            **({"weights": str(self.weights.absolute())} if self.weights is not None else {}),
        }
        return {
            "version": 1,
            "name": _plain(self.folder.name),
            "content": [{"path": str(self.folder.absolute())}],
            "styles": [{"path": str(self.style.absolute())}],
            "pairing": {"strategy": "all"},
            "stylize": settings,
            "augment": {"include_original": False},
            "output": {"path": str(self.out.absolute())},
        }


def _plain(name: str) -> str:
    """A folder's name as that of a manifest, of which every character is allowed: ete for été."""
    decomposed = unicodedata.normalize("NFKD", name)
    without_accents = "".join(one for one in decomposed if not unicodedata.combining(one))
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", without_accents).strip("-._") or "folder"
