"""The plan: what it holds, and what a change makes new."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from manifests.chunks import MAX_IMAGES, TARGET_SECONDS, chunks
from manifests.labels import Labels
from manifests.plan import MAX_VARIANTS_PER_BASE, Base, Plan, Variant
from manifests.sources import ContentImage, StyleImage
from tests.flows.pictures import photo
from tests.manifests.conftest import MakePlan, every_id, ids


def files(plan: Plan) -> list[str]:
    return [variant.file for base in plan.bases() for variant in base.variants]


def test_every_image_has_its_variants(make_plan: MakePlan) -> None:
    plan = make_plan()
    kinds = Counter(base.kind(v) for base in plan.bases() for v in base.variants)
    assert kinds == {"original": 4, "augmented": 4, "stylized": 8, "stylized_augmented": 16}
    assert len(ids(plan)) == len(set(files(plan))) == 32


def test_files_are_named_after_split_class_source_and_kind(make_plan: MakePlan) -> None:
    for file in files(make_plan()):
        assert file.startswith(("train/cat/photo", "train/dog/photo"))
        assert file.endswith(".jpg")


def test_odd_names_become_plain_ones(make_plan: MakePlan, tmp_path: Path) -> None:
    photo(9).save(tmp_path / "a b.c é.png")
    (name,) = {file.split("-")[0] for file in files(make_plan(content=[{"path": "a b.c é.png"}]))}
    assert name == "train/a_b_c_é"


def test_the_same_inputs_give_the_same_ids_in_another_folder(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    before = ids(make_plan())
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("photos", "styles"):
        shutil.copytree(tmp_path / name, moved / name)
    assert ids(make_plan(moved)) == before


def test_a_changed_photo_changes_only_its_own_ids(make_plan: MakePlan, tmp_path: Path) -> None:
    before = ids(make_plan())
    photo(77).save(tmp_path / "photos" / "cat" / "photo0.png")
    assert len(before & ids(make_plan())) == 3 * 8


@pytest.mark.parametrize("changed", ["cat,val", "dog,train"])
def test_another_class_or_split_is_another_image(
    make_plan: MakePlan, tmp_path: Path, changed: str
) -> None:
    def of_list(row: str) -> Plan:
        (tmp_path / "l.csv").write_text(f"path,label,split\nphotos/cat/photo0.png,{row}\n")
        return make_plan(content=[{"path": "l.csv"}])

    assert not ids(of_list("cat,train")) & ids(of_list(changed))


def test_a_changed_style_changes_only_its_pairs(make_plan: MakePlan, tmp_path: Path) -> None:
    everything = {"strategy": "all"}
    before = ids(make_plan(pairing=everything))
    photo(78, 40, 52).save(tmp_path / "styles" / "style1.png")
    after = ids(make_plan(pairing=everything))
    assert len(before - after) == 4 * 3


@pytest.mark.parametrize(
    ("changes", "engine"),
    [
        ({}, {"encoder_sha256": "f"}),
        ({}, {"parameters": {"style_weight": 6.0}}),
        ({"stylize": {"strength": 0.3}}, {}),
        ({"stylize": {"strength": [0.2, 0.9], "preserve_color": True}}, {}),
    ],
)
def test_a_changed_parameter_changes_the_pairs_and_nothing_else(
    make_plan: MakePlan, changes: dict[str, Any], engine: dict[str, Any]
) -> None:
    before, after = make_plan(), make_plan(engine=engine, **changes)
    styled = ("stylized", "stylized_augmented")
    assert not ids(before, *styled) & ids(after, *styled)
    assert ids(before, "original", "augmented") == ids(after, "original", "augmented")


def test_another_seed_changes_all_but_the_originals(make_plan: MakePlan) -> None:
    before, after = make_plan(), make_plan(seed=8)
    assert ids(before) & ids(after) == ids(before, "original")


def test_another_size_or_image_format_changes_everything(make_plan: MakePlan) -> None:
    before = ids(make_plan())
    assert not before & ids(make_plan(engine={"size": 40}))
    assert not before & ids(make_plan(output={"path": "out", "image": {"quality": 90}}))


def test_more_recipes_and_photos_keep_what_there_is(make_plan: MakePlan, tmp_path: Path) -> None:
    before = ids(make_plan())
    photo(79).save(tmp_path / "photos" / "cat" / "aaa.png")
    recipes = {
        "new": [{"VerticalFlip": {"p": 1.0}}],
        "mirror": [{"HorizontalFlip": {"p": 1.0}}],
    }
    variants = {"original": 2, "stylized": 3}
    after = ids(make_plan(augment={"recipes": recipes, "variants": variants}))
    assert before < after


def test_another_mirror_order_of_keypoints_changes_the_variants_of_their_images_alone(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    for name in ("posed", "empty"):
        (tmp_path / "d" / "images").mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / "labels").mkdir(exist_ok=True)
        photo(len(name)).save(tmp_path / "d" / "images" / f"{name}.png")
    (tmp_path / "d" / "labels" / "posed.txt").write_text("0 0.5 0.5 1 1 0.1 0.2 0.8 0.2\n")

    def of_flips(flip_idx: list[int]) -> Plan:
        described = {"train": "images", "names": ["a"], "kpt_shape": [2, 2], "flip_idx": flip_idx}
        (tmp_path / "d" / "data.yaml").write_text(yaml.safe_dump(described))
        return make_plan(content=[{"path": "d"}])

    before, after = of_flips([0, 1]), of_flips([1, 0])
    varied = ("augmented", "stylized_augmented")
    assert ids(before, "original", "stylized") == ids(after, "original", "stylized")
    assert len(ids(before, *varied)) == 2 * 5
    assert len(ids(before, *varied) & ids(after, *varied)) == 5, "those without keypoints"


def test_splits_that_are_not_listed_come_without_variants(make_plan: MakePlan) -> None:
    plan = make_plan(content=[{"path": "photos", "split": "val"}])
    assert all(file.startswith("val/") and "-original-" in file for file in files(plan))
    assert len(files(plan)) == 4


def test_without_the_originals_only_what_is_varied_or_styled_remains(make_plan: MakePlan) -> None:
    plan = make_plan(augment={"include_original": False})
    assert all("-stylized-" in file for file in files(plan))
    assert len(files(plan)) == 8


def test_equal_bytes_under_two_names_are_two_files(make_plan: MakePlan, tmp_path: Path) -> None:
    cats = tmp_path / "photos" / "cat"
    shutil.copy(cats / "photo0.png", cats / "copy.png")
    plan = make_plan()
    assert len(set(files(plan))) == len(files(plan)) == 5 * 8
    sources = {base.source_id for base in plan.bases() if base.content.name.startswith("photos/c")}
    assert len(sources) == 2, "the copies are one source"


def test_a_photograph_that_is_there_twice_is_planned_once(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    before = make_plan()
    shutil.copytree(tmp_path / "photos", tmp_path / "again")
    photo(77).save(tmp_path / "again" / "cat" / "new.png")
    plan = make_plan(content=[{"path": "photos"}, {"path": "again"}])
    assert (before.copies, plan.copies) == (0, 4)
    assert every_id(plan)[: len(every_id(before))] == every_id(before)
    assert len(every_id(plan)) == len(ids(plan)) == 5 * 8
    other = [{"path": "photos"}, {"path": "again", "group": "."}]
    assert make_plan(content=other).copies == 0, "what ids differ by makes another image"


def test_files_that_cannot_be_read_leave_the_pairs_of_the_others_as_they_are(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    before = ids(make_plan(pairing={"strategy": "all"}))
    for name in ("p", "q"):
        (tmp_path / "styles" / f"{name}.png").symlink_to(tmp_path / "nothing.png")
        (tmp_path / "photos" / "cat" / f"{name}.png").symlink_to(tmp_path / "nothing.png")
    plan = make_plan(pairing={"strategy": "all"})
    everything = every_id(plan)
    assert len(everything) == len(set(everything)) == 6 * (2 + 5 * 3)
    assert before <= set(everything)


def test_strengths_are_drawn_per_pair_within_the_range(make_plan: MakePlan) -> None:
    strengths = [base.strength for base in make_plan().bases() if base.style is not None]
    assert len(set(strengths)) == 8
    assert all(0.2 <= strength <= 0.9 for strength in strengths)


def test_many_variants_of_one_image_come_in_parts(make_plan: MakePlan) -> None:
    recipes = {"mirror": [{"HorizontalFlip": {"p": 1.0}}]}
    plan = make_plan(styles=[], augment={"recipes": recipes, "variants": {"original": 600}})
    sizes = [len(base.variants) for base in plan.bases()]
    assert max(sizes) == MAX_VARIANTS_PER_BASE
    assert sum(sizes) == 4 * 601


def bases(shapes: list[tuple[bool, int, int]]) -> list[Base]:
    """Made-up bases: (with style, width, number of variants)."""
    content = ContentImage("c", "c", "c", "train", Labels())
    style = StyleImage("s", "s", 1.0)
    return [
        Base(
            id=str(number),
            content=content,
            content_sha256=b"",
            style=style if styled else None,
            style_sha256=b"",
            strength=1.0,
            width=width,
            height=16,
            variants=tuple(
                Variant(f"{number}.{index}", None, index, "f") for index in range(count)
            ),
        )
        for number, (styled, width, count) in enumerate(shapes)
    ]


SHAPES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([16, 32, 48]), st.integers(1, 256)), max_size=40
)


@given(shapes=SHAPES, seconds=st.floats(0.01, 30))
def test_chunks_hold_each_base_once_in_one_shape_and_within_bounds(
    shapes: list[tuple[bool, int, int]], seconds: float
) -> None:
    made = list(chunks(bases(shapes), lambda base: seconds))
    assert [chunk.number for chunk in made] == list(range(len(made)))
    assert sorted(int(base.id) for chunk in made for base in chunk.bases) == list(
        range(len(shapes))
    )
    for chunk in made:
        assert len({(b.style is None, b.width) for b in chunk.bases}) == 1
        assert chunk.images <= MAX_IMAGES
        assert len(chunk.bases) == 1 or len(chunk.bases) * seconds <= TARGET_SECONDS * 1.001


@given(shapes=SHAPES)
def test_chunks_follow_from_the_plan_alone(shapes: list[tuple[bool, int, int]]) -> None:
    first, second = (list(chunks(bases(shapes), lambda base: 1.0)) for _ in range(2))
    assert [chunk.id for chunk in first] == [chunk.id for chunk in second]
    assert len({chunk.id for chunk in first}) == len(first)
