"""What commands say, and the exit statuses with which they end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console

from flows.terminal import printable
from manifests.errors import ManifestError, few_of_each_kind

out_console = Console()
error_console = Console(stderr=True)

SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
_PROBLEMS_SHOWN = 20


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Errors that are the user's to mend, without a traceback and with the right exit status."""
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
        if type(error).__name__ not in ("EncoderUnavailable", "DeviceLost"):
            raise
        complain(str(error), WRONG_USE)


def _what_the_system_refused(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    kept = "what is finished is kept, mend this and run again to go on"
    return f"{where}{error.strerror or error}; {kept}"


def say(line: str) -> None:
    out_console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


def complain(message: str, status: int) -> NoReturn:
    for line in message.splitlines():
        error_console.print(
            f"error: {printable(line)}",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    sys.exit(status)
