"""COCO JSON: boxes, polygons, run lengths, crowds, keypoints.

Format: https://cocodataset.org/#format-data. Boxes are [x, y, width, height] in pixels, the first
pixel spans 0..1; a skeleton counts keypoints from 1. Keypoints are numbers of pixels, from 0, and
become the middles of those: half a pixel is added, as detectron2 does
(https://github.com/facebookresearch/detectron2/blob/main/detectron2/data/datasets/coco.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from manifests.errors import ManifestError, Problem
from manifests.identity import canonical_json
from manifests.labels import (
    NOT_LABELLED,
    Category,
    Keypoint,
    Labels,
    Object,
    Polygon,
    Rle,
    are_numbers,
    mirrored_by_name,
)
from manifests.listings import is_file, is_folder
from manifests.readers.findings import (
    Findings,
    Found,
    Source,
    category_name,
    image_inside,
    joined,
    named,
    supercategory_name,
)
from manifests.readers.shapes import box_around, box_of, keypoints_of, polygons_of, rle_of, shown
from manifests.readers.texts import element_lines, parse_json, read_text
from manifests.storage import Place, normal

_LISTS = ("categories", "images", "annotations")
# What has a field of its own in Object, or follows from one; all else is passed through.
_UNDERSTOOD = frozenset(
    {
        *("image_id", "category_id", "bbox", "segmentation", "area", "iscrowd"),
        *("keypoints", "num_keypoints"),
    }
)

Element = dict[str, Any]
Complain = Callable[[str, int, str], None]


@dataclass
class _Image:
    """An image of the file; `file` is empty where it cannot be used."""

    name: str = ""
    file: str = ""
    width: float = 0
    height: float = 0
    objects: list[Object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Complaint:
    """What is wrong with the element `index` of a list."""

    name: str
    index: int
    message: str


def read_coco(source: Source, findings: Findings) -> None:
    """The images that a COCO file names, with its annotations.

    `annotations` is the file and `path` the folder of the images; or `path` is the file, and the
    images are beside it or where `file_name` leads from a folder near it.

    Raises:
        ManifestError: for a file that is no COCO JSON.
    """
    file = source.annotations or source.path
    if not is_file(file):
        findings.problems.append(source.problem(f"annotations: expected a COCO JSON at {file}"))
        return
    text = read_text(str(file))
    lists = _lists(parse_json(text, str(file)), file)
    folder = source.path if source.annotations else _images_folder(source.path, lists["images"])
    if not is_folder(folder):
        message = f"expected the folder of the images of {file}, got {folder}"
        findings.problems.append(source.problem(message))
        return
    complaints: list[_Complaint] = []

    def complain(name: str, index: int, message: str) -> None:
        complaints.append(_Complaint(name, index, message))

    categories = _categories(lists["categories"], complain)
    images = _images(lists["images"], folder, complain)
    _add_objects(lists["annotations"], images, categories, complain)
    findings.problems += _problems(complaints, lists, str(file), text)
    findings.categories += categories.values()
    for image in images.values():
        if image.file:
            findings.images.append(_found(source, image))


def is_coco(document: Any) -> bool:
    """Whether a JSON value has the lists of a COCO file of instances."""
    return isinstance(document, dict) and "images" in document and "annotations" in document


def _lists(document: Any, file: Place) -> dict[str, list[Any]]:
    if not is_coco(document):
        expected = "expected a COCO file, an object with images, annotations and categories"
        raise ManifestError([Problem(str(file), None, "", expected)])
    problems = [
        Problem(str(file), None, name, "expected a list")
        for name in _LISTS
        if not isinstance(document.get(name), list)
    ]
    if problems:
        raise ManifestError(problems)
    return {name: document[name] for name in _LISTS}


def _images_folder(file: Place, images: list[Any]) -> Place:
    """Where the first image of a COCO file is; beside the file if it is nowhere.

    Looked for beside the file, in its `images`, beside its folder, and there in `images` and in
    the folder that `instances_train2017.json` says in its name.
    """
    first = images[0].get("file_name") if images and isinstance(images[0], dict) else None
    above = file.parent.parent
    said = file.stem.partition("_")[2] or "images"
    for folder in (file.parent, file.parent / "images", above, above / "images", above / said):
        try:
            image_inside(folder, first)
        except ValueError:
            continue
        return folder
    return file.parent


def _categories(elements: list[Any], complain: Complain) -> dict[Any, Category]:
    """By id, in the file's order."""
    categories: dict[Any, Category] = {}
    names: set[str] = set()
    for index, element in enumerate(elements):
        try:
            id_ = _own_id(element, categories)
            category = _category(element, id_)
            if category.name in names:
                raise ValueError(f"name {category.name!r} is that of another category, too")
        except ValueError as error:
            complain("categories", index, str(error))
        else:
            names.add(category.name)
            categories[id_] = category
    return categories


def _category(element: Element, id_: int) -> Category:
    keypoints = element.get("keypoints") or []
    if not isinstance(keypoints, list) or not all(isinstance(name, str) for name in keypoints):
        raise ValueError(f"keypoints: expected a list of names, got {shown(keypoints)}")
    if len(set(keypoints)) < len(keypoints):
        raise ValueError(f"keypoints: expected each name once, got {shown(keypoints)}")
    return Category(
        name=category_name(element.get("name")),
        supercategory=supercategory_name(element.get("supercategory")),
        keypoints=tuple(map(category_name, keypoints)),
        skeleton=_skeleton(element.get("skeleton") or [], len(keypoints)),
        flip_idx=mirrored_by_name(keypoints),
        coco_id=id_,
    )


def _skeleton(value: Any, keypoints: int) -> tuple[tuple[int, int], ...]:
    places = range(1, keypoints + 1)
    if not isinstance(value, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(one in places for one in pair)
        for pair in value
    ):
        raise ValueError(f"skeleton: expected pairs of numbers of keypoints, got {shown(value)}")
    return tuple((int(first) - 1, int(second) - 1) for first, second in value)


def _images(elements: list[Any], folder: Place, complain: Complain) -> dict[Any, _Image]:
    """By id; also those that cannot be used, so that their annotations are none of nowhere."""
    images: dict[Any, _Image] = {}
    files: set[str] = set()
    for index, element in enumerate(elements):
        try:
            id_ = _own_id(element, images)
        except ValueError as error:
            complain("images", index, str(error))
            continue
        images[id_] = _Image()
        try:
            image = _image(element, folder)
            if image.file in files:
                raise ValueError(f"file_name {image.name!r} is that of another image, too")
        except ValueError as error:
            complain("images", index, str(error))
        else:
            files.add(image.file)
            images[id_] = image
    return images


def _image(element: Element, folder: Place) -> _Image:
    width, height = element.get("width") or 0, element.get("height") or 0
    if not are_numbers([width, height]) or min(width, height) < 0 or (width > 0) != (height > 0):
        raise ValueError(f"expected width and height in pixels, got {shown([width, height])}")
    name = element.get("file_name")
    file = image_inside(folder, name)
    return _Image(os.path.normpath(str(name)), normal(file), width, height)


def _own_id(element: Any, others: dict[Any, Any]) -> int:
    id_ = element.get("id") if isinstance(element, dict) else None
    if type(id_) is not int:
        raise ValueError(f"expected an object with an id, a whole number, got {shown(element)}")
    if id_ in others:
        raise ValueError(f"id {id_} is given twice")
    return id_


def _add_objects(
    elements: list[Any],
    images: dict[Any, _Image],
    categories: dict[Any, Category],
    complain: Complain,
) -> None:
    """Annotations become objects of their images."""
    ids: dict[int, None] = {}
    for index, element in enumerate(elements):
        try:
            ids[_own_id(element, ids)] = None
            image = _named_by(element, "image_id", images, "images")
            category = _named_by(element, "category_id", categories, "categories")
            image.objects.append(_object(element, image, category))
        except ValueError as error:
            complain("annotations", index, str(error))


def _named_by(element: Element, name: str, known: dict[Any, Any], where: str) -> Any:
    id_ = element.get(name)
    if type(id_) is not int or id_ not in known:
        raise ValueError(f"{name} {shown(id_)} is not among the {where}")
    return known[id_]


def _object(element: Element, image: _Image, category: Category) -> Object:
    if element.get("iscrowd", 0) not in (0, 1):
        raise ValueError(f"iscrowd: expected 0 or 1, got {shown(element['iscrowd'])}")
    polygons, rle = _segmentation(element.get("segmentation"), image)
    bbox = element.get("bbox")
    return Object(
        category.name,
        box_around(polygons, rle) if bbox is None else box_of(bbox),
        polygons,
        rle,
        _keypoints(element.get("keypoints"), category),
        bool(element.get("iscrowd", 0)),
        _extras(element),
    )


def _segmentation(value: Any, image: _Image) -> tuple[tuple[Polygon, ...], Rle | None]:
    if value is None:
        return (), None
    if isinstance(value, list):
        return polygons_of(value), None
    if isinstance(value, dict):
        return (), rle_of(value, image.height, image.width)
    raise ValueError(f"segmentation: expected polygons or run lengths, got {shown(value)}")


def _keypoints(value: Any, category: Category) -> tuple[Keypoint, ...]:
    if value is None or value == []:
        return ()
    if not isinstance(value, list):
        raise ValueError(f"keypoints: expected a list of numbers, got {shown(value)}")
    if not category.keypoints:
        raise ValueError(f"keypoints: category {category.name!r} names none")
    return tuple(map(_in_its_middle, keypoints_of(value, len(category.keypoints))))


def _in_its_middle(keypoint: Keypoint) -> Keypoint:
    x, y, visibility = keypoint
    return (x, y, visibility) if visibility == NOT_LABELLED else (x + 0.5, y + 0.5, visibility)


def _extras(element: Element) -> str:
    """The fields that are not COCO's; those that gramflow's export has in `extras` as they were."""
    fields = {k: v for k, v in element.items() if k not in _UNDERSTOOD}
    if isinstance(exported := fields.get("extras"), dict):
        # The id beside them is one that the export made up.
        fields = {k: v for k, v in fields.items() if k not in ("id", "extras")} | exported
    try:
        return canonical_json(fields)
    except ValueError as error:
        raise ValueError(f"a field besides COCO's has no JSON value: {error}") from None


def _found(source: Source, image: _Image) -> Found:
    labels = Labels(objects=tuple(image.objects), width=image.width, height=image.height)
    in_path = source.annotations is not None
    name = joined(source.written, image.name) if in_path else named(source, image.file)
    return Found(image.file, name, joined("", image.name), labels)


def _problems(
    complaints: list[_Complaint], lists: dict[str, list[Any]], file: str, text: str
) -> list[Problem]:
    """Complaints with the lines of their elements, for which the text is looked through again."""
    problems = []
    for name, of_list in groupby(complaints, key=lambda complaint: complaint.name):
        lines = element_lines(text, name)
        for complaint in of_list:
            place = f"{name}[{complaint.index}]{_id_shown(lists[name][complaint.index])}"
            problems.append(Problem(file, lines[complaint.index], place, complaint.message))
    return problems


def _id_shown(element: Any) -> str:
    has_id = isinstance(element, dict) and type(element.get("id")) in (int, str)
    return f" (id {shown(element['id'])})" if has_id else ""
