"""Jobs that a Prefect server starts: by a schedule, from its page, or with `gramflow trigger`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.urls import url_for
from prefect.workers.process import ProcessWorker

from flows.server import HEARTBEAT
from flows.turns import GPU_SLOTS, WAIT_S

FOLDER_FORM = "on-demand"
_POLL_S = 1.0
# HTTP statuses: what was asked is no good. Others say that the server, or the account, is none.
_REFUSES_PARAMETERS = frozenset({409, 422})


class UnknownDeployment(ValueError):
    """No deployment, or several, have the name; the message lists those that there are."""


@dataclass(frozen=True)
class When:
    """A schedule: one of the two, or none.

    Attributes:
        cron: minute, hour, day, month, weekday.
        interval_s: seconds from start to start.
        timezone: by whose clock `cron` goes, as Europe/Paris.
    """

    cron: str | None = None
    interval_s: float | None = None
    timezone: str = "UTC"

    def schedules(self) -> list[Schedule]:
        """Raises ValueError for what is no schedule."""
        if self.cron is not None and self.interval_s is not None:
            raise ValueError("--cron, --interval: expected one of them, got both")
        if self.interval_s is not None:
            if self.interval_s <= 0:
                raise ValueError(f"--interval: expected seconds above 0, got {self.interval_s:g}")
            return [Interval(timedelta(seconds=self.interval_s))]
        if self.cron is None:
            return []
        try:
            return [Cron(self.cron, timezone=self.timezone)]
        except ValueError as error:
            raise ValueError(
                "--cron, --timezone: expected minute, hour, day, month and weekday, and a time "
                f"zone as Europe/Paris, got {self.cron!r} in {self.timezone!r}"
            ) from error


def of_manifest(manifest: Path, name: str, when: When) -> RunnerDeployment:
    """A manifest's job, under the manifest's name."""
    from flows.dataset import stylize_dataset

    return _deployment(
        stylize_dataset,
        name,
        {"manifest_path": str(manifest.absolute()), "wait_s": WAIT_S},
        when.schedules(),
        f"Every image of {manifest.absolute()} that is not on record yet.",
    )


def of_folders() -> RunnerDeployment:
    """The form for folders without a manifest."""
    from flows.on_demand import reprocess_folder

    return _deployment(
        reprocess_folder,
        FOLDER_FORM,
        {"wait_s": WAIT_S},
        [],
        "A folder in the given styles; done again, only what is new or changed.",
    )


def _deployment(
    flow: Flow[..., Any],
    name: str,
    parameters: dict[str, Any],
    schedules: list[Schedule],
    description: str,
) -> RunnerDeployment:
    deployment = flow.to_deployment(
        name,
        parameters=parameters,
        schedules=schedules,
        description=description,
        tags=["gramflow"],
        # Of two runs the second waits: each does only what is left, so none is one too many.
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # It would be a coroutine in an event loop, of which none runs here.
    assert isinstance(deployment, RunnerDeployment)
    return deployment


def limit_gpus(gpus: int) -> None:
    """Give the server's limit GPU_SLOTS so many slots, unless it has one: whose it is says more."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(GPU_SLOTS)
        except ObjectNotFound:
            client.upsert_global_concurrency_limit_by_name(GPU_SLOTS, gpus)


def deploy(deployment: RunnerDeployment, pool: str, gpus: int) -> None:
    """Register the deployment on a process work pool, which is made where there is none.

    Args:
        gpus: of all workers of the server; so many slots has GPU_SLOTS. With 0 it stays as it is.

    Raises:
        ValueError: the pool is of another type.
    """
    with get_client(sync_client=True) as client:
        _make_pool(client, pool)
        if gpus:
            client.upsert_global_concurrency_limit_by_name(GPU_SLOTS, gpus)
        mark_lost_runs(client)
    # A worker that was started without the setting hands it on to the runs.
    deployment.job_variables = {"env": dict(HEARTBEAT)}
    deployment.apply(work_pool_name=pool)


def _make_pool(client: SyncPrefectClient, pool: str) -> None:
    try:
        found = client.read_work_pool(pool)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(
            WorkPoolCreate(name=pool, type=ProcessWorker.type, base_job_template=template)
        )
        return
    if found.type != ProcessWorker.type:
        raise ValueError(
            f"--pool {pool}: expected a work pool of type {ProcessWorker.type}, it is {found.type}"
        )


def mark_lost_runs(client: SyncPrefectClient) -> None:
    """Set up, or bring up to date, the automation of lost_runs.yaml."""
    text = resources.files("flows").joinpath("lost_runs.yaml").read_text(encoding="utf-8")
    wanted = AutomationCore.model_validate(yaml.safe_load(text))
    found = client.read_automations_by_name(wanted.name)
    if found:
        client.update_automation(found[0].id, wanted)
    else:
        client.create_automation(wanted)


def trigger(name: str, parameters: Mapping[str, Any]) -> FlowRun:
    """Start a run of a deployment now.

    Args:
        name: the deployment's, or `flow/deployment` where several flows have one of that name.

    Raises:
        UnknownDeployment: see there.
        ValueError: the server refuses the parameters.
    """
    with get_client(sync_client=True) as client:
        deployment = _find(client, name)
        known = sorted((deployment.parameter_openapi_schema or {}).get("properties", ()))
        unknown = sorted(parameters.keys() - set(known))
        if unknown:
            raise ValueError(
                f"{name}: has no parameter {unknown[0]}; its parameters are {', '.join(known)}"
            )
        try:
            return client.create_flow_run_from_deployment(
                deployment.id, parameters=dict(parameters), name=f"{deployment.name}, triggered"
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code not in _REFUSES_PARAMETERS:
                raise
            raise ValueError(f"{name}: {_detail(error)}") from None


def _find(client: SyncPrefectClient, name: str) -> DeploymentResponse:
    own_name = name.rpartition("/")[2]
    found = {
        f"{client.read_flow(one.flow_id).name}/{one.name}": one
        for one in client.read_deployments(
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[own_name]))
        )
    }
    if "/" in name:
        found = {full: one for full, one in found.items() if full == name}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise UnknownDeployment(f"{name}: expected one of {', '.join(sorted(found))}")
    known = sorted(one.name for one in client.read_deployments())
    there = f"there are {', '.join(known)}" if known else "the server has none yet"
    raise UnknownDeployment(f"{name}: no deployment has this name; {there}")


def _detail(error: PrefectHTTPStatusError) -> str:
    """What the server says of a request that it refused."""
    return str(error.response.json().get("detail", error))


def wait_until_final(run: FlowRun, on_late: Callable[[], None]) -> FlowRun:
    """The run once it has ended, however it did.

    Args:
        on_late: called once if nobody takes the run for some seconds.
    """
    was_late = False
    with get_client(sync_client=True) as client:
        while True:
            run = client.read_flow_run(run.id)
            if run.state is not None and run.state.is_final():
                return run
            if run.state is not None and run.state.name == "Late" and not was_late:
                was_late = True
                on_late()
            time.sleep(_POLL_S)


def page_of(run: FlowRun) -> str:
    """Address of the run on Prefect's page."""
    return url_for(run) or ""
