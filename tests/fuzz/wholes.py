"""Undamaged inputs: images of every format, annotations, manifests, a finished dataset's index."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow
import pyarrow.parquet
import yaml
from PIL import Image, ImageCms

from manifests.labels import Object, Rle
from tests.flows.pictures import photo
from tests.manifests.exporters.finished import made, write_finished

COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "width": 48, "height": 40}],
    "categories": [
        {
            "id": 1,
            "name": "x",
            "supercategory": "y",
            "keypoints": ["left", "right"],
            "skeleton": [[1, 2]],
        }
    ],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [1, 2, 3, 4],
            "iscrowd": 0,
            "segmentation": [[1, 2, 3, 4, 5, 6]],
            "keypoints": [1, 2, 2, 3, 4, 1],
            "more": {"of": ["it"]},
        },
        {
            "id": 2,
            "image_id": 1,
            "category_id": 1,
            "segmentation": {"size": [40, 48], "counts": [1000, 100, 820]},
        },
        {
            "id": 3,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 1,
            "segmentation": {"size": [40, 48], "counts": "[66R1000000000000000000000000000mR1"},
        },
    ],
}
ROW: dict[str, Any] = {
    "file_name": "a.png",
    "label": "cat",
    "split": "val",
    "group_id": "g",
    "mask_file_name": "m.png",
    "objects": {
        "bbox": [[1, 2, 3, 4]],
        "categories": [0],
        "iscrowd": [0],
        "segmentation": ["[[1,2,3,4,5,6]]"],
        "extras": ["{}"],
    },
}
ABOUT: dict[str, Any] = {
    "gramflow_version": "1",
    "categories": [
        {
            "name": "a",
            "supercategory": "s",
            "keypoints": ["l", "r"],
            "skeleton": [[0, 1]],
            "flip_idx": [1, 0],
            "coco_id": 3,
        }
    ],
}
DATA_YAML: dict[str, Any] = {
    "path": ".",
    "train": "images",
    "val": ["images"],
    "names": ["cat", "dog"],
    "nc": 2,
    "kpt_shape": [2, 3],
    "flip_idx": [1, 0],
}
XML = b"""\
<?xml version="1.0"?><annotation><filename>a.png</filename>
<size><width>48</width><height>40</height></size>
<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
<pose>Left</pose><part><name>head</name></part></object></annotation>
"""
MANIFEST: dict[str, Any] = {
    "version": 1,
    "name": "x",
    "seed": 7,
    "max_pixels": 1_000_000,
    "content": [
        {"path": "photos", "split": "train", "group": "(p.*)[.]"},
        {"path": "rows", "format": "coco", "annotations": "c.json", "split": "test"},
        {"path": "masked.csv", "masks": "masks"},
    ],
    "styles": [{"path": "photos/*.png", "weight": 2.0}],
    "pairing": {"strategy": "random", "styles_per_content": 1},
    "stylize": {
        "encoder": "random",
        "preset": "fast",
        "size": 64,
        "strength": [0.5, 1.0],
        "preserve_color": "match",
        "override": {"scales": [[1.0, 2]], "style_weight": 3.0},
    },
    "fidelity": {"min": 0.2, "action": "retry"},
    "augment": {
        "include_original": True,
        "min_visibility": 0.1,
        "min_area": 2.0,
        "recipes": {
            "a": [{"HorizontalFlip": {"p": 0.5}}, {"Rotate": {"limit": 15, "p": 1.0}}],
            "b": [{"OneOf": {"transforms": [{"GaussNoise": {}}, {"CLAHE": {"clip_limit": 3}}]}}],
        },
        "variants": {"original": 1, "stylized": 2},
    },
    "output": {
        "path": "out",
        "format": ["coco", "yolo"],
        "image": {"type": "jpeg", "quality": 95},
        "splits": ["train"],
    },
}
PAIRS = {"strategy": "listed", "pairs": [{"content": "photos/p.png", "style": "photos/p.png"}]}


def as_yaml(document: Any) -> bytes:
    return yaml.safe_dump(document, sort_keys=False).encode()


def as_jsonl(row: Any) -> bytes:
    return json.dumps(row).encode() + b"\n"


def as_csv(row: dict[str, Any]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, row)
    writer.writeheader()
    writer.writerow({k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()})
    return text.getvalue().encode(errors="surrogatepass")


def as_parquet(row: dict[str, Any]) -> bytes:
    data = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), data)
    return data.getvalue()


def as_shard(row: Any) -> bytes:
    """A sample with a row, an image, a class and a mask; a link and a folder beside it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, member in (
            ("a.png", b"x" * 600),
            ("a.json", json.dumps(row).encode()),
            ("a.cls", b"cat"),
            ("a.mask.png", b"y"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(member)
            tar.addfile(info, io.BytesIO(member))
        link = tarfile.TarInfo("b.png")
        link.type, link.linkname = tarfile.SYMTYPE, "../../b.png"
        tar.addfile(link)
    return data.getvalue()


@cache
def finished() -> dict[str, bytes]:
    """Path -> bytes of a finished dataset of one image, with all that a row may have."""
    eyes = ((10.0, 9.5, 2), (0.0, 0.0, 0), (14.0, 9.0, 1))
    square = (2.0, 2.0, 10.0, 2.0, 10.0, 10.0)
    with TemporaryDirectory() as folder:
        out = Path(folder, "out")
        objects = (
            Object("person", (2.0, 2.0, 10.0, 10.0), (square,), keypoints=eyes),
            Object("car", (0.0, 0.0, 48.0, 40.0), rle=Rle(40, 48, "PU1"), crowd=True),
        )
        write_finished(out, [made("a", *objects, class_name="cat", mask=photo(2).convert("L"))])
        index = out / "train" / "metadata.jsonl"
        more = {"sha256": "", "mask_sha256": "", "notes": "", "content_loss_start": 1.5}
        index.write_text(json.dumps(json.loads(index.read_text()) | more) + "\n")
        return {
            file.relative_to(out).as_posix(): file.read_bytes()
            for file in sorted(out.rglob("*"))
            if file.is_file()
        }


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def images() -> dict[str, bytes]:
    """By format; with EXIF, a profile, transparency and a second frame where it has such."""
    picture = photo(1, 40, 24)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a photograph"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    clear = picture.convert("RGBA")
    clear.putalpha(99)
    frames: dict[str, Any] = {"save_all": True, "append_images": [photo(2, 40, 24)]}
    return {
        "jpeg": _saved(picture, "JPEG", exif=exif, icc_profile=profile, progressive=True),
        "mpo": _saved(picture, "MPO", **frames),
        "cmyk": _saved(picture.convert("CMYK"), "JPEG"),
        "png": _saved(clear, "PNG", exif=exif, icc_profile=profile),
        "palette": _saved(picture.quantize(16), "PNG", transparency=bytes(4)),
        "apng": _saved(picture, "PNG", **frames),
        "webp": _saved(clear, "WEBP", exif=exif, icc_profile=profile),
        "gif": _saved(picture, "GIF", disposal=2, **frames),
        "tiff": _saved(picture, "TIFF", compression="tiff_lzw", icc_profile=profile),
        "tiff jpeg": _saved(picture, "TIFF", compression="jpeg"),
        "bmp": _saved(picture.quantize(16), "BMP"),
        "avif": _saved(clear, "AVIF", exif=exif),
        "jp2": _saved(picture, "JPEG2000", irreversible=True),
        "ppm": _saved(picture, "PPM"),
    }
