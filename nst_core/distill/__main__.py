"""usage: python -m nst_core.distill TEACHERS PHOTOGRAPHS --out FOLDER

Trains the encoder `compact`, or goes on where FOLDER's checkpoint stands, and writes
FOLDER/compact.safetensors and FOLDER/report.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nst_core.distill.export import export
from nst_core.distill.photographs import read_photographs
from nst_core.distill.settings import Settings
from nst_core.distill.teachers import Teachers
from nst_core.distill.training import Training

_SETTINGS = Path(__file__).with_name("settings.yaml")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, or resume, and export."""
    parser = argparse.ArgumentParser(prog="python -m nst_core.distill", description=__doc__)
    parser.add_argument("teachers", type=Path, help="folder of the teachers' safetensors")
    parser.add_argument("photographs", type=Path, help="folder of training photographs")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint, weights and report")
    parser.add_argument("--settings", type=Path, default=_SETTINGS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    checkpoint = given.out / "checkpoint.pt"
    settings = Settings.read(given.settings)
    training = Training(
        settings,
        Teachers(given.teachers),
        read_photographs(given.photographs),
        torch.device(given.device),
    )
    if checkpoint.exists():
        training.resume(checkpoint)
    columns = TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, TextColumn("loss {task.fields[loss]:.3f}")) as progress:
        task = progress.add_task(
            "", total=settings.all_steps, completed=training.step_number, loss=float("nan")
        )
        while training.step_number < settings.all_steps:
            loss = training.step()
            progress.update(task, completed=training.step_number, loss=loss)
            if training.step_number % settings.checkpoint_every == 0:
                training.save(checkpoint)
    training.save(checkpoint)
    report = training.explained()
    (given.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    for target, share in report.items():
        print(f"{target:32} {share:6.3f} of the variance")
    print(export(training, given.out / "compact.safetensors"))


if __name__ == "__main__":
    main()
