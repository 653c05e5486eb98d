"""Rows of the ledger: one for each file that came out, could not be made, or was left out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from augment.fidelity import Scores
from augment.labels import Moved
from augment.recipes import Applied
from flows.loss_curves import Point
from flows.version import VERSION
from manifests.identity import canonical_json, source_id
from manifests.label_rows import SCORE_DECIMALS, dropped_column, objects_column
from manifests.ledger import Row
from manifests.plan import Base, Engine, Variant, stylize_parameters
from manifests.schema import Manifest
from nst_core import StylizedPair

_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class Optimisation:
    """How the optimisation of one pair ended.

    Attributes:
        strength: of the style, with which it was done.
        curve: its losses from iteration to iteration; empty for all but the first pair of a chunk.
    """

    loss_start: dict[str, float]
    loss_end: dict[str, float]
    iterations: int
    stop_reason: str
    precision: str
    strength: float
    notes: tuple[str, ...]
    curve: tuple[Point, ...] = ()

    @staticmethod
    def of(result: StylizedPair, strength: float, curve: tuple[Point, ...]) -> Optimisation:
        """Of a result, with the strength and the losses on the way to it."""
        restarted = ("done again alone in float32: a loss had not been finite",)
        return Optimisation(
            result.start,
            result.end,
            result.iterations,
            result.stop_reason,
            result.precision,
            strength,
            restarted if result.restarted else (),
            curve,
        )

    def with_note(self, note: str) -> Optimisation:
        """The same with one more sentence for the row's `notes`."""
        return replace(self, notes=(*self.notes, note))


_NO_ENGINE = Engine("", "", "", {}, 0)
_NO_OPTIMISATION = Optimisation({}, {}, 0, "", "", 0.0, ())


def done_row(
    manifest: Manifest,
    engine: Engine,
    base: Base,
    variant: Variant,
    *,
    size: tuple[int, int],
    data: bytes,
    mask: bytes | None,
    moved: Moved,
    fidelity: Scores,
    applied: Applied,
    notes: tuple[str, ...],
    optimisation: Optimisation | None,
    made_with: str,
) -> Row:
    """Metadata of one file.

    The same columns of the same types for every kind: where one has no meaning, text is empty
    and a number is 0, never null, because readers take a column's type from one split's rows.

    Args:
        size: (width, height) of the file in pixels.
        data: its bytes.
        mask: those of its semantic mask, where it has one.
        moved: its labels, with all objects that were dropped on the way to it.
        fidelity: what it, and each of its objects, has kept of the content's structure.
        made_with: what else decides its bytes, as `flows.version.made_with` says it.
    """
    engine = engine if base.style is not None else _NO_ENGINE
    done = optimisation or _NO_OPTIMISATION
    losses = {
        f"{name}_loss_{when}": _rounded(values.get(name, 0.0))
        for name in ("content", "style", "total_variation", "total")
        for when, values in (("start", done.loss_start), ("end", done.loss_end))
    }
    return {
        "file": variant.file,
        "mask_file_name": variant.mask_file,
        "label": base.content.labels.class_name or "",
        "split": base.content.split,
        "source_id": source_id(base.content_sha256),
        "group_id": base.content.group,
        "variant_id": variant.id,
        "pair_id": "" if base.style is None else base.id,
        "kind": base.kind(variant),
        "content_path": base.content.name,
        "style_path": "" if base.style is None else base.style.name,
        "style_sha256": base.style_sha256.hex(),
        "width": size[0],
        "height": size[1],
        "objects": objects_column(moved.labels.objects, moved.areas, fidelity.objects),
        "dropped_objects": dropped_column(moved.dropped),
        "fidelity": round(fidelity.image, SCORE_DECIMALS),
        "seed": manifest.seed,
        "encoder": engine.encoder,
        "encoder_sha256": engine.encoder_sha256,
        "preset": engine.preset,
        "strength": done.strength,
        "stylize_parameters": _stylize_parameters(manifest, engine, base, done),
        **losses,
        "iterations": done.iterations,
        "stop_reason": done.stop_reason,
        "precision": done.precision,
        "recipe": variant.recipe or "",
        "recipe_index": variant.index,
        "applied_transforms": canonical_json([list(one) for one in applied]),
        "notes": "; ".join((*notes, *done.notes)),
        "sha256": hashlib.sha256(data).hexdigest(),
        "mask_sha256": "" if mask is None else hashlib.sha256(mask).hexdigest(),
        "gramflow_version": VERSION,
        "made_with": made_with,
    }


def _stylize_parameters(manifest: Manifest, engine: Engine, base: Base, done: Optimisation) -> str:
    """Of a pair, as they were used: after a retry the strength is not the one in its id."""
    if base.style is None:
        return ""
    return canonical_json(stylize_parameters(manifest, engine) | {"strength": done.strength})


def failed_rows(base: Base, path: str, error: str, max_pixels: int = 0) -> list[Row]:
    """One row for each variant of `base`, none of which could be made because of `path`.

    Args:
        max_pixels: the limit that it is refused for; 0 where it is for anything else.
    """
    limit = {"max_pixels": max_pixels} if max_pixels else {}
    return [
        {
            "variant_id": variant.id,
            "file": variant.file,
            "content_path": base.content.name,
            "style_path": "" if base.style is None else base.style.name,
            "path": path,
            "error": error,
            **limit,
        }
        for variant in base.variants
    ]


def left_out_rows(base: Base, why: str) -> list[Row]:
    """One row for each variant of a stylized `base` that is not made."""
    return [
        {
            "variant_id": variant.id,
            "content_path": base.content.name,
            "style_path": "" if base.style is None else base.style.name,
            "left_out": why,
        }
        for variant in base.variants
    ]


def _rounded(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
