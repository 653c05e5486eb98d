"""What an encoder's pictures are worth: the table of nst_core/weights/README.md.

usage: python -m tests.bench.encoder TEACHERS PHOTOS STYLES [--encoder compact] [--sheet FILE]

Stylizes every photograph with every style at 256 px with preset `fast` and judges the results
with the features of real VGG-19 and SqueezeNet (TEACHERS as for nst_core.distill). Then times
iterations of the same loop with the encoder and with an encoder of VGG-19's shape, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.progress import track
from torch import Tensor

from nst_core import Encoder, Stylizer, gram_matrix, load_encoder, resolve_preset
from nst_core.distill.teachers import Teachers
from nst_core.encoder import layer_names

SIZE_PX = 256
STYLE_SIZE_PX = 2048
_STYLE_LAYERS = {
    "style_vgg": ("vgg19.conv1_1", "vgg19.conv2_1", "vgg19.conv3_1"),
    "style_squeeze": tuple(
        f"squeezenet.{x}" for x in ("conv1", "fire3", "fire5", "fire7", "fire9")
    ),
}
_CONTENT_LAYER = "squeezenet.fire5"
_VGG19_WIDTHS = (64, 128, 256, 512, 512)
_VGG19_CONVS = (2, 2, 4, 4, 4)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.encoder", description=__doc__)
    for name in ("teachers", "photos", "styles"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--encoder", default="compact")
    parser.add_argument("--sheet", type=Path, help="write all results into one picture")
    given = parser.parse_args()
    pairs = [
        (photo, style)
        for photo in sorted(given.photos.iterdir())
        for style in sorted(given.styles.iterdir())
    ]
    encoder = load_encoder(given.encoder)
    stylizer = Stylizer(encoder, resolve_preset("fast"))
    teachers = Teachers(given.teachers)
    figures, seconds, tiles = [], [], []
    for photo, style in track(pairs, "stylizing"):
        began = time.perf_counter()
        content, pattern = read_image(photo, SIZE_PX), read_image(style, STYLE_SIZE_PX)
        result = stylizer(content, [pattern[0]]).images
        seconds.append(time.perf_counter() - began)
        result = (result * 255).round() / 255
        figures.append(judge(teachers, read_image(photo), read_image(style), result))
        tiles.append(result[0])
    if given.sheet:
        write_sheet(tiles, given.sheet, columns=len({style for _, style in pairs}))
    print(f"mean of {len(pairs)} pairs at {SIZE_PX} px, preset fast, encoder {given.encoder}:")
    for name in figures[0]:
        print(f"  {name:28} {statistics.mean(figure[name] for figure in figures):7.3f}")
    lowest = min(range(len(pairs)), key=lambda i: figures[i]["style_vgg"])
    where = " x ".join(path.stem for path in pairs[lowest])
    print(f"  {'lowest style_vgg':28} {figures[lowest]['style_vgg']:7.3f}  ({where})")
    print(f"  {'seconds per pair':28} {statistics.mean(seconds):7.2f}")
    print(f"  {'iterations/s against VGG-19':28} {speed_ratio(encoder):6.1f}x")


def read_image(file: Path, long_side_px: int | None = None) -> Tensor:
    """1 x 3 x H x W in 0..1, shrunk to the long side."""
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    if long_side_px and max(image.size) > long_side_px:
        scale = long_side_px / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        image = image.resize(size, Image.Resampling.LANCZOS)
    return torch.tensor(np.asarray(image)).permute(2, 0, 1).unsqueeze(0) / 255


@torch.no_grad()
def judge(teachers: Teachers, content: Tensor, style: Tensor, result: Tensor) -> dict[str, float]:
    """Figures of one result; all 1 x 3 x H x W.

    style_*: share of the distance between the Gram matrices of content and style that is closed
    (1 = the style's own); content: cosine of features (1 = unchanged); rough: energy of the
    finest details over the style's own (much above 1 is noise).
    """
    content = F.interpolate(content, result.shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)
    scale = max(result.shape[-2:]) / max(style.shape[-2:])
    style = F.interpolate(style, scale_factor=scale, mode="bicubic", antialias=True).clamp(0, 1)
    seen = {name: teachers(x) for name, x in (("c", content), ("s", style), ("r", result))}

    def distance(layers: tuple[str, ...], of: str) -> float:
        total = 0.0
        for layer in layers:
            own = gram_matrix(seen["s"][layer])
            total += float((gram_matrix(seen[of][layer]) - own).norm() / own.norm())
        return total

    figures = {
        name: 1 - distance(layers, "r") / distance(layers, "c")
        for name, layers in _STYLE_LAYERS.items()
    }
    before, after = (seen[of][_CONTENT_LAYER].flatten() for of in "cr")
    figures["content"] = float(F.cosine_similarity(before, after, dim=0))
    figures["rough"] = details(result) / details(style)
    return figures


def details(image: Tensor) -> float:
    """Mean distance of a pixel from the mean of its 3 x 3 neighbours."""
    smooth = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return float((image - smooth).abs().mean())


def speed_ratio(encoder: Encoder, iterations: int = 20, rounds: int = 5) -> float:
    """Iterations a second of the encoder over those of VGG-19's shape, in turns, by medians."""
    preset = resolve_preset("fast", {"scales": [[1.0, iterations]]})
    images = torch.rand(2, 1, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(0))
    stylizers = [Stylizer(one, preset) for one in (encoder, shape_of_vgg19())]
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for taken, stylizer in zip(seconds, stylizers):
            began = time.perf_counter()
            stylizer(images[0], images[1])
            taken.append(time.perf_counter() - began)
    ours, theirs = (statistics.median(taken) for taken in seconds)
    return theirs / ours


def shape_of_vgg19() -> Encoder:
    """VGG-19 with random weights: speed does not depend on them."""
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, Tensor] = {}
    channels_in = 3
    for layer in layer_names(_VGG19_CONVS):
        width = _VGG19_WIDTHS[int(layer[len("conv")]) - 1]
        scale = (2 / (9 * channels_in)) ** 0.5
        weights[f"{layer}.weight"] = scale * torch.randn(
            width, channels_in, 3, 3, generator=generator
        )
        weights[f"{layer}.bias"] = torch.zeros(width)
        channels_in = width
    return Encoder("vgg19", weights, "", average_pool_gain=2.0)


def write_sheet(results: list[Tensor], file: Path, columns: int, width_px: int = 200) -> None:
    """All results side by side, a row for each photograph."""
    height_px = width_px * 4 // 5
    rows = -(-len(results) // columns)
    sheet = Image.new("RGB", (columns * width_px, rows * height_px))
    for place, result in enumerate(results):
        pixels = (result * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        tile = Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.LANCZOS)
        sheet.paste(tile, (place % columns * width_px, place // columns * height_px))
    sheet.save(file)


if __name__ == "__main__":
    main()
