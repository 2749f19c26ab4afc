"""A Chromium without network, and the built site opened from file://."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: install one (Debian: apt install chromium) to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def names(site: Path) -> list[str]:
    """Every page of the book, such as ``scoreboard``."""
    skipped = {"genindex", "search", "index"}
    found = (page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html") if "_static" not in page.parts)
    return sorted(name for name in found if name not in skipped)


@dataclass
class Visit:
    """A page with what its loading asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def outside(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="module")
def visit(chromium: Browser, site: Path) -> Iterator[Callable[..., Visit]]:
    """Open a page: ``visit("scoreboard", width=390, scheme="dark")``."""
    contexts: dict[tuple[int, str], BrowserContext] = {}

    def go(name: str, width: int = 1280, scheme: Literal["light", "dark"] = "light", query: str = "") -> Visit:
        if (width, scheme) not in contexts:
            contexts[width, scheme] = chromium.new_context(
                viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme
            )
        seen = Visit(contexts[width, scheme].new_page())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("console", lambda line: seen.errors.append(line.text) if line.type == "error" else None)
        seen.page.goto((site / f"{name}.html").as_uri() + query, wait_until="load")
        seen.page.evaluate("() => window.MathJax?.startup?.promise?.then(() => null)")
        # Colours that fade in are looked at when they have arrived.
        seen.page.evaluate("() => Promise.allSettled(document.getAnimations().map((moving) => moving.finished)).then(() => null)")
        return seen

    yield go
    for context in contexts.values():
        context.close()
