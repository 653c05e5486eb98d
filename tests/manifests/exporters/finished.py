"""Finished datasets as a run leaves them, made without one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from manifests.exporters.formats import export
from manifests.identity import digest, short_id
from manifests.label_rows import dropped_column, numbered, objects_column
from manifests.labels import Category, Labels, Object
from tests.flows.pictures import photo

PEOPLE = Category(
    "person",
    "animal",
    keypoints=("nose", "left_eye", "right_eye"),
    skeleton=((0, 1), (0, 2)),
    flip_idx=(0, 2, 1),
)
CATEGORIES = (PEOPLE, Category("car", "vehicle"))

CAR = Object("car", (2.0, 4.0, 26.0, 24.0))
CROWD = Object("car", (0.0, 0.0, 48.0, 40.0), crowd=True)
PERSON = Object("person", (8.0, 8.0, 16.0, 28.0), keypoints=((10.0, 9.5, 2), (0, 0, 0), (14, 9, 1)))
SQUARE = (2.0, 2.0, 10.0, 2.0, 10.0, 10.0, 2.0, 10.0)
FAR = (20.0, 20.0, 30.0, 20.0, 30.0, 30.0, 20.0, 30.0)
SHAPED = Object("car", (2.0, 2.0, 30.0, 30.0), polygons=(SQUARE, FAR))


@dataclass(frozen=True)
class Made:
    """One image of a dataset.

    Attributes:
        name: of the content image that it descends from.
        picture: its pixels.
        mask: its semantic mask.
        applied: transforms as (name, what was drawn).
    """

    name: str
    labels: Labels
    picture: Image.Image
    split: str = "train"
    group: str = ""
    mask: Image.Image | None = None
    applied: Sequence[tuple[str, dict[str, Any]]] = ()


def made(name: str, *objects: Object, split: str = "train", **more: Any) -> Made:
    """An image of 48 x 40 px."""
    class_name = more.pop("class_name", None)
    labels = Labels(class_name, tuple(objects), width=48, height=40)
    return Made(name, labels, photo(len(name)), split, **more)


def write_finished(
    out: Path,
    images: Sequence[Made],
    categories: Sequence[Category] = CATEGORIES,
    image_type: str = "jpeg",
) -> Path:
    """OUT with images, metadata.jsonl and dataset.json."""
    place = {category.name: index for index, category in enumerate(categories)}
    rows: dict[str, list[dict[str, Any]]] = {}
    all_masked = all(one.mask for one in images)
    for one in images:
        rows.setdefault(one.split, []).append(_write(out, one, place, image_type, all_masked))
    for split, of_split in rows.items():
        text = "".join(json.dumps(row) + "\n" for row in of_split)
        (out / split / "metadata.jsonl").write_text(text)
    classes = {one.labels.class_name: 1 for one in images if one.labels.class_name}
    about = {
        "gramflow_version": "0.1.0",
        "manifest": {
            "name": "small",
            "seed": 7,
            "content": [{"path": "photos"}],
            "styles": [{"path": "paintings"}],
            "output": {"path": "out", "format": ["coco"]},
        },
        "engine": {"encoder": "compact", "preset": "fast"},
        "images": len(images),
        "counts": {"split": {name: len(of) for name, of in rows.items()}, "class": classes},
        "categories": [asdict(one) for one in categories],
    }
    (out / "dataset.json").write_text(json.dumps(about))
    return out


def _write(
    out: Path, one: Made, place: Mapping[str, int], image_type: str, all_masked: bool
) -> dict[str, Any]:
    variant = digest("variant", one.name, one.split)
    stem = f"{one.name}-original-{short_id(variant)}"
    folder = f"{one.labels.class_name}/" if one.labels.class_name else ""
    file = f"{folder}{stem}.{'jpg' if image_type == 'jpeg' else image_type}"
    (out / one.split / folder).mkdir(parents=True, exist_ok=True)
    one.picture.save(out / one.split / file, image_type)
    mask = ""
    if one.mask is not None:
        mask = f"masks/{stem}.png"
        (out / one.split / "masks").mkdir(exist_ok=True)
        one.mask.save(out / one.split / mask)
    areas = [_area(box.box) for box in one.labels.objects]
    return {
        "file_name": file,
        "label": one.labels.class_name or "",
        "split": one.split,
        "source_id": digest("source", one.name),
        "group_id": one.group,
        "variant_id": variant,
        "kind": "original",
        "content_path": f"photos/{one.name}.png",
        "style_path": "",
        "width": one.picture.width,
        "height": one.picture.height,
        "seed": 7,
        "strength": 0.0,
        "objects": numbered(objects_column(one.labels.objects, areas, [1.0] * len(areas)), place),
        "dropped_objects": dropped_column([]),
        "applied_transforms": json.dumps(one.applied),
        "mask_file_name" if all_masked else "mask_path": mask,
    }


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def said(out: Path, *formats: str) -> list[str]:
    return [str(written) for written in export(out, formats)]


def data_yaml(out: Path) -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load(Path(f"{out}.yolo/data.yaml").read_text())
    return described
