"""The main flow, run for real: what it makes, and what it makes again."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.budget import Budget
from flows.reading import read_for_run
from manifests.in_use import OutputInUse, in_use
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo, write_bad_files

# Of each photo: itself, its 2 variants, 2 pairs, and their 2 variants each.
PER_PHOTO = 1 + 2 + 2 + 4


def rows(job: JobFolder, split: str = "train") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.out / split / "metadata.jsonl").open()]


def failures(job: JobFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job.out / "failures.jsonl").open()]


def test_a_run_makes_every_image_of_the_manifest(job: JobFolder) -> None:
    summary = job.run()
    assert (summary.made, summary.failed, summary.left) == (4 * PER_PHOTO, 0, 0)
    assert Counter(row["kind"] for row in rows(job)) == {
        "original": 4,
        "augmented": 8,
        "stylized": 8,
        "stylized_augmented": 16,
    }
    assert Counter(row["label"] for row in rows(job)) == {"cat": 18, "dog": 18}
    assert failures(job) == []


def test_photographs_in_a_shard_are_content(job: JobFolder) -> None:
    with tarfile.open(job.folder / "shard.tar", "w") as tar:
        for file in sorted((job.folder / "photos").glob("cat/*")):
            tar.add(file, file.name)
    job.write(content=[{"path": "shard.tar"}], styles=[], augment={})
    assert job.run().made == 2
    paths = [row["content_path"] for row in rows(job)]
    assert paths == ["shard.tar!/photo0.png", "shard.tar!/photo2.png"]
    by_row = [Image.open(job.out / "train" / row["file_name"]).size for row in rows(job)]
    photos = [Image.open(file).size for file in sorted((job.folder / "photos").glob("cat/*"))]
    assert by_row == photos


def test_rows_and_files_describe_each_other(job: JobFolder) -> None:
    job.run()
    files = job.images()
    assert {f"train/{row['file_name']}" for row in rows(job)} == set(files)
    for row in rows(job):
        data = files[f"train/{row['file_name']}"]
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        with Image.open(job.out / "train" / row["file_name"]) as image:
            assert image.size == (row["width"], row["height"])
        assert row["file_name"].startswith(f"{row['label']}/")
        assert row["variant_id"][:12] in row["file_name"]


def test_rows_say_how_an_image_was_made(job: JobFolder) -> None:
    job.run()
    by_kind = {row["kind"]: row for row in rows(job)}
    styled = by_kind["stylized_augmented"]
    assert styled["encoder"] == "random"
    assert len(styled["encoder_sha256"]) == 64
    assert styled["preset"] == "fast"
    assert styled["strength"] == 1.0
    assert json.loads(styled["stylize_parameters"])["scales"] == [[1.0, 2]]
    assert styled["total_loss_end"] < styled["total_loss_start"]
    assert (styled["iterations"], styled["stop_reason"]) == (2, "iterations")
    assert styled["precision"] in {"fp32", "bf16"}
    assert styled["style_path"].startswith("styles/style")
    assert styled["content_path"].startswith("photos/")
    assert [name for name, _ in json.loads(styled["applied_transforms"])]
    assert by_kind["original"]["encoder"] == by_kind["original"]["style_path"] == ""
    assert all(value is not None for row in rows(job) for value in row.values())
    assert {tuple(row) for row in rows(job)} == {tuple(styled)}, "every row has every column"
    about = json.loads((job.out / "dataset.json").read_text())
    assert about["images"] == 36
    assert about["counts"]["kind"]["stylized"] == 8
    assert about["manifest"]["seed"] == 7
    assert about["versions"]["torch"]


def test_a_second_run_does_nothing(job: JobFolder) -> None:
    job.run()
    before = {file: file.stat().st_mtime_ns for file in job.out.glob("train/*/*.jpg")}
    assert job.run().made == 0
    assert {file: file.stat().st_mtime_ns for file in job.out.glob("train/*/*.jpg")} == before


def test_the_bytes_do_not_depend_on_the_folder_or_the_run(job: JobFolder, tmp_path: Path) -> None:
    job.run()
    first = job.images()
    job.run(out=tmp_path / "again")
    assert job.images(tmp_path / "again") == first


def test_an_extended_manifest_does_only_what_is_new(job: JobFolder) -> None:
    job.run()
    before = job.images()
    photo(50).save(job.folder / "photos" / "cat" / "new.png")
    summary = job.run()
    assert summary.made == PER_PHOTO
    assert summary.set_aside == 0
    assert before.items() <= job.images().items()


def test_a_new_recipe_makes_only_its_own_variants(job: JobFolder) -> None:
    job.run()
    before = job.images()
    recipes = {
        "turn": [{"Rotate": {"limit": 15, "p": 1.0}}],
        "light": [{"RandomBrightnessContrast": {"p": 1.0}}],
        "mirror": [{"HorizontalFlip": {"p": 1.0}}],
    }
    job.write(augment={"recipes": recipes, "variants": {"original": 1, "stylized": 1}})
    assert job.run().made == 4 + 8
    assert before.items() <= job.images().items()


def test_a_changed_photo_makes_only_its_own_images_stale(job: JobFolder) -> None:
    job.run()
    photo(51, 48, 32).save(job.folder / "photos" / "cat" / "photo0.png")
    summary = job.run()
    assert (summary.made, summary.set_aside) == (PER_PHOTO, PER_PHOTO)
    assert len(rows(job)) == len(job.images()) == 4 * PER_PHOTO
    aside = list((job.out / ".gramflow" / "set_aside").rglob("*.jpg"))
    assert {file.name.split("-")[0] for file in aside} == {"photo0"}


def test_a_changed_parameter_makes_only_the_pairs_stale(job: JobFolder) -> None:
    job.run()
    job.write(stylize=TINY | {"strength": 0.5})
    summary = job.run()
    assert summary.made == summary.set_aside == 4 * (2 + 4)


def test_a_deleted_file_is_made_again_with_the_same_bytes(job: JobFolder) -> None:
    job.run()
    before = job.images()
    for name in [name for name in before if "photo1-stylized" in name]:
        (job.out / name).unlink()
    assert job.run().made == 2 + 4
    assert job.images() == before


def test_bad_files_fail_alone_with_one_line_each(job: JobFolder) -> None:
    good, bad = write_bad_files(job.folder / "photos" / "cat")
    summary = job.run()
    assert summary.failed == len(bad) * PER_PHOTO
    assert summary.dataset == (4 + len(good)) * PER_PHOTO
    assert sorted(line["path"] for line in failures(job)) == sorted(
        f"photos/cat/{name}" for name in bad
    )
    assert {line["images_missing"] for line in failures(job)} == {PER_PHOTO}


def test_names_that_are_no_utf8_or_hold_markup_or_lines_are_names_like_others(
    job: JobFolder,
) -> None:
    for name in (b"\xff\xfe.png", b"<b>.png", b"two\nlines.png", b"-rf.png"):
        photo(50).save(os.fsdecode(os.fsencode(job.folder / "photos" / "cat") + b"/" + name))
    summary = job.run()
    assert (summary.failed, summary.dataset) == (0, 8 * PER_PHOTO)


def test_a_bad_style_fails_only_its_pairs(job: JobFolder) -> None:
    (job.folder / "styles" / "style0.png").write_bytes(b"no picture")
    job.write(pairing={"strategy": "all"})
    summary = job.run()
    assert summary.failed == 4 * 3
    assert [line["path"] for line in failures(job)] == ["styles/style0.png"]
    assert summary.dataset == 4 * (3 + 2 * 3)


def test_a_recipe_that_does_not_fit_an_image_fails_that_image_alone(job: JobFolder) -> None:
    crop = {"crop": [{"RandomCrop": {"height": 36, "width": 36}}]}
    job.write(augment={"recipes": crop, "variants": {"original": 1, "stylized": 0}})
    summary = job.run()
    assert summary.failed == 1, "photo0 is 32 px high, the others 36 and more"
    assert failures(job)[0]["path"] == "photos/cat/photo0.png"


def test_what_failed_is_tried_again_only_when_asked(job: JobFolder) -> None:
    (job.folder / "photos" / "dog" / "broken.png").write_bytes(b"no picture")
    job.run()
    assert (job.run().made, job.run().failed) == (0, 0)
    assert job.run(retry_failed=True).failed == PER_PHOTO
    assert len(failures(job)) == 1


def test_other_splits_are_copied_without_variants(job: JobFolder) -> None:
    photo(60).save(job.folder / "held_out.png")
    job.write(content=[{"path": "photos"}, {"path": "held_out.png", "split": "val"}])
    assert job.run().made == 4 * PER_PHOTO + 1
    assert [row["kind"] for row in rows(job, "val")] == ["original"]


def test_formats_that_were_exported_before_follow_the_dataset(job: JobFolder) -> None:
    from manifests.exporters.formats import export

    job.write(styles=[], augment={}, output={"path": "out", "format": ["voc"]})
    job.run()
    list(export(job.out, ["coco", "yolo"]))
    (job.folder / "photos" / "cat" / "photo0.png").unlink()
    lines = job.run().exports
    assert [line.partition(":")[0] for line in lines] == ["voc", "coco", "yolo"]
    instances = json.loads((job.out / "annotations" / "instances_train.json").read_text())
    assert len(instances["images"]) == len(rows(job)) == 3
    assert len(list((job.folder / "out.yolo" / "labels" / "train").iterdir())) == 3


def test_a_dataset_that_lost_all_images_has_no_indexes_of_them(job: JobFolder) -> None:
    from manifests.exporters.formats import export

    job.write(styles=[], augment={}, output={"path": "out", "format": ["coco", "yolo"]})
    job.run()
    list(export(job.out, ["voc", "webdataset"]))
    for file in (job.folder / "photos").rglob("*.png"):
        file.write_bytes(b"no picture any more")
    assert job.run().dataset == 0
    files = (file for file in job.out.rglob("*") if ".gramflow" not in file.parts)
    left = {file.name for file in files if file.suffix in {".json", ".parquet"}}
    assert left == {"dataset.json"}
    assert [file for file in job.folder.glob("out.*/**/*") if file.is_file()] == []


def test_without_styles_there_are_only_variants(job: JobFolder) -> None:
    job.write(styles=[])
    assert job.run().made == 4 * 3
    assert json.loads((job.out / "dataset.json").read_text())["engine"] is None


def test_a_limit_stops_there_and_the_next_run_goes_on(job: JobFolder) -> None:
    first = job.run(limit=7)
    assert (first.made, first.left, len(job.images())) == (7, 29, 7)
    assert len(rows(job)) == 7
    assert job.run().made == 29
    in_two_runs = job.images()
    job.run(out=job.folder / "at_once")
    assert in_two_runs == job.images(job.folder / "at_once")


def test_a_run_ends_when_its_hours_are_over_and_the_next_goes_on(job: JobFolder) -> None:
    for index in range(16):  # each of a shape of its own, and so a chunk
        photo(index, 48, 20 + index).save(job.folder / "photos" / "dog" / f"more{index}.png")
    job.write(
        pairing={"styles_per_content": 1},
        stylize=TINY | {"override": {"scales": [[1.0, 30]]}},
        augment={"include_original": False},
    )
    seconds = 1.5
    first = job.run(max_hours=seconds / 3600)
    assert first.out_of_time
    assert not first.stopped
    assert first.made > 0
    assert first.left == 20 - first.made > 0
    assert len(rows(job)) == len(job.images()) == first.made
    second = job.run(max_hours=1)
    assert (second.made, second.left, second.out_of_time) == (first.left, 0, False)
    in_two_runs = job.images()
    job.run(out=job.folder / "at_once")
    assert in_two_runs == job.images(job.folder / "at_once")


def budget_of_a_minute(*took: tuple[float, float, bool, bool]) -> Budget:
    """After chunks of (work, seconds, has_pairs, is_first)."""
    budget = Budget(hours=60 / 3600)
    for work, seconds, has_pairs, is_first in took:
        budget.took(work, has_pairs, seconds, is_first)
    return budget


def test_no_chunk_begins_that_would_not_be_done_in_time() -> None:
    assert budget_of_a_minute().allows(1000, True), "how long it takes is not known yet"
    budget = budget_of_a_minute((2, 10, True, False), (2, 30, True, False))
    assert budget.allows(7, True), "55 s: 5 for each of the work, and up to 20 of waiting"
    assert not budget.allows(9, True), "65 s"
    assert budget.is_over
    assert not budget.allows(0.1, True), "others would be made instead, in another order"


def test_workers_that_start_slowly_are_not_taken_for_slow_ones() -> None:
    while_starting = [(0.01, 4.4, False, True), (0.01, 4.4, True, True)]
    assert budget_of_a_minute(*while_starting).allows(10, True), "as long as the slowest"
    assert budget_of_a_minute(*while_starting, (10, 30, True, False)).allows(10, True)
    slow = [(10.0, 70.0, True, True)]
    assert not budget_of_a_minute(*slow).allows(10, True), "70 s, of which none may be the start"


def test_chunks_without_pairs_say_nothing_of_those_with_pairs() -> None:
    photographs = (0.01, 4.4, False, False)  # as to a store that is far away
    assert budget_of_a_minute(photographs).allows(10, True), "as long as the slowest"
    budget = budget_of_a_minute(photographs, (10, 50, True, False))
    assert budget.allows(0.01, False), "4.4 s"
    assert not budget.allows(12.5, True), "62.5 s"


def test_what_failed_at_once_does_not_make_others_look_fast() -> None:
    assert not budget_of_a_minute((10, 0.01, True, False), (10, 70, True, False)).allows(10, True)


def test_as_many_chunks_as_begin_at_once_are_first(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.chunk_tasks
    import flows.dataset
    from flows.job import prepare

    heard: list[tuple[bool, bool]] = []

    class Heard(Budget):
        def took(self, work: float, has_pairs: bool, seconds: float, is_first: bool) -> None:
            heard.append((has_pairs, is_first))

    monkeypatch.setattr(flows.dataset, "Budget", Heard)
    monkeypatch.setattr(flows.chunk_tasks, "_TASKS_PER_FLOW", 5)
    for index in range(8):  # each of a shape of its own, and so two chunks
        photo(index, 48, 20 + index).save(job.folder / "photos" / "dog" / f"more{index}.png")
    job.run(max_hours=1)
    places = prepare(read_for_run(job.manifest)).places
    assert len(heard) > 2 * places
    assert sum(is_first for _, is_first in heard) == places
    assert {has_pairs for has_pairs, _ in heard} == {True, False}


def test_without_hours_every_chunk_may_begin() -> None:
    budget = Budget(hours=None)
    budget.took(work=1, has_pairs=True, seconds=1e6, is_first=False)
    assert budget.allows(work=1e6, has_pairs=True)
    assert not budget.is_over


def test_a_job_of_many_chunks_runs_in_parts(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.chunk_tasks

    monkeypatch.setattr(flows.chunk_tasks, "_TASKS_PER_FLOW", 3)
    assert job.run().made == 4 * PER_PHOTO


def test_a_full_disk_or_the_like_ends_the_run_and_loses_nothing(job: JobFolder) -> None:
    job.out.mkdir()
    (job.out / "train").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="train"):
        job.run()
    (job.out / "train").unlink()
    assert job.run().made == 4 * PER_PHOTO


def test_prefect_knows_the_run_and_its_chunks(job: JobFolder) -> None:
    job.run()
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        newest = client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1)[0]
        assert newest.name == "stylize small"
        assert newest.state is not None
        assert newest.state.is_completed()
        chunks = len(list((job.out / ".gramflow" / "ledger").glob("*.jsonl")))
        tasks = _eventually(
            lambda: client.read_task_runs(
                flow_run_filter=FlowRunFilter(id={"any_": [newest.id]}),  # type: ignore[arg-type]
            ),
            chunks,
        )
    assert all(task.state.is_completed() for task in tasks)
    names = {f"stylize small · chunk {number}/{chunks}" for number in range(1, chunks + 1)}
    assert {task.name for task in tasks} == names


def _eventually(read: Any, count: int) -> Any:
    """Task records reach the server's database within seconds."""
    import time

    for _ in range(100):
        found = read()
        if len(found) == count and all(one.state.is_final() for one in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"expected {count} finished task runs, the server has {len(found)}")


def test_two_runs_do_not_write_into_one_folder(job: JobFolder) -> None:
    job.out.mkdir()
    with in_use(job.out), pytest.raises(OutputInUse, match="another run or export writes there"):
        job.run()
    assert job.images() == {}
    assert job.run().made == 36
