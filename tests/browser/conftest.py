"""A real browser for the tests of this folder; they skip, saying why, where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Nothing of a test's browser goes out, and it may run as root.
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@dataclass
class Seen:
    """What a browser has of a page.

    Attributes:
        page: Playwright's.
        complaints: of the console, and errors of scripts.
        asked: addresses of what was loaded.
        dialogs: messages of alerts and the like.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def rows(self) -> list[str]:
        """Titles of the rows that are shown."""
        titles: list[str] = self.page.locator("#rows .title").all_inner_texts()
        return titles

    def count(self) -> str:
        """As `1–12 of 60`."""
        text: str = self.page.locator("#shown").inner_text()
        return text

    def is_wider_than_its_window(self) -> bool:
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(script))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser of this machine, driven by Playwright, whose event loop ends with the module."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: make test-browser")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(_BROWSERS)} is on the PATH: make test-browser")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Any, file: Path, width: int = 1280, **more: Any) -> Iterator[Seen]:
    """A page in a window of its own; a test ends well only where nobody complained.

    Args:
        width: of the window in pixels.
        more: of the window, as Playwright's `new_context` has it.
    """
    context = chromium.new_context(viewport={"width": width, "height": 860}, **more)
    seen = Seen(context.new_page())

    def on_dialog(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    seen.page.on("console", lambda message: seen.complaints.append(message.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda request: seen.asked.append(request.url))
    seen.page.on("dialog", on_dialog)
    seen.page.goto(file.as_uri())
    yield seen
    seen.page.wait_for_timeout(50)
    context.close()
    assert seen.complaints == []
    assert seen.dialogs == []
    beside = file.parent.as_uri() + "/"
    assert [url for url in seen.asked if not url.startswith((beside, "data:"))] == []
