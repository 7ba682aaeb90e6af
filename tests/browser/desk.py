"""A browser at which somebody of one role works, and what every page of ours must be."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
RULES = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"],
}
#: What may differ between light and dark: the rest is the same document.
OF_COLOUR = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
RUN_AXE = """rules => axe.run(document, {
    runOnly: rules, resultTypes: ["violations"]
}).then(found => found.violations.flatMap(rule => rule.nodes.map(
    node => `${rule.id}: ${node.html.slice(0, 160)} (${(node.any[0] || {}).message || rule.help})`
)))"""
#: The theme is a class; unfold reads what the system prefers only while a page loads.
DRESS = "scheme => document.documentElement.classList.toggle('dark', scheme === 'dark')"
SIDEWAYS = "document.documentElement.scrollWidth - window.innerWidth"
#: Colours are measured when they have arrived, not on their way.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"
WIDTHS = {"desk": 1440, "phone": 390}
SCHEMES = ("light", "dark")


class Desk:
    """Pages as one member of staff sees them.

    `open` goes to a page, `check` looks at the page as it stands: no accessibility violation, no
    error in its scripts, no scrolling sideways; in light and dark, on a desk and on a phone. With
    SCREENSHOTS=DIR in the environment it writes what it saw, as DIR/NAME-WIDTH-SCHEME.png.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.url = url
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("response", self._receive)

    def open(self, path: str) -> Page:
        """Go to `path` on a desk in light."""
        self.page.set_viewport_size({"width": WIDTHS["desk"], "height": 900})
        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("load")
        return self.page

    def check(self, name: str) -> None:
        """Assert all that a page must be; `name` is for the report and the screenshots."""
        assert (problems := self.problems(name)) == [], "\n".join(problems)

    def problems(self, name: str) -> list[str]:
        """What is wrong with the page as it stands; empty if nothing."""
        self.page.add_style_tag(content=STILL)
        self.page.evaluate(AXE)
        found = []
        for width, pixels in WIDTHS.items():
            self.page.set_viewport_size({"width": pixels, "height": 900})
            for scheme in SCHEMES:
                self.page.evaluate(DRESS, scheme)
                where = f"{name}-{width}-{scheme}"
                rules = RULES if scheme == "light" else OF_COLOUR
                found += [f"{where}: {said}" for said in self.page.evaluate(RUN_AXE, rules)]
                if (beyond := self.page.evaluate(SIDEWAYS)) > 0:
                    found.append(f"{where}: scrolls sideways by {beyond} px")
                self.shoot(where)
        found += [f"{name}: {error}" for error in self.errors]
        self.errors.clear()
        return found

    def shoot(self, name: str) -> None:
        """Write a screenshot, if SCREENSHOTS names a folder."""
        if folder := os.environ.get("SCREENSHOTS"):
            safe = re.sub(r"[^\w.-]+", "-", name)
            self.page.screenshot(path=Path(folder) / f"{safe}.png", full_page=True)

    def _hear(self, said: Any) -> None:
        if said.type == "error" and "Failed to load resource" not in said.text:
            self.errors.append(said.text)

    def _receive(self, answer: Any) -> None:
        if answer.status >= 400 and "favicon" not in answer.url:
            self.errors.append(f"{answer.status} {answer.url}")
