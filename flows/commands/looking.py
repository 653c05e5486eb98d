"""Commands that look at what is going on: status."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.commands.console import one_sentence_errors, say, say_json
from flows.commands.options import given


def status(
    out: Annotated[
        str, typer.Argument(callback=given, help="The output folder of a run, or its URL.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """How far the run in an output folder is, from any terminal; or what the last one came to."""
    with one_sentence_errors():
        from flows.status import lines_of, status_of
        from manifests.storage import whole_place

        found = status_of(whole_place(out))
        if as_json:
            say_json(asdict(found))
            return
        for line in lines_of(found):
            say(line)
