"""Where an encoder's weights come from, and what is refused."""

import hashlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from nst_core import loading
from nst_core.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder
from nst_core.loading import EncoderUnavailable, load_encoder

BUILDERS: dict[str, Callable[..., nn.Module]] = {"vgg16": models.vgg16, "vgg19": models.vgg19}


def torchvision_features(name: str) -> nn.Sequential:
    """torchvision's own modules with random weights, but for the classifier's 500 MB."""
    with torch.device("meta"):
        features = BUILDERS[name](weights=None).features
    features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for module in features:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            nn.init.normal_(module.bias, std=0.1, generator=generator)
    return features.requires_grad_(False).eval()


def state_of(features: nn.Sequential) -> dict[str, Tensor]:
    return {f"features.{key}": value for key, value in features.state_dict().items()}


def rectified_by_layer(features: nn.Sequential, images: Tensor) -> dict[str, Tensor]:
    """What torchvision's modules give after each rectifier, with the border repeated."""
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    x = (images - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    found: dict[str, Tensor] = {}
    block = conv = 1
    for module in features:
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "replicate"
        x = module(x)
        if isinstance(module, nn.ReLU):
            found[f"conv{block}_{conv}"] = x.clone()
            conv += 1
        if isinstance(module, nn.MaxPool2d):
            block, conv = block + 1, 1
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def vgg_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("weights")
    files = {
        "vgg16.pth": folder / "vgg16.pth",
        "vgg16.safetensors": folder / "vgg16.safetensors",
        "vgg19.pth": folder / "vgg19.pth",
    }
    vgg16 = state_of(torchvision_features("vgg16"))
    torch.save(vgg16, files["vgg16.pth"])
    save_file(vgg16, files["vgg16.safetensors"])
    torch.save(state_of(torchvision_features("vgg19")), files["vgg19.pth"])
    yield files
    for file in files.values():
        file.unlink()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    """An empty torch hub cache; returns its folder of checkpoints."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def serve(
    no_proxy: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, bytes], None]]:
    """Makes the download address one on this machine that answers with the given bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    answers: list[bytes] = []

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answers[0])

    def start(file_name: str, response: bytes) -> None:
        answers.append(response)
        url = f"http://127.0.0.1:{port}/{file_name}"
        monkeypatch.setattr(loading, "_torchvision_url", lambda name: url)
        thread.start()

    thread = threading.Thread(target=answer, daemon=True)
    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


# The random encoder


@pytest.mark.parametrize("seed", [1, 2])
def test_random_is_the_same_whatever_the_global_generator(seed: int, encoder: Encoder) -> None:
    torch.manual_seed(seed)
    again = load_encoder("random")
    assert again.sha256 == encoder.sha256
    for name, value in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_loading_an_encoder_leaves_the_global_generator_as_it_was() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_encoder("random")
    assert torch.equal(torch.rand(3), expected)


def test_filters_of_random_are_orthogonal_with_the_gain_of_a_rectifier(encoder: Encoder) -> None:
    for conv in encoder.convs.values():
        flat = conv.weight.flatten(1)
        torch.testing.assert_close(
            flat @ flat.T, 2 * torch.eye(len(flat)), rtol=0, atol=1e-5, check_stride=False
        )
        assert not conv.bias.any()


# Names


def test_an_unknown_encoder_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"encoder: expected one of vgg19, vgg16.*, got 'vgg11'"):
        load_encoder("vgg11")


def test_random_takes_no_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weights: encoder random takes none"):
        load_encoder("random", tmp_path / "vgg19.pth")


# Files named by the user


@pytest.mark.parametrize("file", ["vgg16.pth", "vgg16.safetensors", "vgg19.pth"])
def test_features_are_those_of_torchvision(file: str, vgg_files: dict[str, Path]) -> None:
    name = file.split(".")[0]
    images = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    expected = rectified_by_layer(torchvision_features(name), images)
    encoder = load_encoder(name, vgg_files[file])
    assert encoder.layers[-1] == "conv5_1"
    features = encoder(images, encoder.layers, "max")
    for layer in encoder.layers:
        torch.testing.assert_close(features[layer], expected[layer], rtol=1e-4, atol=1e-4)


def test_a_loaded_encoder_knows_its_name_its_hash_and_its_gain(
    vgg_files: dict[str, Path],
) -> None:
    encoder = load_encoder("vgg16", str(vgg_files["vgg16.pth"]))
    assert encoder.name == "vgg16"
    assert encoder.sha256 == sha256(vgg_files["vgg16.pth"])
    assert encoder.average_pool_gain == 2


@pytest.mark.parametrize(
    ("name", "file", "missing"),
    [
        ("vgg16", "vgg19.pth", "features.17.weight"),
        ("vgg19", "vgg16.pth", "features.16.weight"),
    ],
)
def test_the_weights_of_another_encoder_are_refused(
    name: str, file: str, missing: str, vgg_files: dict[str, Path]
) -> None:
    with pytest.raises(EncoderUnavailable, match=f"{file} has no {missing} of .* of {name}"):
        load_encoder(name, vgg_files[file])


def tiny_state() -> dict[str, Tensor]:
    return {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}


def write_truncated_pth(path: Path) -> None:
    torch.save(tiny_state(), path)
    path.write_bytes(path.read_bytes()[:-200])


def write_truncated_safetensors(path: Path) -> None:
    save_file(tiny_state(), path)
    path.write_bytes(path.read_bytes()[:-200])


BAD_FILES: dict[str, Callable[[Path], Any]] = {
    "truncated.pth": write_truncated_pth,
    "truncated.safetensors": write_truncated_safetensors,
    "empty.pth": lambda path: path.write_bytes(b""),
    "empty.safetensors": lambda path: path.write_bytes(b""),
    "text.pth": lambda path: path.write_text("no weights\n"),
    "text.safetensors": lambda path: path.write_text("no weights\n"),
    "list.pth": lambda path: torch.save([1, 2], path),
    "one_layer.pth": lambda path: torch.save(tiny_state(), path),
    "nested.pth": lambda path: torch.save({"state_dict": tiny_state()}, path),
    "folder.pth": lambda path: path.mkdir(),
    "missing.pth": lambda path: None,
}


@pytest.mark.parametrize("file", BAD_FILES)
def test_a_file_that_holds_no_state_dict_is_named(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    BAD_FILES[file](path)
    with pytest.raises(EncoderUnavailable, match=re.escape(str(path))):
        load_encoder("vgg19", path)


class RunsCode:
    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


def test_a_pickle_that_would_run_code_is_refused_before_it_runs(tmp_path: Path) -> None:
    path, made = tmp_path / "evil.pth", tmp_path / "made_by_the_pickle"
    torch.save({**tiny_state(), "extra": RunsCode(made)}, path)
    with pytest.raises(EncoderUnavailable, match=re.escape(str(path))):
        load_encoder("vgg19", path)
    assert not made.exists()


def vgg16_keys_with(first: Any, second: Any) -> dict[str, Any]:
    """All keys that vgg16 needs, each tensor of one number but for the first two weights."""
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24)
    state: dict[str, Any] = {}
    for number in numbers:
        state |= {f"features.{number}.weight": torch.zeros(1, 1, 3, 3)}
        state |= {f"features.{number}.bias": torch.zeros(1)}
    return {**state, "features.0.weight": first, "features.2.weight": second}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)),
        (torch.zeros(1, 3, 5, 5), torch.zeros(1, 1, 3, 3)),
        (torch.zeros(1, 3, 3, 3), torch.zeros(1, 2, 3, 3)),
        (torch.zeros(1, 3, 3, 3), torch.zeros(9)),
        (torch.zeros(1, 3, 3, 3), "not a tensor"),
    ],
    ids=["one colour", "5x5 filters", "channels that do not fit", "no filters", "no tensor"],
)
def test_weights_of_the_wrong_shape_are_refused(first: Any, second: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    torch.save(vgg16_keys_with(first, second), path)
    with pytest.raises(EncoderUnavailable, match=re.escape(str(path))):
        load_encoder("vgg16", path)


# The torch hub cache


def test_a_cached_file_is_read_without_the_network(
    hub: Path, vgg_files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = vgg_files["vgg16.pth"]
    name = f"vgg16-{sha256(source)[:8]}.pth"
    hub.mkdir(parents=True)
    os.link(source, hub / name)
    monkeypatch.setattr(loading, "_torchvision_url", lambda _: f"http://127.0.0.1:1/{name}")
    assert load_encoder("vgg16").sha256 == sha256(source)


@pytest.mark.parametrize(
    ("name", "file"), [("vgg19", "vgg19-dcbb9e9d.pth"), ("vgg16", "vgg16-397923af.pth")]
)
def test_a_damaged_cached_file_is_refused_and_kept(name: str, file: str, hub: Path) -> None:
    hub.mkdir(parents=True)
    torch.save(tiny_state(), hub / file)
    with pytest.raises(EncoderUnavailable, match=f"{name}: .*{file} is damaged .*delete it"):
        load_encoder(name)
    assert (hub / file).exists()


# Downloads


def assert_names_three_ways_out(message: str, url: str, cached: Path) -> None:
    assert url in message
    assert "Three ways out" in message
    assert "connect this machine" in message
    assert f"put it at {cached}" in message
    assert "stylize.weights" in message
    assert "--weights" in message


def test_an_unreachable_server_gives_three_ways_out(
    hub: Path, no_proxy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/vgg19-dcbb9e9d.pth"
        monkeypatch.setattr(loading, "_torchvision_url", lambda _: url)
        with pytest.raises(EncoderUnavailable) as raised:
            load_encoder("vgg19")
    assert_names_three_ways_out(str(raised.value), url, hub / "vgg19-dcbb9e9d.pth")


def test_a_cache_that_cannot_be_made_gives_three_ways_out(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").write_text("a file where the folder should be")
    url = "http://127.0.0.1:1/vgg19-dcbb9e9d.pth"
    monkeypatch.setattr(loading, "_torchvision_url", lambda _: url)
    with pytest.raises(EncoderUnavailable) as raised:
        load_encoder("vgg19")
    assert_names_three_ways_out(str(raised.value), url, hub / "vgg19-dcbb9e9d.pth")


BAD_ANSWERS = {
    "not found": b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "other bytes": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "cut short": b"HTTP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\nhello",
    "cut short in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5000\r\nhe"
    ),
    "no answer": b"",
    "no HTTP": b"220 mail.example.org ESMTP\r\n",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_download_that_fails_gives_three_ways_out_and_leaves_no_file(
    answer: bytes, hub: Path, serve: Callable[[str, bytes], None]
) -> None:
    serve("vgg19-dcbb9e9d.pth", answer)
    with pytest.raises(EncoderUnavailable) as raised:
        load_encoder("vgg19")
    assert_names_three_ways_out(
        str(raised.value), "/vgg19-dcbb9e9d.pth", hub / "vgg19-dcbb9e9d.pth"
    )
    assert list(hub.iterdir()) == []


def test_a_download_is_kept_in_the_cache(
    hub: Path, vgg_files: dict[str, Path], serve: Callable[[str, bytes], None]
) -> None:
    content = vgg_files["vgg16.pth"].read_bytes()
    name = f"vgg16-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    header = f"HTTP/1.0 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    serve(name, header + content)
    assert load_encoder("vgg16").sha256 == hashlib.sha256(content).hexdigest()
    assert sha256(hub / name) == hashlib.sha256(content).hexdigest()
    (hub / name).unlink()
