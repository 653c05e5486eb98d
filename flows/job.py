"""A job: the manifest checked as a whole, its plan, and what its chunks need to be worked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from upath import UPath

from augment.crops import too_large_crops
from augment.recipes import RecipeProblem, Step, check_recipes
from flows.engine import (
    Lanes,
    choose_device,
    choose_devices,
    choose_lanes,
    cores_each,
    manifest_preset,
    nominal_seconds,
    output_size,
    resolve_engine,
    weights_file,
)
from flows.reading import output_folder
from flows.workshop import Workshop
from manifests.chunks import Chunk, chunks
from manifests.durable import check_stays_inside
from manifests.errors import ManifestError, Problem
from manifests.facts import FactsCache
from manifests.ledger import Ledger
from manifests.plan import Engine, Plan
from manifests.reading import ReadManifest, UnusableManifest
from manifests.sources import ContentImage, ListedContent, list_content, list_styles, listed_pairs
from manifests.storage import Place, local_folder, normal
from manifests.stores import check_store
from nst_core import EncoderUnavailable, Stylizer
from nst_core.loading import check_weights

_FACTS = "files.sqlite"

Recipes = Mapping[str, Sequence[Step]]


@dataclass(frozen=True)
class Job:
    """Attributes:
    workshop: of this process; its stylizer is on the first of the devices.
    devices: what a run uses; several have a process each, see flows.workers.devices.
    """

    plan: Plan
    workshop: Workshop
    devices: tuple[torch.device, ...]

    @property
    def ledger(self) -> Ledger:
        return self.workshop.ledger

    @property
    def out(self) -> Place:
        return self.workshop.out

    @property
    def stylizer(self) -> Stylizer | None:
        return self.workshop.stylizer

    @property
    def lanes(self) -> Lanes:
        """Of each of the devices."""
        return self.workshop.lanes

    @property
    def places(self) -> int:
        """Chunks that are underway at the same time."""
        return len(self.devices) * self.lanes.places

    def chunks(self) -> Iterator[Chunk]:
        """All chunks of the plan, whether done or not."""
        return chunks(self.plan.bases(), nominal_seconds(self.stylizer))


def check_manifest(read: ReadManifest) -> ListedContent:
    """The content that the manifest names, if nothing is wrong with any of it.

    Raises:
        ManifestError: with every problem that can be found without hashing an image or loading an
            encoder.
    """
    content, problems = _looked_through(read)
    if problems:
        raise ManifestError(problems)
    return content


def every_problem(error: ManifestError) -> tuple[Problem, ...]:
    """Those of the error, and what is wrong with the rest of a manifest that has wrong values."""
    rest = error.rest if isinstance(error, UnusableManifest) else None
    return (*error.problems, *(() if rest is None else _looked_through(rest)[1]))


def _looked_through(read: ReadManifest) -> tuple[ListedContent, list[Problem]]:
    """(content, everything that is wrong with what is known of the manifest)."""
    content, of_listings = _listed(read)
    problems = [*_of_recipes(read, content)]
    if read.knows(("stylize",)):
        problems += _of_stylize(read)
    if read.knows(("output",)):
        problems += _of_output(read)
    return content, problems + of_listings


def _of_recipes(read: ReadManifest, content: ListedContent) -> Iterator[Problem]:
    recipes = read.manifest.augment.recipes
    with_objects = any(image.labels.objects for image in content.images)
    problems = check_recipes(recipes, with_objects=with_objects)
    wrong = {problem.field[0] for problem in problems}
    if read.knows(("augment", "variants")) and read.knows(("stylize",)):
        right = {name: steps for name, steps in recipes.items() if name not in wrong}
        problems += too_large_crops(_applied(read, right, content), _most_sizes(read))
    for problem in problems:
        yield _of_recipe(read, problem)


def _applied(read: ReadManifest, recipes: Recipes, content: ListedContent) -> Recipes:
    """All of the recipes, or none, where no image has variants."""
    variants, augments = read.manifest.augment.variants, read.manifest.augments
    has_images = not content.images or any(augments(one.split) for one in content.images)
    has_variants = variants.original or (variants.stylized and read.manifest.styles)
    return recipes if has_images and has_variants else {}


def _most_sizes(read: ReadManifest) -> list[tuple[int, int]]:
    """One that no image exceeds, whatever the photographs are; none for an unknown preset."""
    try:
        long_side_px = output_size(read)
    except ValueError:  # told with its field
        return []
    return [(long_side_px, long_side_px)]


def _of_recipe(read: ReadManifest, problem: RecipeProblem) -> Problem:
    return read.problem(("augment", "recipes", *problem.field), problem.message)


def _of_stylize(read: ReadManifest) -> Iterator[Problem]:
    manifest = read.manifest
    weights = weights_file(read) if manifest.styles else None
    try:
        check_weights(manifest.stylize.encoder, weights)
    except (ValueError, EncoderUnavailable) as error:
        field, _, message = str(error).partition(": ")
        yield read.problem(("stylize", field), message)
    try:
        manifest_preset(read)
    except ValueError as error:
        name = str(error).partition(":")[0].partition(" ")[0]
        known = name in manifest.stylize.override
        place = ("stylize", "override", name) if known else ("stylize", name)
        yield read.problem(place, str(error))


def _of_output(read: ReadManifest) -> Iterator[Problem]:
    out = output_folder(read)
    try:
        check_output(out)
    except ValueError as error:
        yield read.problem(("output", "path"), str(error))
    except OSError as error:
        yield read.problem(("output", "path"), f"{error.filename}: {error.strerror}")
    yield from _read_and_written(read, out)


def check_output(out: Place) -> None:
    """Raises ValueError, OSError for what no dataset can be written to."""
    if isinstance(out, UPath):
        if not out.name:
            raise ValueError(f"{normal(out)} is a whole bucket; expected a folder in it")
        check_store(out)
        return
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; expected a folder")
    if not _is_utf_8(str(out)):
        raise ValueError(
            f"{out} is not UTF-8, as dataset.json is, which names it; expected another name"
        )
    check_stays_inside(local_folder(out) / _FACTS, out)


def _is_utf_8(text: str) -> bool:
    """Whether it can be written so; the name of a file on a disk need not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(read: ReadManifest) -> tuple[ListedContent, list[Problem]]:
    """(content, what is wrong with all files that the manifest names)."""
    problems: list[Problem] = []
    content = ListedContent([], ())
    try:
        content = list_content(read)
    except ManifestError as error:
        problems += error.problems
    for listing in (list_styles, listed_pairs):
        try:
            listing(read)
        except ManifestError as error:
            problems += error.problems
    return content, problems


def _read_and_written(read: ReadManifest, out: Place) -> Iterator[Problem]:
    """Folders whose images are read and below which the output would go."""
    manifest = read.manifest
    paths = [("content", index, one.path) for index, one in enumerate(manifest.content)]
    paths += [("styles", index, one.path) for index, one in enumerate(manifest.styles)]
    for kind, index, path in paths:
        folder = read.resolve(path)
        if read.knows((kind, index)) and _is_inside(out, folder):
            message = (
                f"{out} is inside {folder}, whose images are {kind}: the next run would take "
                "its own images for new ones; expected a folder outside"
            )
            yield read.problem(("output", "path"), message)


def _is_inside(out: Place, folder: Place) -> bool:
    if isinstance(out, Path) and isinstance(folder, Path):
        return folder.is_dir() and out.resolve().is_relative_to(folder.resolve())
    return f"{normal(out)}/".startswith(f"{normal(folder)}/")


def prepare(
    read: ReadManifest,
    on_file: Callable[[], None] = lambda: None,
    among: Callable[[Sequence[ContentImage]], Collection[int]] | None = None,
) -> Job:
    """Check the manifest, hash its files and make the plan.

    Args:
        on_file: called after each hashed file.
        among: says which of the content images to read and plan for, by their places; None for all.

    Raises:
        ManifestError: with every problem found.
        EncoderUnavailable: when the encoder's weights cannot be had.
    """
    content = check_manifest(read)
    out = output_folder(read)
    stylizer: Stylizer | None = None
    engine = Engine("", "", "", {}, output_size(read))
    ledger = Ledger(out)
    if read.manifest.styles:
        try:
            engine, stylizer = resolve_engine(read, ledger.style_grams_folder)
        except ValueError as error:
            raise ManifestError([read.problem(("stylize",), str(error))]) from None
    known, max_pixels = local_folder(out) / _FACTS, read.manifest.max_pixels
    with closing(FactsCache(known, max_pixels)) as facts:
        places = None if among is None else among(content.images)
        plan = Plan(read, content, engine, facts, on_file, places)
    if among is None:
        recipes = _applied(read, read.manifest.augment.recipes, content)
        if problems := too_large_crops(recipes, plan.augmented_sizes()):
            raise ManifestError([_of_recipe(read, problem) for problem in problems])
    devices = choose_devices() if stylizer else [choose_device()]
    lanes = choose_lanes(devices[0], output_size(read), cores_each(len(devices)))
    slots = threading.Semaphore(lanes.count)
    workshop = Workshop(read.manifest, plan.categories, engine, stylizer, ledger, out, lanes, slots)
    return Job(plan, workshop, tuple(devices))
