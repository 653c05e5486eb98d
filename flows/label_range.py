"""What becomes of labels that leave their images, said before anything is made."""

from __future__ import annotations

from manifests.labels import within_image
from manifests.sources import ListedContent


def out_of_range(content: ListedContent) -> list[str]:
    """How many boxes will be clipped to their image, and each object that will be dropped.

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
    return lines
