"""axe-core finds nothing to object to on any page, in light and dark, wide and narrow."""

from importlib.resources import files
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Tab
from tests.helpers import Server, wait_for

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
EVERY_RULE = {"rules": {"target-size": {"enabled": True}}}
# What else depends on the theme axe cannot see.
IN_THE_DARK = {"runOnly": ["color-contrast"]}
RUN = """
async (options) => (await axe.run({...options, resultTypes: ["violations"]})).violations
  .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.html}`))
"""
STRANGERS = ["/items", "/auth/login", "/auth/register", "/auth/forgot", "/no/such/page"]
MEMBERS = [
    "/items/new", "/auth/password", "/account", "/demo", "/demo/error", "/demo/slow",
    "/admin", "/admin/logs", "/admin/logs?q=level:error", "/admin/logs?q=lvel:error",
    "/admin/logs?q=nothing-like-it", "/admin/requests/not-there", "/admin/errors",
    "/admin/security", "/admin/alerts", "/admin/users", "/admin/users/1",
]  # fmt: skip
WIDTHS = [1280, 360]
# One load shows a page in both themes and widths: media queries answer at once.
STILL = {"reduced_motion": "reduce", "has_touch": True}


def objections(page: Page, address: str) -> list[str]:
    """Return what axe finds on a page, as it looks in each theme and width."""
    page.goto(address)
    expect(page.get_by_text("Counting …")).to_have_count(0)
    return objections_as_it_is(page)


def objections_as_it_is(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme, rules in (("light", EVERY_RULE), ("dark", IN_THE_DARK)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
            found += [f"{page.url} {width} {scheme} {one}" for one in page.evaluate(RUN, rules)]
    return found


def test_pages_for_strangers(browser: Browser, site: Server) -> None:
    tab = Tab(browser, site, **STILL)
    assert [one for address in STRANGERS for one in objections(tab.page, address)] == []
    tab.close()


def test_pages_for_members(browser: Browser, site: Server, session_state: Any) -> None:
    tab = Tab(browser, site, storage_state=session_state, **STILL)
    page = tab.page
    page.goto("/items/new")
    page.get_by_label("Name").fill("Lamp")
    page.get_by_role("button", name="Create item").click()
    page.wait_for_url("**/items/*")
    item = page.url.removeprefix(site.url)
    page.goto("/demo/error")
    request_id = page.locator("#request-id").inner_text()
    story = f"/admin/requests/{request_id}"
    wait_for(lambda: page.goto(story) and page.locator(".timeline").count())
    failed = next(one for one in site.records("error") if one["request_id"] == request_id)
    error = f"/admin/errors/{failed['exception']['fingerprint']}"
    found = [*MEMBERS, item, f"{item}/edit", story, f"/admin/logs/{failed['id']}", error]
    found.append(f"/admin/logs/{failed['id']}/context")
    assert [one for address in found for one in objections(page, address)] == []
    page.goto(f"/admin/logs?q=action:error+request:{request_id}")
    page.locator(".headline").first.click()
    expect(page.locator(".row-open .fields").first).to_be_visible()
    page.keyboard.press("?")
    assert objections_as_it_is(page) == []
    tab.close()
