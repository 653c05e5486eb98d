"""`python -m flows` is `gramflow`."""

import logging
import os
import sys

from flows.commands.stopping import end_at_once_on_signals


def main() -> None:
    """The command line, which signals end without a traceback from its first moment on."""
    end_at_once_on_signals()
    # Else Prefect prints a line for each batch of log records that a server which is gone misses.
    logging.raiseExceptions = False
    # Imported late: it takes a while, and signals may come meanwhile.
    from flows.cli import app

    try:
        app(prog_name="gramflow")
    except SystemExit as ended:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # Prefect would wait at the interpreter's end for a server that may be gone.
        os._exit(ended.code if isinstance(ended.code, int) else 1)


if __name__ == "__main__":
    main()
