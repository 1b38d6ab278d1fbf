"""Debian's Chromium, driven by Playwright's library: what a person sees and presses, and what the browser complains about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from support.js import install
from support.programs import program

AXE = Path(__file__).parents[1] / "judges" / "console"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
SERIOUS = ("serious", "critical")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program("chromium"), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Screen:
    """One page of a browser, and every complaint: errors of scripts, of the console, of the policy, and what failed to load."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def axe(self) -> list[str]:
        """What axe-core finds serious on the page as it is."""
        install(AXE)
        await self.page.evaluate((AXE / "node_modules" / "axe-core" / "axe.min.js").read_text())
        found: Any = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]

    async def is_too_wide(self) -> bool:
        found: bool = await self.page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return found

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)


async def screen(browser: Browser, *, width: int = 1440, height: int = 900, theme: Any = "light") -> Screen:
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
    )
    return Screen(await context.new_page())
