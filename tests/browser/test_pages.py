"""Every page in light and dark, wide and narrow: nothing sticks out, nothing is blocked."""

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Tab
from tests.helpers import Server, wait_for

STRANGERS = ["/items", "/auth/login", "/auth/register", "/auth/forgot", "/demo", "/no/such/page"]
MEMBERS = [
    "/items", "/items/new", "/auth/password", "/account", "/demo/error", "/admin/", "/admin/logs",
    "/admin/logs?q=level:NONE", "/admin/logs?q=nothing-like-it", "/admin/requests/not-there",
]  # fmt: skip
# Controls and links that a screen reader could not name.
NAMELESS = """
() => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary")]
  .filter(one => one.checkVisibility() && !(one.labels && one.labels.length))
  .filter(one => !one.getAttribute("aria-label") && !one.textContent.trim())
  .filter(one => !one.querySelector("img[alt]:not([alt=''])"))
  .map(one => one.outerHTML)
"""
CONTRAST_BELOW = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const known = new Map();
  const rgb = (colour) => {
    if (!known.has(colour)) known.set(colour, drawn(colour));
    return known.get(colour);
  };
  const drawn = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll("main *, header *, footer *")) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.checkVisibility() || one.closest(".visually-hidden")) continue;
    const [a, b] = [light(rgb(getComputedStyle(one).color)), light(behind(one))]
      .sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(one.outerHTML.slice(0, 200));
  }
  return found;
}
"""


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[1280, 360])
def look(request: pytest.FixtureRequest, scheme: str) -> dict[str, Any]:
    """How a browser shows pages."""
    narrow = request.param < 500
    size = {"width": request.param, "height": 740}
    return {"color_scheme": scheme, "is_mobile": narrow, "has_touch": narrow, "viewport": size}


def check(tab: Tab, address: str, scheme: str) -> None:
    answer = tab.page.goto(address)
    assert answer is not None
    assert "'unsafe-inline'" not in answer.headers["content-security-policy"]
    page = tab.page
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    assert page.evaluate("document.documentElement.dataset.bsTheme") == scheme
    assert page.locator("h1").count() == 1, address
    assert page.evaluate(NAMELESS) == [], address
    assert page.evaluate(CONTRAST_BELOW) == [], address
    assert tab.complaints == [], address


def test_pages_for_strangers_fit_and_load_without_a_complaint(
    browser: Browser, site: Server, look: dict[str, Any]
) -> None:
    tab = Tab(browser, site, **look)
    for address in STRANGERS:
        check(tab, address, look["color_scheme"])
    tab.close()


def test_pages_for_members_fit_and_load_without_a_complaint(
    browser: Browser, site: Server, session_state: Any, look: dict[str, Any]
) -> None:
    tab = Tab(browser, site, storage_state=session_state, **look)
    for address in MEMBERS:
        check(tab, address, look["color_scheme"])
    failed = site.records("error")[-1]
    story = f"/admin/requests/{failed['request_id']}"
    wait_for(lambda: tab.page.goto(story) and tab.page.locator(".timeline").count())
    for address in (story, f"/admin/logs/{failed['id']}"):
        check(tab, address, look["color_scheme"])
    tab.close()


def test_an_unbroken_name_widens_no_page_and_an_open_menu_keeps_its_label(
    browser: Browser, site: Server, session_state: Any, look: dict[str, Any]
) -> None:
    tab = Tab(browser, site, storage_state=session_state, **look)
    page = tab.page
    page.goto("/items/new")
    page.get_by_label("Name").fill("W" * 120)
    page.get_by_label("Category").fill("C" * 60)
    page.get_by_role("button", name="Create item").click()
    page.get_by_text("Delete…").click()
    address = page.url.removeprefix(site.url)
    # Once the colours have faded over.
    wait_for(lambda: page.evaluate(CONTRAST_BELOW) == [])
    for one in (address, f"{address}/edit", "/items"):
        check(tab, one, look["color_scheme"])
    tab.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_an_account_is_changed_after_a_question_that_can_be_seen(
    browser: Browser, site: Server, session_state: Any, width: int
) -> None:
    account = f"{'w' * 40}{width}@example.com"
    site.flask("users", "create", account)
    size = {"width": width, "height": 740}
    tab = Tab(browser, site, storage_state=session_state, viewport=size)
    page = tab.page
    page.goto("/admin/users")
    page.get_by_role("link", name=account).click()
    page.get_by_text("Switch off…").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Switch off").click()
    page.get_by_text("Switched off", exact=True).wait_for()
    tab.close()


@pytest.mark.parametrize("address", ["/items", "/auth/login"])
def test_the_first_tab_offers_to_skip_to_the_content(
    browser: Browser, site: Server, address: str
) -> None:
    tab = Tab(browser, site)
    tab.page.goto(address)
    tab.page.locator("body").press("Tab")
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "content"
    tab.close()
