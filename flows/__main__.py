"""`python -m flows` is `gramflow`."""

from flows.cli import app

app(prog_name="gramflow")
