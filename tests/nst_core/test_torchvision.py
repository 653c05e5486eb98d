"""What is said where torch and torchvision do not fit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "error",
    [
        'RuntimeError("operator torchvision::nms does not exist")',
        'ImportError("libtorch.so: undefined symbol")',
    ],
)
def test_a_torchvision_that_does_not_fit_is_one_line_with_the_cure(
    error: str, tmp_path: Path
) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(f"raise {error}\n")
    program = (
        "from nst_core import EncoderUnavailable, load_encoder\n"
        "try:\n    load_encoder('vgg19')\nexcept EncoderUnavailable as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TORCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    assert error.split('"')[1] in line
    assert "pip install --force-reinstall torch torchvision" in line
