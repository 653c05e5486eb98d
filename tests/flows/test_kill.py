"""Runs that are killed or interrupted, as real processes."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from tests.flows.conftest import JobFolder
from tests.flows.pictures import photo
from tests.flows.processes import finished, gramflow, wait_until

KILLS = 10


def _many_shapes(job: JobFolder) -> None:
    """48 photos in 12 shapes: many chunks of few images, so that a kill falls anywhere."""
    for index in range(48):
        label = "cat" if index % 2 else "dog"
        file = job.folder / "photos" / label / f"shape{index}.png"
        photo(index, 48, 24 + 2 * (index % 12)).save(file)


def _images_there(out: Path) -> int:
    return sum(1 for _ in out.glob("train/*/*.jpg"))


def test_ten_kills_and_reruns_give_the_bytes_of_an_undisturbed_run(job: JobFolder) -> None:
    _many_shapes(job)
    undisturbed = job.folder / "undisturbed"
    job.run(out=undisturbed)
    whole = {str(file.relative_to(undisturbed)): file.read_bytes() for file in _files(undisturbed)}
    images = sum(name.endswith(".jpg") for name in whole)

    generator = random.Random(5)
    for kill in range(KILLS):
        # Each kill falls a little later than the one before, at a random moment.
        target = _images_there(job.out) + generator.randrange(1, max(2, images // KILLS))
        process = gramflow("run", job.manifest)
        wait_until(
            lambda target=target, process=process: (
                _images_there(job.out) >= target or process.poll() is not None
            ),
            f"kill {kill} found {target} images",
        )
        process.kill()
        process.communicate()

    status, output = finished("run", job.manifest)
    assert status == 0, output
    after = {str(file.relative_to(job.out)): file.read_bytes() for file in _files(job.out)}
    assert after.keys() == whole.keys()
    # These two show the output folder, which is another one.
    same = whole.keys() - {"dataset.json", "report.html"}
    assert [name for name in same if after[name] != whole[name]] == []
    assert not any((job.out / ".gramflow" / "tmp").iterdir())


def test_a_run_whose_folder_is_moved_ends_and_makes_nothing_where_it_was(job: JobFolder) -> None:
    _many_shapes(job)
    job.write(stylize={"encoder": "random", "size": 48, "override": {"scales": [[1.0, 100]]}})
    process = gramflow("run", job.manifest)
    wait_until(lambda: _images_there(job.out) > 0, "the first image is there")
    elsewhere = job.out.rename(job.folder / "elsewhere")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert f"error: {job.out}: was moved, removed or replaced while" in output
    assert "Traceback" not in output
    assert not job.out.exists()

    status, output = finished("run", job.manifest, "--out", elsewhere, "--limit", "1")
    assert status == 0, output


def _files(out: Path) -> list[Path]:
    """Every file of a dataset that a reader sees."""
    return [file for file in out.rglob("*") if file.is_file() and ".gramflow" not in file.parts]


def test_ctrl_c_stops_within_ten_seconds_and_the_next_run_goes_on(job: JobFolder) -> None:
    _many_shapes(job)
    job.write(stylize={"encoder": "random", "size": 48, "override": {"scales": [[1.0, 100]]}})
    process = gramflow("run", job.manifest)
    wait_until(lambda: _images_there(job.out) > 0, "the first image is there")
    process.send_signal(signal.SIGINT)
    asked_s = time.monotonic()
    output, _ = process.communicate(timeout=30)
    assert time.monotonic() - asked_s < 10
    assert process.returncode == 130
    assert "are kept" in output
    assert "same command again" in output
    assert "Traceback" not in output

    job.write()  # fewer iterations: only what is already right is kept
    status, output = finished("run", job.manifest)
    assert status == 0, output
