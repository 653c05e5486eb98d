"""The student before its first step: every layer a least-squares guess of its teacher's.

A student that begins here is further after no step at all than a random one after hundreds.
The idea is that of He, Zhang & Sun 2017 (channel pruning by linear least squares), with
convolutions fitted too, so that the student may pool and pad in its own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nst_core.distill.objective import at_positions_of
from nst_core.distill.settings import Target
from nst_core.distill.student import Student
from nst_core.distill.teachers import Teachers

# Of a feature map, for a fit.
_POSITIONS = 6000
_RIDGE = 1e-4


@torch.no_grad()
def start_from_teachers(
    student: Student,
    teachers: Teachers,
    targets: Sequence[Target],
    batches: Sequence[Tensor],
    generator: torch.Generator,
) -> None:
    """Fit the layers of `student`, shallow to deep, each to the teacher of its first target.

    A layer has fewer channels than its teacher: it takes those from which the others can best
    be told, and guesses them before the rectifier from what the layer before it says.

    Args:
        targets: at least one for each layer.
        batches: training images, each B x 3 x H x W in 0..1.
        generator: chooses positions.
    """
    first = {target.student: target for target in reversed(targets)}
    seen = [student.normalised(images) for images in batches]
    for layer, conv in student.convs.items():
        target, norm = first[layer], student.norms[layer]
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        wanted = [teachers.before_rectifier(images)[target.teacher] for images in batches]
        activations = torch.cat([sampled(generator, F.relu(y))[0] for y in wanted])
        channels = telling_channels(activations, conv.out_channels)
        seen = [student.pooled(layer, x) for x in seen]
        weight, bias = least_squares(
            sampled(generator, at_positions_of(_patches(x), y, target), y[:, channels])
            for x, y in zip(seen, wanted)
        )
        conv.weight.copy_(weight.view_as(conv.weight))
        said = torch.cat([_positions_first(conv(x)) for x in seen])
        variance, mean = torch.var_mean(said, dim=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)
        student.eval()
        seen = [student.activations(layer, x) for x in seen]


def telling_channels(activations: Tensor, count: int) -> list[int]:
    """Indices of `count` channels from which the others can best be told.

    Greedy: the channel with most that the chosen ones do not explain (pivoted Cholesky).

    Args:
        activations: N x C, C at least `count`.
    """
    activations = activations / (activations.std(dim=0) + 1e-6)
    rest = activations.T @ activations
    chosen: list[int] = []
    for _ in range(count):
        unexplained = rest.diagonal().clone()
        unexplained[chosen] = -1
        channel = int(unexplained.argmax())
        chosen.append(channel)
        column = rest[:, channel]
        rest = rest - torch.outer(column, column) / column[channel].clamp_min(1e-6)
    return chosen


def least_squares(samples: Iterable[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """Weight K x D and bias K with which x weight^T + bias is nearest to y.

    Args:
        samples: x, N x D, and y, N x K.
    """
    moments, products = torch.zeros(()), torch.zeros(())
    for x, y in samples:
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        moments = moments.to(x.device) + (x.T @ x).double()
        products = products.to(x.device) + (x.T @ y).double()
    diagonal = moments.diagonal()
    solved = torch.linalg.solve(moments + _RIDGE * diagonal.mean() * _eye(diagonal), products)
    return solved[:-1].T.float(), solved[-1].float()


def _eye(like: Tensor) -> Tensor:
    return torch.eye(len(like), dtype=like.dtype, device=like.device)


def _patches(x: Tensor) -> Tensor:
    """B x 9 C x H x W: what a 3x3 convolution multiplies, the border repeated."""
    unfolded = F.unfold(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel_size=3)
    return unfolded.view(len(x), -1, *x.shape[2:])


def _positions_first(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def sampled(generator: torch.Generator, *maps: Tensor) -> list[Tensor]:
    """The same random positions of feature maps B x C x H x W, each as N x C."""
    flat = [_positions_first(x) for x in maps]
    places = torch.randperm(len(flat[0]), generator=generator)[:_POSITIONS]
    return [x[places.to(x.device)] for x in flat]
