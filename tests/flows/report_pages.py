"""Pages of the report as tests read them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from flows.report import write_report
from tests.flows.painted import Painted


class Page(HTMLParser):
    """What a browser would make of a page, as far as it matters here."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.html = file.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in: list[str] = []
        self.feed(self.html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._in.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._in or self._in[-1] not in ("script", "style"):
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        while self._in and self._in.pop() != tag:
            pass

    @property
    def data(self) -> Any:
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', self.html)
        assert found is not None
        return json.loads(found.group(1))

    def attributes(self, tag: str, name: str) -> list[str]:
        return [str(given[name]) for one, given in self.tags if one == tag and given.get(name)]


def report_of(out: Path) -> Page:
    file = write_report(out, asks_stores=False)
    assert isinstance(file, Path)
    return Page(file)


def page_of(painted: Painted) -> Page:
    return report_of(painted.write())
