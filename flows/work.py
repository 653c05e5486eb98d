"""The work of one chunk: load, stylize, vary, write, record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from augment.fidelity import Scores
from augment.labels import Moved
from augment.recipes import Recipe
from flows.load import FileAtFault, Loaded, load
from flows.loss_curves import loss_curve_column
from flows.progress import ChunkDone, Control, InStage, Stage
from flows.ready import ChunkRows, Ready
from flows.rows import done_row, failed_rows
from flows.stylizing import stylized
from flows.variation import encoded, recipes_of, varied
from flows.version import made_with
from flows.workshop import Workshop
from manifests.chunks import Chunk
from manifests.durable import write_whole
from manifests.in_use import check_is_there
from manifests.ledger import Row
from manifests.plan import Base, Variant


def work_chunk(shop: Workshop, chunk: Chunk, control: Control) -> ChunkDone:
    """Make every image of a chunk and put the chunk on record.

    A file that cannot be used fails the images that need it; nothing else is lost by it.

    Raises:
        Stopped: when asked to; nothing of the chunk is on record then.
        OSError: when the output cannot be written.
        OutputLost: when its folder was moved or removed.
    """

    def enter(stage: Stage) -> None:
        control.tell(InStage(chunk.number, chunk.images, stage))

    enter("decode")
    rows = ChunkRows()
    recipes = recipes_of(shop.manifest, shop.categories)
    optimiser_s = 0.0
    images: Iterable[Ready]
    if chunk.pairs:
        images, optimiser_s = stylized(shop, chunk, control, rows)
    else:
        max_pixels = shop.manifest.max_pixels
        images = _as_they_are(chunk.bases, control, rows, max_pixels)
    for image in images:
        enter("write")
        base = image.loaded.base
        for variant in base.variants:
            control.check()
            try:
                row = _write(shop, image, variant, recipes)
            except ValueError as error:
                only = replace(base, variants=(variant,))
                rows.failed += failed_rows(only, base.content.name, str(error))
                continue
            if image.optimisation is not None and image.optimisation.curve and not rows.done:
                row["loss_curve"] = loss_curve_column(image.optimisation.curve)
            rows.done.append(row)
        if not chunk.pairs:  # whose images are decoded one by one
            enter("decode")
    check_is_there(shop.out)
    shop.ledger.record(chunk, rows.done, rows.failed, rows.left_out)
    return ChunkDone(
        images=len(rows.done),
        failed=len(rows.failed),
        left_out=len(rows.left_out),
        pairs=chunk.pairs,
        work=shop.work(chunk),
        optimiser_s=optimiser_s,
    )


def _as_they_are(
    bases: Sequence[Base], control: Control, rows: ChunkRows, max_pixels: int
) -> Iterator[Ready]:
    """Content images one by one, so that memory stays small; `rows` takes what cannot be used."""
    for base in bases:
        control.check()
        try:
            yield Ready.as_it_is(load(base, None, max_pixels))
        except FileAtFault as fault:
            rows.failed += failed_rows(base, fault.name, fault.error, fault.max_pixels)


def _write(shop: Workshop, image: Ready, variant: Variant, recipes: dict[str, Recipe]) -> Row:
    """Vary, encode and write one file, and its semantic mask.

    Raises:
        ValueError: if the recipe cannot be applied to this image.
    """
    made = varied(image, variant, recipes)
    files = encoded(made, shop.manifest.output.image)
    check_is_there(shop.out)
    write_whole(shop.out / variant.file, files.image, shop.ledger.temporary_folder)
    if files.mask is not None:
        write_whole(shop.out / variant.mask_file, files.mask, shop.ledger.temporary_folder)
    device = "cpu" if image.optimisation is None else shop.device.type
    return done_row(
        shop.manifest,
        shop.engine,
        image.loaded.base,
        variant,
        size=(made.image.shape[1], made.image.shape[0]),
        data=files.image,
        mask=files.mask,
        moved=_with_all_dropped(image.loaded, made.moved),
        fidelity=_of_those_left(image.scores, made.moved),
        applied=made.applied,
        notes=image.loaded.notes,
        optimisation=image.optimisation,
        made_with=made_with(device, shop.lanes.threads),
    )


def _of_those_left(scores: Scores, moved: Moved) -> Scores:
    """The scores of the objects that a variant still has."""
    gone = {one.index for one in moved.dropped}
    left = (score for index, score in enumerate(scores.objects) if index not in gone)
    return Scores(scores.image, tuple(left))


def _with_all_dropped(image: Loaded, moved: Moved) -> Moved:
    """With what was dropped on loading, too; places are those among the content's objects."""
    gone = {one.index for one in image.dropped}
    objects = len(image.base.content.labels.objects)
    there = [index for index in range(objects) if index not in gone]
    later = (replace(one, index=there[one.index]) for one in moved.dropped)
    return replace(moved, dropped=(*image.dropped, *later))
