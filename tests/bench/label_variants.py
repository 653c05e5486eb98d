"""Variants a second of labelled images, in the flow and in bare loops of the same run.

usage: python -m tests.bench.label_variants

The flow reads JPEG files of 640 px with 20 boxes each, makes them 512 px, varies each once,
encodes, writes durably and records. A bare loop opens, resizes, varies with albumentations and
saves with Pillow; two processes of it run at once, one a core. Both run in turns; the figures are
the best of each, for other programs can only take speed away.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

PHOTOS = 800
TURNS = 3
BOXES = 20
FULL_PX, SIZE_PX = 640, 512
LOOPS = 2
RECIPE: list[dict[str, dict[str, Any]]] = [
    {"HorizontalFlip": {"p": 0.5}},
    {"Rotate": {"limit": 15, "p": 1.0}},
    {"RandomBrightnessContrast": {"p": 0.5}},
]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder)
        flow, loops = [], []
        for turn in range(TURNS):
            loops.append(of_bare_loops(folder, turn))
            flow.append(of_the_flow(folder, turn))
    figures = {
        f"variants/s, load, vary, encode, {SIZE_PX} px, {BOXES} boxes, flow": max(flow),
        f"variants/s, {LOOPS} bare albumentations-and-Pillow loops": max(loops),
        "ratio": max(flow) / max(loops),
    }
    print(json.dumps({what: round(value, 2) for what, value in figures.items()}, indent=2))


def write_photos(folder: Path) -> None:
    """Photographs with a COCO file."""
    from skimage import data

    (folder / "photos").mkdir()
    whole = Image.fromarray(data.astronaut()).resize((1200, 1200))
    random = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(PHOTOS):
        left, top = random.integers(0, 1200 - FULL_PX, 2).tolist()
        crop = whole.crop((left, top, left + FULL_PX, top + FULL_PX))
        crop.save(folder / "photos" / f"{index}.jpg", quality=90)
        size = {"width": FULL_PX, "height": FULL_PX}
        images.append({"id": index, "file_name": f"{index}.jpg", **size})
        for _ in range(BOXES):
            x, y = random.uniform(0, FULL_PX - 200, 2).round(2).tolist()
            width, height = random.uniform(20, 200, 2).round(2).tolist()
            box = {"bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
            labelled = {"id": len(annotations) + 1, "image_id": index, "category_id": 1}
            annotations.append({**labelled, **box, "segmentation": []})
    categories = [{"id": 1, "name": "thing"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))


def of_the_flow(folder: Path, turn: int) -> float:
    """Variants a second, from the start of the first chunk to the end of the last."""
    manifest = folder / f"{turn}.yaml"
    described = {
        "version": 1,
        "name": "bench",
        "content": [{"path": "photos", "format": "coco", "annotations": "instances.json"}],
        "stylize": {"size": SIZE_PX},
        "augment": {
            "include_original": False,
            "recipes": {"all": RECIPE},
        },
        "output": {"path": f"out{turn}"},
    }
    manifest.write_text(yaml.safe_dump(described))
    # Prefect remembers the first server that it spoke to, so each run has a process of its own.
    return _printed(["-m", "tests.bench.label_variants", "flow", str(manifest)])


def run_flow(manifest: Path) -> float:
    from flows.progress import ChunkDone, Started
    from tests.bench.flow import run

    heard, _ = run(manifest)
    began_s = next(one.at_s for one in heard if isinstance(one.event, Started))
    ended_s = max(one.at_s for one in heard if isinstance(one.event, ChunkDone))
    return PHOTOS / (ended_s - began_s)


def of_bare_loops(folder: Path, turn: int) -> float:
    """Variants a second of all loops together."""
    out = folder / f"bare{turn}"
    out.mkdir()
    command = [sys.executable, "-m", "tests.bench.label_variants", "loop", str(folder), str(out)]
    loops = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(LOOPS)
    ]
    return sum(float(loop.communicate()[0]) for loop in loops)


def run_loop(folder: Path, out: Path, number: int) -> float:
    """What a short script does, with labels."""
    import albumentations as A
    import cv2

    cv2.setNumThreads(1)
    steps = [getattr(A, name)(**arguments) for step in RECIPE for name, arguments in step.items()]
    labels = A.BboxParams(format="pascal_voc", label_fields=["names"])
    pipeline = A.Compose(steps, bbox_params=labels, seed=number)
    document = json.loads((folder / "instances.json").read_text())
    boxes_of: dict[int, list[list[float]]] = {}
    for one in document["annotations"]:
        boxes_of.setdefault(one["image_id"], []).append(one["bbox"])
    began_s = time.monotonic()
    photos = range(number, PHOTOS, LOOPS)
    for photo in photos:
        image = Image.open(folder / "photos" / f"{photo}.jpg").convert("RGB")
        pixels = np.array(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS))
        corners = [[x, y, x + w, y + h] for x, y, w, h in boxes_of[photo]]
        boxes = np.array(corners) * SIZE_PX / FULL_PX
        made = pipeline(image=pixels, bboxes=boxes, names=["thing"] * len(boxes))
        Image.fromarray(made["image"]).save(out / f"{photo}.jpg", quality=95, subsampling="4:4:4")
        (out / f"{photo}.json").write_text(json.dumps(made["bboxes"].tolist()))
    return len(photos) / (time.monotonic() - began_s)


def _printed(arguments: list[str]) -> float:
    done = subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["flow"]:
        print(run_flow(Path(sys.argv[2])))
    elif sys.argv[1:2] == ["loop"]:
        print(run_loop(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
    else:
        main()
