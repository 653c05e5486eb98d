"""Figures of operations: how long `gramflow run` takes where there is nothing, or one image, to do.

usage: python -m tests.bench.start_of_runs [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tests.bench.tiny import add_photograph, tiny_job

PHOTOGRAPHS = 50
_POLL_S = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    os.environ.pop("PREFECT_API_URL", None)
    with tiny_job(PHOTOGRAPHS) as manifest:
        started(manifest).communicate()
        nothing_to_do_s = [seconds_of_a_run(manifest) for _ in range(rounds)]
        first_image_s = [seconds_to_a_new_image(manifest, number) for number in range(rounds)]
    figures = {
        "`gramflow run` with nothing to do, start to end": nothing_to_do_s,
        "start to the image of one new photograph": first_image_s,
    }
    for name, seconds in figures.items():
        print(json.dumps({name: f"{median(seconds):.1f} s", "all": [round(s, 1) for s in seconds]}))


def seconds_of_a_run(manifest: Path) -> float:
    began_s = time.monotonic()
    process = started(manifest)
    process.communicate()
    assert process.returncode == 0
    return time.monotonic() - began_s


def seconds_to_a_new_image(manifest: Path, number: int) -> float:
    add_photograph(manifest.parent, PHOTOGRAPHS + number)
    made = manifest.parent / "out" / "train"
    before = len(list(made.glob("*.jpg")))
    began_s = time.monotonic()
    process = started(manifest)
    while len(list(made.glob("*.jpg"))) == before:
        assert process.poll() is None
        time.sleep(_POLL_S)
    seconds = time.monotonic() - began_s
    process.communicate()
    assert process.returncode == 0
    return seconds


def started(manifest: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows", "run", str(manifest)], stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
