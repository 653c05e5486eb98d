"""Commands for jobs that start by themselves: serve, deploy, trigger, watch."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from flows.commands.console import INTERRUPTED, SOME_FAILED, error_console, one_sentence_errors, say
from flows.commands.options import (
    FolderOutOption,
    OwnEncoderOption,
    PresetOption,
    SizeOption,
    StrengthOption,
    StyleOption,
    WeightsOption,
    given,
)
from flows.commands.running import run_shown
from flows.commands.stopping import is_of_signal, raise_on_ctrl_c

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.deployments.runner import RunnerDeployment

    from flows.folder import FolderJob
    from flows.summary import Summary
    from manifests.reading import ReadManifest
    from manifests.storage import Place

_NOBODY_TAKES_IT = (
    "no worker has taken it yet; it starts once one does, see `prefect worker start --help`"
)

JobArgument = Annotated[
    Optional[Path],
    typer.Argument(
        metavar="[MANIFEST]",
        help="The YAML manifest. Without one: the form for folders on Prefect's page.",
        show_default=False,
    ),
]
CronOption = Annotated[
    Optional[str], typer.Option("--cron", help="When to run, as '0 2 * * *': every night at two.")
]
IntervalOption = Annotated[
    Optional[float], typer.Option("--interval", help="Or how often: seconds from start to start.")
]
TimezoneOption = Annotated[
    Optional[str],
    typer.Option("--timezone", help="By whose clock --cron goes; this machine's by default."),
]


def serve(
    manifest: JobArgument = None,
    cron: CronOption = None,
    interval: IntervalOption = None,
    timezone: TimezoneOption = None,
) -> None:
    """Run a manifest by a schedule, or when it is triggered, for as long as this command runs."""
    with one_sentence_errors(goes_on=True):
        from flows.commands.attended import server_failures
        from flows.server import home_of, prefect_server

        read = _checked(manifest)
        home = Path("gramflow.prefect") if read is None else home_of(_output_folder(read))
        with prefect_server(home) as url, server_failures():
            from flows.deployments import limit_gpus
            from flows.serving import serve as serve_deployment

            if gpus := _gpus_here():
                limit_gpus(gpus)
            deployment = _deployment(read, cron, interval, timezone)
            say(f"serving {deployment.full_name}; its runs are on {url.removesuffix('/api')}")
            say(f"start one now: PREFECT_API_URL={url} gramflow trigger {deployment.name}")
            scheduled = cron is not None or interval is not None
            if not scheduled:
                say("no --cron and no --interval: runs start only when they are triggered")
            serve_deployment(deployment, _say_run)
            paused = ", and the schedule is paused" if scheduled else ""
            say(f"stopped; what is finished is kept{paused}")


def deploy(
    pool: Annotated[
        str, typer.Option("--pool", help="Work pool of type process; made if it is not there.")
    ],
    manifest: JobArgument = None,
    cron: CronOption = None,
    interval: IntervalOption = None,
    timezone: TimezoneOption = None,
    gpus: Annotated[
        Optional[int],
        typer.Option(
            "--gpus", min=0, help="GPUs of all workers together; those of this machine by default."
        ),
    ] = None,
) -> None:
    """Register a manifest on your Prefect server, whose workers then run it."""
    with one_sentence_errors():
        from flows.commands.attended import server_failures
        from flows.server import users_server

        read = _checked(manifest)
        users_server()
        from flows.deployments import deploy as deploy_deployment

        deployment = _deployment(read, cron, interval, timezone)
        with server_failures():
            deploy_deployment(deployment, pool, _gpus_here() if gpus is None else gpus)
        say(f"{deployment.full_name} is on work pool {pool}; it needs a worker:")
        say(f"prefect worker start --pool {pool} --type process")


def trigger(
    name: Annotated[str, typer.Argument(help="Of the deployment: the manifest's `name`.")],
    parameter: Annotated[
        Optional[list[str]],
        typer.Option("--param", "-p", help="key=value, as limit=100; give it for each."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until the run has ended.")] = False,
) -> None:
    """Start a run of a deployment now."""
    with one_sentence_errors():
        from flows.commands.attended import server_failures
        from flows.server import users_server

        parameters = dict(map(_parameter, parameter or []))
        users_server()
        from flows.deployments import page_of, wait_until_final
        from flows.deployments import trigger as trigger_deployment

        with server_failures():
            run = trigger_deployment(name, parameters)
        say(f"{run.name}: {page_of(run)}")
        if wait:
            raise_on_ctrl_c()
            try:
                with server_failures():
                    ended = wait_until_final(run, on_late=lambda: say(_NOBODY_TAKES_IT)).state
            except KeyboardInterrupt:
                say(f"no more waited for; to end it, too: prefect flow-run cancel {run.id}")
                sys.exit(INTERRUPTED)
            assert ended is not None
            say(_said(ended))
            sys.exit(0 if ended.is_completed() else SOME_FAILED)


def watch(
    folder: Annotated[
        str, typer.Argument(callback=given, help="Folder of content images, on a disk.")
    ],
    style: StyleOption,
    out: FolderOutOption,
    encoder: OwnEncoderOption = "compact",
    weights: WeightsOption = None,
    preset: PresetOption = "fast",
    size: SizeOption = None,
    strength: StrengthOption = 1.0,
    settle: Annotated[
        float, typer.Option("--settle", min=0, help="Seconds without change that end a file.")
    ] = 3.0,
) -> None:
    """Stylize what is in a folder, and then what comes into it, until interrupted."""
    with one_sentence_errors(goes_on=True):
        from flows.folder import FolderJob
        from flows.server import home_of, prefect_server
        from flows.watching import settled_images
        from manifests.readers.folders import image_files
        from manifests.storage import place_on_disk, whole_place

        watched = place_on_disk(folder)
        job = FolderJob(
            watched, whole_place(style), whole_place(out), preset, size, strength, encoder, weights
        )
        with job.said_as("--{}"), error_console.status("reading files"):
            job.check(expect_images=any(image_files(watched)))
        with prefect_server(home_of(job.out)):
            say(f"watching {watched}; Ctrl-C ends it")
            raise_on_ctrl_c()
            try:
                for images in settled_images(watched, settle, say):
                    say(f"{time.strftime('%H:%M:%S')} new or changed: {_named(images)}")
                    status = _run_folder(job)
                    if is_of_signal(status):
                        sys.exit(status)
            except KeyboardInterrupt:
                say("stopped watching; what is finished is kept")
                sys.exit(INTERRUPTED)


def _say_run(run: FlowRun) -> None:
    state = run.state
    how = _said(state) if state is not None and state.is_final() else "started"
    say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {run.name}: {how}")


def _said(state: State[Any]) -> str:
    return f"{state.name}: {state.message}" if state.message else str(state.name)


def _run_folder(job: FolderJob) -> int:
    """Exit status of a run; one that breaks down says why, and the next is none the worse."""

    def run() -> Summary:
        from flows.dataset import stylize_dataset
        from flows.turns import WAIT_S

        with job.said_as("--{}"):
            return stylize_dataset(job.write_manifest(), wait_s=WAIT_S)

    try:
        with one_sentence_errors(goes_on=True):
            return run_shown(run, more_to_come=True)
    except SystemExit as ended:  # whatever it was, the next run may go through
        return int(ended.code or 0)


def _named(images: list[Path]) -> str:
    more = f" and {len(images) - 1} more" if len(images) > 1 else ""
    return f"{images[0].name}{more}"


def _checked(manifest: Path | None) -> ReadManifest | None:
    from flows.job import check_manifest
    from flows.reading import read_for_run

    if manifest is None:
        return None
    read = read_for_run(manifest)
    check_manifest(read)
    return read


def _output_folder(read: ReadManifest) -> Place:
    from flows.reading import output_folder

    return output_folder(read)


def _deployment(
    read: ReadManifest | None, cron: str | None, interval: float | None, timezone: str | None
) -> RunnerDeployment:
    from tzlocal import get_localzone_name

    from flows.deployments import When, of_folders, of_manifest

    if read is None:
        if cron is not None or interval is not None:
            raise ValueError("--cron, --interval: expected a manifest too, which says of what")
        return of_folders()
    when = When(cron, interval, timezone or get_localzone_name())
    return of_manifest(read.file, read.manifest.name, when)


def _gpus_here() -> int:
    from flows.engine import choose_devices

    return sum(device.type == "cuda" for device in choose_devices())


def _parameter(text: str) -> tuple[str, Any]:
    """A number, true, false, null or other JSON as it stands, else text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"-p {text}: expected key=value")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
