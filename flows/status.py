"""How things stand in an output folder: whether a run has it, how far that is, what is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from flows.report import REPORT
from flows.run_file import Outcome, RunRecord, read_record
from flows.standing import Phase, Standing
from flows.telling import doing, facts_of, stages_of
from flows.wording import counted, duration
from manifests.exporters.finished import FinishedDataset, read_finished
from manifests.in_use import who_has
from manifests.ledger import Ledger
from manifests.storage import Place
from manifests.stores import is_there, names_in

State = Literal[Phase, "starting", "finished", "stopped", "failed", "gone", "idle"]
_TO_GO_ON = "give its command again to go on"


@dataclass(frozen=True)
class Status:
    """What is known of an output folder.

    Attributes:
        state: the run's phase, or how it ended; starting, if a process has the folder and has told
            nothing of itself yet; gone, if its process ended without a word; idle,
            if no run has told of itself here, as those of older versions did not.
        name: of the manifest.
        runner, host, pid: of the run.
        started_s, heard_s: when it began, and when it last told of itself; Unix time.
        standing: as it then was.
        outcome: what it came to; of an idle folder, the dataset that there is.
        on_record: images that the ledger of an idle folder has.
        report: file or URL, where there is one.
    """

    out: str
    state: State
    name: str | None = None
    runner: str | None = None
    host: str | None = None
    pid: int | None = None
    started_s: float | None = None
    heard_s: float | None = None
    standing: Standing | None = None
    outcome: Outcome | None = None
    on_record: int | None = None
    report: str | None = None


def status_of(out: Place) -> Status:
    """Look at an output folder; nothing is written.

    Raises:
        ValueError: no run has written there.
        LedgerError: a record of its ledger cannot be read.
        OSError: a disk or a store refuses.
    """
    record = read_record(out)
    if record is None:
        return _idle(out)
    return Status(
        out=str(out),
        state=_state_of(record),
        name=record.name,
        runner=record.runner,
        host=record.owner.host,
        pid=record.owner.pid,
        started_s=record.owner.since_s,
        heard_s=record.owner.heard_s,
        standing=record.standing,
        outcome=record.outcome,
        report=_report(out),
    )


def lines_of(status: Status) -> Iterator[str]:
    """The same in a few lines of text."""
    yield f"{status.name or 'no dataset yet'} → {status.out}"
    if status.state == "starting":
        yield f"a run is starting (process {status.pid} on {status.host})"
        return
    if status.standing is None:
        yield from _lines_of_idle(status)
        return
    assert status.started_s is not None
    assert status.heard_s is not None
    since, until = _clock(status.started_s), _clock(status.heard_s)
    standing = status.standing
    if status.outcome is not None:
        yield from _lines_of_outcome(status.outcome, until)
    elif status.state == "gone":
        reached = _reached(standing) if standing.to_do else "before it made anything"
        yield (
            f"the run that wrote this is gone: started {since}, last heard of {until}, {reached}; "
            f"{_TO_GO_ON}"
        )
    else:
        took = duration(time.time() - status.started_s)
        who = f"process {status.pid} on {status.host}, {status.runner}"
        yield f"running since {since} ({took}; {who})"
        yield from _lines_of_running(standing)
    if status.report is not None:
        yield f"report: {status.report}"


def _state_of(record: RunRecord) -> State:
    if record.outcome is not None:
        return record.outcome.end
    return "gone" if record.owner.is_dead() else record.standing.phase


def _idle(out: Place) -> Status:
    dataset = read_finished(out) if is_there(out / "dataset.json") else None
    if dataset is None and not names_in(out / ".gramflow" / "ledger"):
        if owner := who_has(out):
            return Status(
                str(out), "starting", host=owner.host, pid=owner.pid, started_s=owner.since_s
            )
        raise ValueError(
            f"{out}: no run has written here; expected the output folder of one, `output.path` in "
            "its manifest"
        )
    return Status(
        out=str(out),
        state="idle",
        name=None if dataset is None else dataset.name,
        outcome=None if dataset is None else _outcome_of(dataset),
        on_record=len(Ledger(out).ids().done),
        report=_report(out),
    )


def _outcome_of(dataset: FinishedDataset) -> Outcome:
    images, failures = (int(dataset.about.get(name, 0)) for name in ("images", "failures"))
    return Outcome("finished", dataset=images, failures=failures)


def _report(out: Place) -> str | None:
    report = out / REPORT
    return str(report) if is_there(report) else None


def _lines_of_idle(status: Status) -> Iterator[str]:
    assert status.on_record is not None
    if status.outcome is not None:
        yield f"no run has it; {_dataset(status.outcome)}"
    yield f"{counted(status.on_record, 'image')} on record"
    if status.report is not None:
        yield f"report: {status.report}"


def _lines_of_outcome(outcome: Outcome, when: str) -> Iterator[str]:
    if outcome.end == "failed":
        yield f"broke off {when}: {outcome.why}"
        yield f"what is finished is kept; {_TO_GO_ON}"
    elif outcome.end == "stopped":
        yield f"stopped {when}, {counted(outcome.left, 'image')} left; {_TO_GO_ON}"
    else:
        yield f"finished {when}, {_dataset(outcome)}"
        if outcome.left:
            yield f"{counted(outcome.left, 'image')} left; {_TO_GO_ON}"


def _lines_of_running(standing: Standing) -> Iterator[str]:
    if standing.phase != "making":
        yield doing(standing)
        return
    chunks = f"chunk {standing.chunks:,} of {standing.chunks_to_do:,}"
    yield " · ".join((_reached(standing), chunks, *facts_of(standing)))
    yield from stages_of(standing)


def _reached(standing: Standing) -> str:
    return f"{standing.settled:,} of {counted(standing.to_do, 'image')}"


def _dataset(outcome: Outcome) -> str:
    images = f"{counted(outcome.dataset, 'image')} in the dataset"
    return f"{images}, {counted(outcome.failures, 'file')} failed"


def _clock(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))
