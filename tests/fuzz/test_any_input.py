"""Whatever comes in, it is used, or it is said in words why not, and that within ten seconds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import Target, prepare, targets

TARGETS = {target.name: target for target in targets()}
# `python -m tests.fuzz SECONDS` goes on for longer.
_EXAMPLES = 80

# By a thread, for code that never comes back to Python: then the whole run of tests ends.
pytestmark = pytest.mark.timeout(60, method="thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    prepare(folder)
    return folder


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_is_undamaged_is_used(target: Target, folder: Path) -> None:
    assert target.used(folder, target.whole)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@given(data=st.data())
@settings(
    max_examples=_EXAMPLES,
    deadline=timedelta(seconds=10),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_input_is_used_or_refused_in_words(
    target: Target, folder: Path, data: st.DataObject
) -> None:
    target.used(folder, data.draw(target.inputs))
