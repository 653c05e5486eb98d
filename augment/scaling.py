"""Labels follow their image to the output size."""

from __future__ import annotations

from dataclasses import dataclass, replace

from augment.shapes import outline_of, scaled_rle, shape_of
from manifests.labels import Dropped, Labels, Object, Polygon, within_image

Size = tuple[int, int]


@dataclass(frozen=True)
class Scaled:
    """Labels in pixels of the image at the output size.

    Attributes:
        clipped: boxes that went beyond the image.
        dropped: objects that have no area in it.
    """

    labels: Labels
    clipped: int
    dropped: tuple[Dropped, ...]


def scaled(labels: Labels, image: Size, size: Size) -> Scaled:
    """Labels of an image at another size; boxes are clipped to it.

    Run lengths are scaled by nearest neighbour, and get their outline where they have none. Of an
    object whose mask has no pixel at that size the box stays.

    Args:
        image: (width, height) of the upright image in pixels.
        size: that it is to have.

    Raises:
        ValueError: for labels, or run lengths, that are for an image of another size.
    """
    own = labels.width, labels.height
    if own in ((0, 0), (1, 1), image):
        base = image if own == (0, 0) else own
    else:
        raise ValueError(
            f"labels are for {own[0]:g}x{own[1]:g} px, the image has {image[0]}x{image[1]} px"
        )
    factors = size[0] / base[0], size[1] / base[1]
    objects = tuple(_scaled_object(one, factors, image, size) for one in labels.objects)
    at_size = replace(labels, objects=objects, width=size[0], height=size[1])
    inside, clipped, dropped = within_image(at_size)
    return Scaled(inside, clipped, tuple(dropped))


def _scaled_object(one: Object, factors: tuple[float, float], image: Size, size: Size) -> Object:
    fx, fy = factors
    if factors != (1, 1):
        x1, y1, x2, y2 = one.box
        one = replace(
            one,
            box=(x1 * fx, y1 * fy, x2 * fx, y2 * fy),
            polygons=tuple(_scaled_polygon(polygon, fx, fy) for polygon in one.polygons),
            keypoints=tuple((x * fx, y * fy, visibility) for x, y, visibility in one.keypoints),
        )
    if one.rle is None:
        return one
    if (one.rle.width, one.rle.height) != image:
        raise ValueError(
            f"a mask of {one.category} is {one.rle.width}x{one.rle.height} px, the image has "
            f"{image[0]}x{image[1]} px"
        )
    one = replace(one, rle=scaled_rle(one.rle, *size))
    shape = shape_of(one, *size)
    if shape is None:  # too small for any pixel: it counts as its box, as after a transform
        return replace(one, rle=None, polygons=())
    return one if one.polygons else replace(one, polygons=outline_of(shape))


def _scaled_polygon(polygon: Polygon, fx: float, fy: float) -> Polygon:
    return tuple(value * (fy if index % 2 else fx) for index, value in enumerate(polygon))
