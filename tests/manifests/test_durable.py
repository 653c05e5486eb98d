"""Files that are whole under their name or not there, in bulk and as links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manifests.durable import link_or_copy, write_whole, written_together


def test_files_written_together_are_all_there(tmp_path: Path) -> None:
    with written_together(tmp_path, tmp_path / "tmp") as write:
        for index in range(2500):
            write(tmp_path / f"{index % 7}" / f"{index}", str(index).encode())
        assert len(list(tmp_path.glob("[0-6]/*"))) == 2000
    files = list(tmp_path.glob("[0-6]/*"))
    assert len(files) == 2500
    assert all(file.read_text() == file.name for file in files)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_waits_when_an_error_comes_is_not_written(tmp_path: Path) -> None:
    def break_off() -> None:
        with written_together(tmp_path, tmp_path / "tmp") as write:
            write(tmp_path / "file", b"whole")
            raise RuntimeError

    (tmp_path / "file").write_bytes(b"before")
    with pytest.raises(RuntimeError):
        break_off()
    assert (tmp_path / "file").read_bytes() == b"before"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_link_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_text("new")
    for _ in range(2):
        link_or_copy(source, target, tmp_path / "tmp")
        assert target.samefile(source)
    source.unlink()
    source.write_text("newer")
    link_or_copy(source, target, tmp_path / "tmp")
    assert target.read_text() == "newer"
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "nothing", target, tmp_path / "tmp")


def test_on_another_file_system_it_is_a_copy(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or os.stat(elsewhere).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("needs a second file system in /dev/shm")
    source = elsewhere / f"gramflow-test-{os.getpid()}"
    source.write_text("copied")
    try:
        link_or_copy(source, tmp_path / "target", tmp_path / "tmp")
        assert (tmp_path / "target").read_text() == "copied"
        assert not (tmp_path / "target").samefile(source)
    finally:
        source.unlink()


@pytest.mark.parametrize("name", ["folder", "n" * 300])
def test_what_cannot_take_its_name_is_told_by_that_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    file, temporary_folder = tmp_path / name, tmp_path / "tmp"
    (tmp_path / "source").write_bytes(b"linked")

    def together() -> None:
        with written_together(tmp_path, temporary_folder) as write:
            write(file, b"whole")

    for put in (
        lambda: write_whole(file, b"whole", temporary_folder),
        together,
        lambda: link_or_copy(tmp_path / "source", file, temporary_folder),
    ):
        with pytest.raises(OSError, match=r"Is a directory|File name too long") as caught:
            put()
        assert caught.value.filename == str(file)
    assert list(temporary_folder.iterdir()) == []
