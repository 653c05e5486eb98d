"""A small job for tests of plan, ledger and export: no engine is needed for those."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests.chunks import Chunk
from manifests.facts import FactsCache
from manifests.ledger import Ledger, Row
from manifests.plan import Engine, Plan
from manifests.reading import read_manifest
from manifests.sources import list_content
from tests.flows.pictures import photo, write_classes

MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """Plans a job of four photos and three styles, with changes to its manifest or engine."""
    write_classes(tmp_path / "photos", count=4)
    (tmp_path / "styles").mkdir()
    for index in range(3):
        photo(100 + index, 40, 52).save(tmp_path / "styles" / f"style{index}.png")

    def make(folder: Path = tmp_path, engine: dict[str, Any] | None = None, **changes: Any) -> Plan:
        described: dict[str, Any] = {
            "version": 1,
            "name": "small",
            "seed": 7,
            "content": [{"path": "photos"}],
            "styles": [{"path": "styles"}],
            "pairing": {"strategy": "random", "styles_per_content": 2},
            "stylize": {"strength": [0.2, 0.9]},
            "augment": {
                "recipes": {"mirror": [{"HorizontalFlip": {"p": 1.0}}]},
                "variants": {"original": 1, "stylized": 2},
            },
            "output": {"path": "out"},
        }
        file = folder / "job.yaml"
        file.write_text(yaml.safe_dump(described | changes, sort_keys=False))
        whole: dict[str, Any] = {
            "encoder": "random",
            "encoder_sha256": "e",
            "preset": "fast",
            "parameters": {"style_weight": 5.0},
            "size": 48,
        }
        facts = FactsCache(folder / "facts.sqlite")
        read = read_manifest(file)
        plan = Plan(read, list_content(read), Engine(**(whole | (engine or {}))), facts)
        facts.close()
        return plan

    return make


def ids(plan: Plan, *kinds: str) -> set[str]:
    """Ids of all variants, or of those of some kinds."""
    return {
        variant.id
        for base in plan.bases()
        for variant in base.variants
        if not kinds or base.kind(variant) in kinds
    }


def every_id(plan: Plan) -> list[str]:
    """Ids of all variants, in order."""
    return [variant.id for base in plan.bases() for variant in base.variants]


def record(out: Path, chunk: Chunk, failed: tuple[str, ...] = ()) -> None:
    """Put a chunk on record as if it had been worked; `failed` are ids that failed."""
    done: list[Row] = []
    failures: list[Row] = []
    for base in chunk.bases:
        for variant in base.variants:
            row: Row = {
                "file": variant.file,
                "label": base.content.labels.class_name or "",
                "split": base.content.split,
                "variant_id": variant.id,
                "kind": base.kind(variant),
                "content_path": base.content.name,
                "style_path": "" if base.style is None else base.style.name,
            }
            if variant.id in failed:
                failures.append(row | {"path": base.content.name, "error": "is broken"})
            else:
                done.append(row)
                (out / variant.file).parent.mkdir(parents=True, exist_ok=True)
                (out / variant.file).write_bytes(variant.id.encode())
    Ledger(out).record(chunk, done, failures)
