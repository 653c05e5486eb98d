"""The file that tells of a run: true whatever the run's names and errors are, read with care."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.progress import Waiting
from flows.run_file import kept_in_file, read_record
from flows.standing import Reckoning
from flows.status import lines_of, status_of
from manifests.ledger import Ledger


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder with a ledger, so that it is one even without the file."""
    ledger = Ledger(tmp_path)
    ledger.folder.mkdir(parents=True)
    (ledger.folder / "000000-abc.jsonl").write_text(
        json.dumps({"format": 1, "done": [], "failed": [], "left_out": []}) + "\n"
    )
    return tmp_path


def test_an_error_that_is_no_text_is_still_the_runs_error(out: Path) -> None:
    with (
        pytest.raises(ValueError, match="no picture"),
        kept_in_file(out, "a", "threads", Reckoning()),
    ):
        raise ValueError("photos/\udcff.png: no picture")
    record = read_record(out)
    assert record is not None
    assert record.outcome is not None
    assert record.outcome.why == "photos/\\udcff.png: no picture"


def test_what_is_waited_for_may_have_a_name_that_is_no_text(out: Path) -> None:
    reckoning = Reckoning()
    reckoning.tell(Waiting("/data/\udcff: another run writes there"))
    with kept_in_file(out, "a", "threads", reckoning):
        pass
    record = read_record(out)
    assert record is not None
    assert record.standing.waiting_for == "/data/\\udcff: another run writes there"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("owner", "since_s"), 1e300),
        (("owner", "heard_s"), -1e300),
        (("owner", "heard_s"), float("nan")),
        (("standing", "left_s"), float("nan")),
        (("standing", "left_s"), float("inf")),
        (("standing", "time_share"), {"decode": float("inf")}),
    ],
)
def test_a_file_of_impossible_numbers_is_none(
    out: Path, where: tuple[str, str], value: Any
) -> None:
    with kept_in_file(out, "a", "threads", Reckoning()):
        pass
    file = out / ".gramflow" / "progress.json"
    told = json.loads(file.read_text())
    told[where[0]][where[1]] = value
    file.write_text(json.dumps(told))
    assert read_record(out) is None
    assert list(lines_of(status_of(out))) == [f"no dataset yet → {out}", "0 images on record"]
