"""Ledger, comparison with the plan, and the indexes that are made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from manifests.chunks import Chunk, chunks
from manifests.comparison import Counts, FilesOnDisk, Todo, compare, first_images
from manifests.durable import written_whole
from manifests.errors import ManifestError
from manifests.export import export_imagefolder
from manifests.exporters.finished import read_finished
from manifests.label_rows import objects_column
from manifests.labels import Category, Object
from manifests.ledger import Ledger, LedgerError
from manifests.plan import Plan
from tests.flows.pictures import photo
from tests.manifests.conftest import MakePlan, record

IMAGES = 32


def chunks_of(plan: Plan) -> list[Chunk]:
    return list(chunks(plan.bases(), lambda base: 6.0))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_record_is_read_back(make_plan: MakePlan, out: Path) -> None:
    first, second, *_ = chunks_of(make_plan())
    record(out, first)
    broken = second.bases[0].variants[0].id
    record(out, second, failed=(broken,))
    ids = Ledger(out).ids()
    assert ids.failed == {broken}
    assert len(ids.done) == first.images + second.images - 1
    rows = list(Ledger(out).rows())
    assert [row["variant_id"] for row in rows[: first.images]] == [
        variant.id for base in first.bases for variant in base.variants
    ]


def test_what_failed_once_and_was_done_later_is_done(make_plan: MakePlan, out: Path) -> None:
    chunk = chunks_of(make_plan())[0]
    one = chunk.bases[0].variants[0].id
    record(out, chunk, failed=(one,))
    record(out, first_images(chunk, 1))
    assert Ledger(out).ids().failed == frozenset()
    assert one in Ledger(out).ids().done


@pytest.mark.parametrize("text", [b"", b"no json\n", b'{"format": 99}\n', b"[]\n", b"\xff\n"])
def test_a_damaged_record_is_named(make_plan: MakePlan, out: Path, text: bytes) -> None:
    record(out, chunks_of(make_plan())[0])
    (file,) = (out / ".gramflow" / "ledger").iterdir()
    file.write_bytes(text)
    with pytest.raises(LedgerError, match=file.name):
        Ledger(out).ids()


def test_a_damaged_row_is_named_with_its_record(make_plan: MakePlan, out: Path) -> None:
    record(out, chunks_of(make_plan())[0])
    (file,) = (out / ".gramflow" / "ledger").iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(LedgerError, match=file.name):
        list(Ledger(out).rows())


def test_plan_and_ledger_are_compared(make_plan: MakePlan, out: Path, tmp_path: Path) -> None:
    plan = make_plan()
    assert compare(plan, Ledger(out), out) == Counts(new=IMAGES)
    made = chunks_of(plan)
    broken = made[0].bases[0].variants[0].id
    record(out, made[0], failed=(broken,))
    for chunk in made[1:]:
        record(out, chunk)
    assert compare(plan, Ledger(out), out) == Counts(done=IMAGES - 1, failed=1)
    deleted = made[1].bases[0].variants[0].file
    (out / deleted).unlink()
    assert compare(plan, Ledger(out), out) == Counts(new=1, done=IMAGES - 2, failed=1)


def test_what_was_left_out_is_not_to_be_made_again(make_plan: MakePlan, out: Path) -> None:
    plan = make_plan()
    made = chunks_of(plan)
    variants = [variant for base in made[0].bases for variant in base.variants]
    rows = [{"variant_id": one.id, "left_out": "fidelity 0.2"} for one in variants]
    Ledger(out).record(made[0], [], [], rows)
    counts = compare(plan, Ledger(out), out)
    assert counts == Counts(new=IMAGES - len(rows), left_out=len(rows))
    for retry_failed in (False, True):
        todo = Todo(Ledger(out).ids(), FilesOnDisk(out), retry_failed)
        assert todo.of_chunk(made[0]).images == 0


@pytest.mark.parametrize("left_out_number", [0, 99])
def test_what_was_made_and_left_out_is_what_its_file_says(
    make_plan: MakePlan, out: Path, left_out_number: int
) -> None:
    """Whichever of the two records comes first: plan and indexes agree."""
    plan = make_plan()
    for chunk in chunks_of(plan):
        record(out, chunk)
    chunk = first_images(chunks_of(plan)[1], 1)
    variant = chunk.bases[0].variants[0]
    row = {"variant_id": variant.id, "content_path": "c", "style_path": "s", "left_out": "why"}
    other = replace(chunk, number=left_out_number)
    Ledger(out).record(other, [], [], [row])
    assert compare(plan, Ledger(out), out) == Counts(done=IMAGES)
    assert len(exported(plan, out)) == IMAGES
    assert (out / "left_out.jsonl").read_text() == ""
    (out / variant.file).unlink()
    assert compare(plan, Ledger(out), out) == Counts(done=IMAGES - 1, left_out=1)
    assert len(exported(plan, out)) == IMAGES - 1
    assert json.loads((out / "left_out.jsonl").read_text())["images"] == 1


def test_changed_is_stale_and_removed_is_orphan(
    make_plan: MakePlan, out: Path, tmp_path: Path
) -> None:
    for chunk in chunks_of(make_plan()):
        record(out, chunk)
    photo(80).save(tmp_path / "photos" / "cat" / "photo0.png")
    (tmp_path / "photos" / "dog" / "photo1.png").unlink()
    counts = compare(make_plan(), Ledger(out), out)
    assert counts == Counts(new=8, done=16, stale=8, orphan=8)


def test_what_is_left_of_a_chunk_keeps_its_place(make_plan: MakePlan, out: Path) -> None:
    chunk = chunks_of(make_plan())[0]
    record(out, first_images(chunk, 2))
    left = Todo(Ledger(out).ids(), FilesOnDisk(out)).of_chunk(chunk)
    assert (left.number, left.images) == (chunk.number, chunk.images - 2)
    failed = left.bases[0].variants[0].id
    record(out, left, failed=(failed,))
    ids = Ledger(out).ids()
    assert Todo(ids, FilesOnDisk(out)).of_chunk(chunk).images == 0
    again = Todo(ids, FilesOnDisk(out), retry_failed=True).of_chunk(chunk)
    assert [variant.id for base in again.bases for variant in base.variants] == [failed]


@pytest.mark.parametrize("limit", [0, 1, 3, 1000])
def test_first_images_cuts_exactly(make_plan: MakePlan, limit: int) -> None:
    chunk = chunks_of(make_plan())[0]
    assert first_images(chunk, limit).images == min(limit, chunk.images)


def exported(plan: Plan, out: Path) -> list[str]:
    """File names of metadata.jsonl, after checking that they are the files that there are."""
    export_imagefolder(out, plan, Ledger(out), {"name": "small"})
    lines = (out / "train" / "metadata.jsonl").read_text().splitlines()
    names = [json.loads(line)["file_name"] for line in lines]
    there = [str(file.relative_to(out / "train")) for file in (out / "train").rglob("*.jpg")]
    assert sorted(names) == sorted(there)
    return names


def test_every_row_has_its_file_and_every_file_its_row(make_plan: MakePlan, out: Path) -> None:
    plan = make_plan()
    for chunk in chunks_of(plan)[:-1]:
        record(out, chunk)
    names = exported(plan, out)
    (out / "train" / names[0]).unlink()
    stray = out / "train" / "cat" / "photo0-stylized-aaaaaaaaaaaa.jpg"
    stray.write_bytes(b"from a killed run")
    own = out / "train" / "cat" / "notes-of-the-user.txt"
    own.write_text("mine")
    assert sorted(exported(plan, out)) == sorted(names[1:])
    assert (out / ".gramflow/set_aside/train/cat" / stray.name).read_bytes() == b"from a killed run"
    assert own.exists()


def test_what_the_plan_no_longer_wants_is_set_aside(
    make_plan: MakePlan, out: Path, tmp_path: Path
) -> None:
    for chunk in chunks_of(make_plan()):
        record(out, chunk)
    (tmp_path / "photos" / "dog" / "photo1.png").unlink()
    assert len(exported(make_plan(), out)) == IMAGES - 8
    assert len(list((out / ".gramflow" / "set_aside").rglob("*.jpg"))) == 8


def test_a_split_that_is_gone_loses_its_index(make_plan: MakePlan, out: Path) -> None:
    held_out = make_plan(content=[{"path": "photos", "split": "val"}])
    for chunk in chunks_of(held_out):
        record(out, chunk)
    export_imagefolder(out, held_out, Ledger(out), {})
    assert (out / "val" / "metadata.jsonl").exists()
    plan = make_plan()
    for chunk in chunks_of(plan):
        record(out, chunk)
    exported(plan, out)
    assert not (out / "val" / "metadata.jsonl").exists()


def test_failures_are_one_line_a_file_at_fault(make_plan: MakePlan, out: Path) -> None:
    plan = make_plan()
    broken = "photos/cat/photo0.png"
    for chunk in chunks_of(plan):
        failed = tuple(v.id for b in chunk.bases if b.content.name == broken for v in b.variants)
        record(out, chunk, failed)
    exported(plan, out)
    lines = (out / "failures.jsonl").read_text().splitlines()
    expected = {"path": broken, "error": "is broken", "images_missing": 8}
    assert [json.loads(line) for line in lines] == [expected]
    about = json.loads((out / "dataset.json").read_text())
    assert (about["name"], about["images"], about["failures"]) == ("small", IMAGES - 8, 1)
    assert about["counts"]["class"] == {"cat": 8, "dog": 16}


def test_categories_are_numbers_in_the_index_and_masks_lie_below_their_split(
    make_plan: MakePlan, out: Path
) -> None:
    plan = make_plan()
    plan.categories = (Category("car", coco_id=3), Category("person", keypoints=("nose",)))
    chunk = chunks_of(plan)[0]
    record(out, chunk)
    (file,) = (out / ".gramflow" / "ledger").iterdir()
    header, *lines = file.read_text().splitlines()
    objects = objects_column([Object("person", (1, 2, 3, 5))], [6.0], [1.0])
    rows = []
    for number, line in enumerate(lines):
        mask = f"train/masks/{number}.png"
        (out / mask).parent.mkdir(exist_ok=True, parents=True)
        (out / mask).write_bytes(b"")
        labels = {"objects": objects, "mask_file_name": mask}
        rows.append(json.dumps(json.loads(line) | labels))
    file.write_text("\n".join([header, *rows]) + "\n")
    export_imagefolder(out, plan, Ledger(out), {})
    row = json.loads((out / "train" / "metadata.jsonl").read_text().splitlines()[0])
    assert (row["objects"]["categories"], row["objects"]["bbox"]) == ([1], [[1, 2, 2, 3]])
    # Not `mask_file_name`, which readers open: other images have no mask.
    assert row["mask_path"] == "masks/0.png"
    described = json.loads((out / "dataset.json").read_text())["categories"]
    assert [(one["name"], one["coco_id"], one["keypoints"]) for one in described] == [
        ("car", 3, []),
        ("person", None, ["nose"]),
    ]


def test_indexes_of_which_some_are_old_have_no_categories(make_plan: MakePlan, out: Path) -> None:
    plan = make_plan()
    for chunk in chunks_of(plan):
        record(out, chunk)
    exported(plan, out)
    (out / "train" / "metadata.jsonl").unlink()
    in_the_way = out / "train" / "metadata.jsonl" / "folder"
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError, match=r"metadata.jsonl"):
        export_imagefolder(out, plan, Ledger(out), {})
    assert not (out / "dataset.json").exists()
    with pytest.raises(ManifestError, match=r"there is none.*see `gramflow run`"):
        read_finished(out)


def test_rows_have_the_names_that_files_have_now(
    make_plan: MakePlan, out: Path, tmp_path: Path
) -> None:
    plan = make_plan()
    broken, weak = "photos/cat/photo0.png", "photos/dog/photo3.png"
    for chunk in chunks_of(plan):
        of = {
            name: {v.id for b in chunk.bases if b.content.name == name for v in b.variants}
            for name in (broken, weak)
        }
        record(out, chunk, tuple(of[broken]))
        (file,) = (out / ".gramflow" / "ledger").glob(f"{chunk.number:06d}-*")
        rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
        left_out = [row | {"left_out": "is weak"} for row in rows if row["variant_id"] in of[weak]]
        Ledger(out).record(
            chunk,
            [row for row in rows if row["variant_id"] not in of[broken] | of[weak]],
            [row for row in rows if row["variant_id"] in of[broken]],
            left_out,
        )
    exported_rows = exported(plan, out)
    before = [json.loads(line) for line in (out / "train/metadata.jsonl").read_text().splitlines()]
    (tmp_path / "photos").rename(tmp_path / "pictures")
    for index in range(3):
        style = tmp_path / "styles" / f"style{index}.png"
        style.rename(style.with_name(f"wave{index}.png"))
    assert exported(make_plan(content=[{"path": "pictures"}]), out) == exported_rows
    after = [json.loads(line) for line in (out / "train/metadata.jsonl").read_text().splitlines()]
    assert after == [
        row
        | {
            "content_path": row["content_path"].replace("photos/", "pictures/"),
            "style_path": row["style_path"].replace("/style", "/wave"),
        }
        for row in before
    ]
    assert [list(row) for row in after] == [list(row) for row in before]
    counts = json.loads((out / "dataset.json").read_text())["counts"]["style"]
    assert set(counts) == {row["style_path"] for row in after if row["style_path"]}
    assert '"pictures/cat/photo0.png"' in (out / "failures.jsonl").read_text()
    weak_now = [json.loads(line) for line in (out / "left_out.jsonl").read_text().splitlines()]
    assert {row["content_path"] for row in weak_now} == {"pictures/dog/photo3.png"}
    assert all("wave" in row["style_path"] for row in weak_now if row["style_path"])


def test_exporting_again_gives_the_same_bytes(make_plan: MakePlan, out: Path) -> None:
    plan = make_plan()
    for chunk in chunks_of(plan):
        record(out, chunk)
    names = ("train/metadata.jsonl", "failures.jsonl", "dataset.json")
    exported(plan, out)
    before = [(out / name).read_bytes() for name in names]
    exported(plan, out)
    assert [(out / name).read_bytes() for name in names] == before


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target, temporary = tmp_path / "deep" / "file", tmp_path / "tmp"

    def break_off() -> None:
        with written_whole(target, temporary) as growing:
            growing.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert not target.exists()
    for text in (b"whole", b"replaced"):
        with written_whole(target, temporary) as growing:
            growing.write(text)
            assert not target.exists() or target.read_bytes() == b"whole"
        assert target.read_bytes() == text
    assert list(temporary.iterdir()) == []
