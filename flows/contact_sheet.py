"""A contact sheet: photograph, style and result of each image side by side, with their labels."""

from __future__ import annotations

import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from flows.colours import CLEAR_CLASSES, Rgb, colour
from flows.label_drawing import with_labels
from flows.load import Pixels
from manifests.labels import Category, Object

_INK, _GREY, _PALE, _PANEL = "#1c1917", "#78716c", "#a8a29e", "#f5f5f4"
_WHITE: Rgb = (255, 255, 255)
_MARGIN_PX, _GAP_PX, _BETWEEN_COLUMNS_PX, _BETWEEN_ROWS_PX = 56, 10, 56, 30
_CAPTION_PX, _HEAD_PX, _TITLE_PX = 46, 30, 104
_TITLE_TYPE_PX, _TEXT_TYPE_PX, _SMALL_TYPE_PX = 34, 16, 14
_LEGEND_LINE_PX, _LEGEND_SPOT_PX, _LEGEND_GAP_PX = 30, 12, 26
# Most images -> columns of triples, long side of a tile.
_LAYOUTS = ((3, 1, 320), (12, 2, 250), (36, 3, 220), (100, 4, 190))
_HEADS = ("photograph", "style", "result")
# Classes of semantic masks that the legend names; a dataset may have 254.
_MOST_CLASSES = 40
# Of tiles, width to height; what is narrower or wider than these has bars.
_NARROWEST, _WIDEST = 0.75, 1.5


@dataclass(frozen=True)
class Labelled:
    """An image with what is drawn onto it.

    Attributes:
        objects: in pixels of the image.
        semantic_mask: of its size; None for none.
    """

    image: Image.Image
    objects: tuple[Object, ...] = ()
    semantic_mask: Pixels | None = None


@dataclass(frozen=True)
class Triple:
    """One image of the sheet and where it comes from.

    Attributes:
        style: None where there is none.
        captions: below photograph, style and result, two lines each.
    """

    photograph: Labelled
    style: Image.Image | None
    result: Labelled
    captions: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]


def contact_sheet(
    title: str, subtitle: str, triples: Sequence[Triple], categories: Sequence[Category]
) -> Image.Image:
    """The sheet of 1 to 100 images, as large as they need."""
    columns, tile = _layout(triples)
    columns = min(columns, len(triples))
    rows = -(-len(triples) // columns)
    triple_px = 3 * tile[0] + 2 * _GAP_PX
    row_px = tile[1] + _CAPTION_PX + _BETWEEN_ROWS_PX
    by_name = _on_sheet(triples, categories)
    inside_px = columns * triple_px + (columns - 1) * _BETWEEN_COLUMNS_PX
    names = [(name, colour(place)) for name, (place, _) in by_name.items()]
    legend = _legend_lines([*names, *_classes(triples)], inside_px)
    top_px = _MARGIN_PX + _TITLE_PX + _HEAD_PX
    height_px = top_px + rows * row_px - _BETWEEN_ROWS_PX + _MARGIN_PX
    if legend:
        height_px += _BETWEEN_ROWS_PX + _LEGEND_LINE_PX * len(legend)
    sheet = Image.new("RGB", (inside_px + 2 * _MARGIN_PX, height_px), "white")
    draw = ImageDraw.Draw(sheet)
    _text(draw, (_MARGIN_PX, _MARGIN_PX), title, _TITLE_TYPE_PX, _INK, inside_px)
    below_title = _MARGIN_PX, _MARGIN_PX + _TITLE_TYPE_PX + 14
    _text(draw, below_title, subtitle, _TEXT_TYPE_PX, _GREY, inside_px)
    for column in range(columns):
        for place, head in enumerate(_HEADS):
            left = _left(column, place, tile, triple_px)
            at = left, _MARGIN_PX + _TITLE_PX
            _text(draw, at, head, _SMALL_TYPE_PX, _PALE, tile[0])
    for index, triple in enumerate(triples):
        # Down the columns, as a page is read.
        column, row = divmod(index, rows)
        top = top_px + row * row_px
        for place, picture in enumerate(_pictures(triple, by_name, tile)):
            left = _left(column, place, tile, triple_px)
            _lay(sheet, picture, (left, top), tile)
            first, second = triple.captions[place]
            _text(draw, (left, top + tile[1] + 9), first, _TEXT_TYPE_PX, _INK, tile[0] - _GAP_PX)
            _text(
                draw, (left, top + tile[1] + 30), second, _SMALL_TYPE_PX, _GREY, tile[0] - _GAP_PX
            )
    _draw_legend(draw, legend, height_px - _MARGIN_PX + 12 - _LEGEND_LINE_PX * len(legend))
    return sheet


def _layout(triples: Sequence[Triple]) -> tuple[int, tuple[int, int]]:
    """(columns of triples, size of a tile), so that most photographs fill theirs."""
    columns, long_side_px = next(
        (columns, side) for most, columns, side in _LAYOUTS if len(triples) <= most
    )
    shape = statistics.median(
        one.photograph.image.width / one.photograph.image.height for one in triples
    )
    shape = min(max(shape, _NARROWEST), _WIDEST)
    width = long_side_px if shape >= 1 else round(long_side_px * shape)
    return columns, (width, round(width / shape))


def _left(column: int, place: int, tile: tuple[int, int], triple_px: int) -> int:
    in_column = place * (tile[0] + _GAP_PX)
    return _MARGIN_PX + column * (triple_px + _BETWEEN_COLUMNS_PX) + in_column


def _pictures(
    triple: Triple, categories: Mapping[str, tuple[int, Category]], tile: tuple[int, int]
) -> tuple[Image.Image, Image.Image | None, Image.Image]:
    photograph, result = (
        with_labels(
            one.image, one.objects, one.semantic_mask, categories, _fitted(one.image.size, tile)
        )
        for one in (triple.photograph, triple.result)
    )
    return photograph, None if triple.style is None else _filling(triple.style, tile), result


def _fitted(size: tuple[int, int], tile: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same shape inside the tile."""
    factor = min(tile[0] / size[0], tile[1] / size[1])
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _filling(style: Image.Image, tile: tuple[int, int]) -> Image.Image:
    """The middle of a style, which fills the tile."""
    return ImageOps.fit(style.convert("RGB"), tile, Image.Resampling.LANCZOS)


def _lay(
    sheet: Image.Image, picture: Image.Image | None, at: tuple[int, int], tile: tuple[int, int]
) -> None:
    draw = ImageDraw.Draw(sheet)
    left, top = at
    if picture is None or picture.size != tile:
        draw.rectangle((left, top, left + tile[0] - 1, top + tile[1] - 1), fill=_PANEL)
    if picture is None:
        middle = left + tile[0] / 2, top + tile[1] / 2
        draw.text(middle, "no style", _PALE, _font(_SMALL_TYPE_PX), anchor="mm")
    else:
        inside = (tile[0] - picture.width) // 2, (tile[1] - picture.height) // 2
        sheet.paste(picture, (left + inside[0], top + inside[1]))


def _on_sheet(
    triples: Sequence[Triple], categories: Sequence[Category]
) -> dict[str, tuple[int, Category]]:
    """Name -> (place among all, category) of those that are drawn."""
    there = {
        one.category
        for triple in triples
        for labelled in (triple.photograph, triple.result)
        for one in labelled.objects
    }
    return {one.name: (place, one) for place, one in enumerate(categories) if one.name in there}


def _classes(triples: Sequence[Triple]) -> list[tuple[str, Rgb]]:
    """What is written of the classes of semantic masks, which have numbers and no names."""
    masks = (one.semantic_mask for triple in triples for one in (triple.photograph, triple.result))
    indices = {int(index) for mask in masks if mask is not None for index in np.unique(mask)}
    drawn = sorted(indices - CLEAR_CLASSES)
    said = [(f"mask class {index}", colour(index)) for index in drawn[:_MOST_CLASSES]]
    left = len(drawn) - len(said)
    return [*said, (f"and {left} more mask classes", _WHITE)] if left else said


def _legend_lines(
    entries: Sequence[tuple[str, Rgb]], width_px: int
) -> list[list[tuple[int, str, Rgb]]]:
    """Lines of (left, what is written, colour) of categories and classes on the sheet."""
    lines: list[list[tuple[int, str, Rgb]]] = []
    left = width_px
    for name, rgb in entries:
        shown = _shortened(name, _SMALL_TYPE_PX, width_px // 3)
        wide = _LEGEND_SPOT_PX + 8 + round(_font(_SMALL_TYPE_PX).getlength(shown))
        if left + wide > width_px:
            lines.append([])
            left = 0
        lines[-1].append((left, shown, rgb))
        left += wide + _LEGEND_GAP_PX
    return lines


def _draw_legend(
    draw: ImageDraw.ImageDraw, lines: Sequence[Sequence[tuple[int, str, Rgb]]], top_px: int
) -> None:
    for number, line in enumerate(lines):
        top = top_px + number * _LEGEND_LINE_PX
        for left, name, rgb in line:
            spot = (left + _MARGIN_PX, top + 2)
            end = spot[0] + _LEGEND_SPOT_PX, spot[1] + _LEGEND_SPOT_PX
            draw.rounded_rectangle((*spot, *end), radius=3, fill=rgb)
            at = end[0] + 8, top + 8
            draw.text(at, name, _GREY, _font(_SMALL_TYPE_PX), anchor="lm")


def _text(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    type_px: int,
    ink: str,
    width_px: int,
) -> None:
    draw.text(at, _shortened(text, type_px, width_px), ink, _font(type_px))


def _shortened(text: str, type_px: int, width_px: int) -> str:
    """The text, without its middle where it is too long."""
    text = _drawable(text)
    font = _font(type_px)
    if font.getlength(text) <= width_px:
        return text
    kept = len(text)
    while kept > 2:
        kept -= 1
        head = -(-kept // 2)
        shown = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if font.getlength(shown) <= width_px:
            return shown
    return "…"


def _drawable(text: str) -> str:
    """As Pillow's own type can show it: Latin letters without accents; others become boxes."""
    apart = unicodedata.normalize("NFKD", text)
    kept = "".join(one for one in apart if not unicodedata.combining(one) and one.isprintable())
    # Its spaces are so narrow that words run together.
    return kept.replace(" ", "  ")


@cache
def _font(type_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=type_px)
