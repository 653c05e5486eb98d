"""How long a run will take and how much disk it needs, from small probes on this machine."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import torch
from PIL import Image

from flows.engine import pairs_per_batch
from flows.job import Job
from flows.load import FileAtFault, load
from manifests.comparison import FilesOnDisk, Todo
from manifests.images import encode_image
from manifests.plan import Base
from nst_core import Iteration, Stylizer

_PROBED_FILES = 8
_PROBED_ITERATIONS = 4


@dataclass(frozen=True)
class Estimate:
    """Of what is left to do."""

    seconds: float
    disk_bytes: float


def estimate(job: Job) -> Estimate:
    """Time and disk for the images that are not done.

    Optimises a few iterations at the commonest shape, and encodes a few of the content images.
    """
    todo = Todo(job.ledger.ids(), FilesOnDisk(job.out))
    shapes: Counter[tuple[int, int]] = Counter()
    pixels = images = 0
    sample: dict[str, Base] = {}
    for chunk in job.chunks():
        for base in todo.of_chunk(chunk).bases:
            if base.width == 0:
                continue
            if base.style is not None:
                shapes[base.width, base.height] += 1
            images += len(base.variants)
            pixels += base.width * base.height * len(base.variants)
            if len(sample) < _PROBED_FILES:
                sample[base.content.file] = base
    encode_s, bytes_per_pixel = _probe_files(job, list(sample.values()))
    seconds = images * encode_s
    if shapes and job.stylizer is not None:
        (width, height), _ = shapes.most_common(1)[0]
        per_pixel_s = _probe_pair(job.stylizer, width, height) / (width * height)
        seconds += per_pixel_s * sum(w * h * count for (w, h), count in shapes.items())
    return Estimate(seconds, pixels * bytes_per_pixel)


def _probe_files(job: Job, bases: list[Base]) -> tuple[float, float]:
    """(seconds to load and encode an image, bytes of a pixel in its file)."""
    output = job.plan.manifest.output.image
    started_s, size_bytes, pixels, files = time.perf_counter(), 0, 0, 0
    for base in bases:
        try:
            loaded = load(base)
        except FileAtFault:
            continue
        size_bytes += len(encode_image(Image.fromarray(loaded.pixels), output.type, output.quality))
        pixels += base.width * base.height
        files += 1
    if not files:
        return 0.0, 0.0
    return (time.perf_counter() - started_s) / files, size_bytes / pixels


def _probe_pair(stylizer: Stylizer, width: int, height: int) -> float:
    """Seconds for one pair of a batch, from a few iterations at each scale."""
    preset = stylizer.preset
    # L-BFGS takes one pair at a time.
    alone = preset.optimiser == "lbfgs"
    batch = 1 if alone else pairs_per_batch(stylizer.device, width, height)
    ends_s: list[float] = []

    def on_iteration(iteration: Iteration) -> None:
        float(iteration.total_loss[0])  # waits for a GPU to have done it
        ends_s.append(time.perf_counter())

    scales = tuple(replace(scale, iterations=_PROBED_ITERATIONS) for scale in preset.scales)
    probe = Stylizer(stylizer.encoder, replace(preset, scales=scales), stylizer.device)
    images = torch.rand(batch, 3, height, width)
    probe(images, images, on_iteration=on_iteration)
    seconds = 0.0
    for index, scale in enumerate(preset.scales):
        own_s = ends_s[index * _PROBED_ITERATIONS : (index + 1) * _PROBED_ITERATIONS]
        seconds += scale.iterations * median(b - a for a, b in pairwise(own_s))
    return seconds / batch
