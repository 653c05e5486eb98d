"""Lists of images: .csv and .jsonl with a path, and perhaps label, split and group, a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from manifests import tables
from manifests.errors import Problem
from manifests.labels import Labels, check_class_name
from manifests.readers.findings import Findings, Found, Source, joined, normal
from manifests.schema import check_plain_name


def read_list(source: Source, findings: Findings) -> None:
    """A list's images; paths are relative to the list.

    Columns: `path` or `file_name`; `label`; `split`; `group_id`.

    Raises:
        ManifestError: for a file that is no such list.
    """
    for line, row in tables.read_table(source.path):
        path = row.get("path", row.get("file_name"))
        if path is None:
            problem = Problem(str(source.path), line, "path", "is required (or file_name)")
            findings.problems.append(problem)
            continue
        try:
            findings.images.append(_found(source, str(path), row))
        except ValueError as error:
            findings.problems.append(Problem(str(source.path), line, "label or split", str(error)))


def _found(source: Source, path: str, row: dict[str, Any]) -> Found:
    label = row.get("label")
    return Found(
        file=normal(source.path.parent / Path(path)),
        name=joined(os.path.dirname(source.written), path),
        inside=joined("", path),
        labels=Labels(None if label is None else check_class_name(str(label))),
        split=check_plain_name(str(row["split"])) if "split" in row else "",
        group=str(row.get("group_id", "")),
    )
