"""One process at a time writes into an output folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manifests.ledger import LedgerError

if os.name != "nt":
    import fcntl


class OutputInUse(LedgerError):
    """Another process writes into the folder; the message names it."""


@contextmanager
def in_use(out: Path) -> Iterator[None]:
    """Keep others from writing into the dataset in `out` during the block.

    The system lets go of it when this process ends, however it ends. On Windows nobody is kept.

    Raises:
        OutputInUse: another run or export does so now.
    """
    file = out / ".gramflow" / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as lock:
        if os.name != "nt":
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputInUse(
                    f"{out}: another run or export writes there; wait until it is done, or stop it"
                ) from None
        yield
