"""A few images of a manifest made before the others, for people to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from flows.contact_sheet import Labelled, Triple, contact_sheet
from flows.job import Job, prepare
from flows.load import load
from flows.nothing_to_do import about_dataset, made_on
from flows.progress import ChunkDone, Control, InStage, Started
from flows.reading import output_folder
from flows.report import REPORT, write_report
from flows.workers.devices import chunk_worker
from manifests.chunks import Chunk
from manifests.comparison import FilesOnDisk, Todo
from manifests.durable import check_stays_inside, remove_durably, write_whole
from manifests.export import export_imagefolder
from manifests.images import decode_image, encode_image, read_file
from manifests.in_use import in_use
from manifests.label_rows import objects_of
from manifests.ledger import Row
from manifests.plan import Base, Variant
from manifests.reading import ReadManifest
from manifests.selection import Item, candidates, images_to_show
from manifests.sources import list_styles
from manifests.storage import Place, is_in_store, local_folder
from manifests.stores import is_there, names_in, read_bytes

MOST_IMAGES = 100
CONTACT_SHEET = "contact_sheet.jpg"
_MARK = "preview"
_SHEET_QUALITY = 90
# So many photographs are looked at for each image; and about so many pairs in all.
_LOOKED_AT = 8
_MOST_PAIRS = 10_000


@dataclass(frozen=True)
class Previewed:
    """What a preview came to.

    Attributes:
        images: that it shows; made: of them, now.
        unusable: photographs that were looked at and cannot be opened.
        sheet, report: None where there is no image to show.
    """

    out: Path
    images: int
    made: int
    unusable: int
    left_out: int
    failures: tuple[tuple[str, str], ...]
    sheet: Path | None
    report: Place | None


def preview_folder(out: Place) -> Path:
    """Where the preview of the dataset in `out` goes: beside it; of a store, into this folder."""
    name = f"{out.name}.preview"
    return Path.cwd() / name if is_in_store(out) else Path(out).parent / name


def preview(read: ReadManifest, count: int, control: Control) -> Previewed:
    """Make `count` images, spread over all that differs, as a run would; then a contact sheet.

    What is there is not made again; what an earlier preview has besides is set aside.

    Args:
        read: the manifest, its output being the preview's folder.

    Raises:
        ValueError: the folder holds a dataset that is no preview.
        ManifestError, EncoderUnavailable: nothing was done.
        OutputInUse: another process writes into the folder.
        Stopped: the user asked to stop; what is on record is kept.
    """
    out = output_folder(read)
    assert isinstance(out, Path)
    _check_is_ours(out)
    job = prepare(read, control.hashing(), lambda content: candidates(content, _pool(read, count)))
    shown, unusable = _chosen(job, count)
    job = replace(job, plan=job.plan.only({variant.id for _, variant in shown}))
    with in_use(out) as check_in_use:
        _mark_as_preview(out)
        made = _make(job, control)
        check_in_use()
        about = about_dataset(job) | made_on(job, [str(device) for device in job.devices])
        exported = export_imagefolder(out, job.plan, job.ledger, about)
        sheet = _write_sheet(job, shown)
        report = write_report(out, asks_stores=True) if exported.images else None
        if report is None:
            remove_durably(out / REPORT)
    return Previewed(
        out,
        exported.images,
        made,
        unusable,
        exported.left_out.total(),
        tuple(sorted(exported.failures)),
        sheet,
        report,
    )


def _check_is_ours(out: Path) -> None:
    """Files that a preview does not show are set aside: a dataset must not be taken for one."""
    if names_in(out / ".gramflow" / "ledger") and not is_there(out / ".gramflow" / _MARK):
        raise ValueError(f"{out}: holds a dataset, no preview; expected another folder as --out")


def _mark_as_preview(out: Path) -> None:
    folder = local_folder(out)
    check_stays_inside(folder, out)
    write_whole(folder / _MARK, b"", folder)


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


def _write_sheet(job: Job, shown: Sequence[Item]) -> Path | None:
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
    mask = None
    if row["mask_file_name"]:
        mask = np.array(Image.open(BytesIO(read_bytes(job.out / row["mask_file_name"]))))
    result = Labelled(
        Image.open(BytesIO(read_bytes(job.out / row["file"]))), objects_of(row["objects"]), mask
    )
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
        objects = f"{len(labels.objects)} object{'s' if len(labels.objects) > 1 else ''}"
        said = f"{said} · {objects}" if said else objects
    return f"{said or 'no label'} · {base.content.split}"


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _subtitle(job: Job, shown: Sequence[Item]) -> str:
    manifest, engine = job.plan.manifest, job.plan.engine
    classes = {base.content.labels.class_name for base, _ in shown} - {None}
    styles = {base.style_sha256 for base, _ in shown if base.style is not None}
    facts = [
        _counted(len(shown), "image"),
        _counted(len(classes), "class"),
        _counted(len(styles), "style"),
    ]
    if styles:
        low, high = manifest.stylize.strength
        facts.append(f"strength {low:g}" + (f" to {high:g}" if high > low else ""))
        size = "original size" if manifest.stylize.size == "original" else f"{engine.size} px"
        facts.append(f"{engine.encoder}, {engine.preset}, {size}")
    return " · ".join(fact for fact in facts if fact)


def _counted(count: int, what: str) -> str:
    """`1 class`, `2 classes`; nothing for none."""
    plural = "es" if what.endswith("s") else "s"
    return f"{count} {what}{plural if count > 1 else ''}" if count else ""
