"""Which styles each content image is paired with."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import ManifestError
from manifests.pairing import RandomStyles
from tests.flows.pictures import photo
from tests.manifests.conftest import MakePlan, every_id, ids


@pytest.mark.parametrize("strategy", ["random", "all"])
def test_a_copy_of_a_style_is_no_other_style(
    make_plan: MakePlan, tmp_path: Path, strategy: str
) -> None:
    pairing = {"strategy": strategy}
    if strategy == "random":
        pairing |= {"styles_per_content": 2}
    before = make_plan(pairing=pairing)
    for index in range(3):
        style = tmp_path / "styles" / f"style{index}.png"
        shutil.copy(style, style.with_name(f"z{index}.png"))
    plan = make_plan(pairing=pairing)
    assert every_id(plan) == every_id(before)
    assert (before.copies, plan.copies) == (0, 3)
    names = {base.style.name for base in plan.bases() if base.style is not None}
    assert names <= {f"styles/style{index}.png" for index in range(3)}, "the first is named"


def test_a_copied_style_has_the_weight_of_the_first(make_plan: MakePlan, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "styles", tmp_path / "heavy")
    photo(200, 40, 52).save(tmp_path / "heavy" / "other.png")
    styles = [{"path": "styles"}, {"path": "heavy", "weight": 9}]
    once = [{"path": "styles"}, {"path": "heavy/other.png", "weight": 9}]
    assert every_id(make_plan(styles=styles)) == every_id(make_plan(styles=once))


def test_styles_named_for_a_photograph_and_its_copy_are_all_of_the_first(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "photos", tmp_path / "again")
    for index in range(3, 7):
        photo(100 + index, 40, 52).save(tmp_path / "styles" / f"style{index}.png")
    shutil.copy(tmp_path / "styles" / "style0.png", tmp_path / "styles" / "style7.png")
    both = [{"path": "photos"}, {"path": "again"}]
    plan = make_plan(content=both, pairing={"strategy": "zip"})
    pairs = [
        (base.content.name, base.style.name[-5]) for base in plan.bases() if base.style is not None
    ]
    first = [f"photos/{kind}/photo{n}.png" for kind, n in (("cat", 0), ("cat", 2), ("dog", 1))]
    last = "photos/dog/photo3.png"
    assert pairs == [
        *((name, style) for name, styles in zip(first, ("04", "15", "26")) for style in styles),
        *((last, style) for style in "37"),
    ]
    named = [("photos", 1), ("again", 1), ("again", 0), ("photos", 7)]
    listed = [
        {"content": f"{folder}/cat/photo0.png", "style": f"styles/style{style}.png"}
        for folder, style in named
    ]
    plan = make_plan(content=both, pairing={"strategy": "listed", "pairs": listed})
    found = [base.style.name[-5] for base in plan.bases() if base.style is not None]
    assert found == ["1", "0"]
    assert len(every_id(plan)) == len(ids(plan))


def test_zip_pairs_in_order_and_needs_equal_numbers(make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="got 3 styles and 4 content images"):
        make_plan(pairing={"strategy": "zip"})
    photo(103, 40, 52).save(tmp_path / "styles" / "style3.png")
    plan = make_plan(pairing={"strategy": "zip"})
    styles = [base.style.name for base in plan.bases() if base.style is not None]
    assert styles == [f"styles/style{index}.png" for index in range(4)]


def test_listed_pairs_are_those_and_no_others(make_plan: MakePlan, tmp_path: Path) -> None:
    one = {"content": "photos/cat/photo0.png", "style": "styles/style2.png"}
    plan = make_plan(pairing={"strategy": "listed", "pairs": [one]})
    (pair,) = [base for base in plan.bases() if base.style is not None]
    assert pair.style is not None
    assert (pair.content.name, pair.style.name) == (one["content"], one["style"])
    (tmp_path / "pairs.csv").write_text(f"content,style\n{one['content']},{one['style']}\n")
    assert ids(make_plan(pairing={"strategy": "listed", "pairs": "pairs.csv"})) == ids(plan)
    wrong = one | {"style": "styles/none.png"}
    with pytest.raises(ManifestError, match=r"none\.png is not among the images of styles"):
        make_plan(pairing={"strategy": "listed", "pairs": [wrong]})


KEYS = [bytes([index]) * 32 for index in range(40)]


def drawn(styles: list[bytes], weights: list[float], count: int, content: bytes) -> list[bytes]:
    chosen = RandomStyles(styles, weights, count, seed=3).draw(content)
    return [styles[index] for index in chosen]


@given(count=st.integers(1, 12), content=st.binary(min_size=32, max_size=32))
def test_styles_are_drawn_without_repeats(count: int, content: bytes) -> None:
    chosen = drawn(KEYS[:10], [1.0] * 10, count, content)
    assert len(set(chosen)) == len(chosen) == min(count, 10)


@given(new=st.integers(0, 9), content=st.binary(min_size=32, max_size=32))
def test_a_new_style_only_takes_the_place_of_one(new: int, content: bytes) -> None:
    old = [key for index, key in enumerate(KEYS[:10]) if index != new]
    before = drawn(old, [1.0] * 9, 3, content)
    after = drawn(KEYS[:10], [1.0] * 10, 3, content)
    assert after == before or set(after) - set(before) == {KEYS[new]}


def test_a_style_of_twice_the_weight_is_drawn_twice_as_often() -> None:
    drawer = RandomStyles(KEYS[:3], [2.0, 1.0, 1.0], 1, seed=3)
    contents = (index.to_bytes(8, "big") * 4 for index in range(8000))
    counts = Counter(drawer.draw(content)[0] for content in contents)
    assert counts[0] / 8000 == pytest.approx(0.5, abs=0.03)
