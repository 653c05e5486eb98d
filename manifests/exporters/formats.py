"""All formats by name, and the export of a dataset to some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from manifests.durable import remove_durably
from manifests.exporters.coco import coco_files, write_coco
from manifests.exporters.finished import FinishedDataset, read_finished
from manifests.exporters.folder import BESIDE, has_export_beside, remove_export_beside
from manifests.exporters.imagefolder import write_imagefolder
from manifests.exporters.parquet import parquet_files
from manifests.exporters.sums import forget_sums
from manifests.exporters.voc import write_voc
from manifests.exporters.webdataset import write_webdataset
from manifests.exporters.written import Written
from manifests.exporters.yolo import write_yolo
from manifests.lineage import check_lineage
from manifests.settled import unsettle
from manifests.storage import Place

FORMATS: dict[str, Callable[[FinishedDataset], Written]] = {
    "imagefolder": write_imagefolder,
    "coco": write_coco,
    "yolo": write_yolo,
    "voc": write_voc,
    "webdataset": write_webdataset,
}


def export(out: Place, formats: Sequence[str]) -> Iterator[Written]:
    """Write a finished dataset in each format, one after the other, from what is in OUT alone.

    Args:
        out: the folder of a finished dataset, or its URL.
        formats: names out of `FORMATS`.

    Returns:
        What each came to, as soon as it is written.

    Raises:
        ValueError: a format that there is not; nothing was written.
        ManifestError: there is no finished dataset, or it has no images; nothing was written.
        LineageError: sources or groups are in several splits; nothing was written.
    """
    unknown = [format for format in formats if format not in FORMATS]
    if unknown:
        raise ValueError(f"expected formats among {', '.join(FORMATS)}, got {', '.join(unknown)}")
    dataset = read_finished(out, to="export")
    check_lineage(dataset.splits, dataset.relatives)
    unsettle(out)
    for format in dict.fromkeys(formats):
        yield FORMATS[format](dataset)


def formats_there(out: Place) -> list[str]:
    """The formats that a dataset has been exported to, besides its imagefolder."""
    beside = [format for format in FORMATS if has_export_beside(out, format)]
    return ["coco", *beside] if coco_files(out) else beside


def remove_exports(out: Place, formats: Sequence[str]) -> None:
    """Remove all exports of a dataset that has no images any more.

    Args:
        formats: those of its manifest, of which what is left of a run that was stopped goes, too.
    """
    for format in {*formats, *formats_there(out)} & set(BESIDE):
        remove_export_beside(out, format)
    for format in ("imagefolder", "coco"):
        forget_sums(out, format)
    for file in (*parquet_files(out), out / "croissant.json", *coco_files(out)):
        remove_durably(file)
