"""Pairs of one shape optimised, and what kept too little of its content put right or left out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from augment.fidelity import scores
from flows.engine import torch_threads
from flows.freed_memory import keep_freed_memory
from flows.load import FileAtFault, Loaded, as_pixels, as_tensor, load
from flows.loss_curves import LossCurve, Point, thinned
from flows.progress import Control, InStage, Optimised, Stage
from flows.ready import ChunkRows, Ready
from flows.rows import Optimisation, failed_rows, left_out_rows
from flows.workshop import Workshop
from manifests.chunks import Chunk
from manifests.identity import seed_of
from manifests.plan import Base
from nst_core import Pair, Progress, StylizedPair, Stylizer

_TELL_EVERY_ITERATIONS = 10
# Strengths of the three further tries, as shares of the first.
_WEAKER = (0.75, 0.5, 0.25)


@dataclass(frozen=True)
class _Task:
    """A pair to optimise, and what it was loaded as."""

    image: Loaded
    pair: Pair
    notes: tuple[str, ...] = ()


def stylized(
    shop: Workshop, chunk: Chunk, control: Control, rows: ChunkRows
) -> tuple[list[Ready], float]:
    """(images that passed the gate, seconds in a lane); `rows` takes the others."""
    assert shop.stylizer is not None
    tasks = _loaded_pairs(shop, shop.stylizer, chunk.bases, control, rows)
    ready, optimiser_s = _optimised(shop, chunk, tasks, control, rows)
    gate = shop.manifest.fidelity
    for share in _WEAKER if gate.action == "retry" else ():
        again = {i: _weaker(tasks[i], one, share) for i, one in ready.items() if _fails(shop, one)}
        if not again:
            break
        better, seconds = _optimised(shop, chunk, list(again.values()), control, rows)
        # Whatever fails now has its row already.
        ready = {i: one for i, one in ready.items() if i not in again}
        ready |= {index: better[place] for place, index in enumerate(again) if place in better}
        tasks = [again.get(index, task) for index, task in enumerate(tasks)]
        optimiser_s += seconds
    return _passed(shop, [ready[index] for index in sorted(ready)], rows), optimiser_s


def _fails(shop: Workshop, one: Ready) -> bool:
    return one.scores.lowest < shop.manifest.fidelity.min


def _lowest(one: Ready) -> str:
    """The lowest score, and of what it is."""
    lowest, objects = one.scores.lowest, one.scores.objects
    of = "the image"
    if lowest < one.scores.image:
        index = objects.index(lowest)
        of = f"object {index} ({one.loaded.labels.objects[index].category})"
    return f"fidelity {lowest:.3f} of {of}"


def _weaker(task: _Task, before: Ready, share: float) -> _Task:
    strength = round(task.image.base.strength * share, 3)
    note = f"{_lowest(before)}, so strength lowered to {strength:g}"
    return _Task(task.image, replace(task.pair, strength=strength), (*task.notes, note))


def _passed(shop: Workshop, ready: Sequence[Ready], rows: ChunkRows) -> list[Ready]:
    """What the gate lets through; it flags or leaves out the others."""
    gate = shop.manifest.fidelity
    passed = []
    for one in ready:
        why = f"{_lowest(one)} is below {gate.min:g}"
        if not _fails(shop, one):
            passed.append(one)
        elif gate.action == "flag":
            assert one.optimisation is not None
            passed.append(replace(one, optimisation=one.optimisation.with_note(why)))
        else:
            rows.left_out += left_out_rows(one.loaded.base, why)
    return passed


def _loaded_pairs(
    shop: Workshop, stylizer: Stylizer, bases: Sequence[Base], control: Control, rows: ChunkRows
) -> list[_Task]:
    """Pairs that can be optimised; `rows` takes the others."""
    tasks = []
    for base in bases:
        control.check()
        try:
            image = load(base, stylizer, shop.manifest.max_pixels)
            pair = _pair(shop, image)
            stylizer.check(pair)
        except FileAtFault as fault:
            rows.failed += failed_rows(base, fault.name, fault.error, fault.max_pixels)
        except ValueError as error:
            at_fault = base.content.name
            if base.style is not None and str(error).startswith("style"):
                at_fault = base.style.name
            rows.failed += failed_rows(base, at_fault, str(error))
        else:
            tasks.append(_Task(image, pair))
    return tasks


def _pair(shop: Workshop, image: Loaded) -> Pair:
    assert image.style is not None
    return Pair(
        as_tensor(image.pixels),
        (image.style,),
        strength=image.base.strength,
        seed=seed_of(image.base.id),
        preserve_color=shop.manifest.stylize.preserve_color,
    )


def _optimised(
    shop: Workshop, chunk: Chunk, tasks: Sequence[_Task], control: Control, rows: ChunkRows
) -> tuple[dict[int, Ready], float]:
    """(place in `tasks` -> result, seconds in a lane); `rows` takes what failed."""
    assert shop.stylizer is not None

    # One a chunk: a sample of them is for people to look at.
    curve = LossCurve()
    results: dict[int, StylizedPair] = {}

    def enter(stage: Stage) -> None:
        control.tell(InStage(chunk.number, chunk.images, stage))

    def on_progress(progress: Progress) -> None:
        control.check()
        curve.hear(progress)
        if progress.iterations[0] % _TELL_EVERY_ITERATIONS == 0:
            pairs = len(results) + sum(progress.iterations) / progress.of
            told = Optimised(chunk.number, pairs, progress.iterations[0], progress.of)
            control.tell(told)

    if shop.device.type == "cpu":
        keep_freed_memory()
    enter("wait")
    with shop.optimiser_slots, torch_threads(shop.lanes.threads):
        enter("optimise")
        began_s = time.monotonic()
        try:
            each = shop.stylizer.each([task.pair for task in tasks], on_progress=on_progress)
            results.update(each)
        except torch.OutOfMemoryError as error:
            why = f"does not fit the memory of {shop.stylizer.device}: {error}"
            for index, task in enumerate(tasks):
                if index not in results:
                    base = task.image.base
                    rows.failed += failed_rows(base, base.content.name, why)
        optimiser_s = time.monotonic() - began_s
    enter("write")
    ready = {}
    for index, result in results.items():
        task = tasks[index]
        if result.stop_reason == "not_finite":
            why = (
                f"the loss is not finite after {result.iterations} iterations; try a lower "
                "stylize.override.learning_rate"
            )
            base = task.image.base
            rows.failed += failed_rows(base, base.content.name, why)
        else:
            of_pair = () if index else thinned(curve.points)
            ready[index] = _ready(task, result, of_pair)
    return ready, optimiser_s


def _ready(task: _Task, result: StylizedPair, curve: tuple[Point, ...]) -> Ready:
    pixels = as_pixels(result.image)
    kept = scores(task.image.pixels, pixels, task.image.labels)
    optimisation = Optimisation.of(result, task.pair.strength, curve)
    for note in task.notes:
        optimisation = optimisation.with_note(note)
    return Ready(task.image, pixels, optimisation, kept)
