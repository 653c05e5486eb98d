"""The command line: `gramflow --help`."""

from __future__ import annotations

import typer

from flows.commands.care import prune, replay, report, verify
from flows.commands.datasets import demo, export, plan, preview, run, validate
from flows.commands.jobs import deploy, serve, trigger, watch
from flows.commands.pictures import folder, stylize
from flows.commands.schema import schema

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Augmented training datasets by neural style transfer: from a YAML manifest to a folder.",
)
for command in (
    *(preview, run, plan, validate, export, stylize, folder, demo, schema),
    *(report, verify, replay, prune),
    *(serve, deploy, trigger, watch),
):
    app.command()(command)
