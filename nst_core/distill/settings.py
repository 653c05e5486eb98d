"""What settings.yaml holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from nst_core.encoder import layer_names


@dataclass(frozen=True)
class Target:
    """A teacher layer that a student layer must know through a linear head."""

    student: str
    teacher: str
    weight: float

    @property
    def head(self) -> str:
        """Name of its head; a module's name has no '.'."""
        return f"{self.student}-{self.teacher}".replace(".", "-")


@dataclass(frozen=True)
class Settings:
    """All numbers of a training; settings.yaml says what each is."""

    seed: int
    widths: tuple[int, ...]
    convs_per_block: tuple[int, ...]
    targets: tuple[Target, ...]
    taught_apart: tuple[str, ...]
    crop_px: int
    batch: int
    start_batches: int
    steps: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    textured: float
    noisy: float
    canvas_steps: int
    canvas_learning_rate: float
    relation_weight: float
    canvases: int
    canvas_iterations: int
    canvas_visits: int
    canvas_step: float
    held_out: int
    checkpoint_every: int

    @property
    def all_steps(self) -> int:
        """Of both phases."""
        return self.steps + self.canvas_steps

    @staticmethod
    def read(file: Path) -> Settings:
        """Raises TypeError or KeyError for a field too many or too few, ValueError for a layer
        without a target or taught apart that is none."""
        fields = yaml.safe_load(file.read_text(encoding="utf-8"))
        student = fields.pop("student")
        targets = tuple(Target(**target) for target in fields.pop("targets"))
        taught_apart = tuple(fields.pop("taught_apart"))
        convs_per_block = tuple(student["convs_per_block"])
        layers = set(layer_names(convs_per_block))
        untaught = layers - {target.student for target in targets}
        if untaught:
            raise ValueError(f"targets: none for {', '.join(sorted(untaught))}")
        unknown = set(taught_apart) - layers
        if unknown:
            raise ValueError(f"taught_apart: the student has no {', '.join(sorted(unknown))}")
        return Settings(
            widths=tuple(student["widths"]),
            convs_per_block=convs_per_block,
            targets=targets,
            taught_apart=taught_apart,
            **fields,
        )
