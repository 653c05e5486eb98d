"""Figures of operations: what a run costs beside the work itself.

usage: python -m tests.bench.operations [start] [loop] [resume] [workers] [scale]
"""

from __future__ import annotations

import subprocess
import sys

PARTS = {
    "start": "tests.bench.start_of_runs",
    "loop": "tests.bench.orchestration",
    "resume": "tests.bench.resuming",
    "workers": "tests.bench.runners",
    "scale": "tests.bench.unit_costs",
}


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        subprocess.run([sys.executable, "-m", PARTS[part]], check=True)


if __name__ == "__main__":
    main()
