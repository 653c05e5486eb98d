"""Something done every few seconds beside a run."""

from __future__ import annotations

import threading
import time

from flows.repeated import repeated


def test_it_is_done_until_the_block_ends() -> None:
    calls: list[None] = []
    with repeated(lambda: calls.append(None), every_s=0.01, patience_s=5) as end:
        time.sleep(0.2)
        assert end()
        done = len(calls)
        assert done > 2
        time.sleep(0.1)
    assert len(calls) == done


def test_a_call_that_hangs_is_waited_for_once() -> None:
    hangs = threading.Event()

    def hang() -> None:
        hangs.wait(30)

    began_s = time.monotonic()
    with repeated(hang, every_s=1, patience_s=1) as end:
        assert not end()
    assert time.monotonic() - began_s < 1.8
    hangs.set()
