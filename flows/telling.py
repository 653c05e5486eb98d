"""How a run stands, in words: for a terminal, another one, and Prefect's page."""

from __future__ import annotations

from flows.progress import Stage
from flows.standing import WORK_STAGES, Standing
from flows.wording import duration, printable

STOPPING = "stopping; what is finished is kept (Ctrl-C again ends it)"


def doing(standing: Standing) -> str:
    """What a run does while it makes no images."""
    if standing.phase == "waiting":
        return f"waiting: {printable(standing.waiting_for)}"
    if standing.phase == "indexing":
        return "writing indexes and exports"
    return f"reading files: {standing.files:,}" if standing.files else "reading files"


def facts_of(standing: Standing) -> list[str]:
    """What failed, how fast it goes, and how long it will take."""
    facts = [f"{standing.failed:,} failed"]
    if standing.left_out:
        facts.append(f"{standing.left_out:,} left out")
    if standing.pairs_per_s:
        facts.append(f"{standing.pairs_per_s:.2f} pairs/s")
    if standing.left_s is not None and standing.settled < standing.to_do:
        facts.append(f"{duration(standing.left_s)} left")
    if standing.iteration is not None:
        facts.append("iteration {}/{}".format(*standing.iteration))
    return facts


def stages_of(standing: Standing) -> list[str]:
    """Two lines: images in each stage now, and the stages' shares of the time."""
    shares = [f"{stage} {100 * standing.time_share.get(stage, 0.0):.0f} %" for stage in WORK_STAGES]
    return [f"images  {in_stages(standing, ' · ')}", f"time    {' · '.join(shares)}"]


def in_stages(standing: Standing, between: str) -> str:
    """Images in each stage now: those of work are named always, the others where they have some."""
    images = standing.images_in
    if set(images) == {"away"}:
        return f"{images['away']:,} with the workers"
    shown: list[Stage] = ["decode", "wait", "optimise", "write", "away"]
    return between.join(
        f"{stage} {images.get(stage, 0):,}"
        for stage in shown
        if stage in WORK_STAGES or stage in images
    )
