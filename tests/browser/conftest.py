from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, sync_playwright

from app.scheduler.status import read_status
from tests.helpers import PASSWORD, Server, missing, serving, wait_for

CHROMIUM = "/usr/bin/chromium"
ADMIN = "ada@example.com"
# The browser says this of each answer from 400 up; the pages under test are such answers as well.
EXPECTED_NOISE = "Failed to load resource: the server responded with a status of"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        missing("Chromium", "chromium fonts-dejavu-core")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False)
        yield chromium
        chromium.close()


class Tab:
    """A browser's tab that keeps what its console complains about."""

    def __init__(self, browser: Browser, server: Server, **context: Any) -> None:
        self.complaints: list[str] = []
        self.page: Page = browser.new_context(base_url=server.url, **context).new_page()
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._miss)

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(EXPECTED_NOISE):
            self.complaints.append(text)

    def _miss(self, request: Request) -> None:
        # Going on to another page gives up what the first one still wanted.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url}: {request.failure}")

    def close(self) -> None:
        self.page.context.close()


def follow(page: Page, link: Locator) -> None:
    """Click what leads to another page, and return when that page is there."""
    with page.expect_navigation():
        link.click()


def log_in(page: Page) -> None:
    """Log the administrator in."""
    page.goto("/auth/login")
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Admin", exact=True).wait_for()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gunicorn for all browser tests, with an administrator and its runner at work."""
    with serving(tmp_path_factory.mktemp("site"), workers=2) as server:
        server.flask("users", "create", ADMIN, "--admin", "--password-stdin", input=PASSWORD)
        wait_for(lambda: (status := read_status(server.log_dir)) and status.alive, timeout=20)
        yield server


@pytest.fixture(scope="session")
def session_state(browser: Browser, site: Server) -> Any:
    """The cookies of a logged-in administrator."""
    tab = Tab(browser, site)
    log_in(tab.page)
    state = tab.page.context.storage_state()
    assert tab.complaints == []
    tab.close()
    return state


@pytest.fixture
def tab(browser: Browser, site: Server, session_state: Any) -> Iterator[Tab]:
    """An administrator's tab."""
    tab = Tab(browser, site, storage_state=session_state)
    yield tab
    tab.close()
    assert tab.complaints == []
