"""The report of a finished dataset: what is in it, and how much."""

from __future__ import annotations

import base64
import io
import json
import time
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image
from upath import UPath

from flows.colours import colour, css_colour
from flows.report import write_report
from flows.report.curves import HEIGHT, Sample, curves_of
from flows.report.distribution import Distribution
from flows.report.examples import MOST_EXAMPLES
from flows.report.facts import gather
from flows.report.outlines import outlines_of
from flows.report.plots import by_style, counts_of
from flows.report.thumbnails import mask_thumbnail
from manifests.exporters.finished import FinishedDataset, read_finished
from manifests.labels import Category, Object, Rle
from tests.flows.conftest import JobFolder
from tests.flows.painted import Painted
from tests.flows.processes import finished
from tests.flows.report_pages import Page, page_of, report_of
from tests.stores import memory_folder

PERSON = Category("person", keypoints=("nose", "eye"), skeleton=((0, 1),))
ONE_PERSON = Object(
    "person",
    (4.0, 4.0, 20.0, 30.0),
    polygons=((4.0, 4.0, 20.0, 4.0, 20.0, 30.0),),
    keypoints=((8.0, 8.0, 2), (10.0, 9.0, 2)),
)


def test_a_run_writes_the_report_and_names_it(job: JobFolder) -> None:
    summary = job.run()
    assert summary.report == str(job.out / "report.html")
    page = Page(job.out / "report.html")
    assert "36 images of 4 photographs in 3 styles" in page.text
    assert "4 photographs as they are, 8 variants of these, 8 stylized" in page.text
    assert len(page.data["columns"]["file"]) == 36
    status, output = finished("verify", job.out)
    assert (status, "0 problems" in output) == (0, True)


def test_a_run_with_nothing_to_do_leaves_the_report_or_writes_it_again(job: JobFolder) -> None:
    first = job.run()
    file = job.out / "report.html"
    written_ns = file.stat().st_mtime_ns
    assert finished("report", job.out)[0] == 0
    assert job.run().report == first.report
    assert file.stat().st_mtime_ns == written_ns
    file.unlink()
    assert job.run().report == first.report
    assert file.exists()


def test_a_dataset_without_images_has_no_report(job: JobFolder) -> None:
    job.run()
    for photograph in job.folder.glob("photos/*/*"):
        photograph.write_bytes(b"no picture")
    summary = job.run()
    assert (summary.dataset, summary.report) == (0, "")
    assert not (job.out / "report.html").exists()


def test_the_command_writes_the_same_bytes_again(job: JobFolder) -> None:
    job.run()
    first = (job.out / "report.html").read_bytes()
    (job.out / "report.html").unlink()
    status, output = finished("report", job.out)
    assert (status, output) == (0, f"report: {job.out}/report.html\n")
    assert (job.out / "report.html").read_bytes() == first


def test_a_folder_without_a_dataset_is_one_sentence(tmp_path: Path) -> None:
    status, output = finished("report", tmp_path)
    assert status == 2
    assert "expected the folder of a finished dataset" in output
    assert not list(tmp_path.iterdir())


def test_counts_are_those_of_the_rows(tmp_path: Path) -> None:
    facts = gather(
        read_finished(Painted(tmp_path, photographs=("a.jpg", "b.jpg", "c.jpg")).write())
    )
    assert (facts.images, facts.photographs) == (12, 3)
    assert facts.counts["kind"] == {"original": 3, "augmented": 3, "stylized": 6}
    assert facts.counts["class"] == {"cat": 8, "dog": 4}
    assert facts.counts["style"] == {"styles/waves.png": 3, "styles/tiles.png": 3}
    assert len(facts.table.file) == 12
    assert len(facts.originals) == 3


def test_the_style_that_keeps_least_comes_first(tmp_path: Path) -> None:
    facts = gather(read_finished(Painted(tmp_path).write()))
    fidelity = by_style(facts.fidelity, lowest_first=True)
    loss = by_style(facts.loss, lowest_first=False)
    assert fidelity is not None
    assert loss is not None
    assert [strip.style for strip in fidelity.strips] == ["styles/tiles.png", "styles/waves.png"]
    assert [strip.style for strip in loss.strips] == ["styles/tiles.png", "styles/waves.png"]
    assert fidelity.strips[0].median == "0.65"
    assert [strip.median for strip in loss.strips] == ["3.02", "2.00"]


def test_pictures_are_in_the_page_itself(tmp_path: Path) -> None:
    page = page_of(Painted(tmp_path))
    pictures = page.attributes("img", "src")
    assert len(pictures) > 12
    assert all(uri.startswith("data:image/") for uri in pictures)
    assert not [tag for tag, _ in page.tags if tag in ("iframe", "object", "embed", "base")]


def test_photographs_that_are_not_in_the_dataset_are_shown_from_their_own_files(
    tmp_path: Path,
) -> None:
    painted = Painted(tmp_path, has_originals=False)
    painted.write()
    assert "photograph one.jpg" in report_of(painted.out).attributes("img", "alt")
    for file in (tmp_path / "photos").iterdir():
        file.unlink()
    page = report_of(painted.out)
    assert "photograph one.jpg" not in page.attributes("img", "alt")
    assert "Photographs that are not where they were are not shown" in page.text


def test_a_dataset_without_styles_labels_and_failures(tmp_path: Path) -> None:
    page = page_of(Painted(tmp_path, styles=(), classes=()))
    assert "6 images of 3 photographs: 3 photographs as they are and 3 variants" in page.text
    for title in ("Fidelity", "Strength", "Failures", "Draw objects"):
        assert title not in page.text
    assert page.data["columns"]["strength"] == [None] * 6


def test_a_dataset_of_one_image(tmp_path: Path) -> None:
    painted = Painted(tmp_path, photographs=("only.jpg",), styles=(), classes=())
    painted.write()
    (painted.out / "train" / "metadata.jsonl").write_text(json.dumps(painted.rows[0]) + "\n")
    page = report_of(painted.out)
    assert "1 image of 1 photograph: 1 photograph as it is." in page.text


def test_labels_are_drawn(tmp_path: Path) -> None:
    painted = Painted(tmp_path, categories=(PERSON,), objects=(ONE_PERSON,))
    page = page_of(painted)
    paths = {(given.get("class"), given.get("d")) for tag, given in page.tags if tag == "path"}
    assert ("box", "M4 4H20V30H4Z") in paths
    assert ("shape", "M4 4L20 4L20 30Z") in paths
    assert ("bones", "M8 8L10 9") in paths
    assert ("points", "M8 8h.01M10 9h.01") in paths
    assert "Labelled objects" in page.text


def test_a_semantic_mask_is_shrunk_without_blending_its_classes(tmp_path: Path) -> None:
    mask = Image.new("L", (641, 400))
    mask.paste(3, (0, 0, 320, 400))
    mask.save(tmp_path / "mask.png")
    shrunk, classes = mask_thumbnail(tmp_path / "mask.png", 320, 1_000_000)
    image = Image.open(io.BytesIO(base64.b64decode(shrunk.uri.partition(",")[2])))
    assert image.size == (shrunk.width, shrunk.height) == (320, 200)
    assert set(image.get_flattened_data()) == classes == {0, 3}


def test_every_image_with_a_mask_says_where_it_is(tmp_path: Path) -> None:
    page = page_of(Painted(tmp_path, photographs=[f"{i}.jpg" for i in range(20)], has_masks=True))
    assert page.data["names"]["mask"] == ["train/masks/\0.png"]
    assert len(page.data["columns"]["mask"]) == 80
    assert "Draw masks" in page.text
    assert css_colour(3) in page.attributes("circle", "fill")
    tables = {tag[-5:]: given["tablevalues"] for tag, given in page.tags if "tablevalues" in given}
    red, _, _ = colour(3)
    assert float(str(tables["funcr"]).split()[3]) == pytest.approx(red / 255, abs=1e-4)
    assert [float(str(tables["funca"]).split()[index]) for index in (0, 3, 255)] == [0, 1, 0]


def test_occluded_keypoints_are_hollow(tmp_path: Path) -> None:
    keypoints = ((8.0, 8.0, 2), (10.0, 9.0, 1), (12.0, 9.0, 0))
    one = Object("person", (4.0, 4.0, 20.0, 30.0), keypoints=keypoints)
    person = Category("person", keypoints=("a", "b", "c"), skeleton=((0, 1), (1, 2)))
    painted = Painted(tmp_path, categories=(person,), objects=(one,))
    paths = {(of.get("class"), of.get("d")) for tag, of in page_of(painted).tags if tag == "path"}
    assert ("holes", "M10 9h.01") in paths
    assert ("points", "M8 8h.01M10 9h.01") in paths, "each has a dot, on which the hole lies"
    assert ("bones", "M8 8L10 9") in paths, "none to what is not labelled"


def test_a_mask_without_an_outline_is_hatched_inside_of_it(tmp_path: Path) -> None:
    # 40 rows, 48 columns: two columns, from their 11th row to their 20th.
    counts = _counts(400 + 10, 10, 30, 10, 48 * 40 - 460)
    crowd = Object("person", (10.0, 10.0, 12.0, 20.0), rle=Rle(40, 48, counts), crowd=True)
    painted = Painted(tmp_path, categories=(PERSON,), objects=(crowd,))
    dataset = read_finished(painted.write())
    (outline,) = outlines_of(dataset, painted.rows[0])
    assert outline.hatching == "M10.5 10V20M11.5 10V20"


def _counts(*lengths: int) -> str:
    from pycocotools import mask

    made = mask.frPyObjects({"size": [40, 48], "counts": list(lengths)}, 40, 48)
    return str(made["counts"].decode())


def test_what_was_left_out_on_purpose_is_no_failure(tmp_path: Path) -> None:
    line = {"content_path": "a.jpg", "style_path": "b.png", "why": "0.1 < 0.3", "images": 2}
    page = page_of(Painted(tmp_path, left_out=[line]))
    assert "Left out on purpose" in page.text
    assert "Failures" not in page.text


def test_bars_of_kinds_are_shares_of_all_images(tmp_path: Path) -> None:
    facts = gather(read_finished(Painted(tmp_path).write()))
    shares = {one.of: [bar.share for bar in one.bars] for one in counts_of(facts)}
    assert shares["split"] == [1.0]
    assert shares["kind"] == [0.5, 0.25, 0.25]
    assert shares["style"] == [1.0, 1.0]


def test_failures_are_listed_up_to_a_bound(tmp_path: Path) -> None:
    failures = [
        {"path": f"photos/{index}.jpg", "error": "is empty", "images_missing": 2}
        for index in range(1500)
    ]
    page = page_of(Painted(tmp_path, failures=failures))
    assert "1,500 files could not be used" in page.text
    assert "3,000 images are missing" in page.text
    assert "… and 1,400 more, see failures.jsonl" in page.text
    assert len(page.data["failures"]) == 1000


def test_loss_curves_come_from_the_ledger(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    painted.write()
    assert curves_of(painted.out) == Sample((), 0)
    painted.write_curves()
    (curves,) = curves_of(painted.out).curves
    assert curves.scales == ()
    assert curves.iterations == 20
    assert set(curves.paths) == {"total", "content", "style", "total_variation"}
    xs = [float(point.split()[0]) for point in curves.paths["total"][1:].split("L")]
    ys = [float(point.split()[1]) for point in curves.paths["total"][1:].split("L")]
    assert xs == [0, 150, 300]
    assert ys == sorted(ys)
    assert "Loss curve of 1 pair" in report_of(painted.out).text


def test_a_scale_begins_a_line_of_its_own_and_is_marked(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    painted.write()
    painted.write_curves(
        iteration=[0, 10, 20, 40],
        long_side_px=[64, 64, 128, 128],
        total=[4.0, 2.0, 8.0, 1.0],
        content=[1e-9, 2.0, 3.0, 0.5],
        style=[1.0, 1.0, 1.0, 1.0],
        total_variation=[0.0, 0.0, 0.0, 0.0],
    )
    (curves,) = curves_of(painted.out).curves
    assert [(one.x, one.long_side_px) for one in curves.scales] == [(0, 64), (150, 128)]
    assert curves.paths["total"].count("M") == 2
    assert curves.axis.low > 1e-5, "what is five decades below does not stretch the axis"
    first = curves.paths["content"][1:].split("L")[0]
    assert float(first.split()[1]) > HEIGHT, "and is cut off below it"
    assert "128 px" in report_of(painted.out).text


def test_the_sample_of_curves_is_of_all_styles(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    painted.write()
    for number, style in enumerate("aaaaaaaaaaaabbc"):
        painted.write_curves(number=number, style_path=style)
    styles = [one.style for one in curves_of(painted.out, most=6).curves]
    assert styles == ["a", "b", "c", "a", "b", "a"]


def test_a_report_of_a_dataset_in_a_store_lies_in_the_store(tmp_path: Path) -> None:
    painted = Painted(tmp_path)
    painted.write()
    folder = memory_folder()
    folder.put(painted.out, "out")
    written = write_report(UPath(folder.file("out")), asks_stores=True)
    assert str(written) == folder.file("out/report.html")
    html = folder.read("out/report.html").decode()
    assert f"gramflow replay {folder.file('out')} " in html


def test_a_value_off_its_axis_is_drawn_at_its_end() -> None:
    even = Distribution.even(100)
    for value in (-3.0, 0.5, 7.0):
        even.add(value)
    drawn = by_style({"oil.jpg": even}, lowest_first=True)
    assert drawn is not None
    (strip,) = drawn.strips
    assert (strip.low, strip.middle, strip.high) == (0.0, 0.5, 0.5)
    even.add(7.0)
    drawn = by_style({"oil.jpg": even}, lowest_first=True)
    assert drawn is not None
    assert drawn.strips[0].high == 1.0


def test_a_distribution_has_the_quantiles_of_its_values() -> None:
    even = Distribution.even(100)
    for value in range(101):
        even.add(value / 100)
    assert [even.quantile(share) for share in (0, 0.25, 0.5, 1)] == [0, 0.25, 0.5, 1]
    decades = Distribution.by_decades(50)
    for value in (1e-3, 1.0, 1e3):
        decades.add(value)
    assert decades.quantile(0.5) == pytest.approx(1.0)
    assert decades.quantile(1) == pytest.approx(1e3)


def test_examples_are_of_all_styles_and_classes_and_the_least_faithful(tmp_path: Path) -> None:
    painted = Painted(
        tmp_path,
        photographs=[f"{index}.jpg" for index in range(60)],
        styles=[f"{index}.png" for index in range(6)],
        classes=[f"class-{index}" for index in range(5)],
        files=1,
    )
    painted.write()
    examples = list(gather(read_finished(painted.out)).examples.values())
    assert len(examples) == MOST_EXAMPLES
    assert len({one.label for one in examples}) == 5
    assert len({one.style for one in examples if one.style}) == 6
    assert len({one.row["content_path"] for one in examples}) > 30
    assert {one.kind for one in examples[:12]} == {"stylized"}
    least = min(row["fidelity"] for row in painted.rows)
    assert all(one.fidelity == least for one in examples[3:32:4]), "eight are looked for"


def test_many_rows_are_sampled_evenly_and_the_page_says_so(tmp_path: Path) -> None:
    painted = Painted(tmp_path, photographs=[f"{index}.jpg" for index in range(100)])
    facts = gather(read_finished(painted.write()), most_rows=40)
    assert facts.images == 400
    assert 40 <= len(facts.table.file) <= 40 + MOST_EXAMPLES
    files = [f"train/{row['file_name']}" for row in painted.rows]
    assert set(files[9::10]) <= set(facts.table.file)
    assert facts.table.file == sorted(facts.table.file, key=files.index), "as in the dataset"
    for place, example in facts.examples.items():
        assert facts.table.file[place] == f"train/{example.row['file_name']}"


def test_labels_stay_with_their_row_when_examples_come_between(tmp_path: Path) -> None:
    box = Object("person", (4.0, 4.0, 20.0, 30.0))
    painted = Painted(
        tmp_path,
        photographs=[f"{index}.jpg" for index in range(60)],
        categories=(PERSON,),
        objects=(box,),
    )
    painted.write()
    for index, row in enumerate(painted.rows):
        row["objects"]["bbox"] = [[float(index % 20), 0.0, 9.0, 9.0]]
    lines = "".join(json.dumps(row) + "\n" for row in painted.rows)
    (painted.out / "train" / "metadata.jsonl").write_text(lines)
    facts = gather(read_finished(painted.out), most_rows=24)
    files = [f"train/{row['file_name']}" for row in painted.rows]
    assert len(facts.outlines) == len(facts.table.file) > 48
    for place, (outline,) in facts.outlines.items():
        left = files.index(facts.table.file[place]) % 20
        assert outline.box == f"M{left} 0H{left + 9}V9H{left}Z"


def test_a_photograph_takes_a_few_bytes_of_memory(tmp_path: Path) -> None:
    def peak_bytes(dataset: FinishedDataset, photographs: int) -> int:
        tracemalloc.start()
        assert gather(dataset, most_rows=10).photographs == photographs
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peaks = []
    for photographs in (500, 4500):
        names = [f"{index}.jpg" for index in range(photographs)]
        folder = tmp_path / f"{photographs}"
        painted = Painted(folder, names, styles=(), has_originals=False, files=1)
        dataset = read_finished(painted.write())
        # The least of some, for other threads of this process take memory, too.
        peaks.append(min(peak_bytes(dataset, photographs) for _ in range(3)))
    assert peaks[1] - peaks[0] < 4000 * 40


def test_a_hundred_thousand_rows_make_a_page_of_some_megabytes(tmp_path: Path) -> None:
    painted = Painted.of_a_hundred_thousand_images(tmp_path)
    painted.write()
    begun = time.monotonic()
    file = write_report(painted.out, asks_stores=False)
    assert isinstance(file, Path)
    size_mb = file.stat().st_size / 1e6
    print(
        f"report of {len(painted.rows):,} rows: {time.monotonic() - begun:.1f} s, {size_mb:.1f} MB"
    )
    assert size_mb < 25
    data = Page(file).data
    assert len(data["columns"]["file"]) == 100_000
    assert len(data["examples"]) <= MOST_EXAMPLES
