"""The manifest of a folder that is stylized without one: each image in each style, once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from manifests.durable import check_stays_inside, write_whole
from manifests.errors import ManifestError, Problem
from manifests.listings import exists, is_folder
from manifests.reading import manifest_of
from manifests.storage import Place, local_folder

# Fields of the manifest -> what the user says; those of `stylize` are named alike.
_CONTENT = "content[0].path"
_NAMES = {"styles[0].path": "style", "output.path": "out"}


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

    def check(self, expect_images: bool = True) -> None:
        """Look for everything that a run would refuse; nothing is written.

        Args:
            expect_images: that the folder has some already.

        Raises:
            ValueError: folder or style is not there.
            ManifestError: with every other problem.
            LeadsOut: a link leads out of the output folder.
        """
        from flows.job import check_manifest

        self._check_is_there()
        check_stays_inside(self._file.parent, self.out)
        try:
            check_manifest(manifest_of(self._described(), self._file))
        except ManifestError as error:
            problems = error.problems
            if not expect_images:
                problems = tuple(one for one in problems if one.field != _CONTENT)
            if problems:
                raise ManifestError(problems) from None

    @contextmanager
    def said_as(self, form: str) -> Iterator[None]:
        """What is wrong with the manifest is told in the block as wrong with what the user said.

        Args:
            form: of a name, as "--{}" on the command line.
        """
        try:
            yield
        except ManifestError as error:
            problems = [self._as_said(problem, form) for problem in error.problems]
            raise ManifestError(problems) from None

    def _as_said(self, problem: Problem, form: str) -> Problem:
        if problem.file != str(self._file):
            return problem
        if problem.field == _CONTENT:
            return Problem(str(self.folder), None, "", problem.message)
        name = _NAMES.get(problem.field, problem.field.removeprefix("stylize."))
        message = problem.message.removeprefix(f"{name}: ")
        return Problem(form.format(name), None, "", message)

    @property
    def _file(self) -> Path:
        """Named after its content: a command that asks for something else writes another file."""
        name = f"folder-{sha256(self._text).hexdigest()[:12]}.yaml"
        return local_folder(self.out).absolute() / name

    def write_manifest(self) -> Path:
        """Write it beside what the output folder remembers.

        Raises:
            ValueError: folder or style is not there.
            LeadsOut: a link leads out of the output folder.
        """
        self._check_is_there()
        file = self._file
        check_stays_inside(file.parent, self.out)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, self._text, file.parent)
        return file

    def _check_is_there(self) -> None:
        if not is_folder(self.folder):
            raise ValueError(f"{self.folder}: is no folder; expected one of images")
        if not exists(self.style):
            raise ValueError(f"{self.style}: there is no such style image or folder")

    @property
    def _text(self) -> bytes:
        return yaml.safe_dump(self._described(), sort_keys=False, allow_unicode=True).encode()

    def _described(self) -> dict[str, Any]:
        weights = None if self.weights is None else str(self.weights.expanduser().absolute())
        settings: dict[str, Any] = {
            "encoder": self.encoder,
            "preset": self.preset,
            "strength": self.strength,
            **({"size": self.size} if self.size is not None else {}),
            **({"weights": weights} if weights is not None else {}),
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
