"""What else a run has left on record: its manifest, what it was made with, what failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from manifests.exporters.finished import FinishedDataset
from manifests.storage import Place
from manifests.stores import is_there, opened

# Lines that the page holds; of more, it names the file that has all.
MOST_LINES = 1_000
# Missing because of one line; no dataset has more.
_MOST_IMAGES = 2**48


@dataclass(frozen=True)
class Failure:
    """A file that could not be used."""

    path: str
    error: str
    images: int


@dataclass(frozen=True)
class LeftOut:
    """A pair that kept too little of its photograph."""

    content: str
    style: str
    why: str
    images: int


@dataclass(frozen=True)
class Listed:
    """Attributes:
    lines: the first of them.
    count: all.
    images: that are missing because of them.
    reasons: each with how many lines have it, the commonest first.
    """

    lines: tuple[Failure | LeftOut, ...]
    count: int
    images: int
    reasons: tuple[tuple[str, int], ...]


def read_failures(out: Place) -> Listed:
    """Lines of OUT/failures.jsonl."""
    return _listed(
        Failure(str(one.get("path", "")), str(one.get("error", "")), _count(one, "images_missing"))
        for one in _lines(out / "failures.jsonl")
    )


def read_left_out(out: Place) -> Listed:
    """Lines of OUT/left_out.jsonl; none where an older run wrote no such file."""
    return _listed(
        LeftOut(
            str(one.get("content_path", "")),
            str(one.get("style_path", "")),
            str(one.get("why", "")),
            _count(one, "images"),
        )
        for one in _lines(out / "left_out.jsonl")
    )


def _listed(all_lines: Iterator[Failure | LeftOut]) -> Listed:
    lines: list[Failure | LeftOut] = []
    images = count = 0
    reasons: Counter[str] = Counter()
    for line in all_lines:
        count += 1
        images += line.images
        if len(lines) < MOST_LINES:
            lines.append(line)
            reasons[line.error if isinstance(line, Failure) else line.why] += 1
    return Listed(tuple(lines), count, images, tuple(reasons.most_common()))


def _lines(file: Place) -> Iterator[dict[str, Any]]:
    """Objects of a .jsonl file, of which each line that is none is told as a failure of its own."""
    if not is_there(file):
        return
    with opened(file) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            broken = f"line {number} is no JSON object"
            yield value if isinstance(value, dict) else {"path": file.name, "error": broken}


def _count(line: dict[str, Any], name: str) -> int:
    value = line.get(name)
    return value if type(value) is int and 0 <= value < _MOST_IMAGES else 0


def manifest_text(dataset: FinishedDataset) -> str:
    """The resolved manifest as YAML; empty where dataset.json has none."""
    manifest = dataset.about.get("manifest")
    if not manifest:
        return ""
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=88)


def made_by(dataset: FinishedDataset) -> list[tuple[str, str]]:
    """Name and value of what the last run worked with."""
    about = dataset.about
    engine = about.get("engine")
    engine = engine if isinstance(engine, dict) else {}
    sizes = engine.get("size")
    said = [
        ("gramflow", dataset.version),
        ("encoder", engine.get("encoder")),
        ("weights", str(engine.get("encoder_sha256", ""))[:16]),
        ("preset", engine.get("preset")),
        ("size", f"{sizes} px" if type(sizes) is int else sizes),
        ("device", about.get("device")),
        ("processor", about.get("machine", {}).get("cpu")),
        *about.get("versions", {}).items(),
    ]
    return [(name, str(value)) for name, value in said if value]
