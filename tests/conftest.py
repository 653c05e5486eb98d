"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

_SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of photographs, styles and teacher weights beside the checkout."""
    if not _SHARED.is_dir():
        pytest.skip(f"needs the photographs in {_SHARED.name}/ beside the checkout")
    return _SHARED
