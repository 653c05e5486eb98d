"""The contact sheet of a preview: its images from their files, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from flows.contact_sheet import Labelled, Triple, contact_sheet
from flows.job import Job
from flows.load import load
from flows.wording import counted
from manifests.durable import write_whole
from manifests.images import decode_class_indices, decode_image, encode_image, read_file
from manifests.label_rows import objects_of
from manifests.ledger import Row
from manifests.plan import Base, Variant
from manifests.selection import Item
from manifests.storage import local_folder
from manifests.stores import is_there, read_bytes

CONTACT_SHEET = "contact_sheet.jpg"
_SHEET_QUALITY = 90


def write_sheet(job: Job, shown: Sequence[Item]) -> Path | None:
    """The contact sheet of what was made; where that is nothing, there is none."""
    rows = {row["variant_id"]: row for row in job.ledger.rows() if "sha256" in row}
    triples = []
    for base, variant in shown:
        row = rows.get(variant.id)
        if row is not None and is_there(job.out / row["file"]):
            triples.append(_triple(job, base, variant, row))
    sheet = local_folder(job.out).parent / CONTACT_SHEET
    if not triples:
        sheet.unlink(missing_ok=True)
        return None
    manifest = job.plan.manifest
    drawn = contact_sheet(manifest.name, _subtitle(job, shown), triples, job.plan.categories)
    data = encode_image(drawn, "jpeg", _SHEET_QUALITY)
    write_whole(sheet, data, job.ledger.temporary_folder)
    return sheet


def _triple(job: Job, base: Base, variant: Variant, row: Row) -> Triple:
    most_pixels = job.plan.manifest.max_pixels
    loaded = load(base, None, most_pixels)
    photograph = Labelled(
        Image.fromarray(loaded.pixels), loaded.labels.objects, loaded.semantic_mask
    )
    # A recipe may have made more pixels than a photograph may have.
    made_pixels = max(most_pixels, row["width"] * row["height"])
    mask = None
    if row["mask_file_name"]:
        data = read_bytes(job.out / row["mask_file_name"])
        mask = np.array(decode_class_indices(data, made_pixels))
    image = decode_image(read_bytes(job.out / row["file"]), made_pixels).image
    result = Labelled(image, objects_of(row["objects"]), mask)
    style, of_style = None, ("", "")
    if base.style is not None:
        style = decode_image(read_file(base.style.file)[0], most_pixels).image
        of_style = _stem(base.style.name), f"strength {row['strength']:.2f}"
    kind = base.kind(variant).partition("_")[0]
    recipe = f" · {variant.recipe}" if variant.recipe else ""
    fidelity = "" if base.style is None else f"fidelity {row['fidelity']:.2f}"
    of_photograph = _labelled_as(base), _stem(base.content.name)
    return Triple(photograph, style, result, (of_photograph, of_style, (kind + recipe, fidelity)))


def _labelled_as(base: Base) -> str:
    labels = base.content.labels
    said = labels.class_name or ""
    if labels.objects:
        objects = counted(len(labels.objects), "object")
        said = f"{said} · {objects}" if said else objects
    return f"{said or 'no label'} · {base.content.split}"


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _subtitle(job: Job, shown: Sequence[Item]) -> str:
    manifest, engine = job.plan.manifest, job.plan.engine
    classes = {base.content.labels.class_name for base, _ in shown} - {None}
    styles = {base.style_sha256 for base, _ in shown if base.style is not None}
    each = (shown, "image"), (classes, "class"), (styles, "style")
    facts = [counted(len(some), noun) for some, noun in each if some]
    if styles:
        low, high = manifest.stylize.strength
        facts.append(f"strength {low:g}" + (f" to {high:g}" if high > low else ""))
        size = "original size" if manifest.stylize.size == "original" else f"{engine.size} px"
        facts.append(f"{engine.encoder}, {engine.preset}, {size}")
    return " · ".join(facts)
