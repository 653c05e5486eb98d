"""`python -m tests.fuzz` keeps what hangs and what ends its process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import __main__ as program


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import time; time.sleep(60)", "hangs"),
        ("import os; os.abort()", "ended the process with status -6"),
    ],
)
def test_an_input_that_never_ends_or_ends_all_is_kept(
    code: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_HANGS_AFTER_S", 1.0)
    for name, text in (("current", "7"), ("input", "bytes"), ("target", "image: png")):
        (tmp_path / name).write_text(text)
    findings = tmp_path / "findings"
    findings.mkdir()
    worker = subprocess.Popen([sys.executable, "-c", code])
    used = program._watched(worker, tmp_path / "current", time.monotonic() + 30, findings)
    worker.kill()
    worker.wait()
    assert used.total() == 7
    assert (findings / "000-image_png.why").read_text().strip() == why
    assert (findings / "000-image_png.input").read_bytes() == b"bytes"
