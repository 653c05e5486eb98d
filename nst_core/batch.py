"""The pairs that are optimised at once: pixels, targets and optimiser state, a place for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nst_core.canvas import Canvas
from nst_core.objective import LOSSES, Objective, PairLosses
from nst_core.optimisers import make_optimiser
from nst_core.targets import Targets

_WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Entrants:
    """N pairs ready to take places.

    Attributes:
        initial: N x 3 x H x W, sRGB around 0..1.
        content: N x 3 x H x W, what shows where a mask keeps style away.
        mask: N x 1 x H x W in 0..1, or None.
        targets: of N.
    """

    initial: Tensor
    content: Tensor
    mask: Tensor | None
    targets: Targets


class Batch:
    """Steps all its places at once; a place can be given to another pair of the same shape.

    On a CUDA device the step is captured as a graph, except for L-BFGS, whose memory turns.
    """

    def __init__(self, objective: Objective, entrants: Entrants) -> None:
        self._objective = objective
        self._targets = entrants.targets
        self._canvas = _canvas(objective, entrants)
        self._pixels = self._held(self._canvas.pixels(entrants.initial).contiguous().clone())
        self._optimiser = make_optimiser(objective.preset, self._pixels)
        self._loss_sums = self._pixels.new_zeros(len(self._pixels), len(LOSSES))
        self._captures = self._pixels.is_cuda and objective.preset.optimiser != "lbfgs"
        self._graph: torch.cuda.CUDAGraph | None = None

    def step(self) -> None:
        """One iteration of every place."""
        if not self._captures:
            self._step()
            return
        with torch.cuda.device(self._pixels.device):
            if self._graph is None:
                self._graph = self._captured()
            self._graph.replay()

    def take_losses(self) -> list[dict[str, float]]:
        """For each place, name -> the sum of that loss since they were last taken.

        Waits for the device: nothing else of a step does.
        """
        sums = self._loss_sums.tolist()
        self._loss_sums.zero_()
        return [dict(zip(LOSSES, of_place)) for of_place in sums]

    def results(self, places: Sequence[int], with_losses: bool) -> tuple[Tensor, PairLosses | None]:
        """What these places have come to: N x 3 x H x W in 0..1, and the losses of that."""
        index = self._index(places)
        images = self._canvas.at(index).images(self._pixels[index]).clamp(0, 1)
        if not with_losses:
            return images, None
        return images, self._objective.losses(images, self._targets.at(index))

    def put(self, places: Sequence[int], entrants: Entrants) -> None:
        """Give these places to other pairs, which begin at their start."""
        newcomers = Batch(self._objective, entrants)
        index = self._index(places)
        for mine, fresh in zip(self._rows(), newcomers._rows()):
            mine[index] = fresh

    def is_worth_shrinking(self, occupied: int) -> bool:
        """Whether empty places cost more than a smaller batch would, which is captured anew."""
        places = len(self._pixels)
        return occupied <= places // 2 if self._captures else occupied < places

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these places only."""
        index = self._index(places)
        kept = [mine[index] for mine in self._rows()]
        self._pixels = self._pixels[index]
        self._targets = self._targets.at(index)
        self._canvas = self._canvas.at(index)
        self._loss_sums = self._loss_sums[index]
        self._optimiser = make_optimiser(self._objective.preset, self._pixels)
        for mine, before in zip(self._rows(), kept):
            mine.copy_(before)
        self._graph = None

    def _index(self, places: Sequence[int]) -> Tensor:
        return torch.tensor(places, device=self._pixels.device)

    def _rows(self) -> Iterator[Tensor]:
        """Everything that belongs to places; the first dimension of each is the place."""
        yield from self._moving_rows()
        yield from self._targets.tensors()
        yield from self._canvas.tensors()

    def _moving_rows(self) -> Iterator[Tensor]:
        """What of it a step changes."""
        yield self._pixels
        yield self._loss_sums
        yield from self._optimiser.state()

    def _step(self) -> None:
        images = self._canvas.images(self._pixels)
        losses, by_images = self._objective.losses_and_gradient(images, self._targets)
        self._optimiser.step(self._pixels, self._canvas.gradient(by_images))
        self._held(self._pixels)
        self._loss_sums += losses.stacked()

    def _held(self, pixels: Tensor) -> Tensor:
        return pixels.clamp_(0, 1) if self._objective.preset.pixels == "rgb" else pixels

    def _captured(self) -> torch.cuda.CUDAGraph:
        """The step as a graph; the steps that warm up for it leave no trace.

        Raises:
            torch.OutOfMemoryError: also where the capture fails in another way, for the same step
                went through just before, and what a graph takes more of is memory.
        """
        before = [row.clone() for row in self._moving_rows()]
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch has no hints for it
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_STEPS):
                self._step()
            try:
                # Other threads load and write meanwhile; they are no part of it.
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    self._step()
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                raise torch.OutOfMemoryError(f"a CUDA graph cannot be captured: {error}") from error
        torch.cuda.current_stream().wait_stream(stream)
        for row, was in zip(self._moving_rows(), before):
            row.copy_(was)
        return graph


def _canvas(objective: Objective, entrants: Entrants) -> Canvas:
    encoder = objective.sight.encoder
    if objective.preset.pixels == "imagenet":
        scale, shift = encoder.std, encoder.mean
    else:
        scale, shift = torch.ones_like(encoder.std), torch.zeros_like(encoder.mean)
    if entrants.mask is None:
        return Canvas(scale, shift)
    return Canvas(scale, shift, entrants.content * (1 - entrants.mask), entrants.mask)
