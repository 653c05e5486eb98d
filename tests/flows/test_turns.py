"""Waiting for one's turn: at the output folder, and at the slots for GPUs of a Prefect server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from flows.progress import Control, Stopped, Waiting
from manifests.in_use import OutputInUse, in_use

ONE_GPU = [torch.device("cuda", 0)]


@pytest.fixture(autouse=True)
def _server_first(api_url: str) -> None:
    """Prefect, which flows.turns imports, reads the server's address when it is imported."""


def _starts_waiting(run: object) -> threading.Thread:
    thread = threading.Thread(target=run)  # type: ignore[arg-type]
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    return thread


def test_a_run_waits_until_the_folder_is_free(tmp_path: Path) -> None:
    from flows.turns import folder_to_itself

    entered: list[float] = []
    told: list[object] = []

    def run() -> None:
        with folder_to_itself(tmp_path, wait_s=60, control=Control(tell=told.append)):
            entered.append(time.monotonic())

    with in_use(tmp_path):
        waiting = _starts_waiting(run)
        left = time.monotonic()
    waiting.join(20)
    assert entered
    assert entered[0] >= left
    assert [type(one) for one in told] == [Waiting]


def test_who_does_not_wait_or_waits_too_short_is_told(tmp_path: Path) -> None:
    from flows.turns import folder_to_itself

    for wait_s in (0, 0.1):
        not_free = pytest.raises(OutputInUse)
        with in_use(tmp_path), not_free, folder_to_itself(tmp_path, wait_s, Control()):
            pass


def test_who_waits_can_be_stopped(tmp_path: Path) -> None:
    from flows.turns import folder_to_itself

    control = Control()
    stopped: list[Exception] = []

    def run() -> None:
        try:
            with folder_to_itself(tmp_path, 60, control):
                pass
        except Stopped as error:
            stopped.append(error)

    with in_use(tmp_path):
        waiting = _starts_waiting(run)
        control.stop.set()
        waiting.join(20)
        assert stopped


@pytest.fixture
def one_slot(api_url: str) -> Iterator[None]:
    from prefect import get_client

    from flows.turns import GPU_SLOTS

    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(GPU_SLOTS, 1)
        yield
        client.delete_global_concurrency_limit_by_name(GPU_SLOTS)


def _slots_taken() -> int:
    from prefect import get_client

    from flows.turns import GPU_SLOTS

    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name(GPU_SLOTS).active_slots


def test_a_run_holds_a_slot_for_its_gpu_and_the_next_waits(one_slot: None) -> None:
    from flows.turns import gpu_slots

    entered: list[float] = []

    def run() -> None:
        with gpu_slots(ONE_GPU, Control()):
            entered.append(time.monotonic())

    with gpu_slots(ONE_GPU, Control()):
        assert _slots_taken() == 1
        waiting = _starts_waiting(run)
        time.sleep(2)
        assert not entered
        left = time.monotonic()
    waiting.join(30)
    assert entered
    assert entered[0] >= left
    assert _slots_taken() == 0


def test_a_run_that_could_never_have_its_slots_is_refused(one_slot: None) -> None:
    from flows.turns import NoGpuSlots, gpu_slots

    two = [torch.device("cuda", 0), torch.device("cuda", 1)]
    with pytest.raises(NoGpuSlots, match=r"uses 2 GPUs, and .* gramflow-gpu is 1; "):
        ExitStack().enter_context(gpu_slots(two, Control()))


def test_a_cpu_takes_no_slot(one_slot: None) -> None:
    from flows.turns import gpu_slots

    with gpu_slots([torch.device("cpu")], Control()):
        assert _slots_taken() == 0


def test_without_the_limit_a_deployments_run_is_refused_and_another_is_not(api_url: str) -> None:
    from prefect.runtime.deployment import _deployment_id

    from flows.turns import NoGpuSlots, gpu_slots

    with gpu_slots(ONE_GPU, Control()):
        pass
    token = _deployment_id.set("9dffeb36-b6e5-4d04-90bb-ac648272e20e")  # type: ignore[arg-type]
    try:
        with pytest.raises(NoGpuSlots, match="gramflow deploy --gpus N"):
            ExitStack().enter_context(gpu_slots(ONE_GPU, Control()))
    finally:
        _deployment_id.reset(token)
