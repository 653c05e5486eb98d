"""Jobs whose work is next to nothing, so that what surrounds it can be measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from PIL import Image

STYLIZE = {"encoder": "random", "size": 32, "override": {"scales": [[1.0, 2]]}}
STYLES = 3


@contextmanager
def tiny_job(photographs: int, **settings: Any) -> Iterator[Path]:
    """The manifest of so many photographs of 32 x 24 px, one style each; no other variants."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        (folder / "styles").mkdir()
        for index in range(photographs):
            add_photograph(folder, index)
        for index in range(STYLES):
            noise(index, 32, 32).save(folder / "styles" / f"{index}.png")
        described = {
            "version": 1,
            "name": "tiny",
            "content": [{"path": "photos"}],
            "styles": [{"path": "styles"}],
            "stylize": STYLIZE,
            "augment": {"include_original": False},
            "output": {"path": "out"},
            **settings,
        }
        (folder / "tiny.yaml").write_text(yaml.safe_dump(described))
        yield folder / "tiny.yaml"


def add_photograph(folder: Path, index: int) -> None:
    noise(STYLES + index, 32, 24).save(folder / "photos" / f"{index:06d}.png")


def noise(seed: int, width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)
