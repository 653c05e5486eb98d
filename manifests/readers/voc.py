"""Pascal VOC: an XML file of objects for each image, and lists of the images of each split.

Format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf, sections 3 and 5. Boxes are
in pixels that count from 1 and include the last: xmin, ymin, xmax, ymax become the continuous
xmin - 1, ymin - 1, xmax, ymax, where the first pixel spans 0..1.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manifests.ahead import read_ahead
from manifests.errors import ManifestError
from manifests.identity import canonical_json
from manifests.labels import Box, Category, Labels, Object, check_box
from manifests.listings import files_below, files_in, is_file
from manifests.readers.findings import (
    Findings,
    Found,
    Source,
    category_name,
    inside_folder,
    joined,
)
from manifests.readers.folders import image_files
from manifests.readers.texts import read_text
from manifests.readers.xml_tree import Element, read_xml
from manifests.storage import Place, is_in_store, normal, place, relative

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_SPLITS = ("train", "val", "trainval", "test")
_HALVES = frozenset({"train", "val"})


@dataclass(frozen=True, slots=True)
class _Listed:
    """An image by its name without suffix, and where a list names it."""

    id: str
    split: str = ""
    file: str = ""
    line: int | None = None


def read_voc(source: Source, findings: Findings) -> None:
    """The images of ImageSets/Main/<split>.txt; without lists, those that have an XML file.

    Without a `split` in the manifest, those of all lists; `trainval` as such only where neither of
    its halves has a list, lists of one class (`cat_train.txt`) never. Where one half has a list,
    what no other list has of `trainval` is the other half.
    """
    listed = _listed(source, findings)
    images = _images(source.path / "JPEGImages", findings)
    annotations = source.path / "Annotations"
    names: set[str] = set()
    files = [str(annotations / f"{one.id}.xml") for one in listed]
    roots = read_ahead(_root, files, in_store=is_in_store(source.path))
    for one, file, root in zip(listed, files, roots):
        if root is None:
            findings.complain(one.file, one.line, "", f"there is no {file} for {one.id!r}")
            continue
        if isinstance(root, ManifestError):
            findings.problems += root.problems
            continue
        labels = _labels(root, file, findings)
        names.update(each.category for each in labels.objects)
        image = images.get(one.id) or _by_filename(root, file, images, findings)
        if image is not None:
            inside = joined("", relative(image, source.path / "JPEGImages"))
            name = joined(source.written, f"JPEGImages/{inside}")
            findings.images.append(Found(image, name, inside, labels, one.split))
    findings.categories += [Category(name) for name in sorted(names)]


def _root(file: str) -> Element | ManifestError | None:
    """Of an XML file, or why it cannot be read; None where there is none."""
    if not is_file(file):
        return None
    try:
        return read_xml(file)
    except ManifestError as error:
        return error


def _listed(source: Source, findings: Findings) -> list[_Listed]:
    lists = source.path / "ImageSets" / "Main"
    there = {place(file).stem: place(file) for file in files_in(lists, "*.txt")}
    if not there:
        return [*_annotated(source.path / "Annotations", source.split)]
    splits = [source.split] if source.split else _splits(there)
    if unknown := set(splits) - set(_splits(there)) - set(there):
        has = ", ".join(_splits(there))
        message = f"there is no {lists / unknown.pop()}.txt; split can be {has}"
        findings.problems.append(source.problem(message))
        return []
    half = _half_without_a_list(there)
    wanted = _whole_lists(there) if half in splits else splits
    of_list = {name: _read_list(there[name], name, findings) for name in wanted}
    if half in splits:
        of_list[half] = _in_no_other(of_list, half)
    return [one for split in splits for one in of_list[split]]


def _splits(names: Collection[str]) -> list[str]:
    """Those that the lists say together, each image in one."""
    whole, half = _whole_lists(names), _half_without_a_list(names)
    if not _HALVES & set(whole):
        return whole
    return [*(name for name in whole if name != "trainval"), *([half] if half else [])]


def _whole_lists(names: Collection[str]) -> list[str]:
    """Lists of all images of a split, not of one class."""
    return [name for name in names if not name.endswith(tuple(f"_{s}" for s in _SPLITS))]


def _half_without_a_list(names: Collection[str]) -> str:
    """The half of `trainval` that only what the other leaves of it can tell; empty where none."""
    missing = _HALVES.difference(names)
    return next(iter(missing)) if "trainval" in names and len(missing) == 1 else ""


def _in_no_other(of_list: Mapping[str, list[_Listed]], half: str) -> list[_Listed]:
    """What only `trainval` has: the half that has no list of its own."""
    others = {one.id for name in of_list if name != "trainval" for one in of_list[name]}
    return [replace(one, split=half) for one in of_list["trainval"] if one.id not in others]


def _read_list(file: Place, split: str, findings: Findings) -> list[_Listed]:
    try:
        return _of_list(file, split, findings)
    except ManifestError as error:
        findings.problems += error.problems
        return []


def _of_list(file: Place, split: str, findings: Findings) -> list[_Listed]:
    listed: dict[str, _Listed] = {}
    for line, row in enumerate(read_text(str(file)).split("\n"), start=1):
        columns = row.split()
        if not columns:
            continue
        id_ = columns[0]
        try:
            inside_folder(file.parent, id_)
            if id_ in listed:
                raise ValueError(f"{id_!r} is in line {listed[id_].line}, too")
        except ValueError as error:
            findings.complain(str(file), line, "", str(error))
        else:
            listed[id_] = _Listed(id_, split, str(file), line)
    return list(listed.values())


def _annotated(folder: Place, split: str) -> Iterable[_Listed]:
    files = sorted(folder.rglob("*.xml")) if isinstance(folder, Path) else files_below(folder)
    for file in map(str, files):
        if file.endswith(".xml"):
            yield _Listed(relative(file, folder).removesuffix(".xml"), split)


def _images(folder: Place, findings: Findings) -> dict[str, str]:
    """Image files by their path without suffix."""
    images: dict[str, str] = {}
    for file in sorted(image_files(folder)):
        file = normal(file)
        first = images.setdefault(os.path.splitext(relative(file, folder))[0], file)
        if first != file:
            message = f"has {os.path.basename(first)}, too; one XML file is of one image"
            findings.complain(file, None, "", message)
    return images


def _by_filename(
    root: Element, file: str, images: dict[str, str], findings: Findings
) -> str | None:
    """The image that the XML names, where none has the XML's own name."""
    element = root.child("filename")
    name, line = ("", root.line) if element is None else (element.text, element.line)
    try:
        inside = str(inside_folder(Path(), name)) if name else ""
    except ValueError as error:
        findings.complain(file, line, "filename", str(error))
        return None
    image = images.get(os.path.splitext(inside)[0])
    if image is None:
        findings.complain(file, line, "filename", f"there is no image {name!r} in JPEGImages")
    return image


def _labels(root: Element, file: str, findings: Findings) -> Labels:
    objects = []
    for index, element in enumerate(one for one in root.children if one.tag == "object"):
        try:
            objects.append(_object(element))
        except ValueError as error:
            place = f"object[{index}] ({element.text_of('name')})"
            findings.complain(file, element.line, place, str(error))
    try:
        width, height = _size(root.child("size"))
    except ValueError as error:
        findings.complain(file, root.line, "size", str(error))
        width = height = 0
    return Labels(objects=tuple(objects), width=width, height=height)


def _size(element: Element | None) -> tuple[float, float]:
    """(width, height) in pixels; 0 where the file does not say."""
    if element is None:
        return 0, 0
    width, height = (_number(element, tag) for tag in ("width", "height"))
    if min(width, height) < 0 or (min(width, height) == 0 and max(width, height) > 0):
        raise ValueError(f"expected width and height in pixels, got {width:g} and {height:g}")
    return width, height


def _object(element: Element) -> Object:
    name = category_name(element.text_of("name"))
    bndbox = element.child("bndbox")
    if bndbox is None:
        raise ValueError(f"expected bndbox with {', '.join(_SIDES)}")
    others = [one for one in element.children if one.tag != "name" and one is not bndbox]
    return Object(name, _box(bndbox), extras=canonical_json(_plain(others)))


def _box(bndbox: Element) -> Box:
    xmin, ymin, xmax, ymax = (_number(bndbox, side) for side in _SIDES)
    return check_box((xmin - 1, ymin - 1, xmax, ymax))


def _number(element: Element, tag: str) -> float:
    text = element.text_of(tag)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected {tag}, a finite number, got {text!r}")
    return number


def _plain(elements: list[Element]) -> dict[str, Any]:
    """Elements as a JSON object: whole numbers as such, other text as it is, repeated as lists."""
    plain: dict[str, Any] = {}
    for element in elements:
        value = _plain(element.children) if element.children else _whole_or_text(element.text)
        if element.tag not in plain:
            plain[element.tag] = value
        elif isinstance(plain[element.tag], list):
            plain[element.tag].append(value)
        else:
            plain[element.tag] = [plain[element.tag], value]
    return plain


def _whole_or_text(text: str) -> int | str:
    short = text.isdecimal() and text.isascii() and len(text) < 10
    return int(text) if short and str(int(text)) == text else text
