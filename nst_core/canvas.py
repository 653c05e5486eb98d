"""From the pixels that the optimiser moves to the images that the encoder looks at, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Canvas:
    """An affine map, so that gradients go back by hand: images = still + (scale p + shift) mask.

    Attributes:
        scale, shift: of the preset's pixel space, 1 x 3 x 1 x 1.
        still: B x 3 x H x W, what the masks leave of the content; None without masks.
        mask: B x 1 x H x W in 0..1; None without masks.
    """

    scale: Tensor
    shift: Tensor
    still: Tensor | None = None
    mask: Tensor | None = None

    def tensors(self) -> Iterator[Tensor]:
        """What differs from place to place."""
        if self.still is not None and self.mask is not None:
            yield from (self.still, self.mask)

    def at(self, places: Tensor) -> Canvas:
        """That of some places of the batch."""
        if self.still is None or self.mask is None:
            return self
        return replace(self, still=self.still[places], mask=self.mask[places])

    def images(self, pixels: Tensor) -> Tensor:
        """B x 3 x H x W, sRGB around 0..1."""
        painted = pixels * self.scale + self.shift
        if self.mask is None or self.still is None:
            return painted
        return self.still + painted * self.mask

    def pixels(self, images: Tensor) -> Tensor:
        """The pixels that give these images where the mask is 1."""
        return (images - self.shift) / self.scale

    def gradient(self, by_images: Tensor) -> Tensor:
        """The gradient by the pixels, from that by the images."""
        by_painted = by_images if self.mask is None else by_images * self.mask
        return by_painted * self.scale
