"""The command that prints the manifest's JSON Schema."""

from __future__ import annotations

import sys


def schema() -> None:
    """Print the manifest's JSON Schema, with which editors complete and check manifests."""
    from manifests.json_schema import schema_text

    sys.stdout.write(schema_text())
