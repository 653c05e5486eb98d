"""The loss curve of one pair as a picture: weighted terms and total over the iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image, ImageColor, ImageDraw, ImageFont

from flows.axes import Axis, by_decades, number
from flows.loss_curves import LINES, Point

_WIDTH_PX, _HEIGHT_PX = 960, 540
_SUPERSAMPLE = 3  # Drawn this much larger, then shrunk to soften its edges.
_LEFT_PX, _TOP_PX, _RIGHT_PX, _BOTTOM_PX = 84, 100, 932, 482  # the frame of the curves
_LEGEND_PX = 214  # from one entry to the next
_SCALE_NAME_PX = 56
_TEXT_PX, _SMALL_PX = 17, 15
_INK, _PALE_INK, _GRID, _PAPER = "#1b1b1f", "#5c5f66", "#dfe1e6", "#ffffff"
# Okabe and Ito's, which the colour-blind tell apart; and how wide.
_LOOKS = {
    "total": (_INK, 5.0),
    "content": ("#0072b2", 2.6),
    "style": ("#d55e00", 2.6),
    "total_variation": ("#009e73", 2.6),
}
# A content loss begins at rounding errors where the image begins as the content: they lie below.
_MOST_DECADES = 5
_MOST_TICKS = 8
# Lower than the axis, where a line is cut off.
_BELOW = -1.0


@dataclass(frozen=True)
class _Axes:
    """From iterations and losses to pixels of the supersampled picture.

    Attributes:
        last: the last iteration.
    """

    last: int
    losses: Axis

    def x(self, iteration: float) -> float:
        share = (iteration - 1) / max(1, self.last - 1)
        return (_LEFT_PX + share * (_RIGHT_PX - _LEFT_PX)) * _SUPERSAMPLE

    def y(self, share: float) -> float:
        return (_BOTTOM_PX - share * (_BOTTOM_PX - _TOP_PX)) * _SUPERSAMPLE

    def y_of(self, loss: float) -> float:
        return self.y(max(self.losses.share(loss), _BELOW) if loss > 0 else _BELOW)


def curve_picture(points: Sequence[Point]) -> Image.Image:
    """The curve of one pair, 960 x 540 px: losses on a logarithmic axis over iterations.

    The legend has each line's first and last loss. Dashed lines say where a scale begins, and
    how long the image's long side is there. Of a term five decades below the total no line is seen.

    Args:
        points: at least one.
    """
    size = _WIDTH_PX * _SUPERSAMPLE, _HEIGHT_PX * _SUPERSAMPLE
    picture = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(picture)
    axes = _axes(points)
    _draw_axes(picture, draw, axes)
    _draw_scales(draw, axes, points)
    for place, name in enumerate(LINES):
        color, width_px = _LOOKS[name]
        losses = [getattr(point, name) for point in points]
        _draw_line(picture, axes, points, losses, color, width_px)
        _draw_legend(draw, axes, place, name.replace("_", " "), color, losses)
    return picture.resize((_WIDTH_PX, _HEIGHT_PX), Image.Resampling.LANCZOS)


def _axes(points: Sequence[Point]) -> _Axes:
    losses = [getattr(point, name) for point in points for name in LINES]
    positive = [loss for loss in losses if loss > 0] or [1.0]
    most = max(positive)
    least = min(loss for loss in positive if loss >= most / 10**_MOST_DECADES)
    return _Axes(points[-1].iteration, by_decades(least, most, _MOST_TICKS))


def _iteration_ticks(last: int) -> list[int]:
    steps = (m * 10**power for power in range(10) for m in (1, 2, 5))
    step = next(step for step in steps if last / step <= _MOST_TICKS)
    return [tick for tick in range(0, last + 1, step) if tick >= 1]


def _draw_axes(picture: Image.Image, draw: ImageDraw.ImageDraw, axes: _Axes) -> None:
    left, right = axes.x(1), _RIGHT_PX * _SUPERSAMPLE
    # First, for its strip of paper would cut off wide numbers.
    _write_upwards(picture, "weighted loss")
    for text, share in axes.losses.ticks:
        y = axes.y(share)
        draw.line((left, y, right, y), fill=_GRID, width=_SUPERSAMPLE)
        _write(draw, (left - _px(10), y), text, anchor="rm")
    bottom = _BOTTOM_PX * _SUPERSAMPLE
    draw.line((left, bottom, right, bottom), fill=_PALE_INK, width=_SUPERSAMPLE)
    for iteration in _iteration_ticks(axes.last):
        x = axes.x(iteration)
        draw.line((x, bottom, x, bottom + _px(6)), fill=_PALE_INK, width=_SUPERSAMPLE)
        _write(draw, (x, bottom + _px(10)), str(iteration), anchor="mt")
    _write(draw, ((left + right) / 2, _px(_HEIGHT_PX - 8)), "iteration", anchor="mb")


def _draw_scales(draw: ImageDraw.ImageDraw, axes: _Axes, points: Sequence[Point]) -> None:
    """A dashed line where a scale begins, with its size; none where there is but one."""
    begins = {point.long_side_px: point.iteration for point in reversed(points)}
    if len(begins) == 1:
        return
    for long_side_px, iteration in begins.items():
        x = axes.x(iteration)
        for y in range(_TOP_PX, _BOTTOM_PX, 10):
            draw.line((x, _px(y), x, _px(y + 5)), fill=_PALE_INK, width=_SUPERSAMPLE)
        at_the_end = x > _px(_RIGHT_PX - _SCALE_NAME_PX)
        anchor = "rb" if at_the_end else "lb"
        _write(draw, (x, _px(_TOP_PX - 6)), f"{long_side_px} px", anchor=anchor)


def _draw_line(
    picture: Image.Image,
    axes: _Axes,
    points: Sequence[Point],
    losses: Sequence[float],
    color: str,
    width_px: float,
) -> None:
    """The losses of one term, from scale to scale; what is below the axis is cut off at it."""
    mask = Image.new("L", picture.size)
    draw = ImageDraw.Draw(mask)
    width = width_px * _SUPERSAMPLE
    for _, of_scale in groupby(zip(points, losses), lambda one: one[0].long_side_px):
        places = [(axes.x(point.iteration), axes.y_of(loss)) for point, loss in of_scale]
        draw.line(places, fill=255, width=round(width), joint="curve")
        for x, y in (places[0], places[-1]):
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    mask.paste(0, (0, _px(_BOTTOM_PX), *mask.size))
    picture.paste(ImageColor.getrgb(color), (0, 0), mask)


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    axes: _Axes,
    place: int,
    shown: str,
    color: str,
    losses: Sequence[float],
) -> None:
    """The name of a line, and its losses at the start and at the end, above the plot."""
    left, middle = _LEFT_PX + place * _LEGEND_PX, 24
    swatch = (left, middle - 3, left + 22, middle + 3)
    draw.rounded_rectangle(tuple(map(_px, swatch)), _px(3), fill=color)
    at = _px(left + 30), _px(middle)
    _write(draw, at, shown, anchor="lm", size_px=_TEXT_PX, ink=_INK)
    values = f"{number(losses[0])} to {number(losses[-1])}" if any(losses) else "0"
    if 0 < max(losses) < axes.losses.low:
        values += ", below"
    _write(draw, (at[0], _px(middle + 23)), values, anchor="lm")


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    *,
    anchor: str,
    size_px: int = _SMALL_PX,
    ink: str = _PALE_INK,
) -> None:
    """Text at a place of the supersampled picture; `anchor` is Pillow's."""
    font = ImageFont.load_default(_px(size_px))
    draw.text(at, text, font=font, fill=ink, anchor=anchor)


def _write_upwards(picture: Image.Image, text: str) -> None:
    """The name of the axis of losses, read from below, at the left edge."""
    across = Image.new("RGB", (_px(_BOTTOM_PX - _TOP_PX), _px(24)), _PAPER)
    middle = across.width / 2, across.height / 2
    _write(ImageDraw.Draw(across), middle, text, anchor="mm")
    picture.paste(across.transpose(Image.Transpose.ROTATE_90), (_px(4), _px(_TOP_PX)))


def _px(of_the_picture: float) -> int:
    """Pixels of the supersampled picture."""
    return round(of_the_picture * _SUPERSAMPLE)
