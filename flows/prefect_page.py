"""What Prefect's page shows of a run: how far it is, what it came to, where its report is.

Its server may be gone, or slow: that is never the run's to bear. What does not arrive is missing
on the page and nowhere else.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.runtime import flow_run

from flows.repeated import repeated
from flows.report import REPORT
from flows.standing import Reckoning, Standing
from flows.telling import doing, facts_of, stages_of
from flows.wording import counted, printable
from manifests.storage import Place
from manifests.stores import is_there

_EVERY_S = 5.0
_PATIENCE_S = 5.0
# Five groups, each with a line for how many more there are: 50 lines.
_LINES_OF_A_GROUP = 9
_LONGEST_TEXT = 200


@dataclass(frozen=True)
class PageOutcome:
    """What the page is to say of a run that has ended.

    Attributes:
        text: in a sentence.
        counts: {"split", "kind", "class", "style"} -> value -> images of the dataset; empty where
            the run left no dataset.
        failures: file at fault and why -> images missing.
    """

    text: str
    counts: Mapping[str, Mapping[str, int]]
    failures: Mapping[str, int]


@contextmanager
def on_page(name: str, out: Place, reckoning: Reckoning) -> Iterator[Callable[[PageOutcome], None]]:
    """Show the flow's run while the block runs, from the background, and then what it came to.

    A run that has nothing to do is not shown.

    Args:
        name: the manifest's; the artifacts of its runs have it in their keys.

    Yields:
        A function to call with the outcome.
    """
    # Of this thread's flow; all else is asked for where it may fail.
    run_id = flow_run.id
    held = ExitStack()
    progress: list[UUID] = []
    outcomes: list[PageOutcome] = []

    @cache
    def client() -> SyncPrefectClient:
        return held.enter_context(get_client(sync_client=True))

    def create(type_: str, what: str, data: str | float, description: str | None = None) -> UUID:
        artifact = ArtifactCreate(
            type=type_,
            key=_key(f"{name}-{what}"),
            flow_run_id=UUID(run_id),
            data=data,
            description=description,
        )
        return client().create_artifact(artifact).id

    def show() -> None:
        standing = reckoning.standing()
        if standing.to_do == 0:
            return
        percent = round(100 * standing.share, 1)
        text = escaped(outcomes[0].text) if outcomes else _described(standing)
        if progress:
            client().update_artifact(progress[0], ArtifactUpdate(data=percent, description=text))
        else:
            progress.append(create("progress", "progress", percent, text))

    def show_end() -> None:
        show()
        if not progress or not outcomes or not outcomes[0].counts:
            return
        table = outcome_table(outcomes[0].counts, outcomes[0].failures)
        text = json.dumps(table, ensure_ascii=False)
        create("table", "counts", text, f"Images of {escaped(str(out))}")
        report = out / REPORT
        if is_there(report):
            create("markdown", "report", f"[Report]({_url_of(report)})", escaped(str(report)))

    with repeated(lambda: _try(show), _EVERY_S, _PATIENCE_S) as end:
        try:
            yield outcomes.append
        finally:
            if end():  # else the server does not answer
                _try_for_a_while(show_end)
            _try(held.close)


def outcome_table(
    counts: Mapping[str, Mapping[str, int]], failures: Mapping[str, int]
) -> list[dict[str, Any]]:
    """At most 50 lines: the most of each group, and how many more there are.

    `missing` is how many images there are not, because of a failure.
    """
    lines = []
    for group, images in (*counts.items(), ("failure", failures)):
        column = "missing" if group == "failure" else "images"
        most = sorted(images.items(), key=lambda one: (-one[1], one[0]))
        for value, count in most[:_LINES_OF_A_GROUP]:
            lines.append(_table_line(group, escaped(value), column, count))
        if rest := most[_LINES_OF_A_GROUP:]:
            value = f"… and {len(rest):,} more"
            lines.append(_table_line(group, value, column, sum(count for _, count in rest)))
    return lines


def escaped(text: str) -> str:
    """Text of the user's as markdown that shows it as it is, in one line, cut where it is long."""
    line = " ".join(printable(text).split())
    if len(line) > _LONGEST_TEXT:
        line = line[: _LONGEST_TEXT - 1] + "…"
    return "".join(f"\\{one}" if one in string.punctuation else one for one in line)


def _table_line(group: str, value: str, column: str, count: int) -> dict[str, Any]:
    # Long text is last, where the page cuts it off.
    return {"of": group, "images": "", "missing": "", column: count, "what": value}


def _described(standing: Standing) -> str:
    done = f"{standing.settled:,} of {counted(standing.to_do, 'image')}"
    facts = [done, *facts_of(standing)]
    if standing.phase != "making":
        facts.append(doing(standing))
    return "\n\n".join(escaped(line) for line in (" · ".join(facts), *stages_of(standing)))


def _key(text: str) -> str:
    """Of Prefect's own kind: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _url_of(file: Place) -> str:
    return file.absolute().as_uri() if isinstance(file, Path) else quote(str(file), safe=":/")


def _try(show: Callable[[], None]) -> None:
    try:
        show()
    except Exception:
        # Prefect's client raises errors of httpx, pydantic and its own, none with a base in common;
        # whatever it is, the page lacks it, and the run goes on.
        return


def _try_for_a_while(show: Callable[[], None]) -> None:
    thread = Thread(target=_try, args=(show,), daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
