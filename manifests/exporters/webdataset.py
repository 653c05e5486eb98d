"""WebDataset: OUT.webdataset/<split>-000000.tar, …

Format: https://github.com/webdataset/webdataset. A sample is an image (.jpg, .png or .webp), its
row of metadata (.json), the number of its class where it has one (.cls), and its semantic mask
where it has one (.mask.png). Shards are numbered without a gap, as {000000..000009} names them;
info.json says which there are, and names classes and categories by number. Beside each shard is
a file of what it holds. The bytes depend on the dataset alone.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from manifests.ahead import read_ahead
from manifests.exporters.finished import FinishedDataset, Row, objects_column_of, read_of_row
from manifests.exporters.folder import ExportFolder, export_folder
from manifests.exporters.written import Written
from manifests.names import extension_of, stem_of
from manifests.storage import is_in_store

IMAGES_A_SHARD = 10_000
BYTES_A_SHARD = 1_000_000_000

_TAR_BLOCK = 512


@dataclass(frozen=True)
class _Sample:
    """Attributes:
    files: extension -> bytes, the image first.
    """

    key: str
    row: Row
    files: dict[str, bytes]

    @property
    def tar_bytes(self) -> int:
        """What it takes of a tar: a header and whole blocks for each file."""
        return sum(_TAR_BLOCK * (1 - -len(data) // _TAR_BLOCK) for data in self.files.values())


@dataclass
class _Shard:
    """What one shard holds."""

    images: int = 0
    bytes: int = 0
    objects: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def count(self, sample: _Sample) -> None:
        self.images += 1
        self.bytes += sample.tar_bytes
        self.objects += len(objects_column_of(sample.row)["bbox"])
        self.kinds[sample.row.get("kind", "")] += 1
        if label := sample.row.get("label"):
            self.classes[label] += 1


def write_webdataset(
    dataset: FinishedDataset,
    images_a_shard: int = IMAGES_A_SHARD,
    bytes_a_shard: int = BYTES_A_SHARD,
) -> Written:
    """Write shards of at most so many images and bytes; a larger image has one to itself."""
    with export_folder(dataset, "webdataset") as folder:
        shards = {}
        for split in dataset.splits:
            last = -1
            numbered = _numbered(_samples(dataset, split), images_a_shard, bytes_a_shard)
            for last, samples in groupby(numbered, itemgetter(0)):
                _write_shard(folder, f"{split}-{last:06d}", (sample for _, sample in samples))
            if last >= 0:
                shards[split] = f"{split}-{{000000..{last:06d}}}.tar"
        info = {
            "name": dataset.name,
            "shards": shards,
            "classes": dataset.classes,
            "categories": [asdict(one) for one in dataset.categories],
        }
        folder.write("info.json", _json(info))
    return folder.written


def _samples(dataset: FinishedDataset, split: str) -> Iterator[_Sample]:
    class_number = {name: number for number, name in enumerate(dataset.classes)}

    def sample(row: Row) -> _Sample:
        image = dataset.image(split, row)
        files = {extension_of(row["file_name"]): read_of_row(image), "json": _json(row)}
        if label := row.get("label"):
            files["cls"] = str(class_number[label]).encode()
        if mask := dataset.mask(split, row):
            files["mask.png"] = read_of_row(mask)
        return _Sample(stem_of(row["file_name"]), row, files)

    yield from read_ahead(sample, dataset.rows(split), in_store=is_in_store(dataset.out))


def _numbered(
    samples: Iterator[_Sample], images_a_shard: int, bytes_a_shard: int
) -> Iterator[tuple[int, _Sample]]:
    """Each sample with the number of its shard."""
    number = images = size = 0
    for sample in samples:
        full = images == images_a_shard or size + sample.tar_bytes > bytes_a_shard
        if images and full:
            number, images, size = number + 1, 0, 0
        images += 1
        size += sample.tar_bytes
        yield number, sample


def _write_shard(folder: ExportFolder, name: str, samples: Iterator[_Sample]) -> None:
    shard = _Shard()
    with (
        folder.open(f"{name}.tar") as growing,
        tarfile.open(fileobj=growing, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for sample in samples:
            for extension, data in sample.files.items():
                # A TarInfo of its own has no time, no owner: the same bytes on every machine.
                member = tarfile.TarInfo(f"{sample.key}.{extension}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            shard.count(sample)
    folder.write(f"{name}.stats.json", _json(vars(shard)))
    folder.written.images += shard.images
    folder.written.objects += shard.objects


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
