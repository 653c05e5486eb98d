"""Rows of the ledger: one for each file that came out, one for each that could not be made."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

from augment.recipes import Applied
from flows.version import VERSION
from manifests.identity import canonical_json, source_id
from manifests.ledger import Row
from manifests.plan import Base, Plan, Variant
from nst_core import Stylized

_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class Optimisation:
    """How the optimisation of one pair ended."""

    loss_start: dict[str, float]
    loss_end: dict[str, float]
    iterations: int
    stop_reason: str

    @staticmethod
    def of_pair(result: Stylized, index: int) -> Optimisation:
        return Optimisation(
            result.start.of_pair(index),
            result.end.of_pair(index),
            result.iterations[index],
            result.stop_reason[index],
        )


def done_row(
    plan: Plan,
    base: Base,
    variant: Variant,
    *,
    size: tuple[int, int],
    data: bytes,
    applied: Applied,
    notes: tuple[str, ...],
    optimisation: Optimisation | None,
) -> Row:
    """Metadata of one file; the same columns for every kind, null where one has no meaning.

    Args:
        size: (width, height) of the file in pixels.
        data: its bytes.
    """
    engine = plan.engine if base.style is not None else None
    row: dict[str, Any] = {
        "file": variant.file,
        "label": base.content.labels.class_name,
        "split": base.content.split,
        "source_id": source_id(base.content_sha256),
        "variant_id": variant.id,
        "kind": base.kind(variant),
        "content_path": base.content.name,
        "style_path": None if base.style is None else base.style.name,
        "width": size[0],
        "height": size[1],
        "seed": plan.manifest.seed,
        "encoder": engine and engine.encoder,
        "encoder_sha256": engine and engine.encoder_sha256,
        "preset": engine and engine.preset,
        "strength": base.strength if engine else None,
        "stylize_parameters": canonical_json(plan.parameters(base)) if engine else None,
    }
    for name in ("content", "style", "total_variation", "total"):
        for when in ("start", "end"):
            losses = getattr(optimisation, f"loss_{when}", None)
            row[f"{name}_loss_{when}"] = None if losses is None else _rounded(losses[name])
    row |= {
        "iterations": None if optimisation is None else optimisation.iterations,
        "stop_reason": None if optimisation is None else optimisation.stop_reason,
        "recipe": variant.recipe,
        "recipe_index": variant.index,
        "applied_transforms": canonical_json([list(one) for one in applied]),
        "notes": "; ".join(notes),
        "sha256": hashlib.sha256(data).hexdigest(),
        "gramflow_version": VERSION,
    }
    return row


def failed_rows(base: Base, path: str, error: str) -> list[Row]:
    """One row for each variant of `base`, none of which could be made because of `path`."""
    return [
        {
            "variant_id": variant.id,
            "file": variant.file,
            "content_path": base.content.name,
            "path": path,
            "error": error,
        }
        for variant in base.variants
    ]


def _rounded(value: float) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
