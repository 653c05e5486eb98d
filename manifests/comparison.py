"""Plan against ledger: what is new, done, failed, stale or orphaned."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from upath import UPath

from manifests.chunks import Chunk
from manifests.durable import check_stays_inside
from manifests.hashes import Checklist
from manifests.ledger import Ids, Ledger
from manifests.plan import Base, Plan, Variant
from manifests.storage import Place
from manifests.stores import list_below, list_folder

# Of each dataset.
_OWN = ".gramflow"


class FilesOnDisk:
    """Which files of the dataset are there; each folder is listed once, when first asked about.

    Of a store, all are listed at once.

    Raises:
        LeadsOut: when a folder is asked about that a link leads out of the dataset.
    """

    def __init__(self, out: Place) -> None:
        self._out = out
        self._names: dict[str, Checklist | set[str]] = {}
        if isinstance(out, UPath):
            self._names.update(_names_in_store(out))

    def __contains__(self, file: str) -> bool:
        folder, _, name = file.rpartition("/")
        return name in self._listed(folder)

    def discard(self, file: str) -> None:
        """Take one file off the list."""
        folder, _, name = file.rpartition("/")
        self._listed(folder).discard(name)

    def left(self) -> Iterator[str]:
        """Files of all folders of the dataset that are on the list.

        Hidden folders are left out, and other datasets that lie in this one.
        """
        if isinstance(self._out, UPath):
            others = {above for folder in self._names if (above := _above_hidden(folder))}
            for folder in sorted(self._names):
                if any(f"{folder}/".startswith(f"{other}/") for other in others):
                    continue
                listed = self._names[folder]
                assert isinstance(listed, set)
                yield from (f"{folder}/{name}" for name in sorted(listed))
            return
        for parent, folders, names in os.walk(self._out):
            if _OWN in folders and parent != str(self._out):
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            folder = os.path.relpath(parent, self._out).replace(os.sep, "/")
            if folder != ".":
                listed = self._listed(folder)
                yield from (f"{folder}/{name}" for name in sorted(names) if name in listed)

    def _listed(self, folder: str) -> Checklist | set[str]:
        if folder not in self._names and not isinstance(self._out, UPath):
            check_stays_inside(self._out / folder, self._out)
            self._names[folder] = Checklist(_names_in(self._out / folder))
        return self._names.setdefault(folder, set())


def _names_in_store(out: UPath) -> dict[str, set[str]]:
    """Folder, below `out` and not hidden -> names of its files."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for first, state in list_folder(out).items():
        if state is None and not first.startswith("."):
            for inside, _ in list_below(out / first):
                folder, _, name = f"{first}/{inside}".rpartition("/")
                names[folder].add(name)
    return names


def _above_hidden(folder: str) -> str:
    """The dataset that a folder of gramflow's own is of; empty for other folders."""
    above, own, _ = f"{folder}/".partition(f"/{_OWN}/")
    return above if own else ""


def _names_in(folder: Path) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


@dataclass(frozen=True, slots=True)
class Counts:
    """Images by state. Stale: the same content image now gives others. Orphan: it is gone."""

    new: int = 0
    done: int = 0
    failed: int = 0
    left_out: int = 0
    stale: int = 0
    orphan: int = 0


class Todo:
    """Decides what of a chunk is left to do."""

    def __init__(self, ids: Ids, files: FilesOnDisk, retry_failed: bool = False) -> None:
        self._ids = ids
        self._files = files
        self._retry_failed = retry_failed

    def is_done(self, variant: Variant) -> bool:
        """On record, and its file is still there, with its mask."""
        files = (variant.file, variant.mask_file) if variant.mask_file else (variant.file,)
        return variant.id in self._ids.done and all(file in self._files for file in files)

    def is_failed(self, variant: Variant) -> bool:
        """Whether it failed before, and is not to be tried again."""
        return variant.id in self._ids.failed and not self._retry_failed

    def is_left_out(self, variant: Variant) -> bool:
        """Whether the gate of label fidelity left it out."""
        return variant.id in self._ids.left_out

    def of_chunk(self, chunk: Chunk) -> Chunk:
        """The chunk with only what is to be done in this run; possibly without bases."""
        left = (self._of_base(base) for base in chunk.bases)
        return replace(chunk, bases=tuple(base for base in left if base.variants))

    def _of_base(self, base: Base) -> Base:
        left = tuple(v for v in base.variants if not self._is_settled(v))
        return base if len(left) == len(base.variants) else replace(base, variants=left)

    def _is_settled(self, variant: Variant) -> bool:
        return self.is_done(variant) or self.is_failed(variant) or self.is_left_out(variant)


def compare(plan: Plan, ledger: Ledger, out: Place) -> Counts:
    """Count the images of plan and ledger by state."""
    ids, files = ledger.ids(plan.manifest.max_pixels), FilesOnDisk(out)
    todo = Todo(ids, files)
    new = done = failed = left_out = 0
    wanted: set[str] = set()
    for variant in chain.from_iterable(base.variants for base in plan.bases()):
        wanted.add(variant.id)
        if todo.is_done(variant):
            done += 1
        elif todo.is_failed(variant):
            failed += 1
        elif todo.is_left_out(variant):
            left_out += 1
        else:
            new += 1
    stale = orphan = 0
    if ids.done - wanted:
        present = {content.name for content in plan.content}
        for row in ledger.rows():
            made = "error" not in row and "left_out" not in row
            if not made or row["variant_id"] in wanted or row["file"] not in files:
                continue
            files.discard(row["file"])
            if row["content_path"] in present:
                stale += 1
            else:
                orphan += 1
    return Counts(new, done, failed, left_out, stale, orphan)


def first_images(chunk: Chunk, limit: int) -> Chunk:
    """The chunk cut off after `limit` images."""
    bases = []
    for base in chunk.bases:
        kept = base.variants[: max(0, limit)]
        limit -= len(kept)
        if kept:
            bases.append(replace(base, variants=kept))
    return replace(chunk, bases=tuple(bases))
