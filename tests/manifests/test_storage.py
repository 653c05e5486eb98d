"""From texts to places, and what lies there."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.server import home_of
from manifests.ahead import read_ahead
from manifests.durable import written_together
from manifests.facts import FactsCache
from manifests.listings import exists, files_in, folders_in, forget_listings, globbed, is_folder
from manifests.readers.findings import joined
from manifests.storage import beside, local_folder, normal, place, whole_place
from manifests.stores import StoreError, is_there, opened, read_bytes, read_first_line
from tests.manifests.listing import problems
from tests.stores import Fault, Server, memory_folder, s3_folder

NAMES = st.sampled_from(["a", "b.jpg", ".hidden", "a b", "[c]", "d*", "über.jpg"])
PARTS = st.sampled_from(
    ["*", "?", "**", "a", "*.jpg", "[ab]*", "[!a]*", ".*", "b.jpg", "a b", "[[]c]"]
)


def test_a_local_path_is_a_path_relative_to_its_folder(tmp_path: Path) -> None:
    assert place("photos", tmp_path) == tmp_path / "photos"
    assert place("/photos", tmp_path) == Path("/photos")
    assert place("~/photos") == Path.home() / "photos"
    assert place("file:///data/my photos") == Path("/data/my photos")
    assert type(place("file:///data")) is type(Path())


@pytest.mark.parametrize("store", ["s3", "memory"])
def test_a_url_has_one_spelling(store: str) -> None:
    assert normal(place(f"{store}://bucket/a/")) == f"{store}://bucket/a"
    assert normal(f"{store}://bucket/a/./b/../c") == f"{store}://bucket/a/c"
    assert normal(place(f"{store.upper()}://bucket/A")) == f"{store}://bucket/A"
    assert str(place(f"{store}://bucket/a") / "b c" / "?#.jpg") == f"{store}://bucket/a/b c/?#.jpg"
    assert place(f"{store}://bucket/a").with_name("a.yolo").name == "a.yolo"
    assert joined(f"{store}://bucket/a", "./b//c.jpg") == f"{store}://bucket/a/b/c.jpg"


def test_a_table_means_its_neighbours_or_urls() -> None:
    assert beside(Path("/data/lists"), "../a.jpg") == "/data/a.jpg"
    assert beside(Path("/data"), "s3://bucket/x/../a.jpg") == "s3://bucket/a.jpg"
    assert beside(place("s3://bucket/lists"), "file:///data/a.jpg") == "/data/a.jpg"
    assert joined("file:///data", "a.jpg") == "file:///data/a.jpg"
    assert beside(place("s3://bucket/lists"), "../a.jpg") == "s3://bucket/a.jpg"
    for wrong in ("/etc/a.jpg", "../../other/a.jpg"):
        with pytest.raises(ValueError, match="below s3://bucket, or a URL"):
            beside(place("s3://bucket/lists"), wrong)


def test_what_only_a_disk_holds_is_apart_for_each_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert local_folder(tmp_path / "out") == tmp_path / "out" / ".gramflow"
    first, second = (local_folder(place(f"s3://bucket/{name}")) for name in ("a", "b"))
    assert first != second
    assert first.parent == second.parent == tmp_path / "gramflow"
    assert first == local_folder(place("s3://bucket/a/"))
    assert home_of(place("s3://bucket/a")) == first / "prefect"


@given(
    files=st.sets(st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8),
    pattern=st.lists(PARTS, min_size=1, max_size=3).map("/".join),
)
@settings(max_examples=60, deadline=None)
def test_a_glob_finds_in_a_store_what_it_finds_on_a_disk(
    tmp_path_factory: pytest.TempPathFactory, files: set[str], pattern: str
) -> None:
    folder, store = tmp_path_factory.mktemp("glob"), memory_folder()
    for file in sorted(files):
        try:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("")
        except OSError:  # a folder has the file's name, or the other way round
            continue
        store.write(file, b"")
    forget_listings()
    on_disk = {
        os.path.relpath(found, folder)
        for found in glob.glob(f"{glob.escape(str(folder))}/{pattern}", recursive=True)
        if os.path.isfile(found)
    }
    in_store = globbed(store.file(pattern))
    assert {found.removeprefix(f"{store.url}/") for found in in_store} == on_disk
    assert in_store == sorted(in_store)


def test_folders_of_a_store_are_listed(s3: Server) -> None:
    folder = s3_folder()
    for name in ("a/b/1.jpg", "a/2.jpg", "a/.hidden/3.jpg", "a/mark/"):
        folder.write(name, b"1")
    forget_listings()
    where = place(folder.file("a"))
    assert folders_in(where) == [".hidden", "b", "mark"]
    assert files_in(where, "*.jpg") == [folder.file("a/2.jpg")]
    assert is_folder(where / "b")
    assert exists(folder.file("a/b"))
    assert not exists(folder.file("a/c"))
    with s3.counted() as asked:
        assert not exists(folder.file("a/c"))
    assert asked == []


def test_a_store_that_cannot_say_is_not_taken_for_one_without_the_file(s3: Server) -> None:
    file = place(s3_folder().file("a"))
    assert not is_there(file)
    with s3.failing(Fault("HEAD", "")), pytest.raises(StoreError):
        is_there(file)


def test_bytes_of_a_store_are_read_as_those_of_a_disk(s3: Server, tmp_path: Path) -> None:
    folder = s3_folder()
    data = b"first\n" + b"x" * 5000
    folder.write("file", data)
    (tmp_path / "file").write_bytes(data)
    for file in (place(folder.file("file")), tmp_path / "file"):
        assert read_bytes(file) == data
        assert read_bytes(file, 2, 8) == data[2:8]
        assert read_first_line(file, 100) == b"first\n"
        with opened(file) as whole:
            assert list(whole) == [b"first\n", b"x" * 5000]
    for missing in (place(folder.file("nothing")), tmp_path / "nothing"):
        for read in (read_bytes, opened):
            with pytest.raises(FileNotFoundError) as refused:
                read(missing)
            assert refused.value.filename == str(missing)


def test_a_tar_that_is_none_is_named_in_a_store(tmp_path: Path) -> None:
    folder = memory_folder()
    folder.write("s.tar", b"no tar" * 500)
    (problem,) = problems(tmp_path, {"path": folder.file("s.tar")})
    assert problem.startswith(f"{folder.file('s.tar')}: is no uncompressed tar")


def test_what_a_store_does_not_give_has_no_facts_and_is_asked_for_again(
    s3: Server, tmp_path: Path
) -> None:
    folder = s3_folder()
    folder.write("a.jpg", b"no picture")
    facts = FactsCache(tmp_path / "facts.sqlite")
    with s3.failing(Fault("GET", "a.jpg")):
        (nothing,) = facts.of_files([folder.file("a.jpg")])
    assert nothing.sha256 == b""
    (something,) = facts.of_files([folder.file("a.jpg")])
    assert len(something.sha256) == 32
    facts.close()


def test_files_put_together_are_all_there_or_the_error_is_raised(
    s3: Server, tmp_path: Path
) -> None:
    folder = s3_folder()
    where = place(folder.file("out"))
    with written_together(where, tmp_path) as write:
        for index in range(100):
            write(where / str(index), str(index).encode())
        write(where / "copy", where / "0")
    assert folder.files("out") == {
        **{str(index): str(index).encode() for index in range(100)},
        "copy": b"0",
    }

    def refused() -> None:
        with written_together(where, tmp_path) as write:
            write(where / "1", b"new")
            write(where / "2", b"new")

    with s3.failing(Fault("PUT", "out/1")), pytest.raises(StoreError) as error:
        refused()
    assert error.value.filename == folder.file("out/1")


@pytest.mark.parametrize("in_store", [False, True])
def test_what_is_read_ahead_comes_in_order_with_its_errors(in_store: bool) -> None:
    def read(number: int) -> int:
        if number == 70:
            raise StoreError("seventy")
        return 2 * number

    read_numbers = read_ahead(read, range(100), in_store=in_store)
    assert [next(read_numbers) for _ in range(70)] == list(range(0, 140, 2))
    with pytest.raises(StoreError, match="seventy"):
        next(read_numbers)


def test_a_path_of_the_command_line_is_made_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "in")
    monkeypatch.chdir(tmp_path / "deep")
    assert whole_place(".") == whole_place("./") == tmp_path / "deep"
    assert whole_place("..") == tmp_path
    assert whole_place("../link") == tmp_path / "deep" / "in"
    assert whole_place(f"{tmp_path}/link") == tmp_path / "link", "as it was spelled"
    assert whole_place("../link/../new") == tmp_path / "deep" / "new", "as the system goes"
    assert str(whole_place("memory://a/b")) == "memory://a/b"
    with pytest.raises(ValueError, match="there is no home folder ~nobody-of-that-name"):
        whole_place("~nobody-of-that-name/x")
