"""What the student is asked: the teachers' activations, and distances of Gram matrices."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.distill.settings import Target
from nst_core.distill.teachers import first_centre_px
from nst_core.encoder import stride_px
from nst_core.losses import gram_matrix


def relation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """How far the student's distances between Gram matrices are from the teacher's.

    Distances are relative (||G - A|| / sqrt(||G|| ||A||)), over all pairs of the batch.
    """
    error: Tensor = F.mse_loss(_gram_distances(student), _gram_distances(teacher))
    return error


def _gram_distances(features: Tensor) -> Tensor:
    grams = gram_matrix(features).flatten(1)
    sizes = torch.linalg.vector_norm(grams, dim=1).clamp_min(1e-6)
    first, second = torch.triu_indices(len(grams), len(grams), offset=1)
    distances = torch.linalg.vector_norm(grams[first] - grams[second], dim=1)
    relative: Tensor = distances / (sizes[first] * sizes[second]).sqrt()
    return relative


def at_positions_of(student: Tensor, teacher: Tensor, target: Target) -> Tensor:
    """The student's features at the image positions that the teacher's features look at."""
    if student.shape[-2:] == teacher.shape[-2:]:
        return student
    stride = stride_px(target.student)
    first = (first_centre_px(target.teacher) - (stride - 1) / 2) / stride
    for dimension in (2, 3):
        count = teacher.shape[dimension]
        places = (first + torch.arange(count, device=student.device)).clamp(
            0, student.shape[dimension] - 1
        )
        below = places.floor().long()
        above = (below + 1).clamp_max(student.shape[dimension] - 1)
        share = (places - below).view([-1 if d == dimension else 1 for d in range(4)])
        student = torch.lerp(
            student.index_select(dimension, below),
            student.index_select(dimension, above),
            share.to(student.dtype),
        )
    return student
