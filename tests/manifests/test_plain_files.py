"""A pipe or a device where a file should be is refused: reading it would take for ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests.errors import ManifestError
from manifests.exporters.finished import read_finished
from manifests.in_use import in_use
from manifests.ledger import Ledger
from manifests.reading import read_manifest
from manifests.stores import opened, read_bytes, read_first_line

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes of that kind")


def locked(folder: Path) -> None:
    with in_use(folder):
        pass


READ: dict[str, tuple[str, Callable[[Path], object]]] = {
    "bytes": ("x", lambda folder: read_bytes(folder / "x")),
    "lines": ("x", lambda folder: opened(folder / "x")),
    "first line": ("x", lambda folder: read_first_line(folder / "x", 100)),
    "dataset": ("dataset.json", read_finished),
    "ledger": (".gramflow/ledger/1.jsonl", lambda folder: Ledger(folder).ids()),
    "lock": (".gramflow/lock", locked),
    "manifest": ("job.yaml", lambda folder: read_manifest(folder / "job.yaml")),
}


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", READ)
def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path, name: str, kind: str) -> None:
    inside, read = READ[name]
    file = tmp_path / inside
    file.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    with pytest.raises((OSError, ManifestError)) as caught:
        read(tmp_path)
    if (name, kind) != ("lock", "device"):  # links are not followed there
        assert "is a pipe or a device, not a file" in str(caught.value)
        assert str(file) in str(caught.value)
