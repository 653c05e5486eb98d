"""Runs whose content, styles and output lie in a store; the store fails, the run is killed."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from manifests import in_use as lock
from manifests.durable import LeadsOut
from manifests.in_use import OutputLost
from manifests.storage import place
from manifests.stores import StoreError, put
from tests.flows.conftest import JobFolder
from tests.flows.processes import finished, gramflow, wait_until
from tests.flows.stored import IMAGES, Stored, said, stored_in
from tests.stores import Fault, Server, memory_folder, s3_folder

# A put of an image; the index, the ledger and the lock are not meant.
IMAGE = r"/out/train/.*\.jpg"


@pytest.fixture
def stored(on_disk: JobFolder, s3: Server, tmp_path: Path) -> Stored:
    return stored_in(s3_folder(), on_disk, tmp_path)


def test_a_run_in_memory_is_that_on_disk(on_disk: JobFolder, s3: Server, tmp_path: Path) -> None:
    stored = stored_in(memory_folder(), on_disk, tmp_path)
    assert stored.job.run().made == IMAGES
    stored.check(on_disk.out)
    assert stored.job.run().made == 0


def test_a_process_makes_in_s3_what_is_made_on_disk_and_the_next_nothing(
    on_disk: JobFolder, stored: Stored, s3: Server
) -> None:
    stored.write(output={"path": "unused", "format": ["yolo", "webdataset"]})
    status, output = finished("run", stored.job.manifest, "--out", stored.out)
    assert status == 0, output
    assert f"36 images in {stored.out} (36 made in this run)" in output
    stored.check(on_disk.out)
    assert len(stored.folder.names("out.yolo/images")) == IMAGES
    with s3.counted() as asked:
        again = stored.job.run(out=stored.out)
    assert (again.made, again.dataset, again.failed) == (0, IMAGES, 0)
    assert not [line for line in asked if re.match(f"PUT .*{IMAGE}", line)]
    status, output = said("plan", stored.job.manifest, "--out", stored.out)
    assert status == 0, output
    assert re.search(r"done\W+36 ", output), output
    status, output = said("export", stored.out, "--format", "coco")
    assert status == 0, output
    assert "out/annotations/instances_train.json" in stored.folder.names()
    stored.check(on_disk.out)
    assert not (stored.job.folder / "unused").exists()


def test_the_processes_of_dask_write_into_s3(on_disk: JobFolder, stored: Stored) -> None:
    status, output = finished("run", stored.job.manifest, "--runner", "dask")
    assert status == 0, output
    stored.check(on_disk.out)


def test_more_photographs_make_only_theirs_and_others_are_set_aside(
    on_disk: JobFolder, stored: Stored
) -> None:
    assert stored.job.run().made == IMAGES
    taken = stored.folder.read("photos/cat/photo0.png")
    stored.folder.remove("photos/cat/photo0.png")
    less = stored.job.run()
    assert (less.made, less.set_aside) == (0, 9)
    assert len(stored.folder.names("out/.gramflow/set_aside")) == 9
    assert len(stored.images()) == IMAGES - 9
    stored.folder.write("photos/cat/photo0.png", taken)
    assert stored.job.run().made == 9
    stored.check(on_disk.out)


def test_a_dataset_in_a_store_is_looked_after_as_on_a_disk(
    stored: Stored, s3: Server, tmp_path: Path
) -> None:
    stored.job.run()
    status, output = said("verify", stored.out, "--sample", "2")
    assert status == 0, output
    assert "2 made again, 2 of them byte for byte" in output
    row = stored.rows()[0]
    # By the name of its file; else by its id.
    named = row["file_name"].rpartition("/")[2]
    status, output = said("replay", stored.out, named, "-o", tmp_path / "again.jpg")
    assert status == 0, output
    status, output = said("replay", stored.out, row["variant_id"], "-o", tmp_path / "by_id.jpg")
    assert status == 0, output
    assert (tmp_path / "by_id.jpg").read_bytes() == (tmp_path / "again.jpg").read_bytes()
    file = f"out/train/{row['file_name']}"
    assert (tmp_path / "again.jpg").read_bytes() == stored.folder.read(file)

    stored.folder.write(file, b"damaged")
    with s3.failing(Fault("PUT", "/lock/")):
        status, output = said("verify", stored.out)
        assert (status, output.count("its bytes are not those of its row")) == (1, 1), output
        assert said("verify", stored.out, "--mend")[0] == 2
    with s3.failing(Fault("GET", f"/{file}")):
        status, output = said("verify", stored.out, "--mend")
        assert "set aside" not in output
        assert "see to its disk or store" in output
    status, output = said("verify", stored.out, "--mend")
    assert "1 file set aside" in output
    aside = f"out/.gramflow/set_aside/train/{row['file_name']}"
    assert stored.folder.read(aside) == b"damaged"
    stored.folder.write(aside, (tmp_path / "again.jpg").read_bytes())
    status, output = said("prune", stored.out, "--yes")
    assert status == 0, output
    assert stored.folder.names("out/.gramflow/set_aside") == []


def test_changed_files_of_exports_in_a_store_are_found_and_written_again(stored: Stored) -> None:
    stored.write(output={"path": stored.out, "format": ["coco", "yolo", "webdataset"]})
    stored.job.run()
    status, output = said("verify", stored.out)
    assert status == 0, output
    assert "not compared" not in output
    files = ["out/annotations/instances_train.json", "out.webdataset/train-000000.tar"]
    files += stored.folder.names("out.yolo/images/train")[:1]
    before = [stored.folder.read(file) for file in files]
    for file in files:
        stored.folder.write(file, b"damaged")
    status, output = said("verify", stored.out, "--mend")
    assert (status, output.count("its bytes are not those that were written; set aside")) == (1, 3)
    for file in files:
        aside = f"out/.gramflow/set_aside/exports/{file.removeprefix('out/')}"
        assert stored.folder.read(aside) == b"damaged"
    assert stored.job.run().made == 0
    assert [stored.folder.read(file) for file in files] == before
    assert said("verify", stored.out)[0] == 0


def test_another_dataset_inside_one_in_a_store_is_left_alone(stored: Stored) -> None:
    stored.job.run()
    for name in stored.folder.names("out"):
        stored.folder.write(f"out/other/{name.removeprefix('out/')}", stored.folder.read(name))
    before = stored.folder.names("out/other")
    assert stored.job.run().set_aside == 0
    assert stored.folder.names("out/other") == before


def test_requests_that_fail_for_a_while_are_made_again(
    on_disk: JobFolder, stored: Stored, s3: Server
) -> None:
    faults = [
        Fault("PUT", IMAGE, times=2),
        Fault("PUT", "ledger", times=1, status=503),
        Fault("GET", "photos/", times=2),
        Fault("GET", "list-type", times=1),
        Fault("PUT", "metadata.jsonl", times=1),
        Fault("GET", "styles/", status=0, times=1, delay_s=1.0),
    ]
    with s3.failing(*faults):
        assert stored.job.run().made == IMAGES
    assert [fault.hits for fault in faults] == [fault.times for fault in faults]
    stored.check(on_disk.out)


def test_a_photograph_that_the_store_refuses_fails_alone(
    on_disk: JobFolder, stored: Stored, s3: Server
) -> None:
    with s3.failing(Fault("GET", "photos/dog/photo1.png")):
        summary = stored.job.run()
    assert summary.failed == 9
    assert summary.dataset == IMAGES - 9
    (failure,) = map(json.loads, stored.folder.read("out/failures.jsonl").splitlines())
    assert failure["path"] == stored.folder.file("photos/dog/photo1.png")
    assert failure["error"]
    summary = stored.job.run(retry_failed=True)
    assert (summary.made, summary.failed) == (9, 0)
    stored.check(on_disk.out)


def test_an_output_that_the_store_refuses_ends_the_run_and_the_next_completes_it(
    on_disk: JobFolder, stored: Stored, s3: Server
) -> None:
    with s3.failing(Fault("PUT", r"/out/train/dog/photo3-stylized-")):
        status, output = finished("run", stored.job.manifest)
    assert status == 2, output
    (error,) = [line for line in output.splitlines() if line.startswith("error:")]
    assert f"{stored.out}/train/dog/photo3-stylized-" in error
    assert "what is finished is kept" in error
    assert "Traceback" not in output
    assert stored.job.run().dataset == IMAGES
    stored.check(on_disk.out)


def test_refusals_of_the_index_are_raised_as_errors_of_the_store(
    on_disk: JobFolder, stored: Stored, s3: Server
) -> None:
    with s3.failing(Fault("PUT", "metadata.jsonl")), pytest.raises(StoreError) as refused:
        stored.job.run()
    assert refused.value.filename == f"{stored.out}/train/metadata.jsonl"
    assert stored.job.run().made == 0
    stored.check(on_disk.out)


def test_a_killed_run_is_completed_by_the_next(
    on_disk: JobFolder, stored: Stored, s3: Server
) -> None:
    with s3.failing(Fault("PUT", IMAGE, status=0, delay_s=0.05)):
        process = gramflow("run", stored.job.manifest)
        wait_until(
            lambda: stored.images_there() >= 14 or process.poll() is not None, "14 images are there"
        )
        process.kill()
        process.communicate()
    assert 14 <= stored.images_there() < IMAGES
    status, output = finished("run", stored.job.manifest)
    assert status == 0, output
    stored.check(on_disk.out)


def test_a_run_that_another_has_taken_over_stops(
    stored: Stored, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.05)

    def take_over() -> None:
        wait_until(lambda: stored.images_there() > 0, "an image is there")
        other: Any = place(f"{stored.out}/.gramflow/lock/00000002.json")
        put(b"{}", other)

    other_run = threading.Thread(target=take_over)
    with s3.failing(Fault("PUT", IMAGE, status=0, delay_s=0.1)):
        other_run.start()
        with pytest.raises(OutputLost, match="another run took over"):
            stored.job.run()
    other_run.join()
    assert "out/dataset.json" not in stored.folder.names()


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (
            "s3://nobody-has-this/out",
            "/out: s3://nobody-has-this does not exist",
        ),
        ("s3://tests", "s3://tests is a whole bucket; expected a folder in it"),
        ("{photos}/out", "whose images are content"),
    ],
)
def test_an_output_that_cannot_be_is_said_at_its_field(
    stored: Stored, output: str, why: str
) -> None:
    output = output.format(photos=stored.folder.file("photos"))
    stored.write(output={"path": output})
    status, printed = said("validate", stored.job.manifest)
    assert status == 2
    (line,) = printed.splitlines()
    assert re.match(r"error: .*job\.yaml:\d+: output\.path: ", line)
    assert why in line


def test_missing_credentials_are_said_at_the_field(stored: Stored) -> None:
    # A process of its own: a client that has its credentials keeps them.
    status, output = finished(
        "validate",
        stored.job.manifest,
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
        AWS_EC2_METADATA_DISABLED="true",
    )
    assert status == 2
    assert "content[0].path" in output
    assert "Unable to locate credentials" in output
    assert "Traceback" not in output


def test_a_folder_of_the_output_that_leads_elsewhere_is_refused(job: JobFolder) -> None:
    elsewhere = job.folder / "elsewhere"
    elsewhere.mkdir()
    job.out.mkdir()
    (job.out / "train").symlink_to(elsewhere)
    with pytest.raises(LeadsOut) as refused:
        job.run()
    assert str(elsewhere) in str(refused.value)
    assert list(elsewhere.iterdir()) == []
    (job.out / "train").unlink()
    # A file that is a link is replaced, and what it led to is kept.
    (elsewhere / "mine.jsonl").write_text("mine")
    (job.out / "train").mkdir()
    (job.out / "train" / "metadata.jsonl").symlink_to(elsewhere / "mine.jsonl")
    assert job.run().made == IMAGES
    assert (elsewhere / "mine.jsonl").read_text() == "mine"
    assert not (job.out / "train" / "metadata.jsonl").is_symlink()
