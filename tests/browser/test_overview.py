"""From the overview to the cause, in a real browser against a real server."""

from typing import Any

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Tab, follow
from tests.helpers import Server, wait_for


def test_the_slow_statement_of_a_slow_request_is_two_clicks_away(
    browser: Browser, site: Server, session_state: Any
) -> None:
    tab = Tab(browser, site, storage_state=session_state)
    page = tab.page
    page.goto("/demo/slow")
    follow(page, page.get_by_role("link", name="Admin", exact=True))
    slowest = page.get_by_role("region", name="Slowest statements").get_by_role("listitem")
    wait_for(lambda: page.goto("/admin/?window=1h") and slowest.count())
    statement = slowest.first.locator(".statement").inner_text()
    assert "pg_sleep" in statement
    follow(page, slowest.first.get_by_role("link", name="Last request"))
    told = page.locator(".step-sql", has_text=statement)
    expect(told).to_be_visible()
    expect(page.locator(".summary-line")).to_have_text("GET /demo/slow")
    follow(page, page.get_by_role("link", name="Admin", exact=True))
    # The window stays in the address that a colleague is sent.
    follow(page, page.get_by_role("link", name="Last 7 days"))
    assert page.url.endswith("window=7d")
    tab.close()
    assert tab.complaints == []
