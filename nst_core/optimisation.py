"""The loop: pairs go through one scale in the places of a batch, each leaving when it is done."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from nst_core.batch import Batch, Entrants
from nst_core.flatness import LossCurve
from nst_core.objective import Objective
from nst_core.pairs import StopReason, Style
from nst_core.resize import resize
from nst_core.targets import Targets, targets_of

# Losses stay on a GPU for so many iterations: to read them is to wait for it. A CPU never waits.
_HEARD_EVERY = {"cpu": 1, "cuda": 10}


# Takes a pair's place in the list that was given; gives 1 x 3 x h x w in 0..1, on the device.
Look = Callable[[int], Tensor]


@dataclass(frozen=True)
class Progress:
    """What a listener hears: every iteration on a CPU, every 10 iterations on a GPU.

    Losses are means since a pair was last heard of; each is that of the image before its step.

    Attributes:
        pairs: those in the batch, by their place in the list that was given.
        iterations: that each has done, over all scales.
        of: iterations of a pair over all scales, if it does not stop earlier.
        height, width: of the images at this scale, in pixels.
        total_loss: of each (Gatys et al. 2016, eq. 7).
        content_term, style_term, total_variation_term: of each, what its total loss is the sum
            of: the losses that `PairLosses` has, times the preset's weights for them.
    """

    pairs: tuple[int, ...]
    iterations: tuple[int, ...]
    of: int
    height: int
    width: int
    total_loss: tuple[float, ...]
    content_term: tuple[float, ...]
    style_term: tuple[float, ...]
    total_variation_term: tuple[float, ...]
    _look: Look = field(repr=False, compare=False)

    def image(self, pair: int) -> Tensor:
        """What a pair has come to, as its `StylizedPair.image` would be, at this scale's size.

        It is made when it is asked for, and only while the listener is called: then the batch
        moves on.

        Args:
            pair: one of `pairs`.

        Returns:
            3 x height x width, float32, sRGB in 0..1, on the CPU.

        Raises:
            ValueError: for a pair that is not in the batch, and later.
        """
        return self._look(pair)[0].cpu()


Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class SizedScale:
    """One step from coarse to fine, for content of one shape.

    Attributes:
        height, width: in pixels.
        is_last: the losses of the pairs are taken at this one.
        of: iterations over all scales.
    """

    height: int
    width: int
    iterations: int
    is_last: bool
    of: int


@dataclass
class Underway:
    """A pair on its way through the scales.

    Attributes:
        index: its place in the list that was given.
        content, initial: 1 x 3 x H x W, at full size on the device.
        mask: 1 x 1 x H x W, or None.
        image: 1 x 3 x h x w, what the last scale came to; at first the initial image.
        start, end: losses of the initial image and of the result, at full size.
        iterations: done so far.
    """

    index: int
    content: Tensor
    styles: tuple[Style, ...]
    strength: float
    mask: Tensor | None
    initial: Tensor
    image: Tensor
    start: dict[str, float] = field(default_factory=dict)
    end: dict[str, float] = field(default_factory=dict)
    iterations: int = 0
    stop_reason: StopReason = "iterations"


class Fitting:
    """How many pairs of a shape fit the device's memory, learnt by running out of it."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, int], int] = {}

    def limit(self, scale: SizedScale, wanted: int) -> int:
        """At most `wanted` places: as many pairs of that scale as are known to fit."""
        return min(wanted, self._places.get((scale.height, scale.width), wanted))

    def halve(self, scale: SizedScale, places: int) -> int:
        """Remember that so many places were too many; returns half as many."""
        self._places[scale.height, scale.width] = places // 2
        return places // 2


def through_scale(
    objective: Objective,
    pairs: Sequence[Underway],
    scale: SizedScale,
    places: int,
    fitting: Fitting,
    on_progress: Listener | None,
) -> Iterator[Underway]:
    """Bring each pair through one scale; it is handed out, changed, as soon as it is through.

    Raises:
        torch.OutOfMemoryError: if a single pair does not fit the device.
    """
    waiting = deque(pairs)
    places = fitting.limit(scale, places)
    while waiting:
        seated: list[Underway | None] = [
            waiting.popleft() for _ in range(min(places, len(waiting)))
        ]
        try:
            yield from _until_empty(objective, seated, waiting, scale, on_progress)
            continue
        except torch.OutOfMemoryError:
            if places == 1:
                raise
        # Here, for the error above holds what the batch held. Its pairs begin this scale again.
        waiting.extendleft(one for one in reversed(seated) if one is not None)
        places = fitting.halve(scale, places)
        torch.cuda.empty_cache()


def _until_empty(
    objective: Objective,
    seated: list[Underway | None],
    waiting: deque[Underway],
    scale: SizedScale,
    on_progress: Listener | None,
) -> Iterator[Underway]:
    """Optimise the seated pairs; whoever leaves makes place for one that waits.

    `seated` always says who is in the batch, place by place; None is an empty place.
    """
    batch = Batch(objective, _entrants(objective, [one for one in seated if one], scale))
    curves = [LossCurve() for _ in seated]
    while any(seated):
        steps = _steps_until_heard(objective, seated, curves, scale)
        for _ in range(steps):
            batch.step()
        losses = batch.take_losses()
        for curve, of_place in zip(curves, losses):
            curve.add(steps, of_place["total"])
        if on_progress:
            with _standing_still(batch, seated) as look:
                on_progress(_progress(objective, seated, curves, losses, steps, scale, look))
        leaving = [
            place
            for place, one in enumerate(seated)
            if one and _stop_reason(objective, curves[place], scale)
        ]
        if not leaving:
            continue
        left = _taken_out(objective, batch, seated, curves, leaving, scale)
        for place in leaving:
            seated[place] = None
        yield from left
        for place in leaving:
            seated[place] = waiting.popleft() if waiting else None
            curves[place] = LossCurve()
        entering = [place for place in leaving if seated[place]]
        newcomers = [one for place in entering if (one := seated[place])]
        if newcomers:
            batch.put(entering, _entrants(objective, newcomers, scale))
        occupied = [place for place, one in enumerate(seated) if one]
        if occupied and batch.is_worth_shrinking(len(occupied)):
            batch.keep(occupied)
            seated[:] = [seated[place] for place in occupied]
            curves = [curves[place] for place in occupied]


def _steps_until_heard(
    objective: Objective,
    seated: Sequence[Underway | None],
    curves: Sequence[LossCurve],
    scale: SizedScale,
) -> int:
    """Steps that all places can take before one of them has to be looked at."""
    to_look = (
        min(curve.to_next_mean, scale.iterations - curve.iterations)
        for one, curve in zip(seated, curves)
        if one
    )
    return min(_HEARD_EVERY[objective.sight.device.type], *to_look)


def _stop_reason(objective: Objective, curve: LossCurve, scale: SizedScale) -> StopReason | None:
    if not curve.finite:
        return "not_finite"
    if curve.is_flat(objective.preset.least_fall):
        return "flat"
    return "iterations" if curve.iterations == scale.iterations else None


@contextmanager
def _standing_still(batch: Batch, seated: Sequence[Underway | None]) -> Iterator[Look]:
    """How to look at the pairs of a batch, for the time of the block.

    Then nothing is left here of the batch: a listener may keep what it heard.
    """
    views = {
        one.index: partial(batch.results, [place], with_losses=False)
        for place, one in enumerate(seated)
        if one
    }

    def look(pair: int) -> Tensor:
        if pair not in views:
            raise ValueError(
                f"pair: {pair} is not in the batch; expected one of the progress's pairs, and to "
                "be asked while the listener is called"
            )
        images, _ = views[pair]()
        return images

    try:
        yield look
    finally:
        views.clear()


def _progress(
    objective: Objective,
    seated: Sequence[Underway | None],
    curves: Sequence[LossCurve],
    losses: Sequence[Mapping[str, float]],
    steps: int,
    scale: SizedScale,
    look: Look,
) -> Progress:
    heard = [
        (one, curve, sums) for one, curve, sums in zip(seated, curves, losses) if one is not None
    ]

    def means(loss: str, weight: float = 1.0) -> tuple[float, ...]:
        return tuple(weight * sums[loss] / steps for _, _, sums in heard)

    preset = objective.preset
    return Progress(
        pairs=tuple(one.index for one, _, _ in heard),
        iterations=tuple(one.iterations + curve.iterations for one, curve, _ in heard),
        of=scale.of,
        height=scale.height,
        width=scale.width,
        total_loss=means("total"),
        content_term=means("content", preset.content_weight),
        style_term=means("style", preset.style_weight),
        total_variation_term=means("total_variation", preset.total_variation_weight),
        _look=look,
    )


def _taken_out(
    objective: Objective,
    batch: Batch,
    seated: Sequence[Underway | None],
    curves: Sequence[LossCurve],
    places: Sequence[int],
    scale: SizedScale,
) -> list[Underway]:
    """The pairs at these places, with what this scale came to."""
    images, ends = batch.results(places, with_losses=scale.is_last)
    left = []
    for row, place in enumerate(places):
        one, curve = seated[place], curves[place]
        reason = _stop_reason(objective, curve, scale)
        assert one is not None
        assert reason is not None
        one.image = images[row : row + 1]
        one.iterations += curve.iterations
        one.stop_reason = reason
        if ends is not None:
            one.end = ends.of_pair(row)
            if not math.isfinite(one.start["total"] + one.end["total"]):
                one.stop_reason = "not_finite"
        left.append(one)
    return left


def _entrants(objective: Objective, pairs: Sequence[Underway], scale: SizedScale) -> Entrants:
    size = scale.height, scale.width
    content = torch.cat([resize(one.content, *size) for one in pairs])
    masks = [resize(one.mask, *size).clamp(0, 1) for one in pairs if one.mask is not None]
    mask = torch.cat(masks) if masks else None
    targets = Targets.joined(
        [
            targets_of(
                objective.sight,
                objective.style_grams,
                content[part],
                [one.styles for one in pairs[part]],
                [one.strength for one in pairs[part]],
                None if mask is None else mask[part],
            )
            for part in objective.sight.together(len(pairs))
        ]
    )
    if scale.is_last:
        initials = torch.cat([one.initial for one in pairs])
        if mask is not None:
            initials = content.lerp(initials, mask)
        starts = objective.losses(initials, targets)
        for row, one in enumerate(pairs):
            one.start = starts.of_pair(row)
    initial = torch.cat([resize(one.image, *size) for one in pairs])
    return Entrants(initial, content, mask, targets)
