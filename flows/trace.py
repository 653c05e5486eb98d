"""One picture on its way from content to result, as an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from flows.load import as_pixels
from manifests.images import fit_within
from nst_core import Progress

FRAMES = 40
MOST_FRAMES = 300  # as many of 512 x 512 px take 240 MB
_LONG_SIDE_PX = 512
_FRAME_MS, _LAST_FRAME_MS = 80, 2500
_QUALITY = 80


class Trace:
    """Keeps what a pair has come to every so many iterations; for one pair at a time.

    Args:
        every: iterations; None for so many that about 40 frames come of it. On a GPU, where a
            listener hears every tenth iteration, the next that is heard.
    """

    def __init__(self, every: int | None = None) -> None:
        self._every = every
        self._last = 0
        self.frames: list[Image.Image] = []

    def hear(self, progress: Progress) -> None:
        """Look at the picture, where it is time to.

        Raises:
            ValueError: if it were to become more than 300 frames.
        """
        (pair,), (iteration,) = progress.pairs, progress.iterations
        every = self._every or max(1, round(progress.of / FRAMES))
        if progress.of > every * MOST_FRAMES:
            raise ValueError(
                f"trace-every: expected at least {-(-progress.of // MOST_FRAMES)}, so that "
                f"{progress.of} iterations are at most {MOST_FRAMES} frames, got {every}"
            )
        if iteration < self._last:  # the pair has begun again
            self.frames.clear()
        elif self.frames and iteration // every == self._last // every:
            return
        self._last = iteration
        frame = Image.fromarray(as_pixels(progress.image(pair)))
        self.frames.append(_at_most(frame, _LONG_SIDE_PX))


def animation(frames: Sequence[Image.Image], result: Image.Image) -> bytes:
    """An animated WebP that runs again and again and rests on the result.

    Args:
        frames: of any sizes, shown at that of the result.
        result: larger than 512 px it is made smaller.
    """
    last = _at_most(result, _LONG_SIDE_PX)
    shown = [frame.resize(last.size, Image.Resampling.BICUBIC) for frame in frames]
    data = io.BytesIO()
    first, *others = [*shown, last]
    first.save(
        data,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=[_FRAME_MS] * len(shown) + [_LAST_FRAME_MS],
        loop=0,
        quality=_QUALITY,
    )
    return data.getvalue()


def _at_most(image: Image.Image, long_side_px: int) -> Image.Image:
    return image.resize(fit_within(*image.size, long_side_px), Image.Resampling.LANCZOS)
