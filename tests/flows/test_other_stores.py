"""Stores of Google and Azure, by servers that speak as they do: `make test-stores`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests.storage import place
from manifests.stores import (
    StoreError,
    copy,
    is_there,
    list_below,
    list_folder,
    opened,
    put,
    put_file,
    put_new,
    read_bytes,
    read_first_line,
    remove,
    state_now,
)
from tests.emulators import azure, google
from tests.flows.conftest import JobFolder
from tests.flows.processes import finished
from tests.flows.stored import IMAGES, Stored, said, stored_in
from tests.stores import Folder, folder_of

# First, so that nothing is made for what is skipped.
pytestmark = pytest.mark.usefixtures("protocol")

ODD_NAMES = ["[1]*.txt", "a b.txt", "x%20y.txt", "ü#?.txt"]


@pytest.fixture(scope="module", params=["gs", "az"])
def protocol(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a store that is there."""
    with {"gs": google, "az": azure}[request.param]():
        yield request.param


@pytest.fixture
def folder(protocol: str) -> Folder:
    return folder_of(protocol)


@pytest.fixture
def stored(on_disk: JobFolder, folder: Folder, tmp_path: Path) -> Stored:
    return stored_in(folder, on_disk, tmp_path)


def test_files_are_written_read_copied_and_removed(folder: Folder, tmp_path: Path) -> None:
    file, other, large = (place(folder.file(name)) for name in ("a/x.txt", "a/y.txt", "large"))
    put(b"first\nsecond", file)
    assert read_bytes(file) == b"first\nsecond"
    assert read_bytes(file, 2, 5) == b"rst"
    assert read_first_line(file, 4) == b"first\n"
    before = state_now(file)
    assert before is not None
    assert before.size_bytes == 12
    put(b"first\nsecont", file)
    assert state_now(file) != before
    copy(file, other)
    assert read_bytes(other) == b"first\nsecont"
    remove(file)
    remove(file)
    assert (is_there(file), is_there(other), is_there(other.parent)) == (False, True, False)
    with pytest.raises(FileNotFoundError):
        read_bytes(file)
    # Of more than one part, where a store has parts.
    (tmp_path / "large").write_bytes(os.urandom(60 * 2**20))
    put_file(tmp_path / "large", large)
    with opened(large) as again:
        assert again.read() == (tmp_path / "large").read_bytes()


def test_folders_are_listed(folder: Folder) -> None:
    for name in ("a/x", "a/deep/z", "ab/other", *(f"odd/{name}" for name in ODD_NAMES)):
        put(b"1", place(folder.file(name)))
    listed = list_folder(place(folder.file("a")))
    assert {name: state is None for name, state in listed.items()} == {"x": False, "deep": True}
    assert sorted(name for name, _ in list_below(place(folder.file("a")))) == ["deep/z", "x"]
    assert sorted(name for name, _ in list_below(place(folder.file("odd")))) == ODD_NAMES
    assert list_folder(place(folder.file("nothing"))) == {}


def test_a_missing_bucket_is_an_error_of_the_system(protocol: str) -> None:
    nowhere = place(f"{protocol}://nobody-has-this/out")
    with pytest.raises(FileNotFoundError, match=f"{protocol}://nobody-has-this does not exist"):
        list_folder(nowhere)
    with pytest.raises((FileNotFoundError, StoreError)) as refused:
        put(b"1", nowhere)
    assert refused.value.filename == str(nowhere)


def test_of_two_who_write_a_new_file_one_is_refused(
    protocol: str, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    file = place(folder.file("lock"))
    put_new(b"first", file)
    if protocol == "gs":
        # Google's own refuses it then, which the emulator does not.
        with caplog.at_level(logging.INFO):
            put_new(b"second", file)
        assert "ifGenerationMatch=0" in caplog.text
        return
    with pytest.raises(FileExistsError):
        put_new(b"second", file)
    assert read_bytes(file) == b"first"


def test_a_run_is_that_on_disk_and_is_looked_after(on_disk: JobFolder, stored: Stored) -> None:
    stored.write(output={"path": stored.out, "format": ["coco", "yolo", "webdataset"]})
    status, output = finished("run", stored.job.manifest)
    assert status == 0, output
    stored.check(on_disk.out)
    assert len(stored.folder.names("out.yolo/images")) == IMAGES
    again = stored.job.run()
    assert (again.made, again.dataset) == (0, IMAGES)
    status, output = said("verify", stored.out, "--sample", "2")
    assert status == 0, output
    assert "2 made again, 2 of them byte for byte" in output

    taken = stored.folder.read("photos/cat/photo0.png")
    stored.folder.remove("photos/cat/photo0.png")
    assert stored.job.run().set_aside == 9
    assert len(stored.images()) == IMAGES - 9
    status, output = said("prune", stored.out, "--yes")
    assert status == 0, output
    assert stored.folder.names("out/.gramflow/set_aside") == []
    stored.folder.write("photos/cat/photo0.png", taken)
    assert stored.job.run().made == 9
    stored.check(on_disk.out)
