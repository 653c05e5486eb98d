"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.stores import Server

# How long an example takes is the machine's affair; what hangs meets pytest's own limit.
settings.register_profile("gramflow", deadline=None)
settings.load_profile("gramflow")

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

_SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of photographs, styles and teacher weights beside the checkout."""
    if not _SHARED.is_dir():
        pytest.skip(f"needs the photographs in {_SHARED.name}/ beside the checkout")
    return _SHARED


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the bucket of `tests.stores.s3_folder`."""
    from tests.stores import s3_server

    with s3_server(tmp_path_factory.mktemp("cache")) as server:
        yield server
