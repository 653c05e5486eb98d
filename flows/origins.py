"""What a finished dataset was made from, as its dataset.json says."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from manifests.errors import ManifestError, Problem
from manifests.exporters.finished import FinishedDataset
from manifests.reading import ReadManifest
from manifests.schema import Manifest
from manifests.storage import is_in_store


def manifest_of(dataset: FinishedDataset) -> ReadManifest:
    """The manifest that a finished dataset was made by, as its dataset.json has it.

    Raises:
        ManifestError: for a dataset.json of an older version.
    """
    about = dataset.out / "dataset.json"
    try:
        where, manifest = dataset.about["manifest_file"], dataset.about["manifest"]
        checked = Manifest.model_validate(manifest)
    except (KeyError, ValidationError):
        expected = "does not say what it was made from; `gramflow run` writes it again"
        raise ManifestError([Problem(str(about), None, "", expected)]) from None
    # Of a dataset in a store the path is a whole one.
    file = where if is_in_store(dataset.out) else os.path.join(dataset.out, where)
    return ReadManifest(checked, Path(os.path.normpath(file)), {})
