"""Gram matrices of styles, kept."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nst_core.style_grams import StyleGrams

Grams = dict[str, Tensor]


class Counted:
    """A function that gives a new matrix each time, and says how often it was called."""

    def __init__(self, side: int = 4) -> None:
        self.calls, self.side = 0, side

    def __call__(self) -> Grams:
        self.calls += 1
        return {"conv1_1": torch.full((1, self.side, self.side), float(self.calls))}


def test_a_key_is_computed_once() -> None:
    kept, compute = StyleGrams(), Counted()
    first = kept.get("a", "cpu", compute)
    assert torch.equal(kept.get("a", "cpu", compute)["conv1_1"], first["conv1_1"])
    assert kept.get("b", "cpu", compute)["conv1_1"][0, 0, 0] == 2
    assert compute.calls == 2


def test_each_device_has_its_own() -> None:
    kept = StyleGrams()
    for device in ("cpu", "meta"):
        own = {"conv1_1": torch.ones(1, 4, 4, device=device)}
        grams = kept.get("a", device, lambda own=own: own)
        assert str(grams["conv1_1"].device) == device


def test_memory_is_bounded_and_the_least_recently_used_goes() -> None:
    size_bytes = 4 * 4 * 4
    kept, compute = StyleGrams(in_memory_bytes=2 * size_bytes), Counted()
    for key in ("a", "b", "a", "c", "a"):
        kept.get(key, "cpu", compute)
    assert compute.calls == 3, "a was used in between, so b left"
    kept.get("b", "cpu", compute)
    assert compute.calls == 4


def test_a_folder_outlives_the_process(tmp_path: Path) -> None:
    compute = Counted()
    first = StyleGrams(tmp_path / "styles").get("a", "cpu", compute)
    second = StyleGrams(tmp_path / "styles").get("a", "cpu", compute)
    assert compute.calls == 1
    assert torch.equal(first["conv1_1"], second["conv1_1"])
    assert [file.suffix for file in (tmp_path / "styles").iterdir()] == [".safetensors"]


def test_a_file_whose_numbers_were_changed_is_not_believed(tmp_path: Path) -> None:
    compute = Counted()
    StyleGrams(tmp_path).get("a", "cpu", compute)
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)
    assert StyleGrams(tmp_path).get("a", "cpu", compute)["conv1_1"][0, 0, 0] == 2


def test_a_sound_file_of_something_else_is_not_believed(tmp_path: Path) -> None:
    compute = Counted()
    for key in ("a", "b"):
        StyleGrams(tmp_path / key).get(key, "cpu", compute)
    (mine,), (other,) = ((tmp_path / key).iterdir() for key in ("a", "b"))
    mine.write_bytes(other.read_bytes())
    assert StyleGrams(tmp_path / "a").get("a", "cpu", compute)["conv1_1"][0, 0, 0] == 3
    save_file({"foreign": torch.zeros(3)}, mine)
    assert StyleGrams(tmp_path / "a").get("a", "cpu", compute)["conv1_1"][0, 0, 0] == 4


def test_where_nothing_can_be_kept_it_is_computed(tmp_path: Path) -> None:
    in_the_way = tmp_path / "styles"
    in_the_way.write_text("a file")
    compute = Counted()
    assert StyleGrams(in_the_way).get("a", "cpu", compute)["conv1_1"][0, 0, 0] == 1
    assert in_the_way.read_text() == "a file"


def test_a_folder_that_goes_is_not_made_again(tmp_path: Path) -> None:
    kept, compute = StyleGrams(tmp_path / "out" / "styles"), Counted()
    shutil.rmtree(tmp_path / "out")
    assert kept.get("a", "cpu", compute)["conv1_1"][0, 0, 0] == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", [b"", b"no matrices", b"\xff" * 64])
def test_a_damaged_file_is_computed_and_written_again(damage: bytes, tmp_path: Path) -> None:
    compute = Counted()
    StyleGrams(tmp_path).get("a", "cpu", compute)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    assert StyleGrams(tmp_path).get("a", "cpu", compute)["conv1_1"][0, 0, 0] == 2
    assert StyleGrams(tmp_path).get("a", "cpu", compute)["conv1_1"][0, 0, 0] == 2
    assert compute.calls == 2
