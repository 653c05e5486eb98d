"""Indexes of the dataset, derived from the ledger; they can be made again from it at any time."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from manifests.comparison import FilesOnDisk
from manifests.durable import move, remove_durably, write_whole, written_whole
from manifests.label_rows import numbered
from manifests.ledger import Ledger, Row, json_line
from manifests.names import is_of_gramflow
from manifests.plan import Plan
from manifests.storage import Place
from manifests.stores import is_there, names_in, read_bytes
from manifests.wanted import Wanted


@dataclass
class Exported:
    """What the indexes hold.

    Attributes:
        images: of the dataset.
        counts: {"split", "kind", "class", "style"} -> value -> images.
        left_out: (content, style, why) -> images that the gate of label fidelity left out.
        failures: (path of the file at fault, why) -> images that are missing because of it.
        set_aside: files that the plan no longer wants, moved to OUT/.gramflow/set_aside.
    """

    images: int = 0
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in ("split", "kind", "class", "style")}
    )
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    set_aside: int = 0


def export_imagefolder(
    out: Place, plan: Plan, ledger: Ledger, about: Mapping[str, Any]
) -> Exported:
    """Write OUT/<split>/metadata.jsonl, OUT/failures.jsonl and OUT/dataset.json.

    Format: Hugging Face's imagefolder (`file_name` relative to its metadata.jsonl), with
    `objects` as its object detection has them: `bbox` x, y, width, height, `categories` by their
    place in `categories` of dataset.json. A semantic mask's path is `mask_file_name` where all
    images have one, else `mask_path`, empty where there is none. Content and styles are named as
    the plan names them now. Rows whose file is gone are left out; files that no row names are set
    aside, so that readers which list the folders see the same images. While indexes are replaced
    there is no dataset.json: its categories are of all of them or of none.

    Args:
        about: resolved manifest and versions, for dataset.json.
    """
    exported = Exported()
    files = FilesOnDisk(out)
    place = {category.name: index for index, category in enumerate(plan.categories)}
    masked, max_pixels = all_masked(plan), plan.manifest.max_pixels
    wanted = Wanted(plan)
    failed: dict[str, Row] = {}
    left_out: dict[str, tuple[str, str, str]] = {}
    repeated = ledger.repeated()
    with ExitStack() as open_files:
        indexes: dict[str, BinaryIO] = {}
        for row in ledger.rows():
            variant_id = row["variant_id"]
            if variant_id not in wanted:
                continue
            row = _named(row, *wanted.names(variant_id))
            if "left_out" in row:
                left_out[variant_id] = row["content_path"], row["style_path"], row["left_out"]
                continue
            if "error" in row:
                # A failure for a lower limit than today's tells nothing, if there is another.
                if row.get("max_pixels", max_pixels) >= max_pixels or variant_id not in failed:
                    failed[variant_id] = row
                continue
            made = [file for file in (row["file"], row.get("mask_file_name")) if file]
            if not all(file in files for file in made):
                continue
            if variant_id in repeated:
                repeated[variant_id] -= 1
                if repeated[variant_id] and not _is_of(out / row["file"], row):
                    continue
            # What was made and is there counts, whatever else became of it at another time.
            failed.pop(variant_id, None)
            left_out.pop(variant_id, None)
            wanted.discard(variant_id)
            for file in made:
                files.discard(file)
            split = row["split"]
            if split not in indexes:
                index = written_whole(out / split / "metadata.jsonl", ledger.temporary_folder)
                indexes[split] = open_files.enter_context(index)
            indexes[split].write(json_line(_metadata(row, place, masked)))
            _count(exported, row)
        # Indexes take their names when this block ends, one by one: until the last has its own,
        # there are no categories by which an older one's numbers could be read.
        remove_durably(out / "dataset.json")
    exported.left_out.update(left_out.values())
    for variant_id, row in failed.items():
        if variant_id not in left_out:
            exported.failures[row["path"], row["error"]] += 1
    exported.set_aside = _set_aside(out, files)
    _remove_empty_indexes(out, set(exported.counts["split"]))
    _write_failures(out, exported, ledger.temporary_folder)
    _write_left_out(out, exported, ledger.temporary_folder)
    _write_about(out, exported, described(plan, about), ledger.temporary_folder)
    return exported


def described(plan: Plan, about: Mapping[str, Any]) -> dict[str, Any]:
    """What dataset.json says, but for what the indexes hold."""
    return {**about, "categories": [asdict(one) for one in plan.categories]}


def all_masked(plan: Plan) -> bool:
    """Whether every content image has a semantic mask."""
    return all(content.labels.semantic_mask for content in plan.content)


def _is_of(file: Place, row: Row) -> bool:
    """Whether these bytes are on record: a file that was lost and made again may be another."""
    sha256: str = row["sha256"]
    return hashlib.sha256(read_bytes(file)).hexdigest() == sha256


def _named(row: Row, content: str, style: str) -> Row:
    """A row with its files named as they are now: in its day they may have lain elsewhere."""
    names = {"content_path": content, "style_path": style}
    changed: Row = {key: name for key, name in names.items() if key in row}
    if "path" in row:  # of a failure: the content, the style or a mask
        now = {row[key]: name for key, name in changed.items()}
        changed["path"] = now.get(row["path"], row["path"])
    return row | changed


def _metadata(row: Row, place: Mapping[str, int], all_masked: bool) -> Row:
    """A ledger row as a row of metadata.jsonl: `file_name` first, relative to the split.

    Without `loss_curve`, which few rows have and only the report reads.
    """
    inside = row["file"].partition("/")[2]
    kept = {key: row[key] for key in row if key not in ("file", "loss_curve")}
    made = {"file_name": inside, **kept}
    if "objects" in made:
        made["objects"] = numbered(made["objects"], place)
    if mask := made.pop("mask_file_name", ""):
        mask = posixpath.relpath(mask, row["split"])
    # Readers open whatever a column named *_file_name says, and an empty name is a folder.
    return made | {"mask_file_name" if all_masked else "mask_path": mask}


def _count(exported: Exported, row: Row) -> None:
    exported.images += 1
    for name, column in (
        ("split", "split"),
        ("kind", "kind"),
        ("class", "label"),
        ("style", "style_path"),
    ):
        if row[column]:
            exported.counts[name][row[column]] += 1


def _set_aside(out: Place, files: FilesOnDisk) -> int:
    moved = 0
    for file in files.left():
        if is_of_gramflow(posixpath.basename(file)):
            move(out / file, out / ".gramflow" / "set_aside" / file)
            moved += 1
    return moved


def _remove_empty_indexes(out: Place, splits: set[str]) -> None:
    for name in names_in(out):
        index = out / name / "metadata.jsonl"
        is_old = name not in splits and not name.startswith(".") and is_there(index)
        if is_old and not names_in(out / name / ".gramflow"):  # else it is another dataset's
            remove_durably(index)


def _write_failures(out: Place, exported: Exported, temporary_folder: Path) -> None:
    with written_whole(out / "failures.jsonl", temporary_folder) as lines:
        for (path, error), images in sorted(exported.failures.items()):
            lines.write(json_line({"path": path, "error": error, "images_missing": images}))


def _write_left_out(out: Place, exported: Exported, temporary_folder: Path) -> None:
    with written_whole(out / "left_out.jsonl", temporary_folder) as lines:
        for (content, style, why), images in sorted(exported.left_out.items()):
            line = {"content_path": content, "style_path": style, "why": why, "images": images}
            lines.write(json_line(line))


def _write_about(
    out: Place, exported: Exported, about: Mapping[str, Any], temporary_folder: Path
) -> None:
    counts = {name: dict(sorted(counter.items())) for name, counter in exported.counts.items()}
    description = {
        **about,
        "images": exported.images,
        "failures": len(exported.failures),
        "counts": counts,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    write_whole(out / "dataset.json", text.encode(), temporary_folder)
