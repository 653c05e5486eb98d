"""The report of what is damaged, odd, or written by who knows whom."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows.report import write_report
from manifests.errors import ManifestError
from manifests.labels import Category, Object
from tests.flows.painted import Painted
from tests.flows.report_pages import page_of, report_of


def test_what_looks_like_html_is_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    painted = Painted(
        tmp_path,
        photographs=('<img src=x onerror="alert(1)">.jpg', 'quote\'s & "quotes".jpg'),
        styles=("<b>bold.png",),
        classes=(evil, "plain"),
        categories=(Category(evil),),
        objects=(Object(evil, (1.0, 1.0, 9.0, 9.0)),),
        name=evil,
        failures=[{"path": evil, "error": evil, "images_missing": 1}],
        left_out=[{"content_path": evil, "style_path": evil, "why": evil, "images": 1}],
    )
    page = page_of(painted)
    scripts = [given for tag, given in page.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    assert not [tag for tag, _ in page.tags if tag == "b"]
    assert not [given for _, given in page.tags if "onerror" in given or given.get("src") == "x"]
    assert page.text.count(evil) > 5
    assert page.data["names"]["label"] == [evil, "plain"]
    assert page.data["failures"] == [[evil, evil, 1]]


def test_rows_of_an_older_version(tmp_path: Path) -> None:
    older = frozenset(
        ("kind", "fidelity", "objects", "total_loss_end", "strength", "recipe", "notes", "pair_id")
    )
    painted = Painted(tmp_path, without=older)
    painted.write()
    about = json.loads((painted.out / "dataset.json").read_text())
    kept = {name: about[name] for name in ("images", "counts")}
    (painted.out / "dataset.json").write_text(json.dumps(kept))
    (painted.out / "left_out.jsonl").unlink()
    page = report_of(painted.out)
    assert "12 images of 3 photographs in 2 styles" in page.text
    assert "its manifest is refused" in page.text
    assert page.data["columns"]["fidelity"] == [None] * 12


def test_damaged_pictures_are_left_out_of_the_examples(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    painted.write()
    for row in painted.rows[:5]:
        (painted.out / "train" / row["file_name"]).write_bytes(b"no picture")
    page = report_of(painted.out)
    assert len(page.data["examples"]) == 7
    assert "5 examples cannot be read, `gramflow verify` says why" in page.text


def test_a_semantic_mask_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    metadata = painted.write() / "train" / "metadata.jsonl"
    with_mask = '{"mask_file_name": "masks/none.png", '
    metadata.write_text(metadata.read_text().replace("{", with_mask, 1))
    page = report_of(painted.out)
    assert "Masks that cannot be read are not shown, as train/masks/none.png;" in page.text


def test_what_lies_in_stores_is_not_asked_for_on_a_strangers_word(tmp_path: Path) -> None:
    asked: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

        do_HEAD = do_GET

    painted = Painted(tmp_path, has_originals=False)
    painted.write()
    with HTTPServer(("127.0.0.1", 0), Listening) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        metadata = painted.out / "train" / "metadata.jsonl"
        metadata.write_text(
            metadata.read_text()
            .replace('"photos/', f'"{address}/')
            .replace('"styles/waves.png', '"s3://private/waves.png')
        )
        page = report_of(painted.out)
        server.shutdown()
    assert not asked
    assert f"Only a run's own report shows what lies in stores, as {address}/one.jpg." in page.text


def test_what_strangers_wrote_of_it_does_no_harm(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    painted.write()
    (painted.out / "failures.jsonl").write_text(
        'nothing\n[1]\n{"path": "\\ud800", "error": {"a": 1}, "images_missing": "many"}\n'
    )
    about = json.loads((painted.out / "dataset.json").read_text())
    about |= {"engine": [1], "versions": {"torch": [2]}}
    metadata = painted.out / "train" / "metadata.jsonl"
    metadata.write_text(re.sub(r'"kind": "\w+"', '"kind": "<i>none"', metadata.read_text()))
    (painted.out / "dataset.json").write_text(json.dumps(about))
    painted.write_curves(total=[4.0, float("nan"), 1.0])
    page = report_of(painted.out)
    assert "12 images of 3 photographs in 2 styles." in page.text
    assert "<i>none" in page.text
    assert "3 files could not be used" in page.text
    assert "line 1 is no JSON object" in page.text
    assert page.data["failures"][2][0] == "\ud800"
    assert "Loss curve of" not in page.text


@pytest.mark.parametrize(
    "record", ["nothing\n", "[" * 100_000 + "\n", None], ids=["text", "deep", "deep row"]
)
def test_a_damaged_ledger_costs_the_curves_only(tmp_path: Path, record: str | None) -> None:
    painted = Painted(tmp_path)
    painted.write()
    painted.write_curves()
    (file,) = (painted.out / ".gramflow" / "ledger").iterdir()
    header = file.read_text().splitlines()[0]
    for text in [record] if record else [f"{header}\n{'[' * 100_000}\n", f"{header}\n[1]\n7\n"]:
        file.write_text(text)
        assert "The loss curves cannot be shown" in report_of(painted.out).text


@pytest.mark.parametrize(
    "curve",
    [
        {"total": ["a", "b", "c"]},
        {"iteration": [1e308, 2e308, 0]},
        {"total": [10**400, 1, 1]},
    ],
)
def test_a_broken_curve_costs_a_note(tmp_path: Path, curve: dict[str, Any]) -> None:
    painted = Painted(tmp_path)
    painted.write()
    painted.write_curves(**curve)
    painted.write_curves(number=2)
    page = report_of(painted.out)
    assert "1 loss curve on record cannot be drawn" in page.text
    assert "Loss curve of 1 pair" in page.text


@pytest.mark.parametrize("total", [[1e308] * 3, [1e-308, 1.7e308, 1.0], [5e-324, 1.0, 1.0]])
def test_losses_of_any_size_are_drawn(tmp_path: Path, total: list[float]) -> None:
    painted = Painted(tmp_path)
    painted.write()
    painted.write_curves(total=total)
    assert "Loss curve of 1 pair" in report_of(painted.out).text


@pytest.mark.parametrize(
    "changed",
    [
        {"variant_id": "a" * 26},
        {"style_path": ""},
        {"total_loss_end": 5e-324},
        {"total_loss_end": 2.0**62},
        {"fidelity": -(2**62), "strength": 1e18},
    ],
)
def test_odd_rows_are_shown_as_far_as_they_go(tmp_path: Path, changed: dict[str, Any]) -> None:
    painted = Painted(tmp_path)
    metadata = painted.write() / "train" / "metadata.jsonl"
    metadata.write_text("".join(json.dumps(row | changed) + "\n" for row in painted.rows))
    assert "12 images of 3 photographs" in report_of(painted.out).text
    some = [row | changed if place == 2 else row for place, row in enumerate(painted.rows)]
    metadata.write_text("".join(json.dumps(row) + "\n" for row in some))
    assert "12 images of 3 photographs" in report_of(painted.out).text


@pytest.mark.parametrize("column", ["content_path", "style_path"])
def test_a_path_that_none_can_be_is_refused_with_its_line(tmp_path: Path, column: str) -> None:
    painted = Painted(tmp_path)
    metadata = painted.write() / "train" / "metadata.jsonl"
    painted.rows[2][column] = "a\0b"
    metadata.write_text("".join(json.dumps(row) + "\n" for row in painted.rows))
    with pytest.raises(ManifestError, match=rf"metadata.jsonl:3: {column}: expected a path"):
        write_report(painted.out, asks_stores=False)


def test_numbers_that_no_failure_can_have_count_nothing(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    out = painted.write()
    (out / "failures.jsonl").write_text(f'{{"path": "a", "images_missing": {"9" * 4300}}}\n' * 3)
    assert "3 files could not be used" in report_of(out).text
