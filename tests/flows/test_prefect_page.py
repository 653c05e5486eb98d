"""What Prefect's page has of a run: names, progress, counts, failures, a link to the report."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.progress import ChunkDone, Control, Event, controlled_by
from tests.flows.conftest import TINY, JobFolder
from tests.flows.pictures import photo, write_bad_files


def newest_run() -> Any:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        sort = FlowRunSort.EXPECTED_START_TIME_DESC
        return client.read_flow_runs(sort=sort, limit=1)[0]


def artifacts_of(run: Any) -> dict[str, Any]:
    """Key -> artifact."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        return {one.key: one for one in client.read_artifacts(flow_run_filter=wanted)}


def test_a_run_shows_its_progress_counts_failures_and_report(job: JobFolder) -> None:
    job.write(name="Street_painted.v1")
    write_bad_files(job.folder / "photos" / "dog")
    photo(1).save(job.folder / "styles" / "<b>bold<b> [x](y)|.png")
    summary = job.run()
    run = newest_run()
    assert run.name == "stylize Street_painted.v1"
    assert run.state.message == str(summary)
    assert str(summary).startswith(f"{summary.made} images made, {summary.failed} failed; ")
    shown = artifacts_of(run)
    assert set(shown) == {f"street-painted-v1-{what}" for what in ("progress", "counts", "report")}
    assert shown["street-painted-v1-progress"].data == 100
    assert f"{summary.made} images made" in shown["street-painted-v1-progress"].description
    table = json.loads(shown["street-painted-v1-counts"].data)
    train = {"of": "split", "images": summary.dataset, "missing": "", "what": "train"}
    assert train in table
    assert {line["of"] for line in table} == {"split", "kind", "class", "style", "failure"}
    failures = [line for line in table if line["of"] == "failure"]
    assert len(failures) == 5
    assert sum(line["missing"] for line in failures) == sum(n for *_, n in summary.failures)
    assert not any("<b>" in line["what"] or "[x]" in line["what"] for line in table)
    link = shown["street-painted-v1-report"].data
    assert (job.out / "report.html").as_uri() in link


def test_a_run_with_nothing_to_do_shows_nothing(job: JobFolder) -> None:
    job.run()
    assert job.run().made == 0
    assert artifacts_of(newest_run()) == {}
    assert newest_run().state.message == f"0 images made, 0 failed; 36 in {job.out}"


def test_progress_is_shown_while_the_run_goes(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.prefect_page._EVERY_S", 0.05)
    job.write(stylize=TINY | {"override": {"scales": [[1.0, 300]], "least_fall": 0}})
    seen: list[Any] = []

    def tell(event: Event) -> None:
        if isinstance(event, ChunkDone) and not seen:
            time.sleep(0.5)
            seen.extend(artifacts_of(newest_run()).values())

    with controlled_by(Control(tell=tell)):
        job.run()
    progress = seen[0]
    assert progress.type == "progress"
    assert 0 < progress.data < 100
    assert " of 36 images" in progress.description.replace("\\", "")


def test_a_run_that_was_stopped_has_no_counts(job: JobFolder) -> None:
    control = Control()

    def stop(event: Event) -> None:
        if isinstance(event, ChunkDone):
            control.stop.set()

    with controlled_by(Control(tell=stop, stop=control.stop)):
        summary = job.run()
    assert summary.stopped
    (progress,) = artifacts_of(newest_run()).values()
    assert "stopped: " in progress.description.replace("\\", "")


def test_parts_of_a_long_run_say_which_they_are(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.chunk_tasks

    monkeypatch.setattr(flows.chunk_tasks, "_TASKS_PER_FLOW", 3)
    job.run()
    run = newest_run()
    assert run.name.startswith("stylize small · part ")
    number, _, parts = run.name.rpartition(" ")[2].partition("/")
    assert number == parts


def test_an_unreadable_manifest_names_its_run_by_its_file(job: JobFolder) -> None:
    job.manifest.write_text("version: 1\n")
    with pytest.raises(ValueError, match="name"):
        job.run()
    assert newest_run().name == "stylize job"


def test_a_server_that_refuses_artifacts_costs_the_run_nothing(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # The key of an artifact is what the server checks: one that it refuses stands for any refusal.
    monkeypatch.setattr("flows.prefect_page._key", lambda text: "Not A Key")
    assert job.run().made == 36
    assert artifacts_of(newest_run()) == {}
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_that_cannot_be_reached_costs_the_run_nothing(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(sync_client: bool) -> Any:
        raise RuntimeError("no server")

    monkeypatch.setattr("flows.prefect_page.get_client", refuse)
    assert job.run().made == 36
    assert artifacts_of(newest_run()) == {}


def test_the_connection_is_closed_when_the_run_has_ended(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client

    opened: list[Any] = []

    def noted(sync_client: bool) -> Any:
        opened.append(get_client(sync_client=True))
        return opened[-1]

    monkeypatch.setattr("flows.prefect_page.get_client", noted)
    job.run()
    assert artifacts_of(newest_run())
    assert [client._client.is_closed for client in opened] == [True]


def test_the_table_is_bounded_and_shows_the_most_of_each_group() -> None:
    from flows.prefect_page import outcome_table

    many = {f"value {index}": index for index in range(1, 101)}
    counts = dict.fromkeys(("split", "kind", "class", "style"), many)
    table = outcome_table(counts, {"x" * 5000: 7, **many})
    assert len(table) == 50
    assert list(table[0]) == list(table[-1]) == ["of", "images", "missing", "what"]
    assert table[0] == {"of": "split", "images": 100, "missing": "", "what": "value 100"}
    assert table[9]["what"] == "… and 91 more"
    assert sum(line["images"] for line in table[:10]) == sum(many.values())
    assert max(len(line["what"]) for line in outcome_table({}, {"x" * 5000: 7})) == 200


@given(st.text() | st.text("ab1 .<>*_`[]()!#|~&;:/\\-+\n"))
def test_text_of_the_users_is_shown_as_it_is(text: str) -> None:
    from markdown_it import MarkdownIt

    from flows.prefect_page import escaped
    from flows.wording import printable

    rendered = MarkdownIt("gfm-like", {"linkify": False}).parse(escaped(text))
    line = " ".join(printable(text).split())
    shown = "".join(
        part.content for block in rendered for part in block.children or () if part.content
    )
    kinds = {part.type for block in rendered for part in block.children or ()}
    assert kinds <= {"text", "text_special"}
    assert {block.type for block in rendered} <= {"paragraph_open", "inline", "paragraph_close"}
    assert shown == (line if len(line) <= 200 else line[:199] + "…")


def test_the_link_of_a_report_in_a_store_is_its_url() -> None:
    from flows.prefect_page import _url_of
    from manifests.storage import place

    assert _url_of(place("memory://a/b (1)/report.html")) == "memory://a/b%20%281%29/report.html"
    assert _url_of(Path("/a b/(1).html")) == "file:///a%20b/%281%29.html"
