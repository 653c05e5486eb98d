"""Hugging Face's imagefolder: metadata.jsonl, .csv or .parquet with `file_name` and labels.

Format: https://huggingface.co/docs/datasets/image_dataset. Gramflow's own output is one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any

from manifests import tables
from manifests.labels import Category
from manifests.listings import folders_in, is_file
from manifests.readers.columns import (
    ABOUT,
    Complain,
    categories_of,
    group_of,
    labels_of,
    read_categories,
    split_of,
)
from manifests.readers.findings import (
    Findings,
    Found,
    Source,
    image_inside,
    joined,
    split_of_folder,
)
from manifests.storage import Place, normal, relative

# Where a folder has several, they say the same; JSON Lines say it with their lines.
_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


def read_imagefolder(source: Source, findings: Findings) -> None:
    """The images that metadata name; images without a row are no part of the dataset.

    Metadata lie in the folder, in its folders (`train`, `test`), or both, and `file_name` is
    relative to them. The split is column `split`, else what the name says of a folder with metadata
    of its own.

    Raises:
        ManifestError: for metadata that are no table.
    """
    files = metadata_files(source.path)
    if not files:
        expected = f"expected {', '.join(_METADATA)} in {source.path} or in its folders"
        findings.problems.append(source.problem(expected))
    known = read_categories((source.path / ABOUT, source.path.parent / ABOUT))
    inner = frozenset(file.parent.name for file in files if file.parent != source.path)
    for file in files:
        _read_metadata(source, file, inner, known, findings)
    findings.categories += categories_of((one.labels for one in findings.images), known)


def metadata_files(folder: Place) -> list[Place]:
    """The metadata of an imagefolder: its own and those of its folders."""
    inner = [folder / name for name in folders_in(folder) if not name.startswith(".")]
    return [*_first_metadata([folder, *inner])]


def _first_metadata(folders: Sequence[Place]) -> Iterator[Place]:
    for folder in folders:
        of_folder = [folder / name for name in _METADATA if is_file(folder / name)]
        yield from of_folder[:1]


def _read_metadata(
    source: Source,
    file: Place,
    inner: Collection[str],
    known: Sequence[Category],
    findings: Findings,
) -> None:
    lines: dict[str, int] = {}
    for line, row in tables.read_table(file):
        complain = partial(findings.complain, str(file), line)
        folder = file.parent.name
        if file.parent == source.path:
            folder = os.path.normpath(str(row.get("file_name"))).partition("/")[0]
        split = split_of(row, complain) or (split_of_folder(folder) if folder in inner else "")
        if source.split and split and split != source.split:
            continue
        found = _found(source, file.parent, row, split, known, complain)
        if found is None:
            continue
        if found.file in lines:
            complain("file_name", f"is that of line {lines[found.file]}, too")
        else:
            lines[found.file] = line
            findings.images.append(found)


def _found(
    source: Source,
    folder: Place,
    row: dict[str, Any],
    split: str,
    known: Sequence[Category],
    complain: Complain,
) -> Found | None:
    try:
        file = normal(image_inside(folder, row.get("file_name")))
    except ValueError as error:
        hint = "; for class folders beside other metadata, name `format: folder`"
        complain("file_name", str(error) + (hint if "file_name" not in row else ""))
        return None
    inside = relative(file, source.path)
    return Found(
        file=file,
        name=joined(source.written, inside),
        inside=joined("", inside),
        labels=labels_of(row, folder, known, complain),
        split=split,
        group=group_of(row, complain),
    )
