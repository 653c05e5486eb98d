"""Whether indexes and exports are those of the plan: then a run has nothing to write.

Written when a run has ended with nothing left to make, gone before anything of it changes.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from typing import Any

from manifests.comparison import FilesOnDisk
from manifests.durable import remove_durably, write_whole
from manifests.export import all_masked, described
from manifests.exporters.coco import coco_files
from manifests.exporters.folder import BESIDE, EXPORT, is_whole, path_beside
from manifests.hashes import hash_of
from manifests.identity import canonical_json, digest
from manifests.ledger import Ids, Ledger, json_line
from manifests.names import is_of_gramflow
from manifests.plan import Base, Plan
from manifests.storage import Place, local_folder
from manifests.stores import is_there, names_in, read_bytes, state_now

_NAME = "settled.json"
_FORMAT = 1
_IDS_MODULO = 2**64


@dataclass(frozen=True)
class Settled:
    """A dataset of which everything is there.

    Attributes:
        images: of it.
        left_out: images that the gate of label fidelity left out.
        exports: a line for each further format.
        formats: those that it was written in.
    """

    images: int
    left_out: int
    exports: tuple[str, ...]
    formats: tuple[str, ...]


def is_perhaps_settled(out: Place) -> bool:
    """Whether the last run has left nothing to do; what has come since is not looked at."""
    return is_there(_file(out))


def settle(
    out: Place, plan: Plan, ledger: Ledger, about: Mapping[str, Any], settled: Settled
) -> None:
    """Put on record that images, indexes and exports are all there."""
    written = {
        "format": _FORMAT,
        "state": _state(plan, ledger, about),
        "indexes": _indexes(out, settled.formats),
        **asdict(settled),
    }
    write_whole(_file(out), json_line(written), local_folder(out) / "tmp")


def unsettle(out: Place) -> None:
    """Call it before anything of the dataset is changed."""
    remove_durably(_file(out))


def settled(
    out: Place,
    plan: Plan,
    ledger: Ledger,
    about: Mapping[str, Any],
    ids: Ids,
    files: FilesOnDisk,
) -> Settled | None:
    """What is on record, if it still holds: nothing has come, gone or changed since.

    Nothing of the plan may be left to do. Who changed bytes of an image is not found out.

    Args:
        about: what dataset.json says of the manifest and gramflow's version.
        ids: those of the ledger.
        files: of the dataset, none taken off the list.
    """
    try:
        written = json.loads(read_bytes(_file(out)))
        if written["format"] != _FORMAT:
            return None
        on_record = Settled(
            written["images"],
            written["left_out"],
            tuple(written["exports"]),
            tuple(written["formats"]),
        )
        same = written["indexes"] == _indexes(out, on_record.formats)
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not same or written["state"] != _state(plan, ledger, about):
        return None
    return on_record if _are_all_wanted(plan, ids.done, files) else None


def _file(out: Place) -> Place:
    return out / ".gramflow" / _NAME


def _state(plan: Plan, ledger: Ledger, about: Mapping[str, Any]) -> str:
    """Digest of all that the indexes are made of."""
    wanted = sum(map(_wanted, plan.bases())) % _IDS_MODULO
    return digest(wanted, all_masked(plan), ledger.names(), described(plan, about))


def _wanted(base: Base) -> int:
    """Of the base's variants and the names of its files, by which indexes call them."""
    style = "" if base.style is None else base.style.name
    ids = sum(hash_of(variant.id) for variant in base.variants)
    return ids + hash_of(canonical_json([base.id, base.content.name, style]))


def _indexes(out: Place, formats: tuple[str, ...]) -> dict[str, list[int]]:
    """Size and version of each file in OUT itself, of its splits' indexes and of its exports'.

    Of an export with files that are gone there is nothing.
    """
    names = [name for name in names_in(out) if not name.startswith(".")]
    files = {name: out / name for name in names}
    files |= {f"{name}/metadata.jsonl": out / name / "metadata.jsonl" for name in names}
    files |= {f"annotations/{file.name}": file for file in coco_files(out)}
    for format in set(BESIDE) & set(formats):
        export = path_beside(out, format) / EXPORT
        if is_there(export) and is_whole(out, format):
            files[f"{format}/{EXPORT}"] = export
    states = {name: state_now(file) for name, file in files.items()}
    return {name: [one.size_bytes, one.version] for name, one in states.items() if one}


def _are_all_wanted(plan: Plan, done: Set[str], files: FilesOnDisk) -> bool:
    """Whether the folder has no image but those of the plan that are done, which it has all."""
    wanted = 0
    for base in plan.bases():
        for variant in base.variants:
            if variant.id in done:
                wanted += 2 if variant.mask_file else 1
    there = sum(is_of_gramflow(posixpath.basename(file)) for file in files.left())
    return there == wanted
