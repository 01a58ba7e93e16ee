"""The first look at an administrator's page: small to fetch, still, and of use to everybody."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Response, expect

from tests.browser.conftest import Tab
from tests.helpers import Server, wait_for

MOST_BYTES = 100_000
MOST_SHIFT = 0.01
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.shifted += one.value;
}).observe({type: "layout-shift", buffered: true});
"""
ADMIN_PAGES = [
    "/admin", "/admin/logs", "/admin/errors?window=30d&state=all", "/admin/requests/{request}",
    "/admin/logs/{record}", "/admin/errors/{error}", "/admin/security", "/admin/alerts",
    "/admin/users", "/admin/users/1",
]  # fmt: skip


@pytest.fixture(scope="module")
def addresses(browser: Browser, site: Server, session_state: Any) -> list[str]:
    """The administrator's pages, with an error to look at."""
    tab = Tab(browser, site, storage_state=session_state)
    tab.page.goto("/demo/error")
    failed = site.records("error")[-1]
    story = f"/admin/requests/{failed['request_id']}"
    wait_for(lambda: tab.page.goto(story) and tab.page.locator(".timeline").count())
    tab.close()
    found = {
        "request": failed["request_id"], "record": failed["id"],
        "error": failed["exception"]["fingerprint"],
    }  # fmt: skip
    return [one.format(**found) for one in ADMIN_PAGES]


@pytest.mark.parametrize("wide", [1280, 360])
def test_a_first_visit_fetches_little_and_nothing_jumps(
    browser: Browser, site: Server, session_state: Any, addresses: list[str], wide: int
) -> None:
    for address in addresses[:4]:
        # A context of its own has nothing cached.
        tab = Tab(browser, site, storage_state=session_state,
                  viewport={"width": wide, "height": 740})  # fmt: skip
        told, fetched = first_visit(tab.page, address)
        # Less would be an answer without its looks.
        assert 30_000 < fetched < MOST_BYTES, address
        assert told.header_value("content-encoding"), address
        assert tab.page.evaluate("window.shifted") < MOST_SHIFT, address
        tab.close()


def first_visit(page: Page, address: str) -> tuple[Response, int]:
    """Return a page's answer, and how many bytes all it wanted took on the wire."""
    done: list[Request] = []
    page.on("requestfinished", lambda request: done.append(request))
    page.add_init_script(SHIFTS)
    told = page.goto(address)
    page.wait_for_load_state("networkidle")
    assert told is not None
    sizes = [one.sizes() for one in done]
    # What came from a data address or the cache has a size below nothing.
    return told, sum(max(0, one["responseBodySize"]) + one["responseHeadersSize"] for one in sizes)


def width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def test_nothing_is_moved_sideways_at_twice_the_size_and_at_320_pixels(
    browser: Browser, site: Server, session_state: Any, addresses: list[str]
) -> None:
    # As a browser of 1280 pixels shows a page at 200 %, and one at 400 %.
    for wide, scale in ((640, 2), (320, 4)):
        size = {"width": wide, "height": 512}
        tab = Tab(browser, site, storage_state=session_state, viewport=size,
                  device_scale_factor=scale)  # fmt: skip
        for address in addresses:
            tab.page.goto(address)
            assert width(tab.page) <= wide, address
        tab.close()


def test_the_keyboard_alone_reaches_the_search_a_facet_and_a_row_and_opens_it(
    browser: Browser, site: Server, session_state: Any, addresses: list[str]
) -> None:
    tab = Tab(browser, site, storage_state=session_state)
    page = tab.page
    page.goto("/admin/logs")
    wanted = ["#q", ".facet-in", "a.headline"]
    for _ in range(150):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        # What has the focus shows it.
        if wanted and focused.evaluate("(one, what) => one.matches(what)", wanted[0]):
            wanted.pop(0)
        if not wanted:
            break
    assert wanted == []
    assert focused.evaluate("one => getComputedStyle(one).outlineStyle") != "none"
    page.keyboard.press("Enter")
    expect(page.locator(".fields").first).to_be_visible()
    tab.close()


def test_forced_colours_and_no_motion_hide_nothing(
    browser: Browser, site: Server, session_state: Any, addresses: list[str]
) -> None:
    tab = Tab(browser, site, storage_state=session_state, forced_colors="active",
              reduced_motion="reduce")  # fmt: skip
    page = tab.page
    page.goto(addresses[2])
    border = "one => getComputedStyle(one).borderStyle"
    assert page.locator(".state-open, .state-reopened").first.evaluate(border) == "solid"
    spark = page.locator(".spark path").first
    assert spark.evaluate("one => getComputedStyle(one).fill") != "rgba(0, 0, 0, 0)"
    page.goto("/admin/logs")
    motion = "one => getComputedStyle(one).transitionDuration"
    assert page.locator("summary > .icon").first.evaluate(motion) == "0s"
    tab.close()
