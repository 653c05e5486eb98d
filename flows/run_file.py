"""OUT/.gramflow/progress.json: how the run that has OUT stands, for whoever asks meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from flows.progress import Stopped
from flows.repeated import repeated
from flows.standing import Reckoning, Standing
from flows.summary import Summary
from flows.wording import printable
from manifests.durable import write_whole
from manifests.in_use import OutputLost, Owner, check_is_there
from manifests.ledger import json_line
from manifests.storage import Place, is_in_store, local_folder
from manifests.stores import read_bytes

_ON_DISK_EVERY_S = 2.0
# A store is paid by the request.
_IN_STORE_EVERY_S = 10.0
_PATIENCE_S = 10.0
# The year 2286: what is later, no clock can show everywhere.
_LATEST_S = 1e10


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        why: it failed.
        dataset: images of the dataset as the run left it.
        left: images of the plan that it left to be made.
        failures: files of the dataset that could not be used.
    """

    end: Literal["finished", "stopped", "failed"]
    why: str = ""
    dataset: int = 0
    left: int = 0
    failures: int = 0


def _of_our_time(owner: Owner) -> Owner:
    if not all(0 <= at_s < _LATEST_S for at_s in (owner.since_s, owner.heard_s)):
        raise ValueError(f"expected seconds of the Unix epoch, got {owner}")
    return owner


@dataclass(frozen=True)
class RunRecord:
    """A run as its file has it.

    Attributes:
        name: the manifest's.
        owner: its process; since when it runs, and when it was last heard of.
        outcome: None while it has none.
    """

    name: str
    runner: str
    owner: Annotated[Owner, AfterValidator(_of_our_time)]
    standing: Standing
    outcome: Outcome | None = None
    format: Literal[1] = 1

    __pydantic_config__ = ConfigDict(allow_inf_nan=False)


def read_record(out: Place) -> RunRecord | None:
    """What the last run in OUT wrote; None where there is nothing, or of another version.

    Raises:
        OSError: a disk or a store refuses.
    """
    try:
        data = read_bytes(_file(out))
        return TypeAdapter(RunRecord).validate_json(data)
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


@contextmanager
def kept_in_file(
    out: Place, name: str, runner: str, reckoning: Reckoning
) -> Iterator[Callable[[Outcome], None]]:
    """Keep the file of a run up to date during the block, in which nobody else writes into OUT.

    A disk or a store that refuses is not told here: the run itself meets it.

    Yields:
        A function to call with what the run came to.
    """
    owner = Owner.here()
    outcomes: list[Outcome | None] = [None]

    def write() -> None:
        heard = replace(owner, heard_s=time.time())
        record = RunRecord(name, runner, heard, _plain(reckoning.standing()), outcomes[-1])
        with suppress(OSError, OutputLost):
            check_is_there(out)
            write_whole(_file(out), json_line(asdict(record)), local_folder(out) / "tmp")

    every_s = _IN_STORE_EVERY_S if is_in_store(out) else _ON_DISK_EVERY_S
    with repeated(write, every_s, _PATIENCE_S) as end:
        try:
            yield outcomes.append
        except OutputLost:  # the file is another run's by now, or elsewhere
            raise
        except BaseException as error:
            outcomes.append(_failure_of(error, reckoning.standing()))
            if end():
                write()
            raise
        if end():
            write()


def outcome_of(summary: Summary) -> Outcome:
    return Outcome(
        end="stopped" if summary.stopped else "finished",
        dataset=summary.dataset,
        left=summary.left,
        failures=len(summary.failures),
    )


def _failure_of(error: BaseException, standing: Standing) -> Outcome:
    left = standing.to_do - standing.settled
    # Imported late, for `status` does without Prefect, which raises it when a served run is ended.
    from prefect.exceptions import TerminationSignal

    if isinstance(error, (Stopped, TerminationSignal)):
        return Outcome("stopped", left=left)
    why = (str(error) or type(error).__name__).partition("\n")[0]
    return Outcome("failed", why=printable(why), left=left)


def _plain(standing: Standing) -> Standing:
    """Names of files, which it may speak of, need not be text."""
    return replace(standing, waiting_for=printable(standing.waiting_for))


def _file(out: Place) -> Place:
    return out / ".gramflow" / "progress.json"
