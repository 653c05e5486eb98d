"""One writer at a time: refused, waited for, taken over from the dead, displaced."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from manifests import in_use as lock
from manifests.durable import LeadsOut
from manifests.in_use import OutputInUse, OutputLost, Owner, check_is_there, in_use, who_has
from manifests.storage import Place, place
from manifests.stores import put
from tests.stores import Fault, Folder, Server, memory_folder, s3_folder

_HOLDER = """
import sys, time
from manifests.in_use import in_use
from manifests.storage import place
with in_use(place(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""
_CLAIMANT = """
import sys
from manifests.in_use import OutputInUse, in_use
from manifests.storage import place
from manifests.stores import check_store
out = place(sys.argv[1])
check_store(out)
print("ready", flush=True)
sys.stdin.readline()
try:
    with in_use(out):
        print("won", flush=True)
        sys.stdin.readline()
except OutputInUse as refused:
    print("refused", flush=True)
"""


@pytest.fixture(params=["disk", "memory", "s3"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return tmp_path / "out"
    if request.param == "memory":
        return place(memory_folder().file("out"))
    request.getfixturevalue("s3")
    return place(s3_folder().file("out"))


@pytest.fixture
def folder(s3: Server) -> Folder:
    return s3_folder()


def held_elsewhere(folder: Folder, **changes: Any) -> Owner:
    """An owner on another machine."""
    owner = replace(Owner.here(), machine="another", host="far", pid=7, **changes)
    put(json.dumps(asdict(owner)).encode(), _place(folder, 3))
    return owner


def _place(folder: Folder, generation: int) -> Any:
    return place(folder.file(f"out/.gramflow/lock/{generation:08d}.json"))


def process(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_second_is_told_of_the_first_and_has_it_afterwards(out: Place) -> None:
    with in_use(out), pytest.raises(OutputInUse) as refused, in_use(out):
        pass
    assert "another run or export writes there" in str(refused.value)
    assert f"(process {os.getpid()} on {platform.node()}, for 0 s)" in str(refused.value)
    for _ in range(2):
        with in_use(out) as check:
            check()


def test_who_has_it_is_told_until_he_leaves(out: Place) -> None:
    assert who_has(out) is None
    with in_use(out):
        owner = who_has(out)
        assert owner is not None
        assert owner.pid == os.getpid()
    assert who_has(out) is None
    with pytest.raises(KeyboardInterrupt), in_use(out):
        raise KeyboardInterrupt
    assert who_has(out) is None


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_what_a_killed_process_held_is_free_at_once(
    where: str, tmp_path: Path, folder: Folder
) -> None:
    out: Place = tmp_path / "out" if where == "disk" else place(folder.file("out"))
    holder = process(_HOLDER, out)
    assert heard(holder) == "held"
    with pytest.raises(OutputInUse, match=f"process {holder.pid} "), in_use(out):
        pass
    holder.kill()
    holder.communicate()
    with in_use(out):
        pass


def test_an_owner_far_away_is_dead_after_a_minute_of_silence(folder: Folder) -> None:
    out = place(folder.file("out"))
    held_elsewhere(folder, heard_s=time.time() - 50)
    with pytest.raises(OutputInUse, match="process 7 on far"), in_use(out):
        pass
    held_elsewhere(folder, heard_s=time.time() - 61)
    with in_use(out):
        assert folder.names("out/.gramflow/lock") == ["out/.gramflow/lock/00000004.json"]


def test_of_many_claimants_one_wins(folder: Folder) -> None:
    out = place(folder.file("out"))
    held_elsewhere(folder, heard_s=0.0)
    all_ready, all_done = threading.Barrier(8), threading.Barrier(8)

    def claim(_: int) -> bool:
        all_ready.wait(20)
        try:
            with in_use(out):
                all_done.wait(20)
                return True
        except OutputInUse:
            all_done.wait(20)
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_who_looked_long_ago_does_not_take_a_number_that_is_over(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_new = lock.put_new

    def late(data: bytes, file: Any) -> None:
        """Meanwhile others came, of whom the last is at work, and the numbers before went."""
        held_elsewhere(folder)
        put_new(data, file)

    monkeypatch.setattr(lock, "put_new", late)
    with pytest.raises(OutputInUse, match="process 7 on far"), in_use(place(folder.file("out"))):
        pass
    assert folder.names("out/.gramflow/lock") == ["out/.gramflow/lock/00000003.json"]


def test_of_processes_that_start_together_one_wins(folder: Folder) -> None:
    claimants = [process(_CLAIMANT, folder.file("out")) for _ in range(3)]
    assert [heard(claimant) for claimant in claimants] == ["ready"] * 3
    for claimant in claimants:
        assert claimant.stdin is not None
        print("go", file=claimant.stdin, flush=True)
    assert sorted(map(heard, claimants)) == ["refused", "refused", "won"]
    for claimant in claimants:
        claimant.communicate(timeout=60)


def test_an_owner_that_was_displaced_stops_and_says_so(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.1)
    out = place(folder.file("out"))
    stop = threading.Event()

    def be_displaced() -> None:
        with in_use(out, on_lost=stop.set):
            put(b"{}", _place(folder, 2))
            assert stop.wait(20)

    with pytest.raises(OutputLost, match="another run took over"):
        be_displaced()
    assert folder.names("out/.gramflow/lock")[-1] == "out/.gramflow/lock/00000002.json"


def test_a_check_sees_at_once_that_another_took_over(folder: Folder) -> None:
    seen = []

    def be_displaced() -> None:
        with in_use(place(folder.file("out"))) as check:
            check()
            put(b"{}", _place(folder, 2))
            seen.append("displaced")
            check()
            seen.append("unnoticed")

    with pytest.raises(OutputLost):
        be_displaced()
    assert seen == ["displaced"]


@pytest.mark.parametrize("then", ["moved", "removed", "replaced"])
def test_a_folder_that_is_not_where_it_was_is_lost(
    then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOOK_EVERY_S", 0.02)
    out, stop, seen = tmp_path / "out", threading.Event(), []

    def lose() -> None:
        with in_use(out, on_lost=stop.set) as check:
            check()
            check_is_there(out)
            out.rename(tmp_path / "elsewhere")
            if then == "removed":
                shutil.rmtree(tmp_path / "elsewhere")
            if then == "replaced":
                with in_use(out):
                    pass
            else:
                with pytest.raises(OutputLost):
                    check_is_there(out)
            assert stop.wait(20), "it looks by itself"
            with pytest.raises(OutputLost):
                check()
            seen.append("left")

    with pytest.raises(OutputLost, match="/out: was moved, removed or replaced"):
        lose()
    assert seen == ["left"]
    assert out.exists() == (then == "replaced")


def test_what_fails_in_a_folder_that_was_moved_fails_for_that(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OutputLost), in_use(out):
        os.listdir(out.rename(tmp_path / "elsewhere").with_name("out"))
    with pytest.raises(OutputLost), in_use(out):
        shutil.rmtree(out)


def test_a_heartbeat_outlives_a_store_that_is_away(
    s3: Server, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.1)
    with in_use(place(folder.file("out"))) as check:
        before = json.loads(folder.read("out/.gramflow/lock/00000001.json"))["heard_s"]
        away = Fault("PUT", "lock/", times=3)
        with s3.failing(away):
            wait_for(lambda: away.hits == 3)
        wait_for(
            lambda: json.loads(folder.read("out/.gramflow/lock/00000001.json"))["heard_s"] > before
        )
        check()


def test_a_claim_that_was_answered_twice_is_still_ones_own(s3: Server, folder: Folder) -> None:
    """The first answer got lost after the file was made; the client's next try finds it there."""
    out = place(folder.file("out"))
    with s3.failing(Fault("PUT", r"lock/0", times=1, done=True)), in_use(out) as check:
        check()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / ".gramflow").mkdir(parents=True)
    (out / ".gramflow" / "ledger").symlink_to(elsewhere)
    with pytest.raises(LeadsOut) as refused, in_use(out):
        pass
    assert refused.value.filename == str(out / ".gramflow" / "ledger")
    assert str(elsewhere) in str(refused.value)
    (out / ".gramflow" / "ledger").unlink()
    (elsewhere / "file").write_text("mine")
    (out / ".gramflow" / "lock").symlink_to(elsewhere / "file")
    with pytest.raises(OSError, match="symbolic"), in_use(out):
        pass
    assert (elsewhere / "file").read_text() == "mine"
