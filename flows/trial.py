"""A few pairs of a job made on trial, to see how long they take; what they give is thrown away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from flows.engine import torch_threads
from flows.job import Job
from flows.progress import Control, Event, Optimised, Stopped
from flows.work import work_chunk
from manifests.chunks import Chunk
from manifests.images import fit_within
from manifests.ledger import Ledger, Row, json_line
from manifests.plan import Base
from nst_core import Pair, Scale, Style, Stylizer

# Nothing more begins after the first, and what is underway is broken off after the second.
_BEGIN_WITHIN_S, _END_WITHIN_S = 6.0, 14.0
_WARM_UP = (Scale(1.0, 2),)
# Targets and losses of a pair take about as long as so many iterations.
_LOOKS_OUTSIDE_ITERATIONS = 2


@dataclass(frozen=True)
class Made:
    """A chunk that was made to its end.

    Attributes:
        work: pixels times iterations that its pairs have at most; 0 without styles.
        optimiser_s: seconds in a lane.
        beside_s: seconds for loading, varying, encoding and writing, on one core.
        pixels: of the images that came out.
        files_bytes: of their files and masks.
        rows_bytes: of their rows in the ledger.
        iterations: the mean of its pairs.
    """

    work: int
    optimiser_s: float
    beside_s: float
    images: int
    pixels: int
    files_bytes: int
    rows_bytes: int
    iterations: float


@dataclass
class Trial:
    """Attributes:
    pairs, photographs: chunks with styles that came to their end, and such without.
    seconds_per_work: of a pair in a lane, as far as pairs came that did not come to their end.
    """

    pairs: list[Made] = field(default_factory=list)
    photographs: list[Made] = field(default_factory=list)
    seconds_per_work: float = 0.0


def try_out(
    job: Job, pairs: Sequence[Chunk], photographs: Sequence[Base], control: Control
) -> Trial:
    """Make some of the chunks in a temporary folder, all lanes of the first device at work.

    Args:
        pairs: chunks of pairs, tried in this order as far as time allows.
        photographs: bases without style.

    Raises:
        Stopped: the user asked to stop; nothing is left of what was made.
    """
    trial, silent = Trial(), Control(stop=control.stop)
    with TemporaryDirectory(prefix="gramflow-trial-") as name:
        folder = Path(name)
        shop = replace(job.workshop, ledger=Ledger(folder), out=folder)
        on_trial = replace(job, workshop=shop)
        for base in photographs[:1]:  # what is done only once
            _made(on_trial, Chunk(0, (base,)), silent)
        for number, base in enumerate(photographs):
            made = _made(on_trial, Chunk(number, (base,)), silent)
            trial.photographs += [made] if made else []
        if pairs:
            _try_pairs(on_trial, pairs, trial, silent)
    return trial


def _try_pairs(job: Job, chunks: Sequence[Chunk], trial: Trial, control: Control) -> None:
    assert job.stylizer is not None
    base = chunks[0].bases[0]
    _seconds_per_work(job, base)  # what is done only once
    trial.seconds_per_work = _seconds_per_work(job, base)
    control.check()
    began_s = time.perf_counter()
    partly: list[float] = []

    def tried(number: int, chunk: Chunk) -> Made | None:
        if time.perf_counter() - began_s > _BEGIN_WITHIN_S and number >= job.lanes.count:
            return None
        heard = _Heard(began_s + _END_WITHIN_S)
        try:
            return _made(job, replace(chunk, number=-1 - number), Control(heard.hear, control.stop))
        except Stopped:
            if heard.share:
                partly.append(heard.seconds / (heard.share * _work(job, chunk)))
            return None

    with ThreadPoolExecutor(job.lanes.count) as lanes:
        trial.pairs += [one for one in lanes.map(tried, *zip(*enumerate(chunks))) if one]
    control.check()
    if partly:
        trial.seconds_per_work = sum(partly) / len(partly)


@dataclass
class _Heard:
    """How far a chunk's first pairs came, between the first and the last that was heard of them.

    Attributes:
        end_s: when the chunk is broken off, on the clock of `time.perf_counter`.
    """

    end_s: float
    began_s: float = 0.0
    first: int = 0
    seconds: float = 0.0
    share: float = 0.0

    def hear(self, event: Event) -> None:
        if not isinstance(event, Optimised):
            return
        now_s = time.perf_counter()
        if not self.first:
            self.began_s, self.first = now_s, event.iteration
        elif event.iteration > self.first:
            self.seconds = now_s - self.began_s
            self.share = (event.iteration - self.first) / event.of
        if now_s > self.end_s:
            raise Stopped


def _seconds_per_work(job: Job, base: Base) -> float:
    """Of a few iterations in one lane, at the shape of the base."""
    assert job.stylizer is not None
    preset = replace(job.stylizer.preset, scales=_WARM_UP)
    stylizer = Stylizer(job.stylizer.encoder, preset, job.stylizer.device)
    width, height = fit_within(base.width, base.height, preset.size)
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    began_s = time.perf_counter()
    with torch_threads(job.lanes.threads):
        for _ in stylizer.each([Pair(image, (Style(image),))]):
            pass
    iterations = _WARM_UP[0].iterations + _LOOKS_OUTSIDE_ITERATIONS
    return (time.perf_counter() - began_s) / (width * height * iterations)


def _made(job: Job, chunk: Chunk, control: Control) -> Made | None:
    """None where nothing came out, as of a broken file."""
    began_s = time.perf_counter()
    done = work_chunk(job.workshop, chunk, control)
    seconds = time.perf_counter() - began_s
    if not done.images:
        return None
    rows = _rows_of(job, chunk)
    files = [name for row in rows for name in (row["file"], row["mask_file_name"]) if name]
    return Made(
        work=_work(job, chunk),
        optimiser_s=done.optimiser_s,
        beside_s=seconds - done.optimiser_s,
        images=done.images,
        pixels=sum(row["width"] * row["height"] for row in rows),
        files_bytes=sum((job.out / name).stat().st_size for name in files),
        # A curve is for one pair of a chunk, which here is all there is.
        rows_bytes=sum(len(json_line(row | {"loss_curve": None})) for row in rows),
        iterations=sum(row["iterations"] for row in rows) / len(rows),
    )


def _rows_of(job: Job, chunk: Chunk) -> list[Row]:
    ids = {variant.id for base in chunk.bases for variant in base.variants}
    return [row for row in job.ledger.rows() if row["variant_id"] in ids and "sha256" in row]


def _work(job: Job, chunk: Chunk) -> int:
    if job.stylizer is None:
        return 0
    return sum(
        job.stylizer.pixels_in_all(base.height, base.width)
        for base in chunk.bases
        if base.style is not None
    )
