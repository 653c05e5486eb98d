"""YOLO: a data.yaml, images, and a label file for each image that has objects.

Format: https://docs.ultralytics.com/datasets. The labels of `…/images/a.jpg` are
`…/labels/a.txt`: the last folder `images` of the path, below the dataset's folder, becomes
`labels`; without one, labels are beside their images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from manifests.ahead import read_ahead
from manifests.errors import ManifestError
from manifests.labels import Labels, Object
from manifests.listings import exists, files_below, is_file, is_folder
from manifests.readers.findings import (
    Findings,
    Found,
    Source,
    check_path,
    image_inside,
    joined,
    named,
)
from manifests.readers.folders import image_files
from manifests.readers.texts import read_text
from manifests.readers.yolo_data import YoloData, read_yolo_data
from manifests.readers.yolo_rows import read_rows
from manifests.storage import Place, beside, is_in_store, is_url, normal, place, relative

DATA_FILES = ("data.yaml", "data.yml")
# Labelling programs write the class names there, beside the label files.
_NO_LABELS = frozenset({"classes.txt"})


def read_yolo(source: Source, findings: Findings) -> None:
    """The images of a data.yaml's splits, or of the one that the manifest names.

    Raises:
        ManifestError: for a data.yaml or a list that cannot be used.
    """
    file = data_file(source.path)
    if file is None:
        expected = f"expected a data.yaml, which names classes and splits, in {source.path}"
        findings.problems.append(source.problem(expected))
        return
    data = read_yolo_data(file)
    splits = [source.split] if source.split else list(_splits(file, data, findings))
    if unknown := set(splits) - set(data.splits):
        has = ", ".join(data.splits)
        message = f"{file} has no split {unknown.pop()}; it has {has}"
        findings.problems.append(source.problem(message))
        return
    findings.categories += data.categories
    folders: dict[str, str] = {}
    for split in splits:
        files: list[str] = []
        for where in data.splits[split]:
            if where in folders:
                message = f"is the same as {folders[where]}; choose one with the manifest's split"
                findings.complain(str(file), data.lines[split], split, message)
            else:
                folders[where] = split
                files += _read_place(source, data, split, where, findings)
        if files and (message := _nowhere_labelled(files, data.root)):
            findings.complain(str(file), data.lines[split], split, message)


def _splits(file: Place, data: YoloData, findings: Findings) -> Iterator[str]:
    """All but a `val` that is `train`: programs insist on one, so one without is written so."""
    for split in data.splits:
        if split == "val" and data.splits[split] == data.splits.get("train"):
            findings.notes.append(
                f"{file}:{data.lines[split]}: val: is the same as train, so it is read as train"
            )
        else:
            yield split


def data_file(path: Place) -> Place | None:
    """The data.yaml that is meant by its own path or by that of its folder."""
    if not is_folder(path):
        return path
    there = [path / name for name in DATA_FILES if is_file(path / name)]
    return there[0] if there else None


def label_file(image: str, root: Place) -> str:
    """Where the labels of an image are, in the dataset that lies in `root`."""
    below = os.sep + relative(image, root)
    before, images, after = below.rpartition(f"{os.sep}images{os.sep}")
    labels = f"{before}{os.sep}labels{os.sep}" if images else ""
    return str(root) + os.path.splitext(labels + after)[0] + ".txt"


def _nowhere_labelled(files: Sequence[str], root: Place) -> str:
    """What to say of images of which none has labels, nor a folder of its own for them."""
    labels = [label_file(file, root) for file in files]
    folders = set(map(os.path.dirname, labels)) - set(map(os.path.dirname, files))
    if any(map(is_folder, folders)) or any(map(exists, labels)):
        return ""
    return (
        f"no image has labels; those of the first were looked for at {labels[0]}, since the last "
        "folder images of its path becomes labels, and without one they are beside it; if no "
        "image has objects, put an empty file there"
    )


def _read_place(
    source: Source, data: YoloData, split: str, where: str, findings: Findings
) -> list[str]:
    """Add the images of a folder or list of a split; returns their files."""
    whole = is_folder(where)
    files = sorted(image_files(place(where))) if whole else list(_listed(data, where, findings))
    if not files and not findings.problems:
        findings.problems.append(source.problem(f"no image of split {split} in {where}"))
    files = list(map(normal, files))
    label_files = [label_file(file, data.root) for file in files]
    texts = read_ahead(_text, label_files, in_store=is_in_store(data.root))
    for file, of_labels, text in zip(files, label_files, texts):
        objects = _objects(of_labels, text, data, findings)
        findings.images.append(
            Found(
                file=file,
                name=named(source, file),
                inside=joined("", relative(file, data.root)),
                labels=Labels(objects=objects, width=1, height=1),
                split=split,
            )
        )
    if whole:
        _complain_of_labels_without_image(where, files, data.root, findings)
    return files


def _text(file: str) -> str | ManifestError:
    """Of a label file, or why it cannot be read; empty where there is none."""
    if not exists(file):
        return ""
    try:
        return read_text(file)
    except ManifestError as error:
        return error


def _objects(
    file: str, text: str | ManifestError, data: YoloData, findings: Findings
) -> tuple[Object, ...]:
    """Those of a label file; an image without one has none."""
    if isinstance(text, ManifestError):
        findings.problems += text.problems
        return ()

    def complain(line: int, message: str) -> None:
        findings.complain(file, line, "", message)

    return read_rows(text, data.categories, data.keypoint_numbers, complain)


def _complain_of_labels_without_image(
    where: str, files: Sequence[str], root: Place, findings: Findings
) -> None:
    folder = os.path.dirname(label_file(os.path.join(where, "image.jpg"), root))
    if folder == where:  # Beside images, other text files may lie.
        return
    labels = {label_file(file, root) for file in files}
    for file in _files_below(folder):
        name = os.path.basename(file)
        if name.endswith(".txt") and name not in _NO_LABELS and file not in labels:
            findings.complain(file, None, "", f"there is no image for it in {where}")


def _files_below(folder: str) -> Iterator[str]:
    if is_url(folder):
        yield from sorted(files_below(place(folder)))
        return
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in sorted(names))


def _listed(data: YoloData, file: str, findings: Findings) -> Iterator[str]:
    """The images that a .txt names, one a line, relative to it, all inside the dataset."""
    folder = place(os.path.dirname(file))
    lines: dict[str, int] = {}
    for line, row in enumerate(read_text(file).split("\n"), start=1):
        if not row.strip():
            continue
        try:
            path = beside(folder, check_path(row.strip()))
            image = normal(image_inside(data.root, relative(path, data.root)))
            if image in lines:
                raise ValueError(f"is named in line {lines[image]}, too")
        except ValueError as error:
            findings.complain(file, line, "", str(error))
        else:
            lines[image] = line
            yield image
