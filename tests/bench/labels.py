"""Figures of labels: reading them, varying images that have them, exporting them.

usage: python -m tests.bench.labels [read] [vary] [export]
"""

from __future__ import annotations

import subprocess
import sys

PARTS = {
    "read": "tests.bench.label_reading",
    "vary": "tests.bench.label_variants",
    "export": "tests.bench.label_exports",
}


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        subprocess.run([sys.executable, "-m", PARTS[part]], check=True)


if __name__ == "__main__":
    main()
