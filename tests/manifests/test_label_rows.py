"""Labels as columns, and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from manifests.label_rows import named, numbered, objects_column, objects_of
from manifests.labels import Object, Rle

thousandths = st.integers(0, 4_000_000).map(lambda number: number / 1000)
boxes = st.tuples(*[st.integers(0, 999)] * 4).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
objects = st.builds(
    Object,
    st.sampled_from(["a", "b"]),
    boxes,
    st.lists(st.lists(thousandths, min_size=6, max_size=6).map(tuple), max_size=2).map(tuple),
    st.none() | st.builds(Rle, st.integers(1, 9), st.integers(1, 9), st.text("0:PQ", max_size=5)),
    st.lists(st.tuples(thousandths, thousandths, st.integers(0, 2)), max_size=3).map(tuple),
    st.booleans(),
    st.sampled_from(["{}", '{"a": 1}']),
)


@given(st.lists(objects, max_size=4).map(tuple))
def test_objects_come_back_from_their_column(given_objects: tuple[Object, ...]) -> None:
    column = objects_column(given_objects, [1.0] * len(given_objects), [1.0] * len(given_objects))
    by_number = numbered(column, {"b": 0, "a": 1})
    assert set(by_number["categories"]) <= {0, 1}
    assert objects_of(named(by_number, ["b", "a"])) == given_objects
