"""Which reader fits a dataset: the one of the format that is named, or of what is there."""

from __future__ import annotations

from collections.abc import Callable

from manifests import tables
from manifests.listings import is_file, is_folder
from manifests.readers.coco import read_coco
from manifests.readers.findings import Findings, Source
from manifests.readers.folders import (
    image_files,
    is_glob,
    read_file,
    read_folder,
    read_glob,
)
from manifests.readers.imagefolder import metadata_files, read_imagefolder
from manifests.readers.lists import read_list
from manifests.readers.shard_names import has_shards, names_shards
from manifests.readers.shards import read_shards
from manifests.readers.voc import read_voc
from manifests.readers.yolo import data_file, read_yolo
from manifests.storage import Place

Reader = Callable[[Source, Findings], None]

READERS: dict[str, Reader] = {
    "folder": read_folder,
    "list": read_list,
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "imagefolder": read_imagefolder,
    "webdataset": read_shards,
}
_BY_SUFFIX = {".yaml": read_yolo, ".yml": read_yolo, ".json": read_coco}


def reader_of_images(source: Source) -> Reader | None:
    """For images without labels: a folder, a list, an image or a glob; None where nothing is."""
    if is_folder(source.path):
        return read_folder
    if is_file(source.path):
        return read_list if source.path.suffix.lower() in tables.SUFFIXES else read_file
    return read_glob if is_glob(source.written) else None


def reader_of_dataset(source: Source) -> Reader | None:
    """For images with labels, found by looking; None where nothing is."""
    if source.annotations is not None:
        return read_coco
    if is_folder(source.path):
        return _reader_of_folder(source.path)
    if names_shards(source.path):
        return read_shards
    if is_file(source.path) and source.path.suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[source.path.suffix.lower()]
    return reader_of_images(source)


def _reader_of_folder(folder: Place) -> Reader:
    if metadata_files(folder):
        return read_imagefolder
    if is_folder(folder / "Annotations") and is_folder(folder / "JPEGImages"):
        return read_voc
    has_labels_apart = is_folder(folder / "images") and is_folder(folder / "labels")
    if data_file(folder) or has_labels_apart:
        return read_yolo
    if not has_shards(folder):
        return read_folder
    # A tar among photographs may be a backup of them: neither hides the other.
    has_images = next(image_files(folder), None) is not None
    return _tell_images_from_shards if has_images else read_shards


def _tell_images_from_shards(source: Source, findings: Findings) -> None:
    message = (
        f"{source.path} has images and tar files; name `format: folder` to read the images, "
        "`format: webdataset` to read the tar files"
    )
    findings.problems.append(source.problem(message))
