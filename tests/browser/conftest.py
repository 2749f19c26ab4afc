"""A Chromium without network, and the built site opened from file://."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Contrast follows from how a text looks and what lies behind it, and is what axe takes longest over: it is given one of each.
LOOKS = """
(() => {
  const looks = new Set(), behind = new Map([[null, ""]]);
  for (const element of document.querySelectorAll("*")) {
    const style = getComputedStyle(element), own = `${style.backgroundColor} ${style.backgroundImage} ${style.opacity}`;
    const ground = behind.get(element.parentElement) + (own === "rgba(0, 0, 0, 0) none 1" ? "" : own);
    behind.set(element, ground);
    const says = element.matches("input, select, textarea")
      || [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!says || !element.checkVisibility({ visibilityProperty: true })) continue;
    const { width, height } = element.getBoundingClientRect();
    const look = [style.color, style.fontSize, style.fontWeight, style.textShadow, ground].join();
    if (looks.has(look) || Math.min(width, height) < 2) continue;
    looks.add(look);
    element.dataset.look = "";
  }
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-look]" }] });
})();
"""
AXE = Axe(AXE_SCRIPT + LOOKS)


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

    @property
    def grave(self) -> list[Any]:
        """What axe finds serious or critical: id, and the first elements."""
        violations = AXE.run(self.page).response["violations"]
        return [
            (violation["id"], [node["html"][:160] for node in violation["nodes"]][:3])
            for violation in violations
            if violation["impact"] in {"serious", "critical"}
        ]


@pytest.fixture(scope="session")
def visit(chromium: Browser, site: Path) -> Iterator[Callable[..., Visit]]:
    """Open a page in place of the one before: ``visit("scoreboard", width=390, scheme="dark")``."""
    context = chromium.new_context(offline=True)
    seen = Visit(context.new_page())
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("console", lambda line: seen.errors.append(line.text) if line.type == "error" else None)

    def go(name: str, width: int = 1280, scheme: Literal["light", "dark"] = "light", query: str = "") -> Visit:
        seen.page.goto("about:blank")
        seen.requests.clear()
        seen.errors.clear()
        seen.page.set_viewport_size({"width": width, "height": 900})
        seen.page.emulate_media(media="screen", color_scheme=scheme)
        seen.page.goto((site / f"{name}.html").as_uri() + query, wait_until="load")
        seen.page.evaluate("() => window.MathJax?.startup?.promise?.then(() => null)")
        # Colours that fade in are looked at when they have arrived.
        seen.page.evaluate("() => Promise.allSettled(document.getAnimations().map((moving) => moving.finished)).then(() => null)")
        return seen

    yield go
    context.close()
