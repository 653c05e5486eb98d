"""Random jobs whose processes get random signals at random moments; counts what is lost.

Each job is run undisturbed once, then again and again under signals until it is finished; after
every signal nothing may be half written, on record without its file, or still running. At the end
the dataset must verify, and have the bytes of the undisturbed one.

usage: python -m tests.soak [--kills 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from flows.sample import Sampled, sampled
from manifests.exporters.finished import read_finished
from manifests.ledger import Ledger
from manifests.names import is_of_gramflow
from manifests.verification import Seen, verify
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo, write_classes
from tests.flows.processes import gramflow
from tests.flows.test_labelled_run import write, write_coco

KILLS_A_JOB = 10
END_TIMEOUT_S = 180.0
GONE_TIMEOUT_S = 15.0
# What an unfinished run may leave beside an older dataset, for the next run to take up.
UNFINISHED = frozenset({"no row", "leftover"})

# (who gets them, signals one after the other) -> how often among the trials.
ATTACKS: dict[tuple[str, tuple[signal.Signals, ...]], int] = {
    ("command", (signal.SIGKILL,)): 8,
    ("command", (signal.SIGTERM,)): 3,
    ("command", (signal.SIGINT,)): 2,
    ("command", (signal.SIGINT, signal.SIGINT)): 3,
    ("command", (signal.SIGHUP,)): 1,
    ("server", (signal.SIGKILL,)): 2,
    ("guard", (signal.SIGKILL,)): 1,
}


@dataclass
class Tally:
    """Of one kind of attack: how many, how the runs ended, and what was lost."""

    trials: int = 0
    ended: int = 0  # by the signal; the others finished nonetheless
    losses: list[str] = field(default_factory=list)


@dataclass
class Run:
    """A run, and the processes that belong to it."""

    process: subprocess.Popen[str]
    guard: int | None = None
    port: int | None = None

    def look(self) -> None:
        """Find the guard of its server, once there is one."""
        if self.guard is None:
            for pid, parent, command in _processes():
                if parent == self.process.pid and "flows.guard" in command:
                    self.guard, self.port = pid, int(command.split()[-1])

    def victim(self, who: str) -> int | None:
        if who == "command":
            return self.process.pid
        if who == "guard":
            return self.guard
        return next((pid for pid, parent, _ in _processes() if parent == self.guard), None)

    def left_running(self) -> list[str]:
        """The guard and the server, where they outlive the run; and a port that is still open."""
        deadline_s = time.monotonic() + GONE_TIMEOUT_S
        while left := [*self._alive(), *self._listening()]:
            if time.monotonic() > deadline_s:
                return left
            time.sleep(0.1)
        return []

    def _alive(self) -> Iterator[str]:
        for pid, _, command in _processes():
            if pid == self.guard or (self.port and f"--port {self.port}" in command):
                yield f"process {pid} lives: {command}"

    def _listening(self) -> Iterator[str]:
        if self.port is None:
            return
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                yield f"port {self.port} is open"


def _processes() -> list[tuple[int, int, str]]:
    """(id, parent, command line) of every process that has not ended."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:  # it ended meanwhile
                continue
            if state != "Z":
                found.append((int(folder.name), int(parent), command))
    return found


def random_job(folder: Path, draw: random.Random) -> JobFolder:
    """Photographs of several shapes; classes, or objects with masks; recipes; formats."""
    (folder / "styles").mkdir(parents=True)
    for index in range(draw.randint(1, 3)):
        photo(100 + index, 40, 52).save(folder / "styles" / f"style{index}.png")
    job = JobFolder(folder)
    iterations = draw.choice([3, 10, 40])
    stylize = TINY | {"override": {"scales": [[1.0, iterations]], "least_fall": 0}}
    recipes: dict[str, Any] = {"turn": [{"Rotate": {"limit": 15, "p": 1.0}}]}
    if draw.random() < 0.5:
        recipes["light"] = [{"RandomBrightnessContrast": {"p": 1.0}}]
    formats = ["imagefolder", *draw.sample(["coco", "yolo", "voc", "webdataset"], k=2)]
    changes: dict[str, Any] = {
        "stylize": stylize,
        "augment": {"recipes": recipes, "variants": {"original": 2, "stylized": 2}},
        "output": {"path": "out", "format": formats},
    }
    if draw.random() < 0.5:
        write_coco(folder / "coco", photos=draw.randint(4, 8))
        write(job, **changes)
    else:
        write_classes(folder / "photos", count=4)
        for index in range(draw.randint(4, 16)):
            picture = photo(index, 48, 24 + 2 * (index % 12))
            picture.save(folder / "photos" / "cat" / f"shape{index}.png")
        job.write(**changes)
    return job


def soak(kills: int, seed: int, folder: Path) -> dict[tuple[str, str], Tally]:
    """Trials by who was signalled, and with what."""
    draw = random.Random(seed)
    tallies: dict[tuple[str, str], Tally] = {}
    done = jobs = 0
    while done < kills:
        jobs += 1
        job = random_job(folder / f"job{jobs}", draw)
        undisturbed = job.folder / "undisturbed"
        began_s = time.monotonic()
        # Made where the other will be, which its files tell.
        _finished(job)
        for made in job.folder.glob("out*"):
            made.rename(job.folder / made.name.replace("out", "undisturbed", 1))
        whole_s = time.monotonic() - began_s
        last = min(kills, done + KILLS_A_JOB)
        while done < last:
            who, signals = draw.choices(list(ATTACKS), list(ATTACKS.values()))[0]
            named = " ".join(one.name.removeprefix("SIG") for one in signals)
            tally = tallies.setdefault((who, named), Tally())
            attack = _attack(job, who, signals, draw.uniform(0, 0.9 * whole_s))
            tally.losses += attack.losses
            tally.trials += attack.was_running
            tally.ended += attack.was_running and attack.status != 0
            done += attack.was_running
            print(f"{done}/{kills}: {who} {named}: {attack}", flush=True)
            if attack.status == 0:
                # For the next signals to find work.
                shutil.rmtree(job.out)
        tallies.setdefault(("afterwards", ""), Tally()).trials += 1
        tallies["afterwards", ""].losses += _lost_for_good(job, undisturbed)
    return tallies


@dataclass
class Attack:
    """What came of one.

    Attributes:
        was_running: the run, when the signals were sent; else it was no trial.
        status: with which the run ended.
    """

    was_running: bool
    status: int
    after_s: float
    losses: list[str]

    def __str__(self) -> str:
        when = f"after {self.after_s:.1f} s" if self.was_running else "too late"
        return f"{when}, status {self.status}: {self.losses or 'nothing lost'}"


def _attack(
    job: JobFolder, who: str, signals: tuple[signal.Signals, ...], after_s: float
) -> Attack:
    """Run, signal, wait for the end; see what is wrong then."""
    began_s = time.monotonic()
    run = Run(gramflow("run", job.manifest, PREFECT_API_URL=""))
    while run.process.poll() is None and (
        time.monotonic() - began_s < after_s or run.victim(who) is None
    ):
        run.look()
        time.sleep(0.02)
    run.look()
    victim = run.victim(who)
    was_running = victim is not None and run.process.poll() is None
    sent_s = time.monotonic() - began_s
    if victim is not None and was_running:
        for one in signals:
            with suppress(ProcessLookupError):
                os.kill(victim, one)
    try:
        output, _ = run.process.communicate(timeout=END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        run.process.kill()
        output, _ = run.process.communicate()
        return Attack(True, -9, sent_s, [f"did not end within {END_TIMEOUT_S:g} s: {output}"])
    status = run.process.returncode
    losses = [*run.left_running(), *_lost(job.out)]
    expected = {0, *(-one for one in signals), *(128 + one for one in signals)}
    if who != "command" and "error: the Prefect server" in output:
        expected.add(2)  # before the run had begun
    if status not in expected or "Traceback" in output:
        losses.append(f"ended with status {status}: {output}")
    return Attack(was_running, status, sent_s, losses)


def _lost(out: Path) -> Iterator[str]:
    """Images that are half written, rows whose file is gone or another, a dataset that lies."""
    for file in out.glob("[!.]*/**/*"):
        if is_of_gramflow(file.name):
            try:
                with Image.open(file) as image:
                    image.load()
            except OSError as error:
                yield f"{file}: half written: {error}"
    for row in Ledger(out).rows():
        for name, sha256 in (("file", "sha256"), ("mask_file_name", "mask_sha256")):
            file = out / row[name]
            if row[name] and not (file.exists() and _sha256(file) == row[sha256]):
                yield f"{file}: on record, and not there as it is"
    if (out / "dataset.json").exists():
        for one in verify(read_finished(out), Seen()):
            if one.kind not in UNFINISHED:
                yield str(one)


def _lost_for_good(job: JobFolder, undisturbed: Path) -> list[str]:
    """What differs once the job is finished."""
    _finished(job)
    dataset = read_finished(job.out)
    losses = [str(one) for one in verify(dataset, Seen())]
    losses += [str(one) for one in sampled(dataset, 5, Sampled())]
    there, wanted = _files(job.out), _files(undisturbed)
    losses += [f"{name}: gone or too many" for name in there.keys() ^ wanted.keys()]
    losses += [
        f"{name}: other bytes" for name in there.keys() & wanted if there[name] != wanted[name]
    ]
    print(f"finished: {len(there)} files, {losses or 'nothing lost'}", flush=True)
    return losses


def _files(out: Path) -> dict[str, str]:
    """Name -> sha256 of every file of a dataset that a reader sees."""
    files = (*out.glob("[!.]*"), *out.glob("[!.]*/**/*"))
    return {file.relative_to(out).as_posix(): _sha256(file) for file in files if file.is_file()}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _finished(job: JobFolder) -> None:
    process = gramflow("run", job.manifest, PREFECT_API_URL="")
    output, _ = process.communicate(timeout=10 * END_TIMEOUT_S)
    if process.returncode != 0:
        raise SystemExit(f"a run without signals ended with {process.returncode}: {output}")


def main() -> int:
    """Exit status: 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        tallies = soak(given.kills, given.seed, Path(folder))
    print(f"{'signalled':<12}{'with':<10}{'trials':>8}{'ended by it':>13}{'losses':>8}")
    for (who, named), tally in sorted(tallies.items()):
        line = f"{who:<12}{named:<10}{tally.trials:>8}{tally.ended:>13}{len(tally.losses):>8}"
        print(line, Counter(tally.losses) if tally.losses else "")
    return int(any(tally.losses for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
