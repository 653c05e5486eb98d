"""Whether a finished dataset is whole: every row its file, every file its row, labels inside."""

from __future__ import annotations

import errno
import hashlib
import json
import posixpath
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from manifests.ahead import THREADS
from manifests.comparison import FilesOnDisk
from manifests.durable import LeadsOut, check_stays_inside, move
from manifests.exporters.coco import coco_files, missing_coco_files
from manifests.exporters.finished import FinishedDataset, Row, objects_column_of
from manifests.exporters.folder import BESIDE, EXPORT, has_export_beside, is_whole, path_beside
from manifests.exporters.formats import formats_there
from manifests.exporters.parquet import parquet_files, parquet_name
from manifests.exporters.sums import has_sums, others
from manifests.hashes import Hashes, hash_of, holds
from manifests.images import MAX_PIXELS, SUFFIXES, UnusableImage, image_size
from manifests.ledger import Ledger, LedgerError
from manifests.lineage import LineageError, check_lineage
from manifests.names import is_of_gramflow
from manifests.storage import Place, is_in_store, local_folder
from manifests.stores import is_there, opened, read_bytes

_THREADS = 4
_AHEAD = 64
# Boxes are written to a thousandth of a pixel, corner and size.
_ROUNDING_PX = 0.01
_RUN_AGAIN = "`gramflow run` with its manifest makes it again"
_RUN_MENDS = "`gramflow run` with its manifest mends it"
_MEND_FIRST = f"`gramflow verify --mend` sets it aside, then {_RUN_AGAIN}"
# Not "unreadable": what a disk or a store refuses now may be whole.
_OF_BYTES = frozenset({"damaged", "size"})
# Of a file of an export.
_CHANGED = "changed"
_LOOK_AGAIN = "see to its disk or store, then `gramflow verify` again"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a dataset.

    Attributes:
        kind: one of few words, to count by.
        file: that it is wrong with; relative to OUT where it is in it.
        message: what is wrong, and how to mend it.
    """

    kind: str
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass
class Seen:
    """What the rows of all splits came to, in a few bytes a row.

    Attributes:
        files: hashes of the paths that rows name, relative to OUT.
        ids: hashes of their variant ids.
        counts: as dataset.json has them.
        not_compared: formats of exports of which nobody knows what their files were.
    """

    images: int = 0
    objects: int = 0
    files: array[int] = field(default_factory=lambda: array("Q"))
    ids: array[int] = field(default_factory=lambda: array("Q"))
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ("split", "kind", "class", "style")}
    )
    not_compared: list[str] = field(default_factory=list)

    def add(self, split: str, row: Row, files: Iterable[str]) -> None:
        self.images += 1
        self.objects += len(objects_column_of(row)["bbox"])
        self.files.extend(map(hash_of, files))
        self.ids.append(hash_of(row["variant_id"]))
        of = {"kind": "kind", "class": "label", "style": "style_path"}
        self.counts["split"][split] += 1
        for name, column in of.items():
            if row.get(column):
                self.counts[name][row[column]] += 1


def verify(dataset: FinishedDataset, seen: Seen) -> Iterator[Finding]:
    """Everything that is wrong, as it is found; memory holds a few bytes a row.

    Boxes must be inside their image, and run lengths of its size. Polygons and keypoints are as
    the content's labels have them, also where they leave the image.

    Args:
        seen: is filled with what there is.
    """
    for split in dataset.splits:
        yield from _rows(dataset, split, seen)
    files = np.sort(np.frombuffer(seen.files, np.uint64))
    yield from _twice(dataset, files)
    yield from _without_row(dataset.out, files)
    yield from _counts(dataset, seen)
    yield from _lineage(dataset)
    yield from _ledger(dataset, seen)
    yield from _leftovers(dataset.out)
    yield from _exports(dataset, seen)


def files_of(dataset: FinishedDataset, split: str, row: Row) -> list[str]:
    """The row's image and, where it has one, its mask; relative to OUT."""
    names = [row["file_name"], row.get("mask_file_name") or row.get("mask_path")]
    return [posixpath.normpath(f"{split}/{name}") for name in names if name]


def check_file(
    out: Place, file: str, sha256: str, size: tuple[int, int], most_pixels: int
) -> Iterator[Finding]:
    """What is wrong with the bytes of an image or a mask.

    Args:
        file: relative to `out`.
        sha256: empty where it is not known.
        size: (width, height) in pixels.
    """
    try:
        data = read_bytes(out / file)
    except FileNotFoundError:
        yield Finding("missing", file, f"a row names it and it is gone; {_RUN_AGAIN}")
        return
    except OSError as error:
        yield Finding("unreadable", file, f"cannot be read: {error.strerror}; {_LOOK_AGAIN}")
        return
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        yield Finding("damaged", file, f"its bytes are not those of its row; {_MEND_FIRST}")
        return
    try:
        own = image_size(data, most_pixels)
    except UnusableImage as error:
        yield Finding("damaged", file, f"{error}; {_MEND_FIRST}")
        return
    if own != size:
        sizes = f"{own[0]}x{own[1]} px, its row says {size[0]}x{size[1]}"
        yield Finding("size", file, f"is {sizes}; {_MEND_FIRST}")


def set_aside(out: Place, finding: Finding) -> Finding | None:
    """Move a file that is not what it was written as out of the dataset, or out of an export of it.

    Returns:
        the finding as it now is; None if it was of no such file, or the file was no more there. Of
        the dataset's own only such go as are named as gramflow's are: the next run makes them.

    Raises:
        LeadsOut: a link leads its folder out of the dataset, or of the export.
    """
    if finding.kind == _CHANGED:
        return _set_aside_of_export(out, finding)
    file = out / finding.file
    if finding.kind not in _OF_BYTES or not is_of_gramflow(file.name):
        return None
    if not _moved_aside(file, out, out, finding.file):
        return None
    what = finding.message.removesuffix(_MEND_FIRST)
    return replace(finding, message=f"{what}set aside, and {_RUN_AGAIN}")


def _set_aside_of_export(out: Place, finding: Finding) -> Finding | None:
    first, _, below = finding.file.partition("/")
    is_beside = first in {path_beside(out, format).name for format in BESIDE}
    folder, inside = (out.with_name(first), below) if is_beside else (out, finding.file)
    try:
        if not _moved_aside(folder / inside, folder, out, f"exports/{finding.file}"):
            return None
    except OSError as error:
        if error.errno == errno.EXDEV and not isinstance(error, LeadsOut):  # on another disk
            return None
        raise
    what, _, mend = finding.message.partition("; ")
    return replace(finding, message=f"{what}; set aside, and {mend}")


def _moved_aside(file: Place, folder: Place, out: Place, inside: str) -> bool:
    """Whether the file of `folder` is now among what is set aside."""
    aside = out / ".gramflow" / "set_aside" / inside
    check_stays_inside(file.parent, folder)
    check_stays_inside(aside.parent, out)
    try:
        move(file, aside)
    except FileNotFoundError:  # moved before, for another row that names it
        return False
    return True


def _rows(dataset: FinishedDataset, split: str, seen: Seen) -> Iterator[Finding]:
    """Of a split's rows and their files, which a few threads read."""
    most_pixels = dataset.about.get("manifest", {}).get("max_pixels", MAX_PIXELS)
    underway: deque[Future[list[Finding]]] = deque()
    threads = THREADS if is_in_store(dataset.out) else _THREADS
    with ThreadPoolExecutor(threads) as pool:
        for row in dataset.rows(split):
            files = files_of(dataset, split, row)
            seen.add(split, row, files)
            underway.append(pool.submit(_of_row, dataset.out, files, row, most_pixels))
            while len(underway) > _AHEAD:
                yield from underway.popleft().result()
        for one in underway:
            yield from one.result()


def _of_row(out: Place, files: list[str], row: Row, most_pixels: int) -> list[Finding]:
    image, *masks = files
    size = row["width"], row["height"]
    found = list(check_file(out, image, row.get("sha256", ""), size, most_pixels))
    for mask in masks:
        found += check_file(out, mask, row.get("mask_sha256", ""), size, most_pixels)
    found += _of_labels(image, objects_column_of(row), *size)
    return found


def _of_labels(image: str, objects: Row, width: int, height: int) -> Iterator[Finding]:
    for index, (x, y, w, h) in enumerate(objects["bbox"]):
        inside = min(x, y) >= 0 and max(x + w - width, y + h - height) <= _ROUNDING_PX
        if not inside or min(w, h) <= 0:
            box = f"box {x:g}, {y:g}, {w:g}, {h:g} of object {index}"
            message = f"{box} is not inside {width}x{height} px; {_RUN_MENDS}"
            yield Finding("label", image, message)
    for index, text in enumerate(objects["segmentation"]):
        shape = json.loads(text) if text.startswith("{") else None
        if shape and shape["size"] != [height, width]:
            of = f"the mask of object {index} is for {shape['size'][1]}x{shape['size'][0]} px"
            yield Finding("label", image, f"{of}, the image has {width}x{height}; {_RUN_MENDS}")


def _twice(dataset: FinishedDataset, files: Hashes) -> Iterator[Finding]:
    """Paths that two rows name; the rows are read again only where there are any."""
    twice = np.unique(files[1:][files[1:] == files[:-1]])
    if not len(twice):
        return
    said: set[str] = set()
    for split in dataset.splits:
        for file in chain.from_iterable(files_of(dataset, split, r) for r in dataset.rows(split)):
            if holds(twice, file) and file not in said:
                said.add(file)
                yield Finding("twice", file, f"more than one row names it; {_RUN_MENDS}")


def _without_row(out: Place, files: Hashes) -> Iterator[Finding]:
    ours = "`gramflow run` with its manifest takes it up or sets it aside"
    theirs = "programs that list the folder take it for one of the dataset; move it out"
    for file in FilesOnDisk(out).left():
        name = posixpath.basename(file)
        if posixpath.splitext(name)[1].lower() in SUFFIXES and not holds(files, file):
            mend = ours if is_of_gramflow(name) else theirs
            yield Finding("no row", file, f"no row names it; {mend}")


def _counts(dataset: FinishedDataset, seen: Seen) -> Iterator[Finding]:
    about = dataset.about
    wrong = partial(Finding, "count", "dataset.json")
    if about.get("images") != seen.images:
        yield wrong(f"says {about.get('images')} images, the rows are {seen.images}; {_RUN_MENDS}")
    for name, counted in seen.counts.items():
        if name in about["counts"] and about["counts"][name] != dict(counted):
            yield wrong(f"its counts by {name} are not those of the rows; {_RUN_MENDS}")


def _lineage(dataset: FinishedDataset) -> Iterator[Finding]:
    try:
        check_lineage(dataset.splits, dataset.relatives)
    except LineageError as error:
        yield from (Finding("split", "metadata.jsonl", line) for line in str(error).splitlines())


def _ledger(dataset: FinishedDataset, seen: Seen) -> Iterator[Finding]:
    """Whether the next run would know what is there, from the ledger's first lines alone."""
    known = np.zeros(0, np.uint64)
    try:
        known = np.sort(np.fromiter(map(hash_of, Ledger(dataset.out).ids().done), np.uint64))
    except LedgerError as error:
        yield Finding("ledger", ".gramflow/ledger", str(error))
        return
    rows = np.unique(np.frombuffer(seen.ids, np.uint64))
    unknown = len(rows) - np.isin(rows, known).sum()
    if unknown:
        message = f"{unknown:,} rows are not on record; `gramflow run` makes them again"
        yield Finding("ledger", ".gramflow/ledger", message)


def _leftovers(out: Place) -> Iterator[Finding]:
    for file in half_written(out):
        mend = "left by a killed run; `gramflow run` or `gramflow prune` removes it"
        yield Finding("leftover", str(file), mend)


def half_written(out: Place) -> list[Path]:
    """Files that were growing when a run or an export was killed; none while nobody writes."""
    beside = (path_beside(out, name) for name in BESIDE)
    own = local_folder(out)
    folders = [own / "tmp", *(folder / ".tmp" for folder in beside if isinstance(folder, Path))]
    growing = [file for folder in folders for file in sorted(folder.glob("*")) if file.is_file()]
    return growing + sorted((own / "styles").glob("*.tmp"))


def _exports(dataset: FinishedDataset, seen: Seen) -> Iterator[Finding]:
    """Whether what else was written of the dataset is of as many images, and as it was written."""
    for split in dataset.splits:
        file = dataset.out / parquet_name(split)
        if is_there(file):
            rows, images = _parquet_rows(file), seen.counts["split"][split]
            if rows is not None or not has_sums(dataset.out, "imagefolder"):
                yield from _other_export(file.name, rows, images, "imagefolder")
    for format in BESIDE:
        if has_export_beside(dataset.out, format):
            folder = path_beside(dataset.out, format)
            counted = json.loads(read_bytes(folder / EXPORT))["images"]
            yield from _other_export(folder.name, counted, seen.images, format)
            if not is_whole(dataset.out, format):
                yield _again(folder.name, "has not the files that were written there", format)
    asked = dataset.about.get("manifest", {}).get("output", {}).get("format", [])
    wanted = asked if seen.images else []  # of a dataset without any there are no exports
    if "coco" in wanted or coco_files(dataset.out):
        for missing in missing_coco_files(dataset):
            yield _again(missing, "is not there", "coco")
    for format in BESIDE:
        if format in wanted and not has_export_beside(dataset.out, format):
            yield _again(path_beside(dataset.out, format).name, "is not there", format)
    there = ["imagefolder"] if parquet_files(dataset.out) else []
    for format in (*there, *formats_there(dataset.out)):
        if has_sums(dataset.out, format):
            yield from _other_bytes(dataset.out, format)
        else:
            seen.not_compared.append(format)


def _other_bytes(out: Place, format: str) -> Iterator[Finding]:
    folder = path_beside(out, format) if format in BESIDE else out
    for other in others(out, format, folder):
        if other.kind == "gone" and format != "imagefolder":
            continue  # told by its name already
        file = f"{folder.name}/{other.inside}" if format in BESIDE else other.inside
        kind = _CHANGED if other.kind == "changed" else "export"
        yield replace(_again(file, other.what, format), kind=kind)


def _other_export(file: str, counted: int | None, images: int, format: str) -> Iterator[Finding]:
    if counted != images:
        of = "cannot be read" if counted is None else f"is of {counted:,} images, not {images:,}"
        yield _again(file, of, format)


def _again(file: str, what: str, format: str) -> Finding:
    mend = f"`gramflow export OUT --format {format}` writes it again"
    return Finding("export", file, f"{what}; {mend}")


def _parquet_rows(file: Place) -> int | None:
    try:
        with opened(file) as parquet:
            return int(pq.read_metadata(parquet).num_rows)
    except (OSError, ValueError):  # pyarrow's errors of a damaged file
        return None
