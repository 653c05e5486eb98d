"""What nobody needs any more goes; what gramflow did not write stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from manifests.exporters.finished import read_finished
from manifests.in_use import in_use
from manifests.pruning import prunable
from manifests.verification import Seen, verify
from tests.flows.conftest import JobFolder
from tests.flows.processes import finished

FIRST_PLAN, SECOND_PLAN = {"turn": 15}, {"turn": 5}
# Named as gramflow's files are.
LIKE_OURS = "train/cat/photo0-stylized-aaaabbbbcccc.jpg"


def _write(job: JobFolder, limits: dict[str, int]) -> None:
    recipes = {name: [{"Rotate": {"limit": limit, "p": 1.0}}] for name, limit in limits.items()}
    job.write(augment={"recipes": recipes})


@pytest.fixture
def out(job: JobFolder) -> Path:
    """A dataset whose recipe changed once, so that the files of 12 variants are set aside."""
    _write(job, FIRST_PLAN)
    job.run()
    _write(job, SECOND_PLAN)
    assert job.run().set_aside == 12
    return job.out


def aside(out: Path) -> list[Path]:
    return sorted(f for f in (out / ".gramflow" / "set_aside").rglob("*") if f.is_file())


def everything(out: Path) -> dict[Path, bytes]:
    """But the lock, which says who had it last."""
    files = (file for file in out.rglob("*") if file.is_file() and file.name != "lock")
    return {file: file.read_bytes() for file in files}


def test_set_aside_files_and_leftovers_go_and_all_else_stays(out: Path) -> None:
    leftovers = [
        out / ".gramflow" / "tmp" / "12-0123456789abcdef",
        out / ".gramflow" / "styles" / "12-0123456789abcdef.tmp",
        out.with_name("out.yolo") / ".tmp" / "12-0123456789abcdef",
    ]
    theirs = [
        out / "notes.txt",
        out / "train" / "cat" / "holiday.jpg",
        out / LIKE_OURS,
        out / ".gramflow" / "set_aside" / LIKE_OURS,
        out / ".gramflow" / "set_aside" / "notes.txt",
        out / ".gramflow" / "tmp" / "keep.me",
    ]
    edited = aside(out)[0]
    for file in (*leftovers, *theirs, edited):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("bytes of mine")
    ours = [file for file in aside(out) if file.stat().st_size > 20]
    assert len(ours) == 11
    before = everything(out.parent)

    status, output = finished("prune", out)
    assert status == 0, output
    assert "nothing removed; --yes removes 14 files" in output
    assert all(str(file) in output for file in (*leftovers, *ours))
    assert f"{edited}: stays, for nothing shows that gramflow wrote these bytes" in output
    assert everything(out.parent) == before

    status, output = finished("prune", out, "--yes")
    assert status == 0, output
    assert "removed 14 files" in output
    gone = before.keys() - everything(out.parent).keys()
    assert gone == {*ours, *leftovers}
    assert all(file.read_text() == "bytes of mine" for file in (*theirs, edited))


def test_a_dataset_is_whole_after_it_and_empty_folders_are_gone(job: JobFolder, out: Path) -> None:
    status, output = finished("prune", out, "--yes")
    assert status == 0, output
    assert not (out / ".gramflow" / "set_aside").exists()
    assert list(verify(read_finished(out), Seen())) == []
    status, output = finished("prune", out, "--yes")
    assert (status, output) == (0, "nothing to remove\n")
    _write(job, FIRST_PLAN)
    assert job.run().made == 12, "what was removed can be made again"


def test_links_are_not_followed(out: Path, tmp_path: Path) -> None:
    first, second = aside(out)[:2]
    precious = tmp_path / "precious.jpg"
    shutil.move(first, precious)
    first.symlink_to(precious)
    shutil.rmtree(second.parent.parent / "dog", ignore_errors=True)
    (second.parent.parent / "dog").symlink_to(tmp_path)
    assert first in prunable(out).kept
    finished("prune", out, "--yes")
    assert precious.exists()
    assert first.is_symlink()


def test_nothing_goes_while_a_run_writes(out: Path) -> None:
    with in_use(out):
        status, output = finished("prune", out, "--yes")
    assert status == 2
    assert "another run or export writes there" in output
    assert len(aside(out)) == 12


def test_another_folder_is_wrong_use(tmp_path: Path) -> None:
    status, output = finished("prune", tmp_path)
    assert status == 2
    assert f"{tmp_path}: expected the output folder of a run" in output
