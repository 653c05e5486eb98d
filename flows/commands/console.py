"""What commands say, and the exit statuses with which they end."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn

import typer
from rich.console import Console

from flows.wording import printable
from manifests.errors import ManifestError, few_of_each_kind

# Rich leaves bold and italic in, which are escapes like colours.
_COLORS = None if os.environ.get("NO_COLOR") else "auto"
out_console = Console(color_system=_COLORS)
error_console = Console(stderr=True, color_system=_COLORS)

SOME_FAILED = 1
WRONG_USE = 2
# Of gramflow itself, as EX_SOFTWARE in sysexits.h.
DEFECT = 70
INTERRUPTED = 130
_PROBLEMS_SHOWN = 20


_tracebacks: ContextVar[bool] = ContextVar("gramflow_tracebacks", default=False)


def show_tracebacks(wanted: bool) -> None:
    """Whether errors say, before their sentence, where in gramflow they come from."""
    _tracebacks.set(wanted)


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Errors end the command with a sentence and the right exit status, without a traceback.

    One that nobody foresaw is a defect of gramflow, and is called so.
    """
    try:
        with _one_sentence_of_known_errors():
            yield
    except (typer.Abort, typer.Exit):
        raise
    except Exception as error:  # whatever it is, a traceback is for those who ask for it
        said = " ".join("".join(traceback.format_exception_only(error)).split())
        complain(f"this is a defect in gramflow: {said}; `gramflow --debug …` shows where", DEFECT)


@contextmanager
def _one_sentence_of_known_errors() -> Iterator[None]:
    from flows.server import ServerError
    from manifests.images import UnusableImage
    from manifests.ledger import LedgerError

    try:
        yield
    except ManifestError as error:
        lines = few_of_each_kind(error.problems, _PROBLEMS_SHOWN)
        if len(lines) < len(error.problems):
            lines.append("`gramflow validate` shows all of them")
        complain("\n".join(lines), WRONG_USE)
    except (UnusableImage, LedgerError, ServerError, ValueError) as error:
        complain(str(error), WRONG_USE)
    except OSError as error:
        complain(_what_the_system_refused(error), WRONG_USE)
    except KeyboardInterrupt:
        complain("interrupted; what is finished is kept, run again to go on", INTERRUPTED)
    except RuntimeError as error:
        known = ("EncoderUnavailable", "DeviceLost", "NoGpuSlots", "WorkersError")
        if type(error).__name__ not in known:
            raise
        complain(str(error), WRONG_USE)


def _what_the_system_refused(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    kept = "what is finished is kept, mend this and run again to go on"
    return f"{where}{error.strerror or error}; {kept}"


def say(line: str) -> None:
    out_console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


def complain(message: str, status: int) -> NoReturn:
    """Say what is wrong, and end with that exit status; call it while the error is handled."""
    if _tracebacks.get() and sys.exc_info()[1] is not None:
        for line in traceback.format_exc().splitlines():
            print(printable(line), file=sys.stderr)
    for line in message.splitlines():
        error_console.print(
            f"error: {printable(line)}",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    sys.exit(status)
