"""Fixtures of the room: the encoder that needs no download."""

from collections.abc import Iterator

import pytest
import torch

from nst_core.encoder import Encoder
from nst_core.loading import load_encoder
from nst_core.sight import Sight


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """On images this small threads wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder sees whole batches, as on a GPU."""
    monkeypatch.setattr(Sight, "together", lambda self, count: [slice(None)])


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder("random")
