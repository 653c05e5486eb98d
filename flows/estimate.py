"""How long a run will take and how much disk it needs, from small probes on this machine."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from PIL import Image

from flows.engine import torch_threads
from flows.job import Job
from flows.load import FileAtFault, load
from manifests.comparison import FilesOnDisk, Todo
from manifests.images import encode_image
from manifests.plan import Base
from nst_core import Pair, Scale, Style, Stylizer

_PROBED_FILES = 8
_PROBED_ITERATIONS = 8
# Targets and losses of a pair take about as long as so many iterations.
_LOOKS_OUTSIDE_ITERATIONS = 2


@dataclass(frozen=True)
class Estimate:
    """Of what is left to do."""

    seconds: float
    disk_bytes: float


def estimate(job: Job) -> Estimate:
    """Time and disk for the images that are not done.

    Optimises a few iterations at the commonest shape, and encodes a few of the content images, on
    the first device; several share the work equally.
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
        per_pixel_s = _probe_pixel(job, width, height)
        seconds += per_pixel_s * sum(
            count * job.stylizer.pixels_in_all(h, w) for (w, h), count in shapes.items()
        )
    return Estimate(seconds / len(job.devices), pixels * bytes_per_pixel)


def _probe_files(job: Job, bases: list[Base]) -> tuple[float, float]:
    """(seconds to load and encode an image, bytes of a pixel in its file)."""
    output = job.plan.manifest.output.image
    started_s, size_bytes, pixels, files = time.perf_counter(), 0, 0, 0
    for base in bases:
        try:
            loaded = load(base, None, job.plan.manifest.max_pixels)
        except FileAtFault:
            continue
        size_bytes += len(encode_image(Image.fromarray(loaded.pixels), output.type, output.quality))
        pixels += base.width * base.height
        files += 1
    if not files:
        return 0.0, 0.0
    return (time.perf_counter() - started_s) / files, size_bytes / pixels


def _probe_pixel(job: Job, width: int, height: int) -> float:
    """Seconds that a pixel of this shape takes in one iteration, all lanes of a device at work."""
    assert job.stylizer is not None
    preset = replace(
        job.stylizer.preset, scales=(Scale(1.0, _PROBED_ITERATIONS),), size=max(width, height)
    )
    probe = Stylizer(job.stylizer.encoder, preset, job.stylizer.device)
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    pair = Pair(image, (Style(image),))

    def optimise(pairs: int) -> float:
        began_s = time.perf_counter()
        with torch_threads(job.lanes.threads):
            for _ in probe.each([pair] * pairs):
                pass
        return time.perf_counter() - began_s

    batch = probe.suitable_batch(height, width)
    optimise(1)  # what is done only once
    with ThreadPoolExecutor(job.lanes.count) as lanes:
        seconds = max(lanes.map(optimise, [batch] * job.lanes.count))
    pairs = batch * job.lanes.count
    return seconds / (pairs * width * height * (_PROBED_ITERATIONS + _LOOKS_OUTSIDE_ITERATIONS))
