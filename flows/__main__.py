"""`python -m flows` is `gramflow`."""

import io
import logging
import os
import sys
from contextlib import suppress

from flows.commands.stopping import end_at_once_on_signals

# Of a process that nobody reads from any more, as shells have it for SIGPIPE.
_NOBODY_READS = 128 + 13
_WRONG_USE = 2


def main() -> None:
    """The command line, which signals end without a traceback from its first moment on."""
    end_at_once_on_signals()
    _have_output_that_takes_any_text()
    # Else Prefect prints a line for each batch of log records that a server which is gone misses.
    logging.raiseExceptions = False
    # Imported late: it takes a while, and signals may come meanwhile.
    from flows.cli import app

    try:
        app(_debug_first(sys.argv[1:]), prog_name="gramflow")
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
        # Prefect would wait at the interpreter's end for a server that may be gone.
        os._exit(_flushed(status))


def _debug_first(arguments: list[str]) -> list[str]:
    """An error shows when the command is written already: --debug may be put behind it, too."""
    others = [one for one in arguments if one != "--debug"]
    return others if others == arguments else ["--debug", *others]


def _have_output_that_takes_any_text() -> None:
    """Characters that a terminal's encoding lacks are escaped; a closed stream swallows all."""
    sys.stdout, sys.stderr = (
        stream or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
        for stream in (sys.stdout, sys.stderr)
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flushed(status: int) -> int:
    """Exit status when all that was said is where it goes to."""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BrokenPipeError:
        return status or _NOBODY_READS
    except OSError as error:
        if status != _WRONG_USE:  # which says it already
            with suppress(OSError):
                os.write(2, f"error: standard output: {error.strerror}\n".encode())
        return _WRONG_USE
    return status


if __name__ == "__main__":
    main()
