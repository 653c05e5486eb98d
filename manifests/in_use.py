"""One process at a time writes into an output folder.

On a disk the system locks a file for its owner, and lets go of it when that process ends, however
it ends. The lock goes with a folder that is moved: who has it looks every second whether it is
still under its name.

A store has no locks: there are generations, `.gramflow/lock/<number>.json`, each made if there is
none of that number, and the owner is the highest. It writes its file anew every few seconds. Who
finds that the owner has let go, is gone from this machine, or has not written for a minute makes
the next generation; of several who do, one does. Clocks of machines that share a store have to
agree within some seconds.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from upath import UPath

from manifests.durable import check_stays_inside
from manifests.ledger import LedgerError
from manifests.storage import Place, is_in_store
from manifests.stores import list_folder, only_plain, put, put_new, read_bytes, remove

if os.name != "nt":
    import fcntl

HEARTBEAT_S = 10.0
DEAD_AFTER_S = 60.0
LOOK_EVERY_S = 1.0
_OWN_FOLDERS = ("", "ledger", "set_aside", "styles", "tmp")


class OutputInUse(LedgerError):
    """Another process writes into the folder; the message names it."""


class OutputLost(LedgerError):
    """Another process took a store's folder over, or one on a disk is not under its name now."""


@dataclass(frozen=True)
class Owner:
    """Who writes into a folder.

    Attributes:
        machine: tells machines, and containers of one, apart that have the same name.
        process_start: by which a process is told from a later one of the same number; "" where
            the system does not say.
        since_s, heard_s: when it began and when it last wrote this, in seconds of the Unix epoch.
        token: is no other owner's.
    """

    host: str
    machine: str
    pid: int
    process_start: str
    since_s: float
    heard_s: float
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    released: bool = False

    @staticmethod
    def here() -> Owner:
        now_s, pid = time.time(), os.getpid()
        return Owner(platform.node(), _machine(), pid, _process_start(pid), now_s, now_s)

    def is_dead(self) -> bool:
        if self.released:
            return True
        if self.machine == _machine() and self.process_start:  # may be paused, and silent
            return _process_start(self.pid) != self.process_start
        return time.time() - self.heard_s > DEAD_AFTER_S


@contextmanager
def in_use(out: Place, on_lost: Callable[[], None] = lambda: None) -> Iterator[Callable[[], None]]:
    """Keep others from writing into the dataset in `out` during the block.

    On Windows nobody is kept from a folder on a disk.

    Args:
        on_lost: called, from a thread, when another process has taken a store's folder over, or
            when one on a disk was moved, removed or replaced.

    Returns:
        A function that raises OutputLost once that has happened, as leaving the block does.

    Raises:
        OutputInUse: another run or export has it.
        LeadsOut: a link leads what belongs to the folder out of it.
    """
    for name in _OWN_FOLDERS:
        check_stays_inside(out / ".gramflow" / name, out)
    held = _held_in_store(out, on_lost) if is_in_store(out) else _held_on_disk(out, on_lost)
    with held as check:
        yield check


def check_is_there(out: Place) -> None:
    """Refuse to write where a dataset was: what is written makes missing folders anew.

    Raises:
        OutputLost: its folder on a disk was moved or removed.
    """
    if not isinstance(out, UPath) and not out.exists():
        raise _moved(out)


def who_has(out: Place) -> Owner | None:
    """Whoever wrote down that it has the folder, and lives; asking keeps nobody from it.

    Who leaves takes that back.
    """
    lock = out / ".gramflow" / "lock"
    if isinstance(lock, UPath):
        last = max(_generations(lock), default=0)
        owner = _owner_of(lock, last) if last else None
    else:
        owner = _owner_in(lock)
    return None if owner is None or owner.is_dead() else owner


def _refusal(out: Place, owner: Owner | None) -> OutputInUse:
    who = ""
    if owner is not None:
        age_s = max(0, round(time.time() - owner.since_s))
        who = f" (process {owner.pid} on {owner.host}, for {age_s} s)"
    return OutputInUse(
        f"{out}: another run or export writes there{who}; wait until it is done, or stop it"
    )


def _as_json(owner: Owner) -> bytes:
    return json.dumps(asdict(owner)).encode() + b"\n"


def _owner(data: bytes) -> Owner | None:
    """None for what is none, as of an owner who is about to write itself down."""
    try:
        return Owner(**json.loads(data))
    except (ValueError, TypeError):
        return None


def _moved(out: Path) -> OutputLost:
    return OutputLost(
        f"{out}: was moved, removed or replaced while this wrote there; nothing more is made; to "
        "go on, give the same command with the folder's new place"
    )


@dataclass
class _HeldOnDisk:
    """The file of a folder that this process locked."""

    out: Path
    lock: BinaryIO
    lost: threading.Event = field(default_factory=threading.Event)

    @property
    def beat_every_s(self) -> float:
        return LOOK_EVERY_S

    def beat(self) -> None:
        """Look whether the locked file is still that of the folder."""
        try:
            there = os.stat(_lock_file(self.out))
        except (FileNotFoundError, NotADirectoryError):
            self.lost.set()
            return
        if not os.path.samestat(there, os.fstat(self.lock.fileno())):
            self.lost.set()

    def loss(self) -> OutputLost:
        return _moved(self.out)


def _lock_file(out: Path) -> Path:
    return out / ".gramflow" / "lock"


@contextmanager
def _held_on_disk(out: Path, on_lost: Callable[[], None]) -> Iterator[Callable[[], None]]:
    file = _lock_file(out)
    file.parent.mkdir(parents=True, exist_ok=True)
    made = os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with open(file, "r+b", opener=lambda path, flags: only_plain(path, flags | made)) as lock:
        if os.name != "nt":
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _refusal(out, _owner_in(file)) from None
        lock.truncate()
        lock.write(_as_json(Owner.here()))
        lock.flush()
        held = _HeldOnDisk(out, lock)
        try:
            with _beating(held, on_lost) as check:
                try:
                    yield check
                finally:
                    with suppress(OSError):  # a disk that is away is not one that was moved
                        held.beat()
        finally:
            with suppress(OSError):  # the system lets go of the file all the same
                lock.truncate(0)


@dataclass
class _HeldInStore:
    """A generation of a store's folder that this process made."""

    folder: UPath
    generation: int
    owner: Owner
    lost: threading.Event = field(default_factory=threading.Event)

    @property
    def beat_every_s(self) -> float:
        return HEARTBEAT_S

    @property
    def file(self) -> UPath:
        return _file(self.folder, self.generation)

    def beat(self) -> None:
        """Tell that the owner lives, and look whether another has taken over."""
        self.owner = replace(self.owner, heard_s=time.time())
        put(_as_json(self.owner), self.file)
        if max(_generations(self.folder), default=0) > self.generation:
            self.lost.set()

    def loss(self) -> OutputLost:
        return OutputLost(
            f"{self.folder.parent.parent}: another run took over, for this one was not heard of "
            "for a minute; what is on record is kept"
        )


@contextmanager
def _held_in_store(out: UPath, on_lost: Callable[[], None]) -> Iterator[Callable[[], None]]:
    folder = out / ".gramflow" / "lock"
    while not isinstance(held := _claimed(folder), _HeldInStore):
        if held is not None:  # else others came and went meanwhile
            raise _refusal(out, held)
    try:
        with _beating(held, on_lost) as check:
            yield check
    finally:
        if not held.lost.is_set():
            with suppress(OSError):  # who comes next then waits for a minute
                put(_as_json(replace(held.owner, released=True)), held.file)


@contextmanager
def _beating(
    held: _HeldOnDisk | _HeldInStore, on_lost: Callable[[], None]
) -> Iterator[Callable[[], None]]:
    """Have `held` beat during the block, which ends with OutputLost once that finds it lost.

    Yields a function that beats, and raises that, at once.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(held.beat_every_s):
            try:
                held.beat()
            except OSError:  # the disk or the store is away: it is looked at again at the next beat
                continue
            if held.lost.is_set():
                on_lost()
                return

    def raise_if_lost() -> None:
        if held.lost.is_set():
            raise held.loss()

    def check() -> None:
        held.beat()
        raise_if_lost()

    heart = threading.Thread(target=beat, name="lock", daemon=True)
    heart.start()
    try:
        yield check
    except BaseException:
        raise_if_lost()  # which is why the block stopped
        raise
    finally:
        over.set()
        heart.join()
    raise_if_lost()


def _claimed(folder: UPath) -> _HeldInStore | Owner | None:
    """The next generation, made by this process, or whoever is the owner."""
    generations = _generations(folder)
    last = max(generations, default=0)
    if last:
        owner = _owner_of(folder, last)
        if owner is not None and not owner.is_dead():
            return owner
    held = _HeldInStore(folder, last + 1, Owner.here())
    try:
        put_new(_as_json(held.owner), held.file)
    except FileExistsError:
        # Perhaps by this process, whose request was answered only when it was made again.
        made = _owner_of(folder, held.generation)
        if made is None or made.token != held.owner.token:
            return made
    # One who looked long ago may have made a number that is long over.
    if (highest := max(_generations(folder))) > held.generation:
        remove(held.file)
        return _owner_of(folder, highest)
    for old in generations:
        remove(_file(folder, old))
    return held


def _generations(folder: UPath) -> list[int]:
    stems = (name.removesuffix(".json") for name in list_folder(folder))
    return [int(stem) for stem in stems if stem.isdecimal()]


def _file(folder: UPath, generation: int) -> UPath:
    return folder / f"{generation:08d}.json"


def _owner_of(folder: UPath, generation: int) -> Owner | None:
    return _owner_in(_file(folder, generation))


def _owner_in(file: Place) -> Owner | None:
    try:
        return _owner(read_bytes(file))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _machine() -> str:
    """The machine since it was started, and the container; its name where the system says less."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _process_start(pid: int) -> str:
    """When a process of this machine was started, in its system's ticks; "" if it is none now."""
    try:
        # Fields from the third on: the second, a name, may hold anything and ends with a bracket.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    state, start = fields[0], fields[19]
    return "" if state in ("Z", "X") else start
