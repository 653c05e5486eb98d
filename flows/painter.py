"""Paint the style pictures of the demo, so that nothing has to be downloaded.

Each style is a plain function of a size and a seed; the same two give the same picture.
Lengths whose name carries no unit are fractions of the picture's side, and the bare numbers
in the formulas were chosen by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

Array = NDArray[Any]

SUPERSAMPLE = 2  # Every picture is drawn this much larger, then shrunk to soften its edges.


def cloud_noise(rng: np.random.Generator, side_px: int, bumps: int) -> Array:
    """Smooth noise around 0, about 1 strong, with so many bumps along a side."""
    grid = Image.fromarray(rng.standard_normal((bumps, bumps)).astype(np.float32))
    return np.asarray(grid.resize((side_px, side_px), Image.Resampling.BICUBIC))


def pixel_grid(side_px: int) -> tuple[Array, Array]:
    """The x and the y of each pixel's centre."""
    ticks = (np.arange(side_px, dtype=np.float32) + 0.5) / side_px
    x, y = np.meshgrid(ticks, ticks)
    return x, y


def rgb(colours: str) -> Array:
    """One row of red, green and blue for each of the colours named in a line of text."""
    return np.array([ImageColor.getrgb(colour) for colour in colours.split()], np.float32)


def ramp(stops: Array, position: Array) -> Array:
    """The colours at positions from 0 to 1 along a row of evenly spaced stops."""
    ticks = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(position, ticks, channel) for channel in stops.T], axis=-1)


def finish(colours: Array, size_px: int) -> Image.Image:
    """The picture of an array of colours, shrunk to its final size."""
    picture = Image.fromarray(colours.clip(0, 255).astype(np.uint8))
    return picture.resize((size_px, size_px), Image.Resampling.LANCZOS)


# --- Oil strokes under a whirling night sky -------------------------------------------------


class Brush(NamedTuple):
    """One pass over the canvas with one brush."""

    strokes: int
    length: float
    width: float
    bristles: int


BROAD_TO_FINE = (
    Brush(420, 0.24, 0.056, 14),
    Brush(1100, 0.16, 0.032, 11),
    Brush(1500, 0.10, 0.020, 8),
    Brush(700, 0.06, 0.011, 5),
)
STROKE_STEPS = 12
FIELD_PX = 256  # The flow is smooth, so a coarse field is enough.
NIGHT = rgb("#0d1440 #182b76 #1f429c #2f6cbc #3b98a6 #a3c298 #dda02f #f6d25a #fff1c4")
WHIRL_REACHES = np.array([0.27, 0.21, 0.18, 0.15, 0.12, 0.11, 0.10, 0.09, 0.08, 0.07])
WHIRL_GLOWS = np.array([0.62, 0.30, 0.60, 0.40, 0.65, 0.62, 0.30, 0.60, 0.60, 0.60])


def brush_strokes(size_px: int, seed: int) -> Image.Image:
    """A night sky in thick oil: strokes that follow the whirls, painted from broad to fine."""
    rng = np.random.default_rng(seed)
    side_px = size_px * SUPERSAMPLE
    angle_rad, light = night_sky(rng)
    ground = Image.fromarray(ramp(NIGHT, light - 0.12).astype(np.uint8))
    canvas = ground.resize((side_px, side_px))
    canvas.putalpha(40)  # The alpha channel holds how thick the paint lies.
    for brush in BROAD_TO_FINE:
        paint_layer(rng, canvas, angle_rad, light, brush)
    pixels = np.asarray(canvas, np.float32)
    thickness, shift_px = pixels[..., 3], max(1, side_px // 400)
    # Light from the upper left: ridges that rise towards it shine, those behind lie in shade.
    relief = thickness - np.roll(thickness, (shift_px, shift_px), axis=(0, 1))
    return finish(pixels[..., :3] + 0.17 * relief[..., None], size_px)


def night_sky(rng: np.random.Generator) -> tuple[Array, Array]:
    """The direction of the strokes and the light of the sky, from 0 to 1, over the picture."""
    x, y = pixel_grid(FIELD_PX)
    wave = cloud_noise(rng, FIELD_PX, 5)
    flow_x, flow_y = np.ones_like(x), 0.8 * np.sin(7 * x + 1.2 * wave + 3 * y)
    bands = np.sin(14 * y + 4 * np.sin(4 * x + wave))
    light = 0.27 + 0.09 * cloud_noise(rng, FIELD_PX, 7) + 0.13 * bands
    centres = whirl_centres(rng)
    for (centre_x, centre_y), reach, glow in zip(centres, WHIRL_REACHES, WHIRL_GLOWS, strict=True):
        right, down = x - centre_x, y - centre_y
        away = np.hypot(right, down) + 1e-3
        distance, spin = away / reach, rng.choice([-1, 1])
        grip = 9 * np.exp(-(distance**2) / 0.8) / away
        # A slight pull inward makes spirals of the rings and keeps the centres covered.
        flow_x += grip * (-spin * down - 0.25 * right)
        flow_y += grip * (spin * right - 0.25 * down)
        arms = np.cos(10 * distance - 2 * spin * np.arctan2(down, right))
        light += glow * np.exp(-(distance**2) / 0.3)
        light += (0.12 + 0.4 * reach) * arms * np.exp(-(distance**2) / 0.9)
    return np.arctan2(flow_y, flow_x), light


def whirl_centres(rng: np.random.Generator) -> list[Array]:
    """One centre for each whirl, the great one near the middle and the others clear of it."""
    centres = [rng.uniform(0.3, 0.7, 2)]
    while len(centres) < len(WHIRL_REACHES):
        tries = rng.uniform(0.02, 0.98, (60, 2))
        gaps = np.linalg.norm(tries[:, None] - np.array(centres), axis=-1)
        centres.append(tries[(gaps - WHIRL_REACHES[: len(centres)]).min(axis=1).argmax()])
    return centres


def paint_layer(
    rng: np.random.Generator, canvas: Image.Image, angle_rad: Array, light: Array, brush: Brush
) -> None:
    """Lay evenly scattered strokes on the canvas, each a bundle of bristles along the flow."""
    per_side = round(brush.strokes**0.5)
    cells = np.stack(np.divmod(np.arange(per_side**2), per_side), axis=-1)
    # Strokes also begin just outside the picture, so that none of its edges stays bare.
    starts = rng.permutation((cells + rng.random(cells.shape)) / per_side * 1.1 - 0.05)
    count = len(starts)
    path, normal = follow(angle_rad, starts, brush.length * rng.uniform(0.6, 1.2, count))

    spots = np.linspace(-1, 1, brush.bristles)
    half_width = brush.width / 2 * rng.uniform(0.7, 1.2, (count, 1, 1, 1))
    taper = np.sin(np.pi * np.linspace(0.12, 0.93, STROKE_STEPS)) ** 0.6
    spread = half_width * spots[:, None, None] * taper[:, None]
    tracks_px = (path[:, None] + normal[:, None] * spread) * canvas.width

    hue = sample(light, path[:, STROKE_STEPS // 2]) + 0.075 * rng.standard_normal(count)
    hue += 0.35 * (rng.random(count) < 0.07)  # Now and then a warm stroke in the cold.
    streaks = rng.standard_normal((2, count, brush.bristles))
    colours = ramp(NIGHT, hue[:, None] + 0.03 * streaks[0]) + 7 * streaks[1, ..., None]
    body = 0.25 + 0.4 * np.sqrt(1 - (0.97 * spots) ** 2)
    thickness = 255 * (body + 0.35 * rng.random((count, brush.bristles)))
    paint = np.concatenate([colours, thickness[..., None]], axis=-1).clip(0, 255).astype(int)

    first = rng.integers(0, 3, (count, brush.bristles))  # Bristles touch and leave unevenly.
    last = STROKE_STEPS - rng.integers(0, 4, (count, brush.bristles))
    bristle_px = max(1, round(1.3 * brush.width * canvas.width / brush.bristles))
    draw = ImageDraw.Draw(canvas)
    for at in np.ndindex(count, brush.bristles):
        track = tracks_px[at][first[at] : last[at]].ravel().tolist()
        draw.line(track, fill=tuple(paint[at].tolist()), width=bristle_px)


def follow(angle_rad: Array, starts: Array, lengths: Array) -> tuple[Array, Array]:
    """The path of each stroke along the flow, and its normal, step by step."""
    points, path, normal = starts, [], []
    for _ in range(STROKE_STEPS):
        here_rad = sample(angle_rad, points)
        ahead = np.stack([np.cos(here_rad), np.sin(here_rad)], axis=-1)
        path.append(points)
        normal.append(ahead[:, ::-1] * (-1, 1))
        points = points + ahead * lengths[:, None] / STROKE_STEPS
    return np.stack(path, axis=1), np.stack(normal, axis=1)


def sample(field: Array, points: Array) -> Array:
    """The values of a square field nearest to some points."""
    columns, rows = (points * len(field)).astype(int).clip(0, len(field) - 1).T
    values: Array = field[rows, columns]
    return values


# --- Stained glass ---------------------------------------------------------------------------

# Each kind of glass from dark to light, in the order in which it is met from the rose outward.
GLASS_DARK = rgb("#d99a2e #b8480a #5c0414 #350b56 #091560 #043a54 #0a1a66 #083c28")
GLASS_LIGHT = rgb("#fff6d0 #ffd34f #f2432c #c04a9a #3f86ee #55cfc0 #4a6fe6 #a5c83e")
ROSE = np.array([0.45, 0.43])
ROSE_RINGS = ((0.0, 1), (0.075, 8), (0.15, 13), (0.235, 17))  # Radius and panes of each ring.
ROSE_EDGE = 0.28
REACH = 0.18  # No pixel is farther than this from the two sites nearest to it.
LEAD_WIDTH = 0.0054


def stained_glass(size_px: int, seed: int) -> Image.Image:
    """Panes of streaky glass set in lead, from a warm rose outward to cold blues."""
    rng = np.random.default_rng(seed)
    side_px = size_px * SUPERSAMPLE
    x, y = pixel_grid(side_px)
    # Bending the plane a little keeps the leads from looking ruled.
    x = x + 0.009 * cloud_noise(rng, side_px, 8)
    y = y + 0.009 * cloud_noise(rng, side_px, 8)
    sites, ring = glass_sites(rng)
    pane, to_lead = nearest_panes(x, y, sites)

    count, kinds = len(sites), len(GLASS_DARK)
    kind = (ring + 0.55 * rng.standard_normal(count)).round().astype(int).clip(0, kinds - 1)
    kind = np.where(rng.random(count) < 0.2, rng.integers(0, kinds, count), kind)[pane]
    turn_rad = rng.uniform(0, 2 * np.pi, count)
    cos, sin = np.cos(turn_rad)[pane], np.sin(turn_rad)[pane]
    right, down = x - sites[pane, 0], y - sites[pane, 1]
    cloud, speck = cloud_noise(rng, side_px, 16), cloud_noise(rng, side_px, 90)
    slope = 8 * (right * cos + down * sin)
    swirl = 170 * (right * sin - down * cos) + 2.6 * cloud + 5 * slope * cloud
    streaks = np.sin(swirl) * (0.6 + 0.4 * cloud_noise(rng, side_px, 24))
    light = 0.63 + slope + 0.24 * streaks + 0.1 * cloud + 0.06 * speck
    light += rng.normal(0, 0.14, count)[pane]
    # Grime gathers along the leads and dims the glass there.
    clean = 1 - np.exp(-to_lead / 0.012)
    share = (light * (0.35 + 0.65 * clean)).clip(0, 1)[..., None]
    glass = GLASS_DARK[kind] * (1 - share) + GLASS_LIGHT[kind] * share
    glass *= (0.55 + 0.5 * clean)[..., None]

    bevel = to_lead / (LEAD_WIDTH * (1 + 0.22 * cloud_noise(rng, side_px, 14)))
    slant_y, slant_x = np.gradient(to_lead * side_px)
    facing = (-(slant_x + slant_y) / 2**0.5).clip(0, 1)
    shine = facing * np.exp(-(((bevel - 0.45) / 0.25) ** 2))
    metal = rgb("#0c0b10") + (22 * (1 - bevel**2) + 130 * shine + 5 * speck)[..., None]
    return finish(np.where((bevel < 1)[..., None], metal, glass), size_px)


def glass_sites(rng: np.random.Generator) -> tuple[Array, Array]:
    """The middle of each pane, and the ring around the rose on which it lies."""
    sites, rings = [], []
    for ring, (radius, panes) in enumerate(ROSE_RINGS):
        turns_rad = np.linspace(0, 2 * np.pi, panes, endpoint=False) + 0.7 * ring
        for turn_rad in turns_rad + rng.normal(0, 0.04, panes):
            spoke = np.array([np.cos(turn_rad), np.sin(turn_rad)])
            sites.append(ROSE + spoke * (radius + rng.normal(0, 0.005)))
            rings.append(float(ring))
    for site in rng.uniform(-0.12, 1.12, (1500, 2)):
        away = float(np.linalg.norm(site - ROSE))
        gap = 0.034 + 0.1 * rng.random()
        if away > ROSE_EDGE and np.linalg.norm(np.array(sites) - site, axis=1).min() > gap:
            sites.append(site)
            rings.append(len(ROSE_RINGS) + 7 * (away - ROSE_EDGE))
    return np.array(sites, np.float32), np.array(rings)


def nearest_panes(x: Array, y: Array, sites: Array) -> tuple[Array, Array]:
    """Which site is nearest to each pixel, and about how far the border of its pane is."""
    pane = np.zeros(x.shape, int)
    nearest, second = np.ones_like(x), np.ones_like(x)
    for site, (site_x, site_y) in enumerate(sites):
        bounds = np.array([site_y - REACH, site_y + REACH, site_x - REACH, site_x + REACH])
        top, bottom, left, right = (bounds * len(x)).astype(int).clip(0)
        window = slice(top, bottom), slice(left, right)
        away = np.hypot(x[window] - site_x, y[window] - site_y)
        closer = away < nearest[window]
        pane[window][closer] = site
        second[window] = np.where(closer, nearest[window], np.minimum(second[window], away))
        nearest[window] = np.minimum(nearest[window], away)
    return pane, (second - nearest) / 2


# --- Woodcut ---------------------------------------------------------------------------------

INKS = rgb("#f2e4c6 #dea03a #ba3a22")  # Bare paper, ochre and red.
PAPER, KEY_INK = INKS[0], rgb("#261a1c")[0]
HILLS = 9
HILL_TINTS = np.array([0.0, 0.62, 0.3])  # Where on the row of inks each next hill begins.
SUN_RADIUS = 0.12
GOUGE_ROWS = 997  # Rows begin to repeat after so many, which nobody will notice.


def woodcut(size_px: int, seed: int) -> Image.Image:
    """Hills under a low sun, cut in wood: tapered gouge marks in three warm inks on paper."""
    rng = np.random.default_rng(seed)
    side_px = size_px * SUPERSAMPLE
    x, y = pixel_grid(side_px)
    tremble, patch = 0.0025 * cloud_noise(rng, side_px, 18), cloud_noise(rng, side_px, 6)

    sun_x, sun_y = rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.28)
    away, turn_rad = np.hypot(x - sun_x, y - sun_y), np.arctan2(y - sun_y, x - sun_x)
    ripple = 0.02 * patch * (8 * (away - SUN_RADIUS)).clip(0, 1)
    sky_light = 0.95 - 0.95 * away + 0.12 * patch
    sky = gouges(rng, away + ripple + tremble, 0.35 * turn_rad, 0.018, 0.13, sky_light)
    disc = gouges(rng, y + tremble, x, 0.014, 0.09, 0.3 + 4 * (sun_y - y))
    sun = away + tremble < SUN_RADIUS
    tint = np.where(sun, 1, 0.5 + 1.1 * (away - 0.25) + 0.07 * patch)
    cut = np.where(sun, disc, sky)[..., None]
    heavens = np.where(cut, PAPER, ramp(INKS, tint))

    hill, depth, lean = rolling_hills(rng, y)
    # Slopes that look towards the sun are cut wider, and the valleys stay dark.
    towards_sun = (5 * (sun_x - x)).clip(-1, 1)
    light = 0.9 - 5.5 * depth + 0.22 * patch + 0.35 * lean * towards_sun
    rows, spacing = depth + 0.012 * patch + tremble, 0.009 + 0.009 * np.linspace(0.34, 1, HILLS)
    # Adding the number of the hill gives each its own rows of marks.
    cut = gouges(rng, rows + hill, x + 0.3 * depth, spacing[hill], 0.11, light.clip(0.1))
    tint = HILL_TINTS[hill % len(HILL_TINTS)] + 4 * depth + 0.1 * patch
    carved = (cut & (depth > 0.004))[..., None]
    land = np.where(carved, ramp(INKS, tint), KEY_INK)
    inked = np.where((depth > 0)[..., None], land, heavens)

    grain = cloud_noise(rng, side_px, side_px // 3) + cloud_noise(rng, side_px, side_px // 8)
    dry = 0.65 * (grain + 0.6 * patch > 3.1)[..., None]  # Spots where the ink did not take.
    return finish(inked * (1 - dry) + PAPER * dry + 5 * grain[..., None], size_px)


def rolling_hills(rng: np.random.Generator, y: Array) -> tuple[Array, Array, Array]:
    """For each pixel the hill in front, its depth below that hill's crest, and the slope there."""
    side_px = len(y)
    along = (np.arange(side_px) + 0.5) / side_px
    hill, depth, lean = np.zeros(y.shape, int), np.zeros(y.shape), np.zeros(y.shape)
    for index, top in enumerate(np.linspace(0.34, 1, HILLS)):
        shifts_rad = rng.uniform(0, 2 * np.pi, 3)
        waves = np.sin(np.outer(along, [5, 11, 23]) + shifts_rad) @ [1, 0.6, 0.25]
        crest = top + (0.035 + 0.03 * top) * waves
        slope = np.gradient(crest) * side_px
        below = (y - crest) / np.hypot(1, slope)
        inside = below > 0
        hill[inside], depth[inside] = index, below[inside]
        lean[inside] = np.broadcast_to(slope, y.shape)[inside]
    return hill, depth, lean


def gouges(
    rng: np.random.Generator, across: Array, along: Array, spacing: Any, length: float, light: Array
) -> Array:
    """Where the tool cut: rows of marks with tapered ends, wider where there is more light."""
    row = np.floor(across / spacing).astype(int) % GOUGE_ROWS
    start, stretch = rng.random(GOUGE_ROWS), rng.uniform(0.6, 1.6, GOUGE_ROWS)
    place = (along / length * stretch[row] + start[row]) % 1
    taper = (np.minimum(1, 12 * place) * np.minimum(1, 3.5 * (1 - place))) ** 0.6
    cut: Array = np.abs(across / spacing % 1 - 0.5) < 0.5 * taper * light.clip(0, 0.86)
    return cut


STYLES: dict[str, Callable[[int, int], Image.Image]] = {
    "brush_strokes": brush_strokes,
    "stained_glass": stained_glass,
    "woodcut": woodcut,
}


def paint_styles(folder: Path, size_px: int = 512, seed: int = 7) -> list[Path]:
    """Paint every style into `folder`, which is made where missing; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in STYLES]
    for path, paint in zip(paths, STYLES.values(), strict=True):
        paint(size_px, seed).save(path)
    return paths
