"""The work of one chunk: load, stylize, vary, write, record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from PIL import Image

from augment.recipes import Applied, Recipe
from flows.engine import pairs_per_batch
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
from nst_core import Iteration, Stylized

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
    recipes = {name: Recipe(steps) for name, steps in job.plan.manifest.augment.recipes.items()}
    for group in _groups(job, chunk.bases):
        control.check()
        loaded: list[Loaded] = []
        for base in group:
            try:
                loaded.append(load(base))
            except FileAtFault as fault:
                failed += failed_rows(base, fault.name, fault.error)
        for image, optimisation in _stylized(job, loaded, control):
            content_name = image.base.content.name
            if isinstance(optimisation, str):
                failed += failed_rows(image.base, content_name, optimisation)
                continue
            for variant in image.base.variants:
                control.check()
                try:
                    done.append(_write(job, image, variant, recipes, optimisation))
                except ValueError as error:
                    only = replace(image.base, variants=(variant,))
                    failed += failed_rows(only, content_name, str(error))
    job.ledger.record(chunk, done, failed)
    return ChunkDone(images=len(done), failed=len(failed), pairs=chunk.pairs, work=job.work(chunk))


def _groups(job: Job, bases: Sequence[Base]) -> Iterator[list[Base]]:
    """Pairs by the batch; content images without style one by one, so that memory stays small."""
    rest = iter(bases)
    first = bases[0] if bases else None
    size = 1
    if first is not None and first.style is not None and first.width and job.stylizer is not None:
        size = pairs_per_batch(job.stylizer.device, first.width, first.height)
    while group := list(islice(rest, size)):
        yield group


def _stylized(
    job: Job, loaded: Sequence[Loaded], control: Control
) -> list[tuple[Loaded, Optimisation | str | None]]:
    """Each image stylized with how that went, or why it could not be; without style, as it is."""
    styles = [image.style for image in loaded if image.style is not None]
    if not styles or job.stylizer is None:
        return [(image, None) for image in loaded]

    def on_iteration(iteration: Iteration) -> None:
        control.check()
        if iteration.number % _TELL_EVERY_ITERATIONS == 0:
            control.tell(Optimised(len(loaded), iteration.number, iteration.of))

    try:
        with job.optimiser_slot:
            result = job.stylizer(
                torch.stack([as_tensor(image.pixels) for image in loaded]),
                styles,
                strength=[image.base.strength for image in loaded],
                seeds=[seed_of(image.base.id) for image in loaded],
                preserve_color=job.plan.manifest.stylize.preserve_color,
                on_iteration=on_iteration,
            )
    except ValueError as error:
        if len(loaded) == 1:
            return [(loaded[0], str(error))]
        # One of them is at fault; alone, each shows whether it is the one.
        return [one for image in loaded for one in _stylized(job, [image], control)]
    return [_of_pair(image, result, index) for index, image in enumerate(loaded)]


def _of_pair(image: Loaded, result: Stylized, index: int) -> tuple[Loaded, Optimisation | str]:
    if result.stop_reason[index] == "not_finite":
        return image, f"the loss is not finite after {result.iterations[index]} iterations"
    pixels = as_pixels(result.images[index])
    return replace(image, pixels=pixels), Optimisation.of_pair(result, index)


def _write(
    job: Job,
    image: Loaded,
    variant: Variant,
    recipes: dict[str, Recipe],
    optimisation: Optimisation | None,
) -> Row:
    """Vary, encode and write one file.

    Raises:
        ValueError: if the recipe cannot be applied to this image.
    """
    pixels, applied = image.pixels, Applied()
    if variant.recipe is not None:
        recipe = recipes[variant.recipe]
        varied = recipe.vary(pixels, image.base.content.labels, seed_of(variant.id))
        pixels, applied = varied.image, varied.applied
    output = job.plan.manifest.output.image
    data = encode_image(Image.fromarray(np.ascontiguousarray(pixels)), output.type, output.quality)
    write_whole(job.out / variant.file, data, job.ledger.temporary_folder)
    return done_row(
        job.plan,
        image.base,
        variant,
        size=(pixels.shape[1], pixels.shape[0]),
        data=data,
        applied=applied,
        notes=image.notes,
        optimisation=optimisation,
    )
