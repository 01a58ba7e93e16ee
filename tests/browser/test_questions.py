"""The ten questions of docs/questions.md, each asked of a small story that really happened."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Tab, follow
from tests.conftest import Mailbox
from tests.helpers import PASSWORD, ROOT, Server, run_flask, wait_for
from tests.log_records import made
from tests.visitor import Visitor

BOB = "bob@example.com"
GUESSED = [f"{name}@example.org" for name in ("ann", "ben", "cleo", "dan", "eve", "finn")]


class Walk:
    """A way through the pages from the overview that ends after two clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._left = 2
        page.goto("/admin")

    def click(self, link: Locator) -> None:
        self._spend()
        follow(self.page, link)

    def choose(self, field: Locator, value: str) -> None:
        self._spend()
        with self.page.expect_navigation():
            field.select_option(value)

    def to(self, name: str) -> None:
        """Click a link of the administration."""
        navigation = self.page.get_by_role("navigation", name="Administration")
        self.click(navigation.get_by_role("link", name=name, exact=True))

    def part(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name, exact=True)

    def _spend(self) -> None:
        assert self._left, "this would be a third click"
        self._left -= 1


@dataclass
class Story:
    """What happened: the ID of the request that failed, and the item that is gone."""

    failed: str
    item: int


@pytest.fixture(scope="module")
def story(browser: Browser, site: Server, session_state: Any) -> Story:
    """Bob meets an error and a slow page and deletes an item; a stranger tries passwords."""
    site.flask("users", "create", BOB, "--password-stdin", input=PASSWORD, check=False)
    bob, stranger = Visitor(site.url), Visitor(site.url)
    bob.login(BOB, PASSWORD)
    item = bob.send_json("POST", "/api/items", {"name": "Lamp", "quantity": 1}).json["id"]
    assert bob.open(
        f"/api/items/{item}", method="DELETE", X_CSRFToken=bob.csrf_token()
    ).status == 204  # fmt: skip
    failed = bob.get("/demo/error").headers["X-Request-ID"]
    for account in GUESSED:
        stranger.post("/auth/login", {"email": account, "password": "wrong wrong wrong"})
    write_yesterday(site)
    last = bob.get("/demo/slow").headers["X-Request-ID"]
    tab = Tab(browser, site, storage_state=session_state)
    log = f"/admin/logs?q=action:request+request:{last}"
    wait_for(lambda: tab.page.goto(log) and tab.page.locator(".cell-what").count())
    tab.close()
    return Story(failed, item)


def write_yesterday(site: Server) -> None:
    """Write what a host reports late: a request that Bob made a day ago."""
    record = made(
        "request", ago=timedelta(days=1), action="request", method="GET", status=200,
        path="/items/of-yesterday", route="/items", account=BOB, user_id="2", duration_ms=5.0,
    )  # fmt: skip
    with (site.log_dir / "app.log").open("a") as log:
        log.write(json.dumps(record) + "\n")


@pytest.fixture
def walk(browser: Browser, site: Server, session_state: Any, story: Story) -> Iterator[Walk]:
    tab = Tab(browser, site, storage_state=session_state)
    yield Walk(tab.page)
    tab.close()
    assert tab.complaints == []


def open_error(walk: Walk) -> None:
    walk.click(walk.part("Top errors").get_by_role("link", name="ZeroDivisionError"))


def fact(walk: Walk, name: str) -> Locator:
    return walk.page.locator(".facts-list > div", has_text=name).locator("dd")


def test_which_user_got_this_500(walk: Walk) -> None:
    open_error(walk)
    newest = walk.page.get_by_role("table", name="Each time").locator("tbody tr").first
    expect(newest.locator(".cell-user")).to_have_text(BOB)


def test_what_did_request_x_do(walk: Walk, story: Story) -> None:
    walk.to("Logs")
    walk.page.get_by_label("Request ID").first.fill(story.failed)
    walk.click(walk.page.get_by_role("button", name="Open"))
    expect(walk.page.locator(".summary-line")).to_have_text("GET /demo/error")
    expect(walk.page.locator(".timeline")).to_contain_text("FROM items")
    expect(walk.part("Exception")).to_contain_text("average_debt")


def test_which_route_became_slow_in_the_last_hour(walk: Walk) -> None:
    walk.click(walk.page.get_by_role("link", name="Last hour"))
    routes = walk.part("Slowest routes").locator("tbody tr")
    expect(routes.first).to_contain_text("/demo/slow")
    walk.click(walk.page.get_by_role("link", name="Last 7 days"))
    expect(routes.filter(has_text="/demo/slow")).to_be_visible()


def test_is_it_one_user_or_all(walk: Walk) -> None:
    open_error(walk)
    users = walk.page.locator(".hit-lists > div", has_text="Users").locator(".hits li")
    assert any(BOB in one for one in users.all_inner_texts())
    expect(fact(walk, "Users hit")).to_have_text(str(users.count()))


def test_when_did_this_error_first_appear(walk: Walk, site: Server) -> None:
    open_error(walk)
    first = fact(walk, "In the log since").locator("time").get_attribute("datetime")
    assert str(first)[:19] == site.records("error")[0]["timestamp"][:19]


def test_which_statement_costs_most(walk: Walk) -> None:
    costliest = walk.part("Slowest statements").get_by_role("listitem").first
    expect(costliest.locator(".statement")).to_contain_text("pg_sleep")
    walk.click(costliest.get_by_role("link", name="Last request"))
    expect(walk.page.locator(".summary-line")).to_have_text("GET /demo/slow")


def test_who_deleted_item_42(walk: Walk, story: Story) -> None:
    walk.to("Logs")
    search = walk.page.get_by_role("combobox", name="Search")
    search.fill(f"action:item_delete item:{story.item}")
    search.press("Escape")
    walk.click(walk.page.get_by_role("button", name="Search"))
    expect(walk.page.locator(".cell-user")).to_have_text([BOB])


def test_is_someone_guessing_passwords(walk: Walk) -> None:
    walk.to("Security")
    expect(walk.page.get_by_role("status")).to_contain_text("may be guessing passwords")
    source = walk.part("Failed log-ins by address").locator("tbody tr").first
    expect(source).to_contain_text("127.0.0.1")
    expect(source).to_contain_text("tries many accounts")


def test_did_the_alert_mail_go_out(walk: Walk, site: Server, smtp_server: Mailbox) -> None:
    told = {
        "SMTP_HOST": smtp_server.host, "SMTP_PORT": str(smtp_server.port),
        "ALERT_RECIPIENTS": "ops@example.com", "ALERT_ERRORS_PER_HOUR": "0",
    }  # fmt: skip
    check = "from app.alerting import check_error_rate; check_error_rate()"
    run_flask({**site.env, **told}, "shell", input=check)
    subject = smtp_server.messages[0]["Subject"]
    alert = walk.part("What was told").locator("tbody tr").first
    wait_for(lambda: walk.page.goto("/admin/alerts") and alert.count())
    walk.page.goto("/admin")
    walk.to("Alerts")
    expect(alert).to_contain_text(subject.rpartition("] ")[2])
    expect(alert.get_by_role("cell").last).to_have_text("sent")


def test_what_did_one_user_do_yesterday(walk: Walk) -> None:
    walk.to("Logs")
    search = walk.page.get_by_role("combobox", name="Search")
    search.fill(f"user:{BOB}")
    search.press("Escape")
    walk.choose(walk.page.get_by_label("Time", exact=True), "yesterday")
    expect(walk.page.locator(".cell-what")).to_have_text([re.compile("GET /items/of-yesterday")])


def test_each_question_of_the_document_is_asked_here() -> None:
    text = (ROOT / "docs" / "questions.md").read_text()
    asked = re.findall(r"^## (.+)\?$", text, re.MULTILINE)
    names = ["test_" + one.lower().replace(" ", "_") for one in asked]
    assert len(names) == 10
    assert [name for name in names if name not in globals()] == []
