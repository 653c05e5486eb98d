"""Problems as they are shown."""

from __future__ import annotations

from manifests.errors import Problem, few_of_each_kind


def test_of_many_problems_of_one_kind_a_few_are_shown_and_the_others_counted() -> None:
    problems = [
        problem
        for index in range(5_000)
        for problem in (
            Problem(
                "d/c.json", index, f"annotations[{index}] (id {index})", f"id {index} is twice"
            ),
            Problem(f"d/labels/{index}.txt", 1, "", f"got 'x{index}' in /d/{index}.png"),
        )
    ]
    other = Problem("d/c.json", 3, "images[0]", "is required")
    assert few_of_each_kind([*problems, other], most=2) == [
        "d/c.json:0: annotations[0] (id 0): id 0 is twice",
        "d/c.json:1: annotations[1] (id 1): id 1 is twice",
        "… and 4,998 more of this kind",
        "d/labels/0.txt:1: got 'x0' in /d/0.png",
        "d/labels/1.txt:1: got 'x1' in /d/1.png",
        "… and 4,998 more of this kind",
        "d/c.json:3: images[0]: is required",
    ]
