"""Goes on damaging inputs for as long as is asked: what breaks or hangs is kept in a folder.

Inputs are used in a process of their own, so that one that brings it down, or never comes back
from C code, is a finding like any other.

usage: python -m tests.fuzz SECONDS [TARGET...]    a target is meant by a part of its name
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import Target, prepare, targets

_HANGS_AFTER_S = 10.0
_POLL_S = 0.2
_EXAMPLES_A_ROUND = 100
_STARTS_WITHIN_S = 60.0


def main(seconds: float, names: list[str]) -> int:
    """Exit status: 1 where something was found."""
    findings = Path(tempfile.mkdtemp(prefix="gramflow-fuzz-"))
    ends_s = time.monotonic() + seconds
    used: Counter[str] = Counter()
    while time.monotonic() < ends_s:
        with _worker(findings, names) as (worker, current):
            used += _watched(worker, current, ends_s, findings)
    found = sorted(findings.glob("*.why"))
    print(f"{used.total()} inputs in {seconds:g} s, {len(found)} findings")
    if not found:
        shutil.rmtree(findings)
        return 0
    for why in found:
        print(f"{why}: {why.read_text().strip().splitlines()[-1]}")
    return 1


@contextlib.contextmanager
def _worker(findings: Path, names: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process that uses inputs, and the file that names the one it is at."""
    with tempfile.TemporaryDirectory(prefix="gramflow-fuzz-") as folder:
        current = Path(folder, "current")
        command = [sys.executable, "-m", "tests.fuzz", "--worker", str(findings), folder, *names]
        with open(findings / "stderr", "ab") as errors:
            worker = subprocess.Popen(command, stderr=errors)
        try:
            yield worker, current
        finally:
            worker.kill()
            worker.wait()


def _watched(
    worker: subprocess.Popen[bytes], current: Path, ends_s: float, findings: Path
) -> Counter[str]:
    """Until the end, or until the worker ends or hangs; how many inputs it was at."""
    at, since_s, allowed_s = "0", time.monotonic(), _STARTS_WITHIN_S
    while time.monotonic() < ends_s:
        ended = worker.poll()
        now = current.read_text() if current.exists() else at
        if now != at:
            at, since_s, allowed_s = now, time.monotonic(), _HANGS_AFTER_S
        if ended is not None or time.monotonic() - since_s > allowed_s:
            how = "hangs" if ended is None else f"ended the process with status {ended}"
            _keep(findings, current.with_name("input"), current.with_name("target"), how)
            break
        time.sleep(_POLL_S)
    return Counter(inputs=int(at.partition(" ")[0] or 0))


def _keep(findings: Path, data: Path, target: Path, why: str) -> None:
    name = target.read_text() if target.exists() else "start"
    name = name.replace(" ", "_").replace(":", "").replace("/", "_")
    number = len(list(findings.glob("*.why")))
    (findings / f"{number:03d}-{name}.why").write_text(why + "\n")
    if data.exists():
        (findings / f"{number:03d}-{name}.input").write_bytes(data.read_bytes())


def work(findings: Path, folder: Path, names: list[str]) -> None:
    """Use inputs of one target after the other, without end; what raises is kept once."""
    warnings.simplefilter("ignore")
    (folder / "files").mkdir()
    prepare(folder / "files")
    chosen = [one for one in targets() if not names or any(name in one.name for name in names)]
    count = 0
    known: set[str] = set()

    def use(target: Target, data: bytes) -> None:
        nonlocal count
        count += 1
        (folder / "input").write_bytes(data)
        (folder / "target").write_text(target.name)
        _replace(folder / "current", str(count))
        try:
            target.used(folder / "files", data)
        except Exception as error:  # whatever it is, it is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{target.name} {type(error).__name__} {place.filename}:{place.lineno}"
            if kind not in known:
                known.add(kind)
                _keep(findings, folder / "input", folder / "target", traceback.format_exc())

    while True:
        for target in chosen:
            _round(target, use)


def _round(target: Target, use: object) -> None:
    @seed(random.SystemRandom().getrandbits(64))
    @settings(
        max_examples=_EXAMPLES_A_ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def of_target(data: bytes) -> None:
        use(target, data)

    of_target()


def _replace(file: Path, text: str) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, file)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
