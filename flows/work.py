"""The work of one chunk: load, stylize, vary, write, record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from augment.labels import Keep, Moved, unmoved
from augment.recipes import Recipe, Varied
from flows.engine import torch_threads
from flows.job import Job
from flows.load import FileAtFault, Loaded, as_pixels, as_tensor, load
from flows.progress import ChunkDone, Control, Optimised
from flows.rows import Optimisation, done_row, failed_rows
from manifests.chunks import Chunk
from manifests.durable import write_whole
from manifests.identity import seed_of
from manifests.images import encode_image
from manifests.ledger import Row
from manifests.plan import Base, Variant
from nst_core import Pair, Progress, StylizedPair, Stylizer

_TELL_EVERY_ITERATIONS = 10


def work_chunk(job: Job, chunk: Chunk, control: Control) -> ChunkDone:
    """Make every image of a chunk and put the chunk on record.

    A file that cannot be used fails the images that need it; nothing else is lost by it.

    Raises:
        Stopped: when asked to; nothing of the chunk is on record then.
        OSError: when the output cannot be written.
    """
    done: list[Row] = []
    failed: list[Row] = []
    recipes = _recipes(job)
    optimiser_s = 0.0
    images: Iterable[tuple[Loaded, Optimisation | None]]
    if chunk.pairs:
        images, optimiser_s = _stylized(job, chunk.bases, control, failed)
    else:
        images = _as_they_are(job, chunk.bases, control, failed)
    for image, optimisation in images:
        for variant in image.base.variants:
            control.check()
            try:
                done.append(_write(job, image, variant, recipes, optimisation))
            except ValueError as error:
                only = replace(image.base, variants=(variant,))
                failed += failed_rows(only, image.base.content.name, str(error))
    job.ledger.record(chunk, done, failed)
    return ChunkDone(len(done), len(failed), chunk.pairs, job.work(chunk), optimiser_s)


def _recipes(job: Job) -> dict[str, Recipe]:
    augment = job.plan.manifest.augment
    keep = Keep(augment.min_visibility, augment.min_area)
    return {
        name: Recipe(steps, job.plan.categories, keep) for name, steps in augment.recipes.items()
    }


def _as_they_are(
    job: Job, bases: Sequence[Base], control: Control, failed: list[Row]
) -> Iterator[tuple[Loaded, None]]:
    """Content images one by one, so that memory stays small; `failed` takes what cannot be used."""
    for base in bases:
        control.check()
        try:
            yield load(base, None), None
        except FileAtFault as fault:
            failed += failed_rows(base, fault.name, fault.error)


def _stylized(
    job: Job, bases: Sequence[Base], control: Control, failed: list[Row]
) -> tuple[list[tuple[Loaded, Optimisation | None]], float]:
    """(pairs stylized with how that went, seconds in a lane); `failed` takes the others."""
    assert job.stylizer is not None
    loaded = _loaded_pairs(job, job.stylizer, bases, control, failed)
    pairs = [pair for _, pair in loaded]

    def on_progress(progress: Progress) -> None:
        control.check()
        if progress.iterations[0] % _TELL_EVERY_ITERATIONS == 0:
            told = Optimised(len(progress.pairs), progress.iterations[0], progress.of)
            control.tell(told)

    results: dict[int, StylizedPair] = {}
    with job.optimiser_slots, torch_threads(job.lanes.threads):
        began_s = time.monotonic()
        try:
            results.update(job.stylizer.each(pairs, on_progress=on_progress))
        except torch.OutOfMemoryError as error:
            why = f"does not fit the memory of {job.stylizer.device}: {error}"
            for index, (image, _) in enumerate(loaded):
                if index not in results:
                    failed += failed_rows(image.base, image.base.content.name, why)
        optimiser_s = time.monotonic() - began_s
    stylized: list[tuple[Loaded, Optimisation | None]] = []
    for index, result in sorted(results.items()):
        image, _ = loaded[index]
        if result.stop_reason == "not_finite":
            why = (
                f"the loss is not finite after {result.iterations} iterations; try a lower "
                "stylize.override.learning_rate"
            )
            failed += failed_rows(image.base, image.base.content.name, why)
        else:
            pixels = as_pixels(result.image)
            stylized.append((replace(image, pixels=pixels), Optimisation.of(result)))
    return stylized, optimiser_s


def _loaded_pairs(
    job: Job, stylizer: Stylizer, bases: Sequence[Base], control: Control, failed: list[Row]
) -> list[tuple[Loaded, Pair]]:
    """Pairs that can be optimised; `failed` takes the others."""
    loaded = []
    for base in bases:
        control.check()
        try:
            image = load(base, stylizer)
            pair = _pair(job, image)
            stylizer.check(pair)
        except FileAtFault as fault:
            failed += failed_rows(base, fault.name, fault.error)
        except ValueError as error:
            at_fault = base.content.name
            if base.style is not None and str(error).startswith("style"):
                at_fault = base.style.name
            failed += failed_rows(base, at_fault, str(error))
        else:
            loaded.append((image, pair))
    return loaded


def _pair(job: Job, image: Loaded) -> Pair:
    assert image.style is not None
    return Pair(
        as_tensor(image.pixels),
        (image.style,),
        strength=image.base.strength,
        seed=seed_of(image.base.id),
        preserve_color=job.plan.manifest.stylize.preserve_color,
    )


def _write(
    job: Job,
    image: Loaded,
    variant: Variant,
    recipes: dict[str, Recipe],
    optimisation: Optimisation | None,
) -> Row:
    """Vary, encode and write one file, and its semantic mask.

    Raises:
        ValueError: if the recipe cannot be applied to this image.
    """
    varied = _varied(image, variant, recipes)
    pixels, output = np.ascontiguousarray(varied.image), job.plan.manifest.output.image
    data = encode_image(Image.fromarray(pixels), output.type, output.quality)
    write_whole(job.out / variant.file, data, job.ledger.temporary_folder)
    if varied.semantic_mask is not None:
        classes = Image.fromarray(np.ascontiguousarray(varied.semantic_mask))
        mask = encode_image(classes, "png", quality=100)
        write_whole(job.out / variant.mask_file, mask, job.ledger.temporary_folder)
    return done_row(
        job.plan,
        image.base,
        variant,
        size=(pixels.shape[1], pixels.shape[0]),
        data=data,
        moved=_with_all_dropped(image, varied.moved),
        applied=varied.applied,
        notes=image.notes,
        optimisation=optimisation,
    )


def _varied(image: Loaded, variant: Variant, recipes: dict[str, Recipe]) -> Varied:
    if variant.recipe is None:
        return Varied(image.pixels, unmoved(image.labels), [], image.semantic_mask)
    recipe = recipes[variant.recipe]
    return recipe.vary(image.pixels, image.labels, seed_of(variant.id), image.semantic_mask)


def _with_all_dropped(image: Loaded, moved: Moved) -> Moved:
    """With what was dropped on loading, too; places are those among the content's objects."""
    gone = {one.index for one in image.dropped}
    objects = len(image.base.content.labels.objects)
    there = [index for index in range(objects) if index not in gone]
    later = (replace(one, index=there[one.index]) for one in moved.dropped)
    return replace(moved, dropped=(*image.dropped, *later))
