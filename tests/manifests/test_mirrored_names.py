"""Which keypoints change places in a mirror."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.labels import mirrored_by_name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("left_eye", "right_eye"),
        ("Left_eye", "Right_eye"),
        ("LEFT-EYE", "RIGHT-EYE"),
        ("L_Eye", "R_Eye"),
        ("LEye", "REye"),
        ("eyeLeft", "eyeRight"),
        ("eye l", "eye r"),
        ("L1", "R1"),
        ("upright_left", "upright_right"),
        ("LeftEyeLeftCorner", "RightEyeRightCorner"),
    ],
)
def test_names_that_differ_in_their_side_change_places(first: str, second: str) -> None:
    assert mirrored_by_name(["nose", first, second]) == (0, 2, 1)


@pytest.mark.parametrize(
    "names", [["left_eye", "nose"], ["upright", "upleft"], ["tail", "tair"], ["eye", "Eye"]]
)
def test_names_without_another_side_keep_their_place(names: list[str]) -> None:
    assert mirrored_by_name(names) == (0, 1)


NAMES = st.lists(
    st.sampled_from(["left", "right", "Left", "RIGHT", "l", "R", "up", "Eye", "_", " ", "1"]),
    min_size=1,
    max_size=4,
).map("".join)


@given(st.lists(NAMES, max_size=12, unique=True))
def test_a_mirrored_mirror_image_is_the_image(names: list[str]) -> None:
    mirrored = mirrored_by_name(names)
    assert [mirrored[place] for place in mirrored] == list(range(len(names)))
