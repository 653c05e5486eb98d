"""The command that prints the manifest's JSON Schema."""

from __future__ import annotations

import sys

from flows.commands.console import one_sentence_errors, standard_output


def schema() -> None:
    """Print the manifest's JSON Schema, with which editors complete and check manifests."""
    with one_sentence_errors():
        from manifests.json_schema import schema_text

        with standard_output():
            sys.stdout.write(schema_text())
