"""Lists of images: .csv and .jsonl with a path a line, and perhaps labels, split and group."""

from __future__ import annotations

import os
from functools import partial

from manifests import tables
from manifests.readers.columns import (
    ABOUT,
    categories_of,
    group_of,
    labels_of,
    read_categories,
    split_of,
)
from manifests.readers.findings import Findings, Found, Source, check_path, joined
from manifests.storage import beside


def read_list(source: Source, findings: Findings) -> None:
    """A list's images; paths are relative to the list, and may lead anywhere.

    Columns: `path` or `file_name`; `label`; `objects`; `mask_file_name`; `split`; `group_id`.

    Raises:
        ManifestError: for a file that is no such list.
    """
    folder = source.path.parent
    known = read_categories((folder / ABOUT, folder.parent / ABOUT))
    for line, row in tables.read_table(source.path):
        complain = partial(findings.complain, str(source.path), line)
        try:
            path = check_path(row.get("path", row.get("file_name")))
            file = beside(folder, path)
        except ValueError as error:
            complain("path", f"{error} (or file_name)")
            continue
        findings.images.append(
            Found(
                file=file,
                name=joined(os.path.dirname(source.written), path),
                inside=joined("", path),
                labels=labels_of(row, folder, known, complain),
                split=split_of(row, complain),
                group=group_of(row, complain),
            )
        )
    findings.categories += categories_of((one.labels for one in findings.images), known)
