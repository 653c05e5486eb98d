"""What commands say, and the exit statuses with which they end."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from flows.wording import printable
from manifests.errors import ManifestError, few_of_each_kind


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end whatever thread writes; whose command it is has to say what becomes."""
        raise  # the error that is being handled


# Rich leaves bold and italic in, which are escapes like colours.
_COLORS: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
out_console = _Console(color_system=_COLORS)
error_console = _Console(stderr=True, color_system=_COLORS)

SOME_FAILED = 1
WRONG_USE = 2
# Of gramflow itself, as EX_SOFTWARE in sysexits.h.
DEFECT = 70
INTERRUPTED = 130
NOBODY_READS = 141
_PROBLEMS_SHOWN = 20


_tracebacks: ContextVar[bool] = ContextVar("gramflow_tracebacks", default=False)


def show_tracebacks(wanted: bool) -> None:
    """Whether errors say, before their sentence, where in gramflow they come from."""
    _tracebacks.set(wanted)


@contextmanager
def one_sentence_errors(goes_on: bool = False) -> Iterator[None]:
    """Errors end the command with a sentence and the right exit status, without a traceback.

    One that nobody foresaw is a defect of gramflow, and is called so.

    Args:
        goes_on: that the command, given again, goes on where it was, which the sentence then says.
    """
    try:
        with _one_sentence_of_known_errors(goes_on):
            yield
    except (typer.Abort, typer.Exit):
        raise
    except Exception as error:
        # All that is foreseen has ended above: what comes here is a defect, of whatever class.
        said = " ".join("".join(traceback.format_exception_only(error)).split())
        complain(f"this is a defect in gramflow: {said}; `gramflow --debug …` shows where", DEFECT)


@contextmanager
def _one_sentence_of_known_errors(goes_on: bool) -> Iterator[None]:
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
        kept = "; what is finished is kept, mend this and run again to go on" if goes_on else ""
        complain(f"{_what_the_system_refused(error)}{kept}", WRONG_USE)
    except KeyboardInterrupt:
        kept = "; what is finished is kept, run again to go on" if goes_on else ""
        complain(f"interrupted{kept}", INTERRUPTED)
    except RuntimeError as error:
        known = ("EncoderUnavailable", "DeviceLost", "NoGpuSlots", "WorkersError")
        if type(error).__name__ not in known:
            raise
        complain(str(error), WRONG_USE)


def _what_the_system_refused(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


@contextmanager
def standard_output() -> Iterator[None]:
    """What is written there in the block; a pipe that nobody reads any more ends the command."""
    try:
        yield
    except BrokenPipeError:
        sys.exit(NOBODY_READS)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def say(line: str) -> None:
    """A line for people."""
    with standard_output():
        out_console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


def say_table(table: Table) -> None:
    """A table for people."""
    with standard_output():
        out_console.print(table)


def say_json(value: Any) -> None:
    """A line for machines; in ASCII where standard output is not UTF-8."""
    is_utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    with standard_output():
        print(json.dumps(value, ensure_ascii=not is_utf_8))


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
