"""Lists in .csv and .jsonl files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import ManifestError
from manifests.tables import read_table

Rows = list[tuple[int, dict[str, Any]]]


def rows_of(folder: Path, name: str, data: str | bytes) -> Rows:
    file = folder / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(read_table(file))


RIGHT: dict[str, tuple[str, str | bytes, Rows]] = {
    "csv": ("a.csv", "path,label\na.png,cat\nb.png,dog\n", [
        (2, {"path": "a.png", "label": "cat"}), (3, {"path": "b.png", "label": "dog"}),
    ]),
    "csv without last line end": ("a.csv", "path\na.png", [(2, {"path": "a.png"})]),
    "csv with CRLF": ("a.csv", "path\r\na.png\r\n", [(2, {"path": "a.png"})]),
    "csv with BOM": ("a.csv", b"\xef\xbb\xbfpath\na.png\n", [(2, {"path": "a.png"})]),
    "csv in capitals": ("A.CSV", "path\na.png\n", [(2, {"path": "a.png"})]),
    "csv with empty values": ("a.csv", "path,label\na.png,\n", [(2, {"path": "a.png"})]),
    "csv with a short row": ("a.csv", "path,label\na.png\n", [(2, {"path": "a.png"})]),
    "csv with empty lines": ("a.csv", "path\n\n\na.png\n", [(4, {"path": "a.png"})]),
    "csv with quotes": ("a.csv", 'path\n"a, ""b"".png"\n', [(2, {"path": 'a, "b".png'})]),
    "csv of a header": ("a.csv", "path,label\n", []),
    "csv of nothing": ("a.csv", "", []),
    "jsonl": ("a.jsonl", '{"path": "a.png", "n": 1}\n{"path": "é.png"}\n', [
        (1, {"path": "a.png", "n": 1}), (2, {"path": "é.png"}),
    ]),
    "jsonl with BOM": ("a.jsonl", b'\xef\xbb\xbf{"path": "a"}', [(1, {"path": "a"})]),
    "jsonl with empty lines": ("a.jsonl", '\n \n{"path": "a"}\r\n\n', [(3, {"path": "a"})]),
    "jsonl with null": ("a.jsonl", '{"path": "a", "label": null}', [(1, {"path": "a"})]),
    "jsonl of nothing": ("a.jsonl", "", []),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_rows_come_with_their_lines(tmp_path: Path, name: str) -> None:
    file, data, rows = RIGHT[name]
    assert rows_of(tmp_path, file, data) == rows


def test_a_row_over_several_lines_is_at_its_last(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "a.csv", 'path,label\n"a\nb",cat\nc,dog\n')
    assert [line for line, _ in rows] == [3, 4]


BROKEN: dict[str, tuple[str, str | bytes, int | None, str]] = {
    "too many values": ("a.csv", "path\na.png\nb.png,cat\n", 3, "more values than the header"),
    "open quote": ("a.csv", 'path\na.png\n"b.png\n', 2, "is not CSV"),
    "text after a quote": ("a.csv", 'path\n"a"b\n', 1, "is not CSV"),
    "csv in Latin-1": ("a.csv", "path\né.png\n".encode("latin-1"), None, "is not UTF-8 text"),
    "csv in UTF-16": ("a.csv", "path\na\n".encode("utf-16"), None, "is not UTF-8 text"),
    "no JSON": ("a.jsonl", '{"path": "a"}\n{path}\n', 2, "is not JSON"),
    "two objects a line": ("a.jsonl", '{"path": "a"} {"path": "b"}\n', 1, "is not JSON"),
    "a list": ("a.jsonl", '{"path": "a"}\n\n["a"]\n', 3, 'expected an object, got ["a"]'),
    "a number": ("a.jsonl", "5\n", 1, "expected an object, got 5"),
    "a huge number": ("a.jsonl", '{"n": ' + "9" * 5000 + "}\n", 1, "is not JSON"),
    "deep": ("a.jsonl", "[" * 100_000, 1, "is not JSON"),
    "jsonl in Latin-1": ("a.jsonl", '{"path": "é"}'.encode("latin-1"), None, "is not UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    file, data, line, message = BROKEN[name]
    with pytest.raises(ManifestError) as caught:
        rows_of(tmp_path, file, data)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(tmp_path / file), line)
    assert message in problem.message


@pytest.mark.parametrize("name", ["none.csv", "none.jsonl"])
def test_a_missing_list_is_a_problem(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError, match=f"{name}: No such file or directory"):
        list(read_table(tmp_path / name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
ROWS = st.lists(st.fixed_dictionaries({"path": VALUES, "label": VALUES}), max_size=5)


@given(ROWS)
@settings(deadline=None)
def test_what_was_written_as_csv_is_read_back(folder: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["path", "label"])
    writer.writeheader()
    writer.writerows(rows)
    assert [row for _, row in rows_of(folder, "a.csv", text.getvalue())] == rows


@given(ROWS, st.booleans())
@settings(deadline=None)
def test_what_was_written_as_jsonl_is_read_back(
    folder: Path, rows: list[dict[str, str]], ascii_only: bool
) -> None:
    text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    assert rows_of(folder, "a.jsonl", text) == list(enumerate(rows, start=1))


@given(
    st.sampled_from(["a.csv", "a.jsonl"]),
    st.one_of(st.binary(), st.text(alphabet='path,"\n\r{}[]:1é\0').map(str.encode)),
)
@settings(deadline=None)
def test_any_bytes_are_rows_or_a_problem(folder: Path, name: str, data: bytes) -> None:
    try:
        rows = rows_of(folder, name, data)
    except ManifestError as error:
        problem = str(error)
    else:
        assert all(line >= 1 and None not in row for line, row in rows)
        return
    assert problem.startswith(str(folder / name))
