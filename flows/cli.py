"""The command line: `gramflow --help`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flows.commands.care import prune, replay, report, verify
from flows.commands.console import show_tracebacks
from flows.commands.datasets import demo, export, plan, preview, run, validate
from flows.commands.jobs import deploy, serve, trigger, watch
from flows.commands.looking import status
from flows.commands.pictures import folder, stylize
from flows.commands.schema import schema

app = typer.Typer(
    no_args_is_help=True,
    # Rich leaves escapes in for what is bold.
    rich_markup_mode=None if os.environ.get("NO_COLOR") else "rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def gramflow(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in gramflow an error comes from.")
    ] = False,
) -> None:
    """Augmented training datasets by neural style transfer: from a YAML manifest to a folder."""
    show_tracebacks(debug)


for command in (
    *(preview, run, plan, validate, export, stylize, folder, demo, schema),
    *(status, report, verify, replay, prune),
    *(serve, deploy, trigger, watch),
):
    app.command()(command)
