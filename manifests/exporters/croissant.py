"""OUT/croissant.json: files, records and origin of the dataset for programs that find datasets.

Format: Croissant 1.1, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html, with the
origin in terms of PROV-O, https://www.w3.org/TR/prov-o/. Licence, creator and address of the
dataset are not known here and are left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.durable import write_whole
from manifests.exporters.finished import FinishedDataset
from manifests.exporters.parquet import parquet_name
from manifests.exporters.sums import Sums
from manifests.identity import canonical_json
from manifests.names import extension_of
from manifests.storage import Place
from manifests.stores import opened

Json = dict[str, Any]

_CROISSANT_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract"),
    *(
        "field",
        "fileObject",
        "fileProperty",
        "fileSet",
        "format",
        "includes",
        "isArray",
        "isLiveDataset",
    ),
    *("jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS},
}
_MEDIA_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.float64(): "sc:Float",
    pa.bool_(): "sc:Boolean",
}
# Lists in the column `objects`: type, and shape with -1 for any length.
_OF_OBJECTS = {
    "bbox": ("sc:Float", "-1,4", "Left, top, width and height of each object in pixels."),
    "categories": ("sc:Integer", "-1", "Category of each object, by its number."),
    "area": ("sc:Float", "-1", "Area of each object in square pixels."),
    "iscrowd": ("sc:Integer", "-1", "1 for many objects in one."),
    "fidelity": ("sc:Float", "-1", "Share of the content's structure that each has kept, 0..1."),
    "segmentation": ("sc:Text", "-1", "JSON: polygons, a mask in COCO's run lengths, or null."),
    "keypoints": ("sc:Float", "-1,-1", "x, y and visibility of each keypoint of each object."),
    "extras": ("sc:Text", "-1", "JSON: what the source says of each object besides."),
}
_BLOCK_BYTES = 1 << 20
_DERIVED_FROM = ("content_path", "style_path", "source_id")


def write_croissant(dataset: FinishedDataset, sums: Sums) -> None:
    """Write croissant.json; metadata.jsonl and Parquet must be there."""
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": dataset.name,
        "description": (
            f"{dataset.about['images']} images made by gramflow: photographs, stylized by neural "
            "style transfer and varied by geometry and colour, with their labels."
        ),
        **_origin(dataset),
        "distribution": [*_file_objects(dataset), *_file_sets(dataset)],
        "recordSet": [_splits(dataset), *_categories(dataset), _images(dataset)],
    }
    text = json.dumps(described, indent=1, ensure_ascii=False) + "\n"
    write_whole(dataset.out / "croissant.json", text.encode(), dataset.temporary_folder)
    sums.add_bytes("croissant.json", text.encode())


def _origin(dataset: FinishedDataset) -> Json:
    """What it was derived from, and by which job."""
    manifest = dataset.about.get("manifest", {})
    sources = [
        {"@type": "prov:Entity", "prov:label": f"{kind}: {entry['path']}"}
        for kind in ("content", "styles")
        for entry in manifest.get(kind, ())
    ]
    settings = {
        "manifest": _without_place(manifest),
        "seed": manifest.get("seed"),
        "engine": dataset.about.get("engine"),
        "versions": dataset.about.get("versions"),
    }
    return {
        "prov:wasDerivedFrom": sources,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"gramflow run {dataset.name}",
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "prov:label": f"gramflow {dataset.version}",
                "softwareVersion": dataset.version,
            },
            "prov:used": [
                {"@type": "prov:Entity", "prov:label": name, "prov:value": canonical_json(value)}
                for name, value in settings.items()
                if value is not None
            ],
        },
    }


def _without_place(manifest: Json) -> Json:
    """The manifest but for the folder that the dataset lies in, which is no part of its origin."""
    output = {name: value for name, value in manifest.get("output", {}).items() if name != "path"}
    return manifest | {"output": output}


def _file_objects(dataset: FinishedDataset) -> Iterator[Json]:
    for split in dataset.splits:
        yield _file_object(dataset, f"{split}/metadata.jsonl", "application/jsonlines")
        yield _file_object(dataset, parquet_name(split), "application/x-parquet")


def _file_object(dataset: FinishedDataset, inside: str, media_type: str) -> Json:
    size_bytes, sha256 = _size_and_sha256(dataset.out / inside)
    return {
        "@type": "cr:FileObject",
        "@id": inside,
        "name": inside,
        "contentUrl": inside,
        "contentSize": f"{size_bytes} B",
        "encodingFormat": media_type,
        "sha256": sha256,
    }


def _size_and_sha256(file: Place) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    with opened(file) as whole:
        while block := whole.read(_BLOCK_BYTES):
            digest.update(block)
            size_bytes += len(block)
    return size_bytes, digest.hexdigest()


def _file_sets(dataset: FinishedDataset) -> Iterator[Json]:
    first = next(dataset.rows(dataset.splits[0]))
    extension = extension_of(first["file_name"])
    yield {
        "@type": "cr:FileSet",
        "@id": "metadata",
        "name": "metadata",
        "description": "The rows of all splits.",
        "encodingFormat": "application/x-parquet",
        "includes": [parquet_name(split) for split in dataset.splits],
    }
    yield {
        "@type": "cr:FileSet",
        "@id": "image-files",
        "name": "image-files",
        "encodingFormat": _MEDIA_TYPES[extension],
        "includes": [f"{split}/*.{extension}" for split in dataset.splits],
        # Semantic masks, which may have the images' extension.
        "excludes": [f"{split}/masks/*" for split in dataset.splits],
    }


def _splits(dataset: FinishedDataset) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [_field("splits/name", "sc:Text")],
        "data": [{"splits/name": split} for split in dataset.splits],
    }


def _categories(dataset: FinishedDataset) -> Iterator[Json]:
    """The record set of categories, none where there are none: a record set has to have data."""
    if not dataset.categories:
        return
    yield {
        "@type": "cr:RecordSet",
        "@id": "categories",
        "name": "categories",
        "dataType": "sc:Enumeration",
        "key": {"@id": "categories/number"},
        "field": [
            _field("categories/number", "sc:Integer"),
            _field("categories/name", "sc:Text"),
            _field("categories/supercategory", "sc:Text"),
        ],
        "data": [
            {
                "categories/number": number,
                "categories/name": one.name,
                "categories/supercategory": one.supercategory,
            }
            for number, one in enumerate(dataset.categories)
        ],
    }


def _images(dataset: FinishedDataset) -> Json:
    """The pictures, each with the row that names it."""
    with opened(dataset.out / parquet_name(dataset.splits[0])) as file:
        columns = pq.read_schema(file)
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "key": {"@id": "images/file_name"},
        "field": [
            _field("images/image", "sc:ImageObject", _of_images(fileProperty="content")),
            _field(
                "images/file_name",
                "sc:Text",
                _of_images(fileProperty="fullpath") | {"transform": {"regex": _below(dataset)}},
                references=_of_rows("file_name"),
            ),
            *(_column(column) for column in columns if column.name != "file_name"),
        ],
    }


def _below(dataset: FinishedDataset) -> str:
    """Pattern of an image's path with its path below the split's folder as the group.

    It takes a path without the split, too: readers apply it once for the key and once again.
    """
    return f"(?:(?:{'|'.join(map(re.escape, dataset.splits))})/)?(.+)"


def _column(column: pa.Field) -> Json:
    name = f"images/{column.name}"
    if column.name == "objects":
        lists = [_list_of_objects(part) for part in _OF_OBJECTS]
        return {"@type": "cr:Field", "@id": name, "name": name, "subField": lists}
    derived = {"equivalentProperty": "prov:wasDerivedFrom"} if column.name in _DERIVED_FROM else {}
    return _field(name, _TYPES[column.type], _of_rows(column.name), **derived)


def _list_of_objects(part: str) -> Json:
    data_type, shape, description = _OF_OBJECTS[part]
    return _field(
        f"images/objects/{part}",
        data_type,
        _of_rows("objects") | {"transform": {"jsonPath": part}},
        description=description,
        isArray=True,
        arrayShape=shape,
    )


def _field(id_: str, data_type: str, source: Json | None = None, **more: Any) -> Json:
    given = {} if source is None else {"source": source}
    name = id_.rpartition("/")[2]
    return {"@type": "cr:Field", "@id": id_, "name": name, "dataType": data_type, **given, **more}


def _of_images(**extract: str) -> Json:
    return {"fileSet": {"@id": "image-files"}, "extract": extract}


def _of_rows(column: str) -> Json:
    return {"fileSet": {"@id": "metadata"}, "extract": {"column": column}}
