"""Figures of labels: how much time and memory their exporters take.

usage: python -m tests.bench.label_exports [--rows 1000000] [--only FORMAT ...]

The rows are those of a finished run: ledger records of 256 rows each, OBJECTS objects a row with a
polygon of 12 points each. Files are links to a few images. Each exporter has a process of its
own; its peak is that of the whole process, the interpreter included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from manifests.chunks import Chunk
from manifests.exporters.formats import FORMATS, export
from manifests.facts import FactsCache
from manifests.label_rows import objects_column
from manifests.labels import Category, Object
from manifests.ledger import Ledger, Row
from manifests.plan import Base, Engine, Plan, Variant
from manifests.reading import read_manifest
from manifests.sources import list_content

OBJECTS = 20
ROWS_A_RECORD = 256
PHOTOGRAPHS = 1000
INDEX = "index"
CATEGORIES = tuple(Category(f"category {number}") for number in range(80))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=[INDEX, *FORMATS], default=[INDEX, "coco"])
    arguments = parser.parse_args()
    with dataset(arguments.rows) as folder:
        for name in dict.fromkeys([INDEX, *arguments.only]):
            print(json.dumps(measured(folder, name, arguments.rows)), flush=True)


@contextmanager
def dataset(rows: int) -> Iterator[Path]:
    """A folder with a manifest, and the ledger and files of a run of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        for number in range(PHOTOGRAPHS):
            color = (number % 256, number // 256, 0)
            Image.new("RGB", (64, 48), color).save(folder / "photos" / f"{number:04d}.png")
        described = {
            "version": 1,
            "name": "bench",
            "content": [{"path": "photos"}],
            "augment": {
                "recipes": {"flip": [{"HorizontalFlip": {"p": 0.5}}]},
                "variants": {"original": rows // PHOTOGRAPHS - 1, "stylized": 0},
            },
            "output": {"path": "out"},
        }
        (folder / "bench.yaml").write_text(yaml.safe_dump(described))
        record_run(folder)
        yield folder


def planned(folder: Path) -> Plan:
    facts = FactsCache(folder / "facts.sqlite")
    read = read_manifest(folder / "bench.yaml")
    plan = Plan(read, list_content(read), Engine("", "", "", {}, 64), facts)
    facts.close()
    plan.categories = CATEGORIES
    return plan


def record_run(folder: Path) -> None:
    """Put every variant of the plan on record, and a link for its file."""
    plan, ledger = planned(folder), Ledger(folder / "out")
    (folder / "out" / "train").mkdir(parents=True)
    pending: list[Row] = []
    number = 0
    for base in plan.bases():
        # An image for each base: file systems limit the links to one.
        image = folder / f"{base.id}.jpg"
        Image.new("RGB", (64, 48)).save(image)
        for variant in base.variants:
            os.link(image, folder / "out" / variant.file)
            pending.append(row(base, variant))
            if len(pending) == ROWS_A_RECORD:
                ledger.record(Chunk(number, (base,)), pending, [])
                number += 1
                pending = []
    if pending:
        ledger.record(Chunk(number, (base,)), pending, [])


def row(base: Base, variant: Variant) -> Row:
    from flows.version import VERSION

    text = dict.fromkeys(("label", "style_path", "encoder", "preset", "notes"), "")
    numbers = {f"{name}_loss_end": 0.0 for name in ("content", "style", "total")}
    return {
        "file": variant.file,
        **text,
        "split": "train",
        "source_id": base.source_id,
        "group_id": "",
        "variant_id": variant.id,
        "kind": base.kind(variant),
        "content_path": base.content.name,
        "width": 64,
        "height": 48,
        **numbers,
        "recipe_index": variant.index,
        "applied_transforms": '[["HorizontalFlip",{}]]',
        "objects": objects_column(
            [labelled(place) for place in range(OBJECTS)], [80.0] * OBJECTS, [0.5] * OBJECTS
        ),
        "dropped_objects": "[]",
        "mask_file_name": "",
        "sha256": base.source_id * 2,
        "gramflow_version": VERSION,
    }


def labelled(place: int) -> Object:
    x, y = 5.125 + place, 7.25 + place
    polygon = tuple(x + step % 11 if step % 2 == 0 else y + step % 7 for step in range(24))
    return Object(f"category {place}", (x, y, x + 10, y + 8), (polygon,))


def measured(folder: Path, name: str, rows: int) -> dict[str, Any]:
    """Seconds and peak memory of one exporter in a process of its own."""
    program = f"from tests.bench.label_exports import work; work({str(folder)!r}, {name!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return {"export": name, "rows": rows, **json.loads(done.stdout.splitlines()[-1])}


def work(folder: str, name: str) -> None:
    """Export, and print what it took."""
    out = Path(folder) / "out"
    began_s = time.monotonic()
    if name == INDEX:
        from manifests.export import export_imagefolder

        plan = planned(Path(folder))
        said = str(export_imagefolder(out, plan, Ledger(out), {"manifest": {}}).images)
    else:
        (said,) = map(str, export(out, [name]))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"seconds": round(time.monotonic() - began_s, 1), "peak_MB": round(peak_mb)}
    print(json.dumps(figures | {"said": said}))


if __name__ == "__main__":
    main()
