"""Figures of labels: reading them.

usage: python -m tests.bench.label_reading
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ANNOTATIONS = 200_000
IMAGES = 40_000
MB = 1e6


def read() -> dict[str, str]:
    """Seconds and memory of reading a COCO JSON, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size_bytes = write_coco(folder)
        entry = {"path": "images", "format": "coco", "annotations": "instances.json"}
        manifest = {"version": 1, "name": "x", "content": [entry], "output": {"path": "out"}}
        (folder / "job.yaml").write_text(yaml.safe_dump(manifest))
        command = [sys.executable, "-m", "tests.bench.label_reading", "alone", str(folder)]
        seconds, peak_bytes, base_bytes = json.loads(subprocess.check_output(command))
    what = f"COCO JSON of {ANNOTATIONS:,} annotations, {size_bytes / MB:.0f} MB"
    return {
        f"{what}: seconds to read": f"{seconds:.1f} s",
        f"{what}: peak memory": f"{peak_bytes / MB:.0f} MB ({base_bytes / MB:.0f} MB imports)",
    }


def write_coco(folder: Path) -> int:
    """A COCO file with polygons of 10 to 20 points, and empty files as its images; its size."""
    (folder / "images").mkdir()
    images = [
        {"id": index, "file_name": f"{index:012}.jpg", "width": 640, "height": 480}
        for index in range(IMAGES)
    ]
    for image in images:
        (folder / "images" / str(image["file_name"])).touch()
    categories = [
        {"id": index, "name": f"class {index}", "supercategory": "thing"} for index in range(80)
    ]
    generator = random.Random(0)
    annotations = [annotation(generator, index) for index in range(ANNOTATIONS)]
    file = folder / "instances.json"
    document = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(document))
    return file.stat().st_size


def annotation(generator: random.Random, index: int) -> dict[str, object]:
    points = generator.randint(10, 20)
    polygon = [round(generator.uniform(0, 480), 2) for _ in range(2 * points)]
    xs, ys = polygon[0::2], polygon[1::2]
    x, y = min(xs), min(ys)
    return {
        "id": index + 1,
        "image_id": generator.randrange(IMAGES),
        "category_id": generator.randrange(80),
        "bbox": [x, y, round(max(xs) - x, 2), round(max(ys) - y, 2)],
        "area": 1000.5,
        "iscrowd": 0,
        "segmentation": [polygon],
    }


def read_alone(folder: Path) -> tuple[float, int, int]:
    """(seconds, peak bytes, bytes before) of listing the content of a manifest."""
    from manifests.reading import read_manifest
    from manifests.sources import list_content

    base_bytes = peak_memory_bytes()
    manifest = read_manifest(folder / "job.yaml")
    began_s = time.monotonic()
    listed = list_content(manifest)
    seconds = time.monotonic() - began_s
    assert sum(len(image.labels.objects) for image in listed.images) == ANNOTATIONS
    return seconds, peak_memory_bytes(), base_bytes


def peak_memory_bytes() -> int:
    """Of this process alone: getrusage would begin with what its parent had."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        print(json.dumps(read_alone(Path(sys.argv[2]))))
    else:
        print(json.dumps(read(), indent=2))
