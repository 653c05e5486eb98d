"""Waiting for one's turn: at the output folder, and at the slots for GPUs of a Prefect server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch

from flows.progress import Control, Stopped, Waiting, WaitOver
from flows.server import ServerError
from manifests.in_use import OutputInUse, in_use

ONE_GPU = [torch.device("cuda", 0)]


@pytest.fixture(autouse=True)
def _server_first(api_url: str) -> None:
    """Prefect, which flows.turns imports, reads the server's address when it is imported."""


def _starts_waiting(run: object) -> threading.Thread:
    thread = threading.Thread(target=run)
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
    assert [type(one) for one in told] == [Waiting, WaitOver]


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
    token = _deployment_id.set("9dffeb36-b6e5-4d04-90bb-ac648272e20e")
    try:
        with pytest.raises(NoGpuSlots, match="gramflow deploy --gpus N"):
            ExitStack().enter_context(gpu_slots(ONE_GPU, Control()))
    finally:
        _deployment_id.reset(token)


def test_serving_limits_the_gpus_of_a_server_that_does_not(api_url: str) -> None:
    from prefect import get_client

    from flows.deployments import limit_gpus
    from flows.turns import GPU_SLOTS

    with get_client(sync_client=True) as client:
        try:
            for gpus in (2, 3):
                limit_gpus(gpus)
                limit = client.read_global_concurrency_limit_by_name(GPU_SLOTS).limit
                assert limit == 2
        finally:
            client.delete_global_concurrency_limit_by_name(GPU_SLOTS)


class _Line:
    """A way to a server, on a port of its own, that can be cut."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # it is cut
            while True:
                ends = self._listening.accept()[0], socket.create_connection(self._to)
                self._ends += ends
                for one, other in (ends, ends[::-1]):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        for end in (self._listening, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def line(api_url: str, one_slot: None) -> Iterator[_Line]:
    """To the server, which Prefect in this test takes."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    parts = urlsplit(api_url)
    assert parts.hostname is not None
    assert parts.port is not None
    line = _Line((parts.hostname, parts.port))
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{line.port}/api"}):
        yield line
    line.cut()


def test_a_run_whose_slots_cannot_be_renewed_ends_in_a_sentence(
    line: _Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.turns import gpu_slots

    # Else the slots are renewed each 45 s only.
    monkeypatch.setattr("prefect.concurrency._leases._RENEWAL_FRACTION", 0.01)

    def run() -> None:
        until = time.monotonic() + 60
        with gpu_slots(ONE_GPU, Control()):
            line.cut()
            while time.monotonic() < until:
                time.sleep(0.05)

    with pytest.raises(ServerError, match=r"hands out GPU slots is gone.* is kept"):
        run()


def test_a_run_that_ends_while_the_server_is_gone_has_ended_well(line: _Line) -> None:
    from flows.turns import gpu_slots

    with gpu_slots(ONE_GPU, Control()):
        assert _slots_taken() == 1
        line.cut()


def test_slots_of_a_server_that_is_gone_are_a_sentence(line: _Line) -> None:
    from flows.turns import gpu_slots

    line.cut()
    with pytest.raises(ServerError, match="see that it is up"):
        ExitStack().enter_context(gpu_slots(ONE_GPU, Control()))
