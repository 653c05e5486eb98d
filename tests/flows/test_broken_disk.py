"""A disk that fills or turns read-only, and a clock that jumps, under real runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from manifests.exporters.finished import read_finished
from manifests.ledger import Ledger
from manifests.verification import Seen, verify
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo
from tests.flows.processes import finished, gramflow, wait_until

DAY_S = 86_400
# Seconds since 1970 that every process is told, shifted by what the file SHIFT says just then.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long shift(const struct timespec *now) {
    static long seconds, read_at_tenth;
    long tenth = now->tv_sec * 10 + now->tv_nsec / 100000000;
    if (tenth != read_at_tenth) {
        read_at_tenth = tenth;
        FILE *file = fopen(getenv("SHIFT"), "r");
        if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(id, at);
    if (id == CLOCK_REALTIME) at->tv_sec += shift(at);
    return status;
}
int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


def _mount(*arguments: str | Path) -> bool:
    done = subprocess.run(["mount", "-t", "tmpfs", *map(str, arguments)], capture_output=True)
    return done.returncode == 0


@pytest.fixture
def small_disk(job: JobFolder) -> Iterator[Path]:
    """The job's output folder, as a disk of its own of 300 kB."""
    job.out.mkdir()
    if shutil.which("mount") is None or not _mount("-o", "size=300k", "tmpfs", job.out):
        pytest.skip("mounting a disk is not permitted here")
    yield job.out
    while os.path.ismount(job.out):
        subprocess.run(["umount", "--lazy", job.out], check=True)


def _remount(out: Path, options: str) -> None:
    assert _mount("-o", f"remount,{options}", "tmpfs", out)


def _every_row_has_its_file(out: Path) -> None:
    for row in Ledger(out).rows():
        assert (out / row["file"]).stat().st_size > 0


def _is_whole(out: Path, images: int) -> None:
    seen = Seen()
    assert list(verify(read_finished(out), seen)) == []
    assert seen.images == images


def test_a_disk_that_fills_ends_in_one_sentence_and_room_mends_it(
    job: JobFolder, small_disk: Path
) -> None:
    for index in range(40):
        photo(index, 48, 24 + 2 * (index % 12)).save(job.folder / "photos" / f"more{index}.png")
    status, output = finished("run", job.manifest)
    assert status == 2, output
    assert "No space left on device; what is finished is kept, mend this" in output
    assert "Traceback" not in output
    _every_row_has_its_file(small_disk)
    _remount(small_disk, "size=20m")
    status, output = finished("run", job.manifest)
    assert status == 0, output
    _is_whole(small_disk, 44 * 9)


def test_a_disk_that_turns_read_only_ends_in_one_sentence(job: JobFolder, small_disk: Path) -> None:
    _remount(small_disk, "size=20m")
    job.write(stylize=TINY | {"override": {"scales": [[1.0, 300]], "least_fall": 0}})
    process = gramflow("run", job.manifest)
    wait_until(lambda: bool(Ledger(job.out).ids().done), "the first chunk is on record")
    _turn_read_only(small_disk)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 2, output
    assert "Read-only file system; what is finished is kept, mend this" in output
    assert "Traceback" not in output
    status, output = finished("run", job.manifest)
    assert status == 2, output
    assert "Read-only file system" in output
    assert "Traceback" not in output
    subprocess.run(["umount", small_disk], check=True)
    job.write()
    status, output = finished("run", job.manifest)
    assert status == 0, output
    _is_whole(small_disk, 36)
    _turn_read_only(small_disk)
    status, output = finished("verify", job.out)
    assert status == 0, output


def _turn_read_only(out: Path) -> None:
    """By a mount over the same files: the lock that a run holds keeps the disk itself writable."""
    subprocess.run(["mount", "--bind", out, out], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", out], check=True)


@pytest.fixture
def clock(tmp_path: Path) -> dict[str, str]:
    """The environment of processes whose clock says what a file, `shift`, adds to it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a clock with")
    library, source = tmp_path / "clock.so", tmp_path / "clock.c"
    source.write_text(CLOCK)
    compiled = subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], capture_output=True
    )
    if compiled.returncode:
        pytest.skip(f"the clock does not compile here: {compiled.stderr.decode()}")
    return {"LD_PRELOAD": str(library), "SHIFT": str(tmp_path / "shift")}


def test_a_clock_that_jumps_in_mid_run_loses_nothing(job: JobFolder, clock: dict[str, str]) -> None:
    job.write(stylize=TINY | {"override": {"scales": [[1.0, 200]], "least_fall": 0}})
    undisturbed = job.folder / "undisturbed"
    job.run(out=undisturbed)
    process = gramflow("run", job.manifest, **clock)
    for images, jump_s in ((4, -400 * DAY_S), (12, 400 * DAY_S)):
        wait_until(
            lambda images=images: len(Ledger(job.out).ids().done) >= images,
            f"{images} images are on record",
        )
        Path(clock["SHIFT"]).write_text(str(jump_s))
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    _is_whole(job.out, 36)
    assert job.images() == job.images(undisturbed)
    assert job.run().made == 0


def test_a_photograph_changed_under_a_clock_set_back_is_seen(
    job: JobFolder, clock: dict[str, str]
) -> None:
    """Its time of change is ahead of the clock, and its size stays."""
    file = next((job.folder / "photos").rglob("*.png"))
    ahead_s = time.time() + 1000
    os.utime(file, (ahead_s, ahead_s))
    assert finished("run", job.manifest, **clock)[0] == 0
    data = file.read_bytes()
    picture = photo(77, *_size(file))
    picture.save(file)
    assert file.read_bytes() != data
    # The same size and the same time as before: only the bytes differ.
    padded = file.read_bytes()[: len(data)].ljust(len(data), b"\0")
    file.write_bytes(padded)
    os.utime(file, (ahead_s, ahead_s))
    status, output = finished("plan", job.manifest, **clock)
    assert status == 0, output
    new = next(line for line in output.splitlines() if " new " in line)
    assert " 0 " not in new


def _size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.size
