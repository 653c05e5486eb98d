"""WebDataset: samples in tar shards, read without unpacking.

Format: https://github.com/webdataset/webdataset. The files of a sample have one key, their path
up to the first dot of the name: `000.jpg`, `000.cls` (class), `000.json` (labels as a row of
metadata has them) and `000.mask.png` (semantic mask). Other files are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from manifests.ahead import read_ahead
from manifests.errors import ManifestError
from manifests.images import SUFFIXES
from manifests.labels import Category, Labels
from manifests.members import Shard, UnusableShard, member_path, read_shard
from manifests.readers.columns import (
    ABOUT,
    ABOUT_SHARDS,
    MASK_COLUMNS,
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
    inside_folder,
    joined,
    split_of_folder,
)
from manifests.readers.shard_names import shards_of, shards_root
from manifests.readers.texts import parse_json, read_text
from manifests.storage import Place, is_in_store, place, relative


@dataclass(frozen=True)
class _Sample:
    """Attributes:
    files: suffix, in small letters and without dot, -> path of the member.
    """

    tar: str
    key: str
    files: Mapping[str, str]

    @property
    def images(self) -> list[str]:
        return [file for suffix, file in self.files.items() if f".{suffix}" in SUFFIXES]


def read_shards(source: Source, findings: Findings) -> None:
    """The samples of a shard, of a folder of shards or of a pattern (`s-{000000..000011}.tar`)."""
    root = place(shards_root(str(source.path)))
    known = read_categories((root / ABOUT, root / ABOUT_SHARDS, root.parent / ABOUT))
    try:
        shards = shards_of(source.path)
    except ValueError as error:
        findings.problems.append(source.problem(str(error)))
        return
    for tar in shards:
        try:
            shard = read_shard(tar)
        except UnusableShard as error:
            findings.complain(tar, None, "", str(error))
        except OSError as error:
            findings.complain(tar, None, "", error.strerror or "cannot be read")
        else:
            samples = [*_with_an_image(_samples(tar, shard, findings), findings)]
            rows = read_ahead(_row, samples, in_store=is_in_store(root))
            for sample, row in zip(samples, rows):
                _add_sample(source, root, sample, row, known, findings)
    findings.categories += categories_of((one.labels for one in findings.images), known)


def _samples(tar: str, shard: Shard, findings: Findings) -> list[_Sample]:
    for name in shard.repeated:
        findings.complain(tar, None, name, "is in the shard more than once")
    samples: dict[str, dict[str, str]] = {}
    for member in shard.places:
        try:
            inside_folder(Path(tar), member)
        except ValueError as error:
            findings.complain(tar, None, "", str(error))
            continue
        folder, name = os.path.split(member)
        first, _, suffix = name.partition(".")
        if first and suffix:
            files = samples.setdefault(os.path.join(folder, first), {})
            files[suffix.lower()] = member_path(tar, member)
    return [_Sample(tar, key, files) for key, files in samples.items()]


def _with_an_image(samples: Sequence[_Sample], findings: Findings) -> Iterator[_Sample]:
    for sample in samples:
        labelled = sample.files.keys() & {"json", "cls"}
        count = len(sample.images)
        if count == 1:
            yield sample
        elif count or labelled:
            findings.complain(sample.tar, None, sample.key, f"expected one image, got {count}")


def _add_sample(
    source: Source,
    root: Place,
    sample: _Sample,
    row: dict[str, Any] | ManifestError,
    known: Sequence[Category],
    findings: Findings,
) -> None:
    complain = partial(findings.complain, sample.files.get("json", sample.tar), None)
    if isinstance(row, ManifestError):
        findings.problems += row.problems
        return
    of_folder = split_of_folder(os.path.basename(os.path.dirname(sample.tar)))
    split = split_of(row, complain) or of_folder
    if source.split and split and split != source.split:
        return
    inside = relative(sample.images[0], root)
    findings.images.append(
        Found(
            file=sample.images[0],
            name=joined(shards_root(source.written), inside),
            inside=joined("", inside),
            labels=_labels(sample, row, known, complain),
            split=split,
            group=group_of(row, complain),
        )
    )


def _row(sample: _Sample) -> dict[str, Any] | ManifestError:
    """The labels of a sample as a row of metadata, or why a member is not what its suffix says."""
    try:
        return _row_of_members(sample)
    except ManifestError as error:
        return error


def _row_of_members(sample: _Sample) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if file := sample.files.get("json"):
        value = parse_json(read_text(file), file)
        # Others keep lists and numbers there, which say nothing of the image to us.
        row = value if isinstance(value, dict) else {}
    if not row.get("label") and "cls" in sample.files:
        row = row | {"label": read_text(sample.files["cls"]).strip()}
    return row


def _labels(
    sample: _Sample, row: Mapping[str, Any], known: Sequence[Category], complain: Complain
) -> Labels:
    # The row's mask is that of the folder that it comes from; here it is a member.
    without_mask = {key: value for key, value in row.items() if key not in MASK_COLUMNS}
    labels = labels_of(without_mask, Path(), known, complain)
    return replace(labels, semantic_mask=sample.files.get("mask.png", ""))
