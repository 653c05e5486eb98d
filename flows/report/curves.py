"""How the losses of some pairs fell, read from a few records of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any

from flows.axes import Axis
from flows.loss_curves import LINES, height_of, loss_axis
from manifests.labels import are_numbers
from manifests.ledger import Ledger
from manifests.storage import Place

MOST_CURVES = 12
# Chunks of photographs as they are have no curves.
_RECORDS_READ = 3 * MOST_CURVES
# Of a plot, in its own units.
WIDTH, HEIGHT = 300, 150
_MOST_ITERATIONS = 2**31


@dataclass(frozen=True)
class Scale:
    """Attributes:
    x: where it begins, of WIDTH.
    long_side_px: of the image.
    """

    x: float
    long_side_px: int


@dataclass(frozen=True)
class Curves:
    """The losses of one pair.

    Attributes:
        paths: term -> path, in WIDTH x HEIGHT, iterations to the right, losses upwards by decades.
            A scale of the image begins a line of its own.
        iterations: the last one.
        axis: of the losses.
        scales: none where there is only one, or an older ledger does not say.
    """

    content: str
    style: str
    paths: Mapping[str, str]
    iterations: int
    axis: Axis
    scales: tuple[Scale, ...]


@dataclass(frozen=True)
class Sample:
    """Attributes:
    curves: of some pairs, of all styles in turn.
    broken: how many of those on record are no curves.
    """

    curves: tuple[Curves, ...]
    broken: int


def curves_of(out: Place, most: int = MOST_CURVES) -> Sample:
    """Of the first pairs of some chunks; none where the ledger is gone or older.

    Raises:
        LedgerError: for a record that cannot be read.
        OSError: as the disk or the store says.
    """
    rows = [row for row in Ledger(out).rows_of_some(_RECORDS_READ) if "loss_curve" in row]
    drawn = [curves for row in rows if (curves := _curves(row)) is not None]
    return Sample(tuple(_of_all_styles(drawn))[:most], len(rows) - len(drawn))


def _of_all_styles(drawn: Iterable[Curves]) -> list[Curves]:
    """One of each style, then a second one of each, and so on."""
    by_style: dict[str, list[Curves]] = defaultdict(list)
    for one in drawn:
        by_style[one.style].append(one)
    return [one for turn in zip_longest(*by_style.values()) for one in turn if one is not None]


def _curves(row: Mapping[str, Any]) -> Curves | None:
    """None for what is no curve: a finished dataset may come from strangers."""
    curve = row["loss_curve"]
    if not isinstance(curve, dict) or not isinstance(curve.get("iteration"), list):
        return None
    iterations = curve["iteration"]
    terms = {term: curve.get(term) for term in LINES}
    values = [value for term in terms.values() if isinstance(term, list) for value in term]
    if len(iterations) < 2 or not are_numbers([*iterations, *values]):
        return None
    if not any(value > 0 for value in values) or not 0 < max(iterations) < _MOST_ITERATIONS:
        return None
    axis = loss_axis(values)
    last = max(iterations)
    sizes = _sizes(curve.get("long_side_px"), len(iterations))
    begins = [at for at, size in enumerate(sizes) if at == 0 or size != sizes[at - 1]]
    return Curves(
        content=str(row.get("content_path") or ""),
        style=str(row.get("style_path") or ""),
        paths={
            term: _path([(x / last, height_of(axis, y)) for x, y in zip(iterations, of)], sizes)
            for term, of in terms.items()
            if isinstance(of, list) and len(of) == len(iterations)
        },
        iterations=int(last),
        axis=axis,
        scales=tuple(Scale(iterations[at] / last * WIDTH, sizes[at]) for at in begins)
        if len(begins) > 1
        else (),
    )


def _sizes(recorded: Any, count: int) -> list[int]:
    """The long side of the image at each point; 0 where an older ledger does not say."""
    is_known = isinstance(recorded, list) and len(recorded) == count and are_numbers(recorded)
    return [int(size) for size in recorded] if is_known else [0] * count


def _path(points: Sequence[tuple[float, float]], sizes: Sequence[int]) -> str:
    """A line for each scale, through points given as shares of width and height."""
    lines = []
    for _, of_scale in groupby(zip(points, sizes), lambda one: one[1]):
        drawn = [f"{x * WIDTH:.1f} {(1 - y) * HEIGHT:.1f}" for (x, y), _ in of_scale]
        # A line of no length is a dot.
        lines.append(f"M{'L'.join(drawn)}" if len(drawn) > 1 else f"M{drawn[0]}h.01")
    return "".join(lines)
