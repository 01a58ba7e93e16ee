"""What a person does with the page of errors, in a real browser against a real server."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Tab, follow
from tests.helpers import wait_for


def cause_until_listed(page: Page, state: str) -> None:
    """Cause an error, and wait until the list has it in a state."""
    page.goto("/demo/error")
    row = page.locator("tbody tr", has_text="ZeroDivisionError").filter(has_text=state)
    wait_for(lambda: page.goto("/admin/errors?window=1h") and row.count(), timeout=30)
    expect(row).to_contain_text("app/services/demo_service.py")


def test_an_error_is_resolved_and_reopens_when_it_returns(tab: Tab) -> None:
    page = tab.page
    cause_until_listed(page, "open")
    follow(page, page.get_by_role("link", name="ZeroDivisionError"))
    expect(page.locator(".frames .ours").last).to_contain_text("average_debt")
    folded = page.locator(".frames details").first
    expect(folded.locator("pre")).to_be_hidden()
    folded.locator("summary").click()
    expect(folded.locator("pre")).to_contain_text("site-packages")
    follow(page, page.get_by_role("button", name="Resolve"))
    expect(page.locator(".record-line .tag").first).to_have_text("resolved")
    page.goto("/admin/errors?window=1h")
    expect(page.get_by_role("link", name="ZeroDivisionError")).to_have_count(0)
    cause_until_listed(page, "reopened")
    follow(page, page.get_by_role("link", name="ZeroDivisionError"))
    follow(page, page.get_by_role("link", name="The newest request it failed"))
    expect(page.locator(".summary-line")).to_have_text("GET /demo/error")
