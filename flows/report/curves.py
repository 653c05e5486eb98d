"""How the losses of some pairs fell, read from a few records of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.axes import Axis, by_decades
from flows.loss_curves import LINES
from manifests.labels import are_numbers
from manifests.ledger import Ledger
from manifests.spacing import evenly_spaced
from manifests.storage import Place

MOST_CURVES = 12
# Chunks of photographs as they are have no curves.
_RECORDS_READ = 3 * MOST_CURVES
# Of a plot, in its own units.
WIDTH, HEIGHT = 300, 150


@dataclass(frozen=True)
class Curves:
    """The losses of one pair.

    Attributes:
        paths: term -> path, in WIDTH x HEIGHT, iterations to the right, losses upwards by decades.
        iterations: the last one.
        axis: of the losses.
    """

    content: str
    style: str
    paths: Mapping[str, str]
    iterations: int
    axis: Axis


def curves_of(out: Place, most: int = MOST_CURVES) -> list[Curves]:
    """Of the first pairs of some chunks, evenly spaced; none where the ledger is gone or older.

    Raises:
        LedgerError: for a record that cannot be read.
        OSError: as the disk or the store says.
    """
    rows = Ledger(out).rows_of_some(_RECORDS_READ)
    curves = [one for row in rows if "loss_curve" in row and (one := _curves(row)) is not None]
    return evenly_spaced(curves, most)


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
    above_0 = [value for value in values if value > 0]
    if not above_0 or max(iterations) <= 0:
        return None
    axis = by_decades(min(above_0), max(above_0))
    last = max(iterations)
    paths = {
        term: _path([(x / last, axis.share(y)) for x, y in zip(iterations, of) if y > 0])
        for term, of in terms.items()
        if isinstance(of, list) and len(of) == len(iterations)
    }
    return Curves(
        content=str(row.get("content_path") or ""),
        style=str(row.get("style_path") or ""),
        paths=paths,
        iterations=int(last),
        axis=axis,
    )


def _path(points: list[tuple[float, float]]) -> str:
    """A line through points given as shares of width and height."""
    drawn = [f"{x * WIDTH:.1f} {(1 - y) * HEIGHT:.1f}" for x, y in points]
    return f"M{'L'.join(drawn)}" if len(drawn) > 1 else ""
