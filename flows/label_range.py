"""What becomes of labels that leave their images, said before anything is made."""

from __future__ import annotations

from manifests.labels import within_image
from manifests.sources import ListedContent


def out_of_range(content: ListedContent) -> list[str]:
    """Images without objects, where others have some; boxes to be clipped; objects to be dropped.

    Of images whose labels do not say their size, nothing is known yet.
    """
    clipped = 0
    lines = []
    for image in content.images:
        if image.labels.width:
            _, of_image, dropped = within_image(image.labels)
            clipped += of_image
            lines += [
                f"dropped: {image.name}: object {one.index} ({one.category}): {one.reason}"
                for one in dropped
            ]
    if clipped or lines:
        lines.insert(0, f"boxes to be clipped: {clipped}; objects to be dropped: {len(lines)}")
    empty = sum(not image.labels.objects for image in content.images)
    if 0 < empty < len(content.images):
        lines.insert(0, f"images without objects: {empty} of {len(content.images)}")
    return lines
