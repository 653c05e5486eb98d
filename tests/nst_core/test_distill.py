"""The training of the bundled encoder, with small settings and teachers of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models import squeezenet1_0

import nst_core.distill
from nst_core.distill.__main__ import main
from nst_core.distill.canvases import Canvases
from nst_core.distill.objective import at_positions_of, relation_loss
from nst_core.distill.photographs import centre_crops, read_photographs, training_batch
from nst_core.distill.settings import Settings, Target
from nst_core.distill.start import least_squares, start_from_teachers, telling_channels
from nst_core.distill.student import Student
from nst_core.distill.teachers import SQUEEZENET_FILE, VGG19_FILE, Teachers, first_centre_px
from nst_core.encoder import Encoder, stride_px
from nst_core.losses import gram_matrix, style_loss
from tests.flows.pictures import photo

SETTINGS = Path(nst_core.distill.__file__).with_name("settings.yaml")
SMALL = {
    "student": {"widths": [4, 6, 8, 8, 8], "convs_per_block": [2, 2, 1, 2, 1]},
    **{
        "crop_px": 48,
        "batch": 4,
        "start_batches": 2,
        "steps": 2,
        "canvas_steps": 2,
        "warmup_steps": 1,
        "canvases": 4,
        "held_out": 2,
    },
    "checkpoint_every": 2,
}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teachers")
    torch.manual_seed(0)
    vgg: dict[str, Tensor] = {"preprocess.weight": torch.eye(3).flip(0).view(3, 3, 1, 1) * 255}
    vgg["preprocess.bias"] = torch.tensor([-104.0, -117.0, -123.0])
    channels_in = 3
    for layer, width in (("1_1", 64), ("1_2", 64), ("2_1", 128), ("2_2", 128), ("3_1", 256)):
        vgg[f"conv{layer}.weight"] = torch.randn(width, channels_in, 3, 3) / (4 * channels_in**0.5)
        vgg[f"conv{layer}.bias"] = torch.zeros(width)
        channels_in = width
    save_file({k: v.contiguous() for k, v in vgg.items()}, folder / VGG19_FILE)
    save_file(squeezenet1_0(weights=None).state_dict(), folder / SQUEEZENET_FILE)
    return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(6):
        photo(seed, 72, 60).save(folder / f"{seed}.png")
    return folder


def train(teachers: Path, photographs: Path, out: Path, **changes: Any) -> dict[str, Tensor]:
    out.mkdir(exist_ok=True)
    settings = yaml.safe_load(SETTINGS.read_text()) | SMALL | changes
    (out / "settings.yaml").write_text(yaml.safe_dump(settings))
    given = [str(teachers), str(photographs), "--out", str(out), "--device", "cpu"]
    main([*given, "--settings", str(out / "settings.yaml")])
    return load_file(out / "compact.safetensors")


def encoder_of(state: dict[str, Tensor]) -> Encoder:
    return Encoder("compact", {key: value.float() for key, value in state.items()}, "", 1.0)


@pytest.fixture(scope="module")
def trained(
    teachers: Path, photographs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Tensor]]:
    out = tmp_path_factory.mktemp("trained")
    return out, train(teachers, photographs, out)


def test_it_writes_float16_weights_that_say_where_they_come_from(
    trained: tuple[Path, dict[str, Tensor]],
) -> None:
    out, state = trained
    assert {value.dtype for value in state.values()} == {torch.float16}
    encoder = encoder_of(dict(sorted(state.items())))
    assert encoder.layers[0] == "conv1_1"
    assert encoder.layers[-1] == "conv5_1"
    with safe_open(out / "compact.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["widths"]) == SMALL["student"]["widths"]  # type: ignore[index]
    assert metadata["training_data"] == "4 photographs, 2 held out"
    assert "CC BY 4.0" in metadata["teacher_licences"]
    report = json.loads((out / "report.json").read_text())
    targets = yaml.safe_load(SETTINGS.read_text())["targets"]
    assert len(report) == len(targets)
    assert all(share <= 1 for share in report.values())


def test_each_layer_has_a_mean_activation_of_one_on_held_out_photographs(
    trained: tuple[Path, dict[str, Tensor]], photographs: Path
) -> None:
    encoder = encoder_of(dict(sorted(trained[1].items())))
    order = torch.randperm(6, generator=torch.Generator().manual_seed(20260101)).tolist()
    every = read_photographs(photographs)
    images = centre_crops([every[i] for i in order[:2]], 48)
    for layer, features in encoder(images, encoder.layers, "average").items():
        assert float(features.mean()) == pytest.approx(1, abs=0.02), layer


def test_a_training_that_was_interrupted_goes_on_as_if_it_had_not_been(
    trained: tuple[Path, dict[str, Tensor]],
    teachers: Path,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nst_core.distill import __main__ as program

    class Interrupted(program.Training):
        def step(self) -> float:
            if self.step_number == 3:
                raise KeyboardInterrupt
            return super().step()

    monkeypatch.setattr(program, "Training", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(teachers, photographs, tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "compact.safetensors").exists()
    state = train(teachers, photographs, tmp_path)
    for key, value in trained[1].items():
        torch.testing.assert_close(state[key], value, rtol=0, atol=0)


def test_a_student_as_wide_as_its_teacher_starts_as_its_teacher(
    teachers: Path, photographs: Path
) -> None:
    taught = Teachers(teachers)
    generator = torch.Generator().manual_seed(3)
    every = read_photographs(photographs)
    batches = [training_batch(every, 4, 48, 0.2, 0.3, generator) for _ in range(3)]
    student = Student((64, 128, 16, 16, 16), (1, 1, 1, 1, 1))
    layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    sources = ("vgg19.conv1_1", "vgg19.conv2_1", "vgg19.conv3_1", "squeezenet.fire5")
    targets = [Target(*both, 1.0) for both in zip(layers, (*sources, "squeezenet.fire9"))]
    start_from_teachers(student, taught, targets, batches, generator)
    images = centre_crops(every, 48)
    with torch.no_grad():
        features = student.eval()(images)
    said = features["conv1_1"][:, :, 1:-1, 1:-1]  # they pad differently
    wanted = taught(images)["vgg19.conv1_1"][:, :, 1:-1, 1:-1]
    error = min_over_order(said, wanted)
    assert error < 0.02 * float(wanted.var())
    assert all(bool(x.isfinite().all()) for x in features.values())


def min_over_order(said: Tensor, wanted: Tensor) -> float:
    """Mean squared error when each wanted channel is compared with the nearest said one."""
    distances = (said.unsqueeze(1) - wanted.unsqueeze(2)).square().mean((0, 3, 4))
    return float(distances.min(dim=1).values.mean())


def test_channels_that_repeat_others_are_not_taken() -> None:
    one, other, weak = torch.rand(3, 500, generator=torch.Generator().manual_seed(4))
    both = one + other
    activations = torch.stack([one, 3 * one, other, both, one + 0.1 * weak], dim=1)
    assert len(set(telling_channels(activations, 3)) & {0, 1}) <= 1
    assert 4 in telling_channels(activations, 3)


def test_least_squares_finds_the_map_that_made_the_samples() -> None:
    generator = torch.Generator().manual_seed(5)
    weight, bias = torch.randn(3, 6, generator=generator), torch.tensor([1.0, -2.0, 0.5])
    samples = [torch.randn(200, 6, generator=generator) for _ in range(2)]
    found = least_squares((x, x @ weight.T + bias) for x in samples)
    torch.testing.assert_close(found, (weight, bias), rtol=1e-3, atol=1e-3)


def test_the_teacher_squeezenet_is_the_one_of_torchvision(teachers: Path) -> None:
    images = torch.rand(2, 3, 64, 80, generator=torch.Generator().manual_seed(6))
    network = squeezenet1_0(weights=None)
    network.load_state_dict(load_file(teachers / SQUEEZENET_FILE))
    x = images.flip(1) * 255 - torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
    x = x.contiguous(memory_format=torch.channels_last)  # as the teachers: sums round alike
    seen = Teachers(teachers)(images)
    for index, module in enumerate(network.features[:13]):
        x = module(x).detach()
        for ours, of in (("conv1", 1), ("fire3", 4), ("fire5", 7), ("fire9", 12)):
            if index == of:
                torch.testing.assert_close(seen[f"squeezenet.{ours}"], x)


def test_folding_the_batch_norm_changes_no_feature() -> None:
    torch.manual_seed(1)
    student = Student((4, 6, 8, 8, 8), (2, 2, 2, 2, 1))
    images = torch.rand(3, 3, 32, 48)
    for _ in range(5):
        student(images)
    student.eval()
    encoder = Encoder("folded", student.folded(), "", 1.0)
    folded = encoder(images, encoder.layers, "average")
    for layer, features in student(images).items():
        torch.testing.assert_close(folded[layer], features.detach(), rtol=1e-4, atol=1e-5)


def test_layers_taught_apart_learn_from_those_before_and_do_not_disturb_them() -> None:
    student = Student((4, 6, 8, 8, 8), (2, 2, 1, 2, 1))
    features = student(torch.rand(2, 3, 32, 32), apart=["conv4_1"])
    features["conv4_2"].square().sum().backward()
    moved = {
        layer for layer, conv in student.convs.items() if next(conv.parameters()).grad is not None
    }
    assert moved == {"conv4_1", "conv4_2"}


def test_relation_loss_compares_distances_and_not_scales() -> None:
    features = torch.rand(4, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    assert float(relation_loss(features, 3 * features)) == pytest.approx(0, abs=1e-10)
    blind = features[:1].expand(4, -1, -1, -1)
    assert float(relation_loss(blind, features)) > 1e-4


def test_pictures_of_the_ring_come_nearer_to_their_style() -> None:
    torch.manual_seed(2)
    generator = torch.Generator().manual_seed(2)
    student = Student((8, 8, 8, 8, 8), (2, 2, 2, 2, 1))
    levels = iter((0.2, 0.8))  # dark contents, bright styles

    def draw(count: int) -> Tensor:
        return next(levels) + 0.2 * torch.rand(count, 3, 32, 32, generator=generator)

    ring = Canvases(4, draw, 1, 10**9, 0.03, generator)

    def distance() -> float:
        with torch.no_grad():
            grams = {layer: gram_matrix(x) for layer, x in student(ring.styles).items()}
            weights = dict.fromkeys(grams, 1.0)
            return float(style_loss(student(ring.pictures), grams, weights, "relative").sum())

    student.eval()
    before = distance()
    for _ in range(40):
        pictures, styles = ring.visit(student, 2)
    assert distance() < 0.5 * before
    assert pictures.shape == styles.shape == (2, 3, 32, 32)
    assert 0 <= float(pictures.min()) <= float(pictures.max()) <= 1


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ("conv2_1", "squeezenet.conv1"),
        ("conv4_1", "squeezenet.fire5"),
        ("conv3_1", "vgg19.conv3_1"),
    ],
)
def test_features_are_compared_where_they_look_at(
    student: str, teacher: str, teachers: Path
) -> None:
    """A ramp, seen as each position's place in the image, must read the same through both."""
    side = 96
    taught = Teachers(teachers)(torch.rand(1, 3, side, side))[teacher]
    stride = stride_px(student)
    places = (torch.arange(side // stride) * stride + (stride - 1) / 2).float()
    seen = places.view(1, 1, 1, -1).expand(1, 1, side // stride, -1)
    moved = at_positions_of(seen, taught, Target(student, teacher, 1.0))
    step = side / taught.shape[-1] if teacher.startswith("vgg") else stride
    wanted = first_centre_px(teacher) + step * torch.arange(taught.shape[-1])
    inside = (wanted >= places[0]) & (wanted <= places[-1])
    torch.testing.assert_close(moved[0, 0, 0][inside], wanted[inside].float())


def test_settings_refuse_a_field_too_many(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SETTINGS.read_text() + "stepps: 3\n")
    with pytest.raises(TypeError, match="stepps"):
        Settings.read(tmp_path / "s.yaml")


def test_settings_refuse_a_layer_that_nobody_teaches(tmp_path: Path) -> None:
    changed = yaml.safe_load(SETTINGS.read_text())
    changed["student"]["convs_per_block"][2] = 2
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(ValueError, match="targets: none for conv3_2"):
        Settings.read(tmp_path / "s.yaml")


def test_settings_refuse_to_teach_apart_what_the_student_does_not_have(tmp_path: Path) -> None:
    changed = yaml.safe_load(SETTINGS.read_text()) | {"taught_apart": ["conv3_4"]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(ValueError, match="taught_apart: the student has no conv3_4"):
        Settings.read(tmp_path / "s.yaml")
