"""A search without time to end goes on by itself in a browser, and by a link without scripts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from app import create_app
from tests.browser.conftest import ADMIN, Tab, follow, log_in
from tests.helpers import PASSWORD, Server, serving
from tests.log_records import made, put

HAY = 2_500


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("hasty")
    with serving(folder, workers=1, app="tests.browser.hasty_wsgi:app") as server:
        server.flask("users", "create", ADMIN, "--admin", "--password-stdin", input=PASSWORD)
        names = ("DATABASE_URL", "LOG_DIR", "UPLOAD_FOLDER", "SECRET_KEY", "APP_ENV")
        app = create_app({name: server.env[name] for name in names if name in server.env})
        put(app, made("a needle"), *(made(f"hay {number}") for number in range(HAY)))
        yield server


def test_a_search_goes_on_until_it_has_seen_all(browser: Browser, hasty: Server) -> None:
    tab = Tab(browser, hasty)
    log_in(tab.page)
    tab.page.goto("/admin/logs?q=needle&range=1h")
    expect(tab.page.locator(".cell-what")).to_have_text(["a needle made.up"])
    expect(tab.page.locator(".looked-back")).to_have_count(0)
    tab.page.goto("/admin/logs?q=nowhere&range=1h")
    expect(tab.page.locator(".empty h2")).to_have_text("No record fits this search")
    assert tab.complaints == []
    tab.close()


def test_without_javascript_a_link_goes_on(browser: Browser, hasty: Server) -> None:
    context: dict[str, Any] = {"java_script_enabled": False}
    tab = Tab(browser, hasty, **context)
    log_in(tab.page)
    tab.page.goto("/admin/logs?q=needle&range=1h")
    while not tab.page.locator(".cell-what").count():
        follow(tab.page, tab.page.get_by_role("link", name="Go on from there"))
    expect(tab.page.locator(".cell-what")).to_have_text("a needle made.up")
    tab.close()
