"""The images a manifest names, with their labels: entries of `content` and `styles` looked up."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from manifests import tables
from manifests.errors import Field, ManifestError, Problem
from manifests.labels import Category, Labels
from manifests.listings import exists, files_below, forget_listings
from manifests.readers.findings import Findings, Source
from manifests.readers.formats import READERS, Reader, reader_of_dataset, reader_of_images
from manifests.readers.masks import add_masks
from manifests.reading import ReadManifest
from manifests.schema import Content, Style
from manifests.storage import Place, beside, normal

_PATTERN = re.compile(r"[*?\[{]")
# Of images that two entries say something different of.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class ContentImage:
    """One content image.

    Attributes:
        name: its path as the manifest writes it; for metadata.
        inside: its path below the folder, glob or list that names it; part of its variants' ids,
            so that moving the whole folder makes nothing stale.
        group: images of one group belong into one split; empty for none.
    """

    file: str
    name: str
    inside: str
    split: str
    labels: Labels
    group: str = ""


@dataclass(frozen=True)
class ListedContent:
    """Attributes:
    images: in the manifest's order and by name within an entry, each once.
    categories: of their objects, each name once.
    notes: what the user may want to know of how they are read.
    """

    images: list[ContentImage]
    categories: tuple[Category, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StyleImage:
    """One style image and its share in random pairing."""

    file: str
    name: str
    weight: float


def list_content(read: ReadManifest) -> ListedContent:
    """All content images with their labels.

    Raises:
        ManifestError: with every problem: entries without images, unusable labels, unusable rows
            of lists, files that are in two splits or have two labels, categories that have two
            sets of keypoints.
    """
    forget_listings()
    problems: list[Problem] = []
    images: dict[str, ContentImage] = {}
    categories: dict[str, Category] = {}
    notes: list[str] = []
    for index, entry in enumerate(read.manifest.content):
        if not read.knows(("content", index)):
            continue
        findings = _find(read, ("content", index), entry)
        problems += findings.problems
        notes += findings.notes
        for message in (
            *_add_categories(findings, categories),
            *_add_images(findings, entry, images),
        ):
            problems.append(read.problem(("content", index, "path"), message))
    if problems:
        raise ManifestError(problems)
    notes += _classes_alike(images.values())
    return ListedContent(list(images.values()), tuple(categories.values()), tuple(notes))


def _classes_alike(images: Iterable[ContentImage]) -> Iterator[str]:
    """Names of classes that are one to many disks; each has a folder in the output."""
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for name in sorted({image.labels.class_name or "" for image in images}):
        alike[name.casefold()].add(name)
    for names in alike.values():
        if len(names) > 1:
            yield (
                f"classes that differ in case alone: {', '.join(sorted(names))}; on disks that "
                "take no notice of case, as those of macOS and Windows, they share a folder"
            )


def _add_categories(findings: Findings, categories: dict[str, Category]) -> Iterator[str]:
    """Each name once, with keypoints if any dataset has them; yields what does not go together."""
    for category in findings.categories:
        first = categories.setdefault(category.name, category)
        if category.keypoints and not first.keypoints:
            categories[category.name] = replace(category, coco_id=first.coco_id)
        elif category.keypoints and _mirrors(category) != _mirrors(first):
            yield f"{category.name} has other keypoints here than where it is named first"


def _mirrors(category: Category) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return category.keypoints, category.flip_idx


def _add_images(
    findings: Findings, entry: Content, images: dict[str, ContentImage]
) -> Iterator[str]:
    """Each file once; yields what does not go together, all of a kind in one sentence."""
    others: dict[str, list[str]] = {}
    for one in findings.images:
        image = ContentImage(
            one.file,
            one.name,
            one.inside,
            one.split or entry.split or "train",
            one.labels,
            one.group or _group(entry.group, one.inside),
        )
        first = images.setdefault(one.file, image)
        if disagreement := _disagreement(image, first):
            kind, how = disagreement
            others.setdefault(kind, []).append(image.name + how)
        elif image.group and not first.group:
            images[one.file] = replace(first, group=image.group)
    for kind, named in others.items():
        yield _of_all(kind, named)


def _disagreement(image: ContentImage, first: ContentImage) -> tuple[str, str] | None:
    """What two entries say differently of one file: its kind, and how."""
    if first.group and image.group and first.group != image.group:
        return "group", f" ({image.group}, first {first.group})"
    if first.split != image.split:
        return "split", f" ({image.split}, first {first.split})"
    if first.labels.class_name != image.labels.class_name:
        here, there = (one.labels.class_name or "none" for one in (image, first))
        return "class", f" ({here}, first {there})"
    return None if first.labels == image.labels else ("set of labels", "")


def _of_all(kind: str, named: list[str]) -> str:
    several = len(named) > 1
    has = f"{len(named):,} images have" if several else "1 image has"
    it_is = "they are" if several else "it is"
    few = ", ".join(named[:_NAMED]) + (", …" if len(named) > _NAMED else "")
    return (
        f"{has} another {kind} here than where {it_is} named first: {few}; "
        f"give each image one {kind}"
    )


def _group(pattern: str | None, inside: str) -> str:
    found = re.search(pattern, inside) if pattern else None
    if found is None:
        return ""
    return found.group(1 if found.re.groups else 0) or ""


def list_styles(read: ReadManifest) -> list[StyleImage]:
    """All style images, in the manifest's order and by name within an entry, each once.

    Raises:
        ManifestError: for entries without images and unusable lists.
    """
    problems: list[Problem] = []
    found: dict[str, StyleImage] = {}
    for index, entry in enumerate(read.manifest.styles):
        if not read.knows(("styles", index)):
            continue
        findings = _find(read, ("styles", index), entry)
        problems += findings.problems
        for one in findings.images:
            found.setdefault(one.file, StyleImage(one.file, one.name, entry.weight))
    if problems:
        raise ManifestError(problems)
    return list(found.values())


def listed_pairs(read: ReadManifest) -> list[tuple[str, str]]:
    """(content file, style file) of each pair that `pairing.pairs` lists.

    Raises:
        ManifestError: for a list that cannot be read or rows without both columns.
    """
    pairs = read.manifest.pairing.pairs or ()
    if not isinstance(pairs, str):
        return [(normal(read.resolve(p.content)), normal(read.resolve(p.style))) for p in pairs]
    table, listed, problems = read.resolve(pairs), [], []
    for line, row in tables.read_table(table):
        if "content" in row and "style" in row:
            try:
                files = [beside(table.parent, str(row[key])) for key in ("content", "style")]
            except ValueError as error:
                problems.append(Problem(str(table), line, "", str(error)))
            else:
                listed.append((files[0], files[1]))
        else:
            problems.append(Problem(str(table), line, "", "expected columns content and style"))
    if problems:
        raise ManifestError(problems)
    return listed


def _find(read: ReadManifest, field: Field, entry: Content | Style) -> Findings:
    source = Source(
        path=read.resolve(entry.path),
        written=entry.path,
        problem=partial(read.problem, (*field, "path")),
    )
    findings = Findings()
    if isinstance(entry, Content):
        annotations = None if entry.annotations is None else read.resolve(entry.annotations)
        source = replace(source, annotations=annotations, split=entry.split)
        if annotations is not None and entry.format not in (None, "coco"):
            message = f"belongs to format coco; format {entry.format} has its labels in path"
            findings.problems.append(read.problem((*field, "annotations"), message))
    try:
        _list_at_once(source.path)
        reader = _reader(source, entry)
        if reader is not None:
            reader(source, findings)
        if not findings.images and not findings.problems:
            findings.problems.append(source.problem(_nothing_found(source)))
        if isinstance(entry, Content) and entry.masks is not None:
            masks = read.resolve(entry.masks)
            _list_at_once(masks)
            add_masks(masks, findings, partial(read.problem, (*field, "masks")))
    except ManifestError as error:  # of a dataset's file that cannot be read
        findings.problems += error.problems
    except OSError as error:
        why = f"{error.filename} cannot be read: {error.strerror}"
        findings.problems.append(source.problem(why))
    return findings


def _reader(source: Source, entry: Content | Style) -> Reader | None:
    if isinstance(entry, Style):
        return reader_of_images(source)
    return READERS[entry.format] if entry.format else reader_of_dataset(source)


def _list_at_once(path: Place) -> None:
    """Ask a store for all of a dataset's folder, so that nobody has to for each folder in it."""
    if not isinstance(path, Path) and not _PATTERN.search(str(path)):
        files_below(path)


def _nothing_found(source: Source) -> str:
    is_there = exists(source.path)
    there = f"no image in {source.path}" if is_there else f"nothing at {source.path}"
    of_split = f" of split {source.split}" if source.split and is_there else ""
    return (
        f"{there}{of_split}; expected a folder, glob, image, .csv or .jsonl, or a dataset as "
        "COCO, YOLO (data.yaml), VOC, imagefolder or tar shards"
    )
