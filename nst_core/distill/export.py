"""From a trained student to the weights that the encoder loads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import torch
from safetensors.torch import save_file

from nst_core.distill.photographs import centre_crops
from nst_core.distill.student import with_mean_activation_one
from nst_core.distill.training import Training
from nst_core.encoder import Encoder

_LICENCES = "VGG-19: CC BY 4.0 (Simonyan & Zisserman); SqueezeNet 1.0: BSD-2-Clause"


@torch.no_grad()
def export(training: Training, file: Path) -> Path:
    """Write float16 weights without batch-norm, each layer's mean activation 1; returns `file`."""
    state = {key: value.cpu() for key, value in training.student.folded().items()}
    images = centre_crops(training.held_out, training.settings.crop_px)
    as_trained = Encoder("compact", state, "", average_pool_gain=1.0)
    means = {
        layer: features.mean()
        for layer, features in as_trained(images, as_trained.layers, "average").items()
    }
    scaled = with_mean_activation_one(state, means)
    settings = training.settings
    save_file(
        {key: value.half().contiguous() for key, value in scaled.items()},
        file,
        metadata={
            "widths": json.dumps(settings.widths),
            "convs_per_block": json.dumps(settings.convs_per_block),
            "steps": str(training.step_number),
            "seed": str(settings.seed),
            "teachers": "VGG-19 conv1_1 to conv3_1, SqueezeNet 1.0",
            "teacher_licences": _LICENCES,
            "training_data": f"{len(training.photographs)} photographs, "
            f"{len(training.held_out)} held out",
            "pooling": "average",
            "commit": _commit(),
        },
    )
    return file


def _commit() -> str:
    """The commit of this program, with "-dirty" where it was changed; "unknown" outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
