"""Labels drawn onto a small picture of their image: boxes, areas, keypoints, semantic masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from augment.shapes import shape_of
from flows.colours import Rgb, colour
from flows.keypoints import Point, drawn_keypoints
from flows.load import Pixels
from manifests.labels import Category, Object

# Drawn this much larger and shrunk, so that lines are smooth.
_SUPERSAMPLE = 2
_LINE_PX, _DOT_PX = 1.6, 3.0
_AREA_OPACITY, _MASK_OPACITY = 80, 120
# Of a semantic mask: no class, and what many datasets leave unlabelled.
_CLEAR_CLASSES = (0, 255)


def with_labels(
    image: Image.Image,
    objects: Sequence[Object],
    semantic_mask: Pixels | None,
    categories: Mapping[str, tuple[int, Category]],
    size: tuple[int, int],
) -> Image.Image:
    """The image at another size, with its labels on it.

    Args:
        objects: in pixels of `image`.
        semantic_mask: H x W of `image`, uint8, class indices; None for none.
        categories: name -> its place, which decides its colour, and what it is.
        size: (width, height) of what comes out, in pixels.
    """
    shown = image.convert("RGB").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    if semantic_mask is not None:
        shown.alpha_composite(_classes(semantic_mask, size))
    if objects:
        large = size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE
        layer = Image.new("RGBA", large)
        for one in sorted(objects, key=_box_area, reverse=True):
            place, category = categories[one.category]
            layer.alpha_composite(_object(one, category, colour(place), image.size, large))
        shown.alpha_composite(layer.resize(size, Image.Resampling.LANCZOS))
    return shown.convert("RGB")


def _classes(mask: Pixels, size: tuple[int, int]) -> Image.Image:
    palette = np.zeros((256, 4), np.uint8)
    for index in range(256):
        if index not in _CLEAR_CLASSES:
            palette[index] = *colour(index), _MASK_OPACITY
    nearest = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
    return Image.fromarray(palette[np.asarray(nearest)])


def _object(
    one: Object, category: Category, rgb: Rgb, image_size: tuple[int, int], size: tuple[int, int]
) -> Image.Image:
    """One object on a clear ground: its area, else its box; and its keypoints."""
    layer = Image.new("RGBA", size)
    draw = ImageDraw.Draw(layer)
    scale = size[0] / image_size[0], size[1] / image_size[1]
    width_px = round(_LINE_PX * _SUPERSAMPLE)
    shape = shape_of(one, *image_size)
    if shape is None:
        box = [value * scale[axis % 2] for axis, value in enumerate(one.box)]
        draw.rectangle(box, outline=(*rgb, 255), width=width_px)
    else:
        whole = np.zeros((image_size[1], image_size[0]), np.uint8)
        rows, columns = shape.pixels.shape
        inside = whole[shape.top : shape.top + rows, shape.left : shape.left + columns]
        inside[:] = shape.pixels * _AREA_OPACITY
        area = Image.fromarray(whole).resize(size, Image.Resampling.BILINEAR)
        layer.paste(Image.new("RGBA", size, (*rgb, 255)), mask=area)
        layer.putalpha(area)
        draw = ImageDraw.Draw(layer)
        for polygon in one.polygons:
            points = [value * scale[axis % 2] for axis, value in enumerate(polygon)]
            draw.line([*points, *points[:4]], fill=(*rgb, 255), width=width_px, joint="curve")
    _draw_keypoints(draw, one, category, rgb, scale)
    return layer


def _draw_keypoints(
    draw: ImageDraw.ImageDraw,
    one: Object,
    category: Category,
    rgb: Rgb,
    scale: tuple[float, float],
) -> None:
    """Bones, and a dot for each keypoint: filled where it is visible."""
    drawn, ink = drawn_keypoints(one, category), (*rgb, 255)
    width_px, radius_px = round(_LINE_PX * _SUPERSAMPLE), _DOT_PX * _SUPERSAMPLE

    def scaled(point: Point) -> Point:
        return point[0] * scale[0], point[1] * scale[1]

    for ends in drawn.bones:
        draw.line([*map(scaled, ends)], fill=ink, width=width_px)
    for points, inner in ((drawn.visible, ink), (drawn.occluded, (255, 255, 255, 255))):
        for x, y in map(scaled, points):
            dot = x - radius_px, y - radius_px, x + radius_px, y + radius_px
            draw.ellipse(dot, inner, ink, width=width_px)


def _box_area(one: Object) -> float:
    x1, y1, x2, y2 = one.box
    return (x2 - x1) * (y2 - y1)
