"""A deployment served by this process: it starts the runs, and tells of each."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner

from flows import child
from flows.commands.stopping import heard
from flows.deployments import mark_lost_runs

_POLL_S = 1.0
# A served job has one run at a time; so many begin and end between two looks at most.
_LAST_RUNS = 20
# Prefect counts a run that is to come as started when it is expected to.
_HAVE_BEGUN = [StateType.RUNNING, *TERMINAL_STATES]


def serve(deployment: RunnerDeployment, tell: Callable[[FlowRun], None]) -> None:
    """Register the deployment and start its runs, each in a process of its own.

    A signal that stops commands ends it: the run in progress is cancelled, the schedule paused.

    Args:
        tell: called with a run that has started, and again once it has ended.
    """
    with get_client(sync_client=True) as client:
        mark_lost_runs(client)
    os.environ.update(child.ENVIRONMENT)
    asyncio.run(_serve_until_signalled(deployment, tell))


async def _serve_until_signalled(
    deployment: RunnerDeployment, tell: Callable[[FlowRun], None]
) -> None:
    runner = Runner(name=deployment.name, limit=1)
    deployment_id = await runner.aadd_deployment(deployment)
    stops = heard()
    serving = asyncio.create_task(runner.start())
    # Its first step takes SIGTERM, with a handler that leaves the runs behind.
    await asyncio.sleep(0)
    if signal.SIGTERM not in stops:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for signum in stops:
        signal.signal(signum, lambda *_: loop.call_soon_threadsafe(signalled.set))
    waiting = asyncio.create_task(signalled.wait())
    telling = asyncio.create_task(_tell_of_runs(deployment_id, tell))
    await asyncio.wait({serving, waiting, telling}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    telling.cancel()
    if runner.started and not serving.done():
        await runner.astop()
    else:
        serving.cancel()
    for task in (serving, telling):
        with suppress(asyncio.CancelledError):
            await task


async def _tell_of_runs(deployment_id: UUID, tell: Callable[[FlowRun], None]) -> None:
    """Tell of runs as they start and end, until cancelled."""
    told: dict[UUID, bool] = {}
    begun_since_now = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]),
        start_time=FlowRunFilterStartTime.model_validate({"after_": datetime.now(timezone.utc)}),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_HAVE_BEGUN)),
    )
    async with get_client() as client:
        while True:
            # A server that does not answer now: the runner says so, and goes on when it does.
            with suppress(httpx.HTTPError):
                runs = await client.read_flow_runs(
                    flow_run_filter=begun_since_now,
                    sort=FlowRunSort.START_TIME_DESC,
                    limit=_LAST_RUNS,
                )
                for run in reversed(runs):
                    has_ended = run.state is not None and run.state.is_final()
                    if told.get(run.id) != has_ended:
                        told[run.id] = has_ended
                        tell(run)
            await asyncio.sleep(_POLL_S)
