"""When a run may begin: nobody else writes into its output folder, and its GPUs are free."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import torch
from prefect import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound
from prefect.runtime import deployment

from flows.commands.attended import is_of_prefect, server_failures
from flows.progress import Control, Waiting, WaitOver
from flows.server import ServerError
from manifests.in_use import OutputInUse, in_use
from manifests.storage import Place

Entered = TypeVar("Entered")

GPU_SLOTS = "gramflow-gpu"
# A run that nobody sits by waits so long for another that writes into its output folder.
WAIT_S = 3600
_POLL_S = 1.0
# Slots are renewed while a run lives; those of a killed one are free after this time.
_LEASE_S = 60.0


class NoGpuSlots(RuntimeError):
    """A deployment's run found no limit for GPUs on the server; the message says how to set it."""


@contextmanager
def folder_to_itself(out: Place, wait_s: float, control: Control) -> Iterator[Callable[[], None]]:
    """Keep others from writing into the output folder during the block.

    Args:
        wait_s: how long to wait for another run or export that writes there.

    Returns:
        What `in_use` does: a function that raises OutputLost once another took the folder over.

    Raises:
        OutputInUse: it still does.
        Stopped: the user asked to stop while it waited.
    """
    deadline = time.monotonic() + wait_s

    def why(error: Exception) -> str | None:
        wait = isinstance(error, OutputInUse) and time.monotonic() < deadline
        return str(error) if wait else None

    with ExitStack() as held:
        yield _enter(held, lambda: in_use(out, on_lost=control.stop.set), why, control)


@contextmanager
def gpu_slots(devices: Sequence[torch.device], control: Control) -> Iterator[None]:
    """Hold one slot of the server's limit GPU_SLOTS for each GPU; wait until they are free.

    Without that limit on the server, a deployment's run is refused and another one is not kept.

    Raises:
        NoGpuSlots: see above.
        ServerError: the server fails, or was gone for so long that others may have the slots.
        Stopped: the user asked to stop while it waited.
    """
    gpus = sum(device.type == "cuda" for device in devices)
    with server_failures():
        limited = gpus > 0 and _slots_are_limited(gpus)
    if not limited:
        yield
        return

    def slots() -> AbstractContextManager[None]:
        return concurrency(
            GPU_SLOTS, occupy=gpus, timeout_seconds=_POLL_S, lease_duration=_LEASE_S, strict=True
        )

    def why(error: Exception) -> str | None:
        return "other runs have the GPUs" if isinstance(error, TimeoutError) else None

    with _given_back() as held:
        with server_failures():
            _enter(held, slots, why, control)
        try:
            yield
        except asyncio.CancelledError as error:  # Prefect could not renew the slots
            raise ServerError(
                "the Prefect server that hands out GPU slots is gone, and others may have these by "
                "now; what is finished is kept, run again to go on"
            ) from error


@contextmanager
def _given_back() -> Iterator[ExitStack]:
    """Of a server that is gone, slots come back by themselves."""
    held = ExitStack()
    try:
        yield held
    finally:
        try:
            held.close()
        except BaseException as error:
            if not is_of_prefect(error):
                raise


def _slots_are_limited(gpus: int) -> bool:
    with get_client(sync_client=True) as client:
        try:
            limit = client.read_global_concurrency_limit_by_name(GPU_SLOTS).limit
        except ObjectNotFound:
            if deployment.id is None:
                return False
            raise NoGpuSlots(
                f"the Prefect server has no concurrency limit {GPU_SLOTS}, so that two runs could "
                "share a GPU; set it with `gramflow deploy --gpus N`, or with "
                f"`prefect gcl create {GPU_SLOTS} --limit N`"
            ) from None
    if gpus > limit:
        raise NoGpuSlots(
            f"this run uses {gpus} GPUs, and the server's concurrency limit {GPU_SLOTS} is "
            f"{limit}; raise it, or let the worker see fewer with CUDA_VISIBLE_DEVICES"
        )
    return True


def _enter(
    held: ExitStack,
    attempt: Callable[[], AbstractContextManager[Entered]],
    why: Callable[[Exception], str | None],
    control: Control,
) -> Entered:
    """Enter what `attempt` returns; again and again while `why` finds a reason to wait."""
    said = False
    while True:
        control.check()
        try:
            entered = held.enter_context(attempt())
        except Exception as error:  # `why` tells which to wait for; others are raised
            reason = why(error)
            if reason is None:
                raise
            if not said:
                control.tell(Waiting(reason))
                said = True
        else:
            if said:
                control.tell(WaitOver())
            return entered
        control.stop.wait(_POLL_S)
