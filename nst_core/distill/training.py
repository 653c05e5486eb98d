"""The training loop: one step, checkpoints, what was learnt."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_core.distill.canvases import Canvases
from nst_core.distill.objective import at_positions_of, relation_loss
from nst_core.distill.photographs import centre_crops, training_batch
from nst_core.distill.settings import Settings, Target
from nst_core.distill.start import least_squares, sampled, start_from_teachers
from nst_core.distill.student import Heads, Student
from nst_core.distill.teachers import Teachers

_STATISTICS_BATCHES = 24
# Errors are squared, for in a Gram matrix the few high activations count most; beyond this many
# standard deviations of the teacher's activations they are not, or single pictures would rule.
_OUTLIER = 4.0


class Training:
    """Student, heads and optimiser at some step; the same seed and photographs, the same course."""

    def __init__(
        self,
        settings: Settings,
        teachers: Teachers,
        photographs: list[Tensor],
        device: torch.device,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.device = device
        self.teachers = teachers.to(device)
        self.generator = torch.Generator().manual_seed(settings.seed)
        order = torch.randperm(len(photographs), generator=self.generator).tolist()
        self.held_out = [photographs[i] for i in order[: settings.held_out]]
        self.photographs = [photographs[i] for i in order[settings.held_out :]]
        self.student = Student(settings.widths, settings.convs_per_block).to(device)
        self.mean, self.std = self._teacher_statistics()
        self.heads = Heads(
            {
                target.head: (
                    settings.widths[int(target.student[len("conv")]) - 1],
                    self.mean[target.teacher].shape[1],
                )
                for target in settings.targets
            }
        ).to(device)
        self.optimiser = torch.optim.AdamW(
            [*self.student.parameters(), *self.heads.parameters()],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.step_number = 0
        self.canvases: Canvases | None = None

    def step(self) -> float:
        """One step; returns its loss. The second phase needs a student that can stylize."""
        settings = self.settings
        if self.step_number == 0:
            self._start()
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        if self.step_number < settings.steps:
            images, relation_weight = self._draw(settings.batch), 0.0
            self.student.train()
        else:
            # Its batch-norms stay those of photographs.
            self.student.eval()
            self.canvases = self.canvases or self._new_canvases()
            images = torch.cat(self.canvases.visit(self.student, settings.batch // 2))
            relation_weight = settings.relation_weight
        loss = self._loss(images, relation_weight)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimiser.step()
        self.step_number += 1
        return float(loss.detach())

    @torch.no_grad()
    def explained(self) -> dict[str, float]:
        """Per target, the share of the teacher's variance on held-out photographs: 1 is all."""
        self.student.eval()
        images = centre_crops(self.held_out, self.settings.crop_px).to(self.device)
        student, teacher = self.student(images), self.teachers(images)
        result = {}
        for target in self.settings.targets:
            wanted = self._standardised(target, teacher[target.teacher])
            features = at_positions_of(student[target.student], wanted, target)
            said = self.heads(target.head, features)
            error = float((said - wanted).square().mean())
            result[f"{target.student} → {target.teacher}"] = 1 - error / float(wanted.var())
        return result

    def save(self, file: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "step": self.step_number,
            "student": self.student.state_dict(),
            "heads": self.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "canvases": self.canvases and self.canvases.state(),
        }
        growing = file.with_suffix(".tmp")
        torch.save(state, growing)
        os.replace(growing, file)

    def resume(self, file: Path) -> None:
        """Go on from a checkpoint of the same settings."""
        state: Mapping[str, Any] = torch.load(file, map_location=self.device, weights_only=True)
        self.step_number = state["step"]
        self.student.load_state_dict(state["student"])
        self.heads.load_state_dict(state["heads"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state["canvases"]:
            self.canvases = self._new_canvases()
            self.canvases.resume(state["canvases"])
        self.generator.set_state(state["generator"].cpu())

    @torch.no_grad()
    def _start(self) -> None:
        settings = self.settings
        batches = [self._draw(settings.batch) for _ in range(settings.start_batches)]
        start_from_teachers(self.student, self.teachers, settings.targets, batches, self.generator)
        for target in settings.targets:
            weight, bias = least_squares(
                self._head_sample(target, images)
                for images in batches[: -(-settings.start_batches // 3)]
            )
            self.heads.set(target.head, weight, bias)

    def _head_sample(self, target: Target, images: Tensor) -> list[Tensor]:
        wanted = self._standardised(target, self.teachers(images)[target.teacher])
        features = self.student(images)[target.student]
        return sampled(self.generator, at_positions_of(features, wanted, target), wanted)

    def _new_canvases(self) -> Canvases:
        settings = self.settings
        return Canvases(
            settings.canvases,
            self._draw,
            settings.canvas_iterations,
            settings.canvas_visits,
            settings.canvas_step,
            self.generator,
        )

    def _loss(self, images: Tensor, relation_weight: float) -> Tensor:
        settings = self.settings
        total = images.new_zeros(())
        with torch.autocast(self.device.type, torch.bfloat16):
            teacher = self.teachers(images)
            student = self.student(images, settings.taught_apart)
            for target in settings.targets:
                ours, theirs = student[target.student], teacher[target.teacher]
                loss = images.new_zeros(())
                if relation_weight:
                    loss = relation_weight * relation_loss(ours, theirs)
                ours, theirs = self._sampled(ours, theirs)
                said = self.heads(target.head, at_positions_of(ours, theirs, target)).float()
                wanted = self._standardised(target, theirs.float())
                error = 2 * F.huber_loss(said, wanted, delta=_OUTLIER)
                total = total + target.weight * (loss + error)
        return total

    def _standardised(self, target: Target, activations: Tensor) -> Tensor:
        return (activations - self.mean[target.teacher]) / self.std[target.teacher]

    def _sampled(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Every n-th position of large feature maps, from a random corner: as good, and cheaper."""
        every = max(1, student.shape[-1] * 3 // self.settings.crop_px)
        if student.shape[-1] != teacher.shape[-1] or every == 1:
            return student, teacher
        top, left = torch.randint(every, (2,), generator=self.generator).tolist()
        return (
            student[:, :, top::every, left::every],
            teacher[:, :, top::every, left::every],
        )

    def _draw(self, count: int) -> Tensor:
        settings = self.settings
        images = training_batch(
            self.photographs,
            count,
            settings.crop_px,
            settings.textured,
            settings.noisy,
            self.generator,
        )
        return images.to(self.device)

    def _learning_rate(self) -> float:
        """Per phase a linear warm-up, then a half cosine to nothing (Loshchilov & Hutter 2017)."""
        settings = self.settings
        number, steps, highest = self.step_number, settings.steps, settings.learning_rate
        if number >= steps:
            number, steps = number - steps, settings.canvas_steps
            highest = settings.canvas_learning_rate
        if number < settings.warmup_steps:
            return highest * (number + 1) / settings.warmup_steps
        done = (number - settings.warmup_steps) / (steps - settings.warmup_steps)
        return highest * 0.5 * (1 + math.cos(math.pi * done))

    @torch.no_grad()
    def _teacher_statistics(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Per teacher layer and channel: mean and standard deviation over training batches."""
        sums: dict[str, Tensor] = {}
        squares: dict[str, Tensor] = {}
        for _ in range(_STATISTICS_BATCHES):
            for name, x in self.teachers(self._draw(self.settings.batch)).items():
                sums[name] = sums.get(name, 0) + x.mean((0, 2, 3), keepdim=True)
                squares[name] = squares.get(name, 0) + x.square().mean((0, 2, 3), keepdim=True)
        mean = {name: total / _STATISTICS_BATCHES for name, total in sums.items()}
        std = {
            name: (total / _STATISTICS_BATCHES - mean[name].square()).clamp_min(1e-6).sqrt()
            for name, total in squares.items()
        }
        return mean, std
