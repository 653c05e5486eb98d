"""How true `gramflow plan` is: its estimates beside what the run then takes.

usage: python -m tests.bench.estimates PHOTOS STYLES [--size 128] [--preset fast] [--images 12]

Three estimates: of the whole job, of what `run --limit` leaves of it (pairs are on record then),
and of nothing. Seconds are those of the command `gramflow run`, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("styles", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--images", type=int, default=12, help="photographs, of those that are")
    arguments = parser.parse_args()
    os.environ.pop("PREFECT_API_URL", None)
    with TemporaryDirectory() as name:
        manifest = write_job(Path(name), arguments)
        whole = planned(manifest)
        report("the whole job", whole, *ran(manifest))
        out = manifest.parent / "out"
        shutil.rmtree(out)
        ran(manifest, "--limit", str(whole["images"] // 2))
        report("its second half", planned(manifest), *ran(manifest))
        began_s = time.perf_counter()
        nothing = planned(manifest)
        took_s = time.perf_counter() - began_s
        print(f"nothing left: {nothing['seconds']}, told in {took_s:.1f} s")


def write_job(folder: Path, arguments: argparse.Namespace) -> Path:
    (folder / "photos").mkdir()
    photographs = sorted(file for file in arguments.photos.rglob("*") if file.is_file())
    apart = max(1, len(photographs) // arguments.images)
    for file in photographs[::apart][: arguments.images]:
        shutil.copy(file, folder / "photos")
    described = {
        "version": 1,
        "name": "estimates",
        "content": [{"path": "photos"}],
        "styles": [{"path": str(arguments.styles.absolute())}],
        "pairing": {"styles_per_content": 2},
        "stylize": {"preset": arguments.preset, "size": arguments.size, "strength": [0.5, 1.0]},
        "augment": {"recipes": {"flip": [{"HorizontalFlip": {"p": 0.5}}]}},
        "output": {"path": "out"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(described))
    return folder / "job.yaml"


def planned(manifest: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "flows", "plan", str(manifest), "--json"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told: dict[str, Any] = json.loads(output)
    return told


def ran(manifest: Path, *options: str) -> tuple[float, int]:
    """Seconds that a run took, and bytes that the output folder grew by."""
    out = manifest.parent / "out"
    before, began_s = size_bytes(out), time.perf_counter()
    command = [sys.executable, "-m", "flows", "run", str(manifest), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s, size_bytes(out) - before


def size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def report(what: str, told: dict[str, Any], took_s: float, grew_bytes: int) -> None:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    tried, on_record = told["pairs_tried"], told["pairs_on_record"]
    print(f"{what}: {told['images']} images, {told['pairs']} pairs; known from {tried} pairs on")
    print(f"  trial and {on_record} on record; load of the machine {load}")
    for name, took, unit, of in (
        ("seconds", took_s, "s", 1.0),
        ("disk_bytes", float(grew_bytes), "MB", 1e6),
    ):
        low, likely, high = (told[name][key] / of for key in ("low", "likely", "high"))
        inside = "inside" if low <= took / of <= high else "OUTSIDE"
        print(
            f"  {name}: {low:.1f} .. {likely:.1f} .. {high:.1f} {unit}, "
            f"took {took / of:.1f}: {inside}"
        )


if __name__ == "__main__":
    main()
