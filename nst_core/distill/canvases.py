"""Images on their way to a style: what an optimiser does with the student as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nst_core.distill.student import Student
from nst_core.losses import content_loss, gram_matrix, style_loss

_CONTENT_LAYER = "conv4_2"
_STYLE_WEIGHT = 5.0


class Canvases:
    """A ring of pictures being stylized, each some iterations further whenever it is seen.

    An optimiser finds what an encoder does not see, and paints there. A student that must agree
    with its teachers on these pictures too leaves it less room.

    Args:
        count: pictures in the ring.
        draw: n -> n x 3 x crop x crop training images, for contents and styles.
        iterations: made at each visit.
        visits: after which a picture is replaced by a new one, on average.
        step: root mean square change of a pixel value in one iteration.
    """

    def __init__(
        self,
        count: int,
        draw: Callable[[int], Tensor],
        iterations: int,
        visits: int,
        step: float,
        generator: torch.Generator,
    ) -> None:
        self._draw, self._generator = draw, generator
        self._iterations, self._visits, self._step = iterations, visits, step
        self.contents, self.styles = draw(count), draw(count)
        self.pictures = self.contents.clone()
        self._next = 0

    def state(self) -> dict[str, Any]:
        """What `resume` takes."""
        return {
            "contents": self.contents,
            "styles": self.styles,
            "pictures": self.pictures,
            "next": self._next,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on with the pictures of a checkpoint."""
        self.contents, self.styles = state["contents"], state["styles"]
        self.pictures, self._next = state["pictures"], state["next"]

    def visit(self, student: Student, batch: int) -> tuple[Tensor, Tensor]:
        """The next `batch` pictures, some iterations further, and their styles."""
        count = len(self.pictures)
        places = [(self._next + i) % count for i in range(batch)]
        self._next = (self._next + batch) % count
        leaves = torch.rand(batch, generator=self._generator) * self._visits < 1
        for place, leave in zip(places, leaves.tolist()):
            if leave:
                self.contents[place], self.styles[place] = self._draw(2)
                self.pictures[place] = self.contents[place]
        pictures, styles = self.pictures[places], self.styles[places]
        pictures = self._moved(student, pictures, self.contents[places], styles)
        self.pictures[places] = pictures
        return pictures, styles

    def _moved(
        self, student: Student, pictures: Tensor, contents: Tensor, styles: Tensor
    ) -> Tensor:
        student.eval()
        with torch.autocast(pictures.device.type, torch.bfloat16):
            with torch.no_grad():
                grams = {layer: gram_matrix(x) for layer, x in student(styles).items()}
                content = student(contents)[_CONTENT_LAYER].float()
            for _ in range(self._iterations):
                pictures = pictures.detach().requires_grad_()
                features = student(pictures)
                loss = _STYLE_WEIGHT * style_loss(
                    features, grams, dict.fromkeys(grams, 1.0), "relative"
                ) + content_loss(features[_CONTENT_LAYER].float(), content, "relative")
                (gradient,) = torch.autograd.grad(loss.sum(), pictures)
                size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-12
                pictures = (pictures - self._step * gradient / size).clamp(0, 1)
        return pictures.detach()
