"""A few images of a manifest made before the others, for people to look at."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from flows.job import Job, prepare
from flows.nothing_to_do import about_dataset, made_on
from flows.preview_sheet import write_sheet
from flows.progress import ChunkDone, Control, InStage, Started
from flows.reading import output_folder
from flows.report import REPORT, write_report
from flows.workers.devices import chunk_worker
from manifests.chunks import Chunk
from manifests.comparison import FilesOnDisk, Todo
from manifests.durable import check_stays_inside, remove_durably
from manifests.export import export_imagefolder
from manifests.in_use import in_use
from manifests.ledger import Row
from manifests.plan import Base
from manifests.preview_mark import is_of_previews, mark_as_preview
from manifests.reading import ReadManifest
from manifests.selection import Item, candidates, images_to_show
from manifests.sources import list_styles
from manifests.storage import Place, is_in_store
from manifests.verification import Finding, check_file, set_aside

# So many photographs are looked at for each image; and about so many pairs in all.
_LOOKED_AT = 8
_MOST_PAIRS = 10_000


@dataclass(frozen=True)
class Previewed:
    """What a preview came to.

    Attributes:
        images: that it shows; made: of them, now.
        damaged: files of an earlier one that were set aside, and made again.
        unusable: photographs that were looked at and cannot be opened.
        sheet, report: None where there is no image to show.
    """

    out: Path
    images: int
    made: int
    damaged: int
    unusable: int
    left_out: int
    failures: tuple[tuple[str, str], ...]
    sheet: Path | None
    report: Place | None

    @property
    def found_nothing_usable(self) -> bool:
        """Whether no photograph that was looked at gave an image."""
        return not self.images and not self.left_out and (self.unusable > 0 or self.failures != ())


def preview_folder(out: Place) -> Path:
    """Where the preview of the dataset in `out` goes: beside it; of a store, into this folder."""
    name = f"{out.name}.preview"
    return Path.cwd() / name if is_in_store(out) else out.parent / name


def preview(read: ReadManifest, count: int, control: Control) -> Previewed:
    """Make `count` images, spread over all that differs, as a run would; then a contact sheet.

    What is there is not made again; what an earlier preview has besides is set aside.

    Args:
        read: the manifest, its output being the preview's folder.

    Raises:
        ValueError: the folder holds a dataset that is no preview, or files of others.
        ManifestError, EncoderUnavailable: nothing was done.
        OutputInUse: another process writes into the folder.
        Stopped: the user asked to stop; what is on record is kept.
    """
    out = output_folder(read)
    assert isinstance(out, Path)
    if out.is_dir() and (there := os.listdir(out)) and ".gramflow" not in there:
        raise ValueError(f"{out}: holds files of others; expected another folder as --out")
    job = prepare(read, control.hashing(), lambda content: candidates(content, _pool(read, count)))
    shown, unusable = _chosen(job, count)
    job = replace(job, plan=job.plan.only({variant.id for _, variant in shown}))
    with in_use(out) as check_in_use:
        # Looked at only when no run can begin in the folder any more.
        _check_is_ours(job)
        mark_as_preview(out, (variant.id for _, variant in shown))
        damaged = _set_damaged_aside(job, shown)
        made = _make(job, control)
        check_in_use()
        about = about_dataset(job) | made_on(job, [str(device) for device in job.devices])
        exported = export_imagefolder(out, job.plan, job.ledger, about)
        sheet = write_sheet(job, shown)
        report = write_report(out, asks_stores=True) if exported.images else None
        if report is None:
            remove_durably(out / REPORT)
    return Previewed(
        out,
        exported.images,
        made,
        damaged,
        unusable,
        exported.left_out.total(),
        tuple(sorted(exported.failures)),
        sheet,
        report,
    )


def _check_is_ours(job: Job) -> None:
    """Files that a preview does not show are set aside: a dataset must not be taken for one."""
    if not is_of_previews(job.out, job.ledger.ids()):
        raise ValueError(
            f"{job.out}: holds a dataset, no preview; expected another folder as --out"
        )


def _pool(read: ReadManifest, count: int) -> int:
    """How many photographs to look at: more than are shown, so that there is a choice."""
    pairing = read.manifest.pairing
    styles = len(list_styles(read)) if pairing.strategy == "all" else pairing.styles_per_content
    return max(count, min(_LOOKED_AT * count, _MOST_PAIRS // max(1, styles)))


def _chosen(job: Job, count: int) -> tuple[list[Item], int]:
    """(images to show, photographs looked at that cannot be opened)."""
    unusable: set[str] = set()

    def usable() -> Iterator[Base]:
        for base in job.plan.bases():
            if base.width:
                yield base
            else:
                unusable.add(base.content.file)

    shown = images_to_show(usable(), job.plan.manifest.stylize.strength, count)
    return shown, len(unusable)


def _set_damaged_aside(job: Job, shown: Sequence[Item]) -> int:
    """Files that are not as any row says, so that they are made again; how many."""
    rows: defaultdict[str, list[Row]] = defaultdict(list)
    wanted = {variant.id for _, variant in shown}
    for row in job.ledger.rows():
        if row["variant_id"] in wanted and "sha256" in row:
            rows[row["variant_id"]].append(row)
    aside = 0
    for _, variant in shown:
        for file, of in ((variant.file, "sha256"), (variant.mask_file, "mask_sha256")):
            found = [_wrong(job, file, row, row[of]) for row in rows[variant.id] if row.get(of)]
            if found and all(found):
                aside += any(set_aside(job.out, finding) for finding in found[0])
    return aside


def _wrong(job: Job, file: str, row: Row, sha256: str) -> list[Finding]:
    size = row["width"], row["height"]
    # A recipe may have made more pixels than a photograph may have.
    most_pixels = max(job.plan.manifest.max_pixels, size[0] * size[1])
    return list(check_file(job.out, file, sha256, size, most_pixels))


def _make(job: Job, control: Control) -> int:
    """Make what is not there; how many images that was."""
    for folder in job.plan.folders():
        check_stays_inside(job.out / folder, job.out)
    job.ledger.clear_temporary()
    todo = Todo(job.ledger.ids(), FilesOnDisk(job.out), retry_failed=True)
    chunks = [left for chunk in _chunks(job) if (left := todo.of_chunk(chunk)).bases]
    images = sum(chunk.images for chunk in job.chunks())
    to_do = sum(chunk.images for chunk in chunks)
    work = sum(map(job.workshop.work, chunks))
    pairs = sum(chunk.pairs for chunk in chunks)
    control.tell(Started(images, to_do, pairs, work, len(chunks)))
    with (
        chunk_worker(job, len(chunks), control) as work_one,
        ThreadPoolExecutor(job.places) as places,
    ):

        def worked(chunk: Chunk) -> ChunkDone:
            control.check()
            try:
                done = work_one(chunk)
            finally:
                control.tell(InStage(chunk.number, chunk.images, None))
            control.tell(done)
            return done

        return sum(done.images for done in places.map(worked, chunks))


def _chunks(job: Job) -> Iterator[Chunk]:
    """On a CPU a pair is optimised alone anyway: each its own, so that all lanes have work."""
    if job.devices[0].type == "cpu":
        return (Chunk(number, (base,)) for number, base in enumerate(job.plan.bases()))
    return job.chunks()
