"""How fast the engine is on the machine at hand: the table of tests/bench/README.md.

usage: python -m tests.bench.engine [--device cpu] [--size 256] [--batch 4] [--only ROW ...]

Every ratio is between two programs that ran in turns in this run. The reference is
tests/bench/reference.py: the plain published loop. VGG-19 has random weights unless --weights
names torchvision's: speed does not depend on them. Needs scikit-image for its photographs.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from flows.painter import paint_styles
from nst_core import (
    Encoder,
    Pair,
    Preset,
    Style,
    StylizedPair,
    Stylizer,
    load_encoder,
    resolve_preset,
)
from nst_core.encoder import stride_px
from tests.bench import reference
from tests.bench.encoder import shape_of_vgg19

REFERENCE_ITERATIONS = 500
# The loss of the reference, and the engine's own way down: larger steps that forget sooner.
REFERENCE_LOSS = {
    "content_layers": {reference.CONTENT_LAYER: 1.0},
    "style_layers": reference.STYLE_LAYERS,
    "content_weight": 1.0,
    "style_weight": reference.STYLE_WEIGHT,
    "content_error": "mean",
    "style_error": "mean_per_feature",
    "total_variation_weight": 0.0,
    "pooling": "max",
    "style_shape": "content",
    "pixels": "imagenet",
    "precision": "auto",
    "least_fall": 0.0,
    "learning_rate": 0.05,
    "adam_betas": [0.8, 0.8],
}


@dataclass(frozen=True)
class Machine:
    """What is measured, and on what."""

    device: torch.device
    size: int
    batch: int
    vgg: Encoder

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, run: Callable[[], object]) -> float:
        self.synchronise()
        began_s = time.perf_counter()
        run()
        self.synchronise()
        return time.perf_counter() - began_s


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--weights", type=Path, help="torchvision's state dict of vgg19")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--peak-memory", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak_memory:
        print(peak_memory_bytes())
        return
    vgg = load_encoder("vgg19", given.weights) if given.weights else shape_of_vgg19()
    machine = Machine(torch.device(given.device), given.size, given.batch, vgg)
    print(f"{date.today()}, {describe(machine.device)}, torch {torch.__version__}")
    for name in given.only:
        for figure, value in ROWS[name](machine).items():
            print(f"| {figure} | {value} |", flush=True)


def describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    native = "with" if capabilities.get("avx512_bf16") else "without"
    name = capabilities.get("cpu_name") or platform.processor()
    return f"{name}, {torch.get_num_threads()} threads, {native} AVX512-BF16"


# Iterations


def iterations(machine: Machine) -> dict[str, str]:
    """Iterations a second against the reference, and how far from the floor."""
    vgg, device, size = machine.vgg, machine.device, machine.size
    content, style = images(size)
    loss = plain_loss(vgg, content, style, device)
    batches = 1, machine.batch
    times: dict[str, list[float]] = {}
    for _ in range(5):
        plain_s = machine.seconds(lambda: reference.stylize(loss, content.to(device), 4)) / 4
        times.setdefault("reference", []).append(plain_s)
        for count in batches:
            seconds = step_seconds(machine, content, style, count) / count
            times.setdefault(f"batch {count}", []).append(seconds)
        for name, raw in raw_convolutions(vgg, device, size).items():
            times.setdefault(name, []).append(machine.seconds(raw))
    medians = {name: statistics.median(values) for name, values in times.items()}
    flop, rate = flop_of_iteration(vgg, size), matrix_rate(machine)
    rows = {
        f"reference, VGG-19, {size} px: seconds an iteration": f"{medians['reference']:.3f}",
        "raw convolutions forward and backward, plain against the engine's layout and precision": (
            f"{medians['raw plain'] / medians['raw engine']:.2f}x"
        ),
    }
    for count in batches:
        seconds = medians[f"batch {count}"]
        rows[f"iterations/s, VGG-19, {size} px, batch {count}, against the reference"] = (
            f"{medians['reference'] / seconds:.2f}x"
        )
        rows[f"  batch {count}: seconds a pair for 500 iterations"] = f"{500 * seconds:.2f}"
        rows[f"  batch {count}: FLOP/s as a share of the measured {rate / 1e9:.0f} GFLOP/s"] = (
            f"{flop / seconds / rate:.0%} (floor {flop / rate:.3f} s, taken {seconds:.3f} s)"
        )
    return rows


def step_seconds(machine: Machine, content: Tensor, style: Tensor, count: int) -> float:
    """Of one iteration of the whole batch, from two runs of different length."""
    pairs = [Pair(content[0], (Style(style[0], key="style"),))] * count

    def run(steps: int) -> float:
        timed = engine(machine.vgg, machine.device, {"scales": [[1.0, steps]]})
        return machine.seconds(lambda: list(timed.each(pairs, batch=count)))

    return (run(6) - run(2)) / 4


def raw_convolutions(
    vgg: Encoder, device: torch.device, size: int
) -> dict[str, Callable[[], object]]:
    """The convolutions of an iteration and nothing else, in both ways of computing them."""

    def run(dtype: torch.dtype, layout: torch.memory_format) -> Callable[[], object]:
        weights = [
            (layer, conv.weight.to(dtype).contiguous(memory_format=layout), conv.bias.to(dtype))
            for layer, conv in vgg.to(device).convs.items()
        ]
        start = torch.rand(1, 3, size, size, device=device).to(dtype, memory_format=layout)

        def once() -> None:
            leaf = x = start.clone().requires_grad_()
            for layer, weight, bias in weights:
                if layer.endswith("_1") and layer != "conv1_1":
                    x = F.max_pool2d(x, 2)
                x = F.relu_(F.conv2d(x, weight, bias, padding=1))
            torch.autograd.grad(x.sum(), leaf)

        return once

    precise = engine(vgg, device, {}).precision == "bf16"
    return {
        "raw plain": run(torch.float32, torch.contiguous_format),
        "raw engine": run(torch.bfloat16 if precise else torch.float32, torch.channels_last),
    }


def flop_of_iteration(encoder: Encoder, size: int) -> float:
    """Two FLOP a multiply-add, forward and backward to the pixels."""
    return sum(
        4 * conv.weight.numel() * (size // stride_px(layer)) ** 2
        for layer, conv in encoder.convs.items()
    )


def matrix_rate(machine: Machine, side: int = 2048) -> float:
    """FLOP/s of a square product in the precision of the convolutions, the best of several."""
    bf16 = engine(machine.vgg, machine.device, {}).precision == "bf16"
    dtype = torch.bfloat16 if bf16 else torch.float32
    matrix = torch.rand(side, side, device=machine.device).to(dtype)
    return 2 * side**3 / min(machine.seconds(lambda: matrix @ matrix) for _ in range(10))


# To a loss


def to_the_loss(machine: Machine) -> dict[str, str]:
    """Time to the loss that the reference has after 500 iterations of Adam, and whole pairs."""
    vgg, device = machine.vgg, machine.device
    content, style = images(machine.size)
    loss = plain_loss(vgg, content, style, device)

    def judged(image: Tensor) -> float:
        with torch.no_grad():
            return float(loss(reference.normalised(image.to(device))))

    ends: list[Tensor] = []
    reference_s = machine.seconds(
        lambda: ends.append(reference.stylize(loss, content.to(device), REFERENCE_ITERATIONS))
    )
    wanted = judged(ends[0])
    rows = {
        f"reference: seconds for {REFERENCE_ITERATIONS} iterations, loss from, to": (
            f"{reference_s:.0f}, {judged(content):.4g}, {wanted:.4g}"
        )
    }
    rows["time to that loss, same encoder, same loss, against the reference"] = "not reached"
    for steps in (30, 40, 50, 60, 80, 120, 160, 240):
        scales = [[0.25, 60], [0.5, 60], [1.0, steps]]
        stylizer = engine(vgg, device, {"scales": scales})
        image, seconds = stylized(machine, stylizer, content, style)
        if judged(image) <= wanted:
            rows["time to that loss, same encoder, same loss, against the reference"] = (
                f"{reference_s / seconds:.1f}x ({seconds:.1f} s, {steps} iterations at full size)"
            )
            break
    compact = Stylizer(
        load_encoder("compact"), resolve_preset("fast", {"size": machine.size}), device
    )
    pairs = [Pair(content[0], (Style(style[0]),))] * 6
    seconds = machine.seconds(lambda: list(compact.each(pairs))) / len(pairs)
    rows[f"pairs/s, fast with compact, {machine.size} px, against the reference"] = (
        f"{reference_s / seconds:.0f}x ({seconds:.2f} s a pair)"
    )
    return rows


def stylized(
    machine: Machine, stylizer: Stylizer, content: Tensor, style: Tensor
) -> tuple[Tensor, float]:
    """(1 x 3 x H x W, seconds that it took)."""
    done: list[tuple[int, StylizedPair]] = []
    pair = Pair(content[0], (Style(style[0]),))
    seconds = machine.seconds(lambda: done.extend(stylizer.each([pair])))
    return done[0][1].image[None], seconds


# Memory


def memory(machine: Machine) -> dict[str, str]:
    """Peak of one pair at 512 px, in a process of its own."""
    if machine.device.type != "cpu":
        return {}
    command = [sys.executable, "-m", "tests.bench.engine", "--peak-memory"]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"peak memory over the import's, VGG-19, 512 px, batch 1": f"{peak / 1e9:.2f} GB"}


def peak_memory_bytes() -> int:
    """Highest resident memory, of the encoder too, over that after the imports (Linux)."""
    content, style = images(512)
    before = resident_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the highest so far
    vgg = shape_of_vgg19()
    stylizer = engine(vgg, torch.device("cpu"), {"scales": [[1.0, 3]], "size": 512})
    list(stylizer.each([Pair(content[0], (Style(style[0]),))]))
    return resident_bytes("VmHWM") - before


def resident_bytes(which: str) -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if which in line)


def of_flow(*arguments: str) -> dict[str, str]:
    """Figures of tests.bench.flow, which takes the device that it finds."""
    command = [sys.executable, "-m", "tests.bench.flow", *arguments]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, str] = json.loads(printed.splitlines()[-1])
    return figures


# What all rows share


def images(size: int) -> tuple[Tensor, Tensor]:
    """A photograph and a painting, square, 1 x 3 x size x size."""
    from skimage import data

    with tempfile.TemporaryDirectory() as folder:
        paint_styles(Path(folder))
        first = sorted(Path(folder).iterdir())[0]
        pictures = [Image.fromarray(data.astronaut()), Image.open(first).convert("RGB")]
        arrays = [np.asarray(p.resize((size, size), Image.Resampling.LANCZOS)) for p in pictures]
    content, style = (torch.tensor(a).permute(2, 0, 1)[None] / 255 for a in arrays)
    return content, style


def plain_loss(
    vgg: Encoder, content: Tensor, style: Tensor, device: torch.device
) -> reference.Loss:
    weights = {
        f"{layer}.{kind}": getattr(conv, kind).detach().contiguous()
        for layer, conv in vgg.convs.items()
        for kind in ("weight", "bias")
    }
    return reference.Loss(reference.Vgg(weights).to(device), content.to(device), style.to(device))


def engine(vgg: Encoder, device: torch.device, changes: dict[str, object]) -> Stylizer:
    preset: Preset = resolve_preset("fast", {**REFERENCE_LOSS, **changes})
    return Stylizer(vgg, preset, device)


ROWS: dict[str, Callable[[Machine], dict[str, str]]] = {
    "iterations": iterations,
    "loss": to_the_loss,
    "memory": memory,
    "flow": lambda machine: of_flow("share", str(machine.size)),
    "long": lambda machine: of_flow("memory"),
}


if __name__ == "__main__":
    main()
