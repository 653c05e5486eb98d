"""How long a run will take and how much disk it needs: from some of it, made on trial."""

from __future__ import annotations

import heapq
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from flows.engine import CORES
from flows.job import Job
from flows.progress import Control
from flows.trial import Trial, try_out
from manifests.chunks import Chunk
from manifests.comparison import FilesOnDisk, Todo
from manifests.plan import Base, stylize_parameters
from manifests.selection import Facets, spread
from manifests.storage import is_in_store


@dataclass(frozen=True)
class Range:
    """A figure and what it will lie between."""

    low: float
    likely: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.likely * factor, self.high * factor)

    def figures(self) -> tuple[float, float, float]:
        return self.low, self.likely, self.high


# Until the first image is made and after the last: processes, the server, indexes.
_AROUND_S = (3.0, 7.0, 15.0)
# By how much the speed of one machine differs, with what else it has to do.
_SLOWER, _FASTER = 0.35, 0.25
# Where that cannot be measured: how much times, or bytes a pixel, differ from one to the next.
_USUAL_SPREAD = 0.25
# Of the iterations, where pairs may stop earlier and none came to its end.
_LEAST_SHARE, _LIKELY_SHARE = 0.4, 0.85
_TRIED_PAIRS, _TRIED_PHOTOGRAPHS = 12, 4
_KEPT_SHAPES, _KEPT_OF_A_SHAPE = 64, 64
_RECORDS_READ = 50
# Columns of a pair's row that tell how early it stopped.
_SAID = frozenset({"pair_id", "stylize_parameters", "iterations"})
# The row in the ledger, and again in metadata.jsonl and, packed, in Parquet.
_TIMES_A_ROW_IS_WRITTEN = Range(1.9, 2.1, 2.4)
# dataset.json, croissant.json and the heads of Parquet files.
_INDEXES_BYTES = 40_000
# The report holds so many images, three pictures each, as text; measured in bytes of an image.
_IN_REPORT, _SHARE_IN_REPORT, _MOST_IN_REPORT_BYTES = 48, Range(1.0, 2.5, 4.0), 25_000
_NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Estimate:
    """Of what is left to do.

    Attributes:
        seconds: from the command to its end.
        gpus: that share the work; 0 where a processor does it.
        pairs_tried, pairs_on_record: pairs, made to their end, that this is known from.
    """

    images: int
    pairs: int
    seconds: Range
    disk_bytes: Range
    gpus: int
    pairs_tried: int
    pairs_on_record: int

    @property
    def gpu_hours(self) -> Range:
        return self.seconds.times(self.gpus / 3600)

    @property
    def processor_hours(self) -> Range:
        """Of cores that do the optimising; none where GPUs do it."""
        return self.seconds.times(0 if self.gpus else CORES / 3600)


def estimate(job: Job, control: Control) -> Estimate:
    """Time and disk for the images that are not done, from trials of about 10 seconds.

    Pairs that are on record tell how early the others will stop.

    Raises:
        Stopped: the user asked to stop.
    """
    left = _left(job, control)
    gpus = sum(device.type == "cuda" for device in job.devices)
    if not left.images:
        return Estimate(0, 0, _NOTHING, _NOTHING, gpus, 0, 0)
    trial = try_out(job, _pairs_to_try(job, left), _photographs_to_try(left), control)
    iterations, on_record = _iterations_on_record(job) if left.pairs else (0.0, 0)
    optimising = _NOTHING
    if left.pairs:
        seconds_per_work = _seconds_per_work(job, trial, left.pairs, iterations)
        optimising = seconds_per_work.times(left.longest_lane)
    beside_s = _beside_s(trial, left)
    return Estimate(
        left.images,
        left.pairs,
        _seconds(job, optimising, beside_s),
        _disk(job, trial, left),
        gpus,
        len(trial.pairs),
        on_record,
    )


@dataclass
class _Left:
    """What is left to do.

    Attributes:
        images, pixels: of stylized images, and of others.
        longest_lane: pixels times iterations of the lane that has most of it.
        styles: of the whole plan, with the long side of a photograph: their Gram matrices are kept.
        by_shape, photographs: some of the pairs, by shape, and of the photographs.
    """

    pairs: int = 0
    stylized: list[int] = field(default_factory=lambda: [0, 0])
    others: list[int] = field(default_factory=lambda: [0, 0])
    longest_lane: float = 0.0
    styles: set[tuple[bytes, int]] = field(default_factory=set)
    by_shape: dict[tuple[int, int], list[Base]] = field(default_factory=dict)
    photographs: list[Base] = field(default_factory=list)

    @property
    def images(self) -> int:
        return self.stylized[0] + self.others[0]


def _left(job: Job, control: Control) -> _Left:
    """One walk through the plan, with the chunks given to lanes as they get free."""
    todo = Todo(job.ledger.ids(job.plan.manifest.max_pixels), FilesOnDisk(job.out))
    left = _Left()
    lanes = [0.0] * (job.lanes.count * len(job.devices))
    for chunk in job.chunks():
        control.check()
        work = 0
        for base in chunk.bases:
            if base.style is not None:
                left.styles.add((base.style_sha256, max(base.width, base.height)))
        for base in todo.of_chunk(chunk).bases:
            if base.width == 0:
                continue
            count = left.others if base.style is None else left.stylized
            count[0] += len(base.variants)
            count[1] += len(base.variants) * base.width * base.height
            if base.style is None:
                if len(left.photographs) < _TRIED_PHOTOGRAPHS:
                    left.photographs.append(base)
                continue
            assert job.stylizer is not None
            left.pairs += 1
            work += job.stylizer.pixels_in_all(base.height, base.width)
            _keep(left.by_shape, base)
        if work:
            heapq.heapreplace(lanes, lanes[0] + work)
    left.longest_lane = max(lanes)
    return left


def _keep(by_shape: dict[tuple[int, int], list[Base]], base: Base) -> None:
    shape = base.height, base.width
    if shape in by_shape or len(by_shape) < _KEPT_SHAPES:
        kept = by_shape.setdefault(shape, [])
        if len(kept) < _KEPT_OF_A_SHAPE:
            kept.append(base)


def _pairs_to_try(job: Job, left: _Left) -> list[Chunk]:
    """On a GPU a batch of the commonest shape, else single pairs that differ in much."""
    if not left.by_shape or job.stylizer is None:
        return []
    if job.devices[0].type == "cuda":
        (height, width), bases = max(left.by_shape.items(), key=lambda item: len(item[1]))
        return [Chunk(0, tuple(bases[: job.stylizer.suitable_batch(height, width)]))]
    bases = [base for of_shape in left.by_shape.values() for base in of_shape]
    facets: list[Facets] = [
        {
            ("photograph", base.content_sha256): 2.0,
            ("style", base.style_sha256): 2.0,
            ("shape", (base.height, base.width)): 1.0,
        }
        for base in bases
    ]
    return [Chunk(0, (base,)) for base in spread(bases, facets, _TRIED_PAIRS)]


def _photographs_to_try(left: _Left) -> list[Base]:
    """Photographs as they are; where none is left, those of pairs without their style."""
    if left.photographs:
        return left.photographs
    some = [bases[0] for bases in left.by_shape.values()][:_TRIED_PHOTOGRAPHS]
    return [replace(base, style=None, style_sha256=b"", strength=0.0) for base in some]


def _iterations_on_record(job: Job) -> tuple[float, int]:
    """(mean iterations, how many) of pairs on record that were made as those left will be."""
    parameters = stylize_parameters(job.plan.manifest, job.plan.engine)
    wanted = json.loads(json.dumps(parameters))  # as rows have it: lists for tuples
    iterations: dict[str, int] = {}
    for row in job.ledger.rows_of_some(_RECORDS_READ):
        # An older version may have written rows that do not say all of it.
        if row.get("encoder_sha256") != job.plan.engine.encoder_sha256 or not row.keys() >= _SAID:
            continue
        # With the strength, which is the pair's own.
        made_with = json.loads(row["stylize_parameters"])
        if made_with == wanted | {"strength": made_with.get("strength")}:
            iterations[row["pair_id"]] = row["iterations"]
    return (statistics.fmean(iterations.values()) if iterations else 0.0), len(iterations)


def _seconds_per_work(job: Job, trial: Trial, pairs: int, on_record: float) -> Range:
    """Seconds that a pixel of a pair takes in an iteration, by how far all pairs will go."""
    assert job.stylizer is not None
    preset = job.stylizer.preset
    if not trial.pairs:
        share = on_record / preset.iterations if on_record else _LIKELY_SHARE
        if not preset.least_fall:
            return _around(trial.seconds_per_work, _USUAL_SPREAD, 1, pairs)
        likely = _around(trial.seconds_per_work * share, _USUAL_SPREAD, 1, pairs)
        whole = trial.seconds_per_work
        return Range(min(likely.low, whole * _LEAST_SHARE), likely.likely, max(likely.high, whole))
    rates = [made.optimiser_s / made.work for made in trial.pairs]
    mean = sum(made.optimiser_s for made in trial.pairs) / sum(made.work for made in trial.pairs)
    if on_record:
        mean *= on_record / statistics.fmean(made.iterations for made in trial.pairs)
    return _around(mean, _spread_of(rates), len(rates), pairs)


def _beside_s(trial: Trial, left: _Left) -> float:
    """Seconds of one core for loading, varying, encoding and writing what is left."""
    return sum(
        images * sum(one.beside_s for one in made) / sum(one.images for one in made)
        for images, made in (
            (left.stylized[0], trial.pairs or trial.photographs),
            (left.others[0], trial.photographs or trial.pairs),
        )
        if made
    )


def _seconds(job: Job, optimising: Range, beside_s: float) -> Range:
    """Of the whole run: a GPU works while the processor writes, a processor does one or other."""
    beside = _around(beside_s / CORES, 0.0, 1, 1)
    whole = [
        (max(a, b) if job.devices[0].type == "cuda" else a + b) + around
        for a, b, around in zip(optimising.figures(), beside.figures(), _AROUND_S)
    ]
    return Range(*whole)


def _disk(job: Job, trial: Trial, left: _Left) -> Range:
    """Images, their rows, copies of further formats, Gram matrices of styles, the report."""
    sure = _INDEXES_BYTES + _grams_bytes(job, left)
    tried = [*trial.pairs, *trial.photographs]
    row_bytes = sum(one.rows_bytes for one in tried) / max(1, sum(one.images for one in tried))
    rows = _TIMES_A_ROW_IS_WRITTEN.times(left.images * row_bytes)
    copies = 1 + _formats_that_copy(job)
    file_bytes = sum(one.files_bytes for one in tried) / max(1, sum(one.images for one in tried))
    in_report = min(_IN_REPORT, left.images) * min(file_bytes, _MOST_IN_REPORT_BYTES)
    ranges = [Range(sure, sure, sure), rows, _SHARE_IN_REPORT.times(in_report)]
    for (images, pixels), made in (
        (left.stylized, trial.pairs or trial.photographs),
        (left.others, trial.photographs or trial.pairs),
    ):
        if images and made:
            rates = [one.files_bytes / one.pixels for one in made]
            ranges.append(
                _around(statistics.fmean(rates), _spread_of(rates), len(rates), images).times(
                    pixels * copies
                )
            )
    return Range(*map(sum, zip(*map(Range.figures, ranges))))


def _grams_bytes(job: Job, left: _Left) -> float:
    """Of the matrices that are not kept yet; those of the trial are."""
    kept = [file.stat().st_size for file in job.ledger.style_grams_folder.glob("*.safetensors")]
    if not kept or job.stylizer is None:
        return 0.0
    wanted = len(left.styles) * len(job.stylizer.preset.scales)
    return max(0, wanted - len(kept)) * statistics.fmean(kept)


def _formats_that_copy(job: Job) -> int:
    """Formats that hold each image once more; on a disk YOLO and VOC have links."""
    copying = {"webdataset", "yolo", "voc"} if is_in_store(job.out) else {"webdataset"}
    return len(copying.intersection(job.plan.manifest.output.format))


def _around(mean: float, spread: float, seen: int, left: int) -> Range:
    """What the mean over `left` will lie between, if that over `seen` is this."""
    unsure = 2 * spread * sqrt(1 / seen + 1 / left)
    low, high = mean * max(0.2, 1 - _FASTER - unsure), mean * (1 + _SLOWER + unsure)
    return Range(low, mean, high)


def _spread_of(rates: Sequence[float]) -> float:
    """Standard deviation as a share of the mean."""
    if len(rates) < 3:
        return _USUAL_SPREAD
    return statistics.stdev(rates) / statistics.fmean(rates)
