"""What a run has to make: counted in one walk, and handed out as the plan has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifests import extent
from manifests.chunks import Chunk, chunks
from manifests.comparison import FilesOnDisk, Todo
from manifests.extent import extent_of
from manifests.ledger import Ledger
from tests.manifests.conftest import MakePlan, record

IMAGES = 32


def variants(chunks: list[Chunk]) -> list[str]:
    return [variant.id for chunk in chunks for base in chunk.bases for variant in base.variants]


@pytest.mark.parametrize("remembered", [1, 10, 10_000])
@pytest.mark.parametrize("limit", [None, 0, 1, 13, 28, 1000])
def test_what_is_to_do_is_counted_and_handed_out_in_order(
    make_plan: MakePlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: int | None,
    remembered: int,
) -> None:
    monkeypatch.setattr(extent, "_REMEMBERED_IMAGES", remembered)
    plan, out = make_plan(), tmp_path / "out"
    whole = list(chunks(plan.bases(), lambda base: 2.5))
    assert len(whole) > 3
    record(out, whole[1])
    pending = [one for one in variants(whole) if one not in variants([whole[1]])]
    wanted = pending[:limit]
    todo = Todo(Ledger(out).ids(), FilesOnDisk(out))
    found = extent_of(lambda: iter(whole), todo, lambda chunk: float(chunk.images), limit)
    for _ in range(2):
        handed_out = list(found.chunks())
        assert variants(handed_out) == wanted
        assert (found.images, found.pending, found.to_do) == (IMAGES, len(pending), len(wanted))
        assert (found.tasks, found.work) == (len(handed_out), len(wanted))
        assert found.pairs == sum(chunk.pairs for chunk in handed_out)


def test_what_little_there_is_to_do_needs_no_second_walk(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    walks = 0

    def walk() -> list[Chunk]:
        nonlocal walks
        walks += 1
        return list(chunks(make_plan().bases(), lambda base: 2.5))

    out = tmp_path / "out"
    *made, last = walk()
    for chunk in made:
        record(out, chunk)
    walks = 0
    todo = Todo(Ledger(out).ids(), FilesOnDisk(out))
    found = extent_of(walk, todo, lambda chunk: 1.0, None)
    assert variants(list(found.chunks())) == variants([last])
    assert walks == 1
