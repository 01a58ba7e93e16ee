"""What app.js does for a form before it travels, and after that failed."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Tab, follow
from tests.helpers import Server
from tests.services.pictures import picture


@pytest.fixture
def form(browser: Browser, site: Server, session_state: Any) -> Iterator[Page]:
    tab = Tab(browser, site, storage_state=session_state)
    tab.page.goto("/items/new")
    tab.page.get_by_label("Name").fill("Lamp")
    yield tab.page
    tab.close()


def test_a_picture_over_the_limit_does_not_travel_and_a_smaller_one_does(form: Page) -> None:
    sent: list[str] = []
    form.on("request", lambda request: sent.append(request.method))
    chooser = form.get_by_label("Picture")
    large = b"x" * (int(chooser.get_attribute("data-max-bytes") or 0) + 1)
    chooser.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": large})
    form.get_by_role("button", name="Create item").click()
    assert chooser.evaluate("one => one.validationMessage").startswith("This picture is too large")
    assert "POST" not in sent

    small = picture().getvalue()
    chooser.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": small})
    follow(form, form.get_by_role("button", name="Create item"))
    assert form.locator("h1").inner_text() == "Lamp"


def test_a_form_whose_sending_failed_can_be_sent_again(form: Page) -> None:
    tries: list[str] = []

    def fail(route: Any) -> None:
        tries.append(route.request.method)
        route.abort("aborted")

    form.clock.install()
    form.route("**/items/new", fail)
    button = form.get_by_role("button", name="Create item")
    with form.expect_event("requestfailed"):
        button.click()
    button.click()
    assert tries == ["POST"]
    form.unroute("**/items/new")
    form.clock.fast_forward(6000)
    follow(form, button)
    assert form.locator("h1").inner_text() == "Lamp"
