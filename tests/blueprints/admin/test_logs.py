import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import itsdangerous.timed
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.logs import PAGE_SIZE
from tests.blueprints.admin.pages import facts, page, rows
from tests.helpers import log_lines
from tests.log_records import failed_request, made, put

SCRIPT = "<script>alert(1)</script>"


def test_records_come_newest_first_in_pages_that_lose_none(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, *(made(f"number {number}") for number in range(PAGE_SIZE + 5)))
    first = page(as_admin, "/admin/logs")
    second = page(as_admin, first.one("a", rel="next")["href"])
    cells = first.every("td", class_="cell-what") + second.every("td", class_="cell-what")
    shown = [cell.text.split()[1] for cell in cells]
    assert shown == [str(number) for number in reversed(range(PAGE_SIZE + 5))]
    assert not first.every("a", rel="prev")
    assert not second.every("a", rel="next")
    assert urlsplit(second.one("a", rel="prev")["href"]).query == ""


def test_older_pages_keep_the_filters(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *(made("wanted", route="/a b/<x>") for _ in range(PAGE_SIZE + 1)), made("other"))
    first = page(as_admin, "/admin/logs?q=route:%22/a%20b/%3Cx%3E%22%20level:info")
    older = first.one("a", rel="next")["href"]
    assert parse_qs(urlsplit(older).query)["q"] == ['route:"/a b/<x>" level:info']
    assert rows(as_admin, older) == ["wanted made.up"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("q=level:error", {"KeyError"}),
        ("q=level:>=warning", {"KeyError", "refused"}),
        ("q=action:login_failed", {"refused"}),
        ("q=user:7", {"about", "KeyError", "request"}),
        ("q=user:ANN@example.com", {"about", "KeyError", "request"}),
        ("q=request:r-1", {"about", "KeyError", "request"}),
        ("q=%22to+fai%22", {"about"}),
        ("q=fail+to+-about", set()),
        ("q=-level:info", {"KeyError", "refused"}),
        ("range=1h", {"about", "KeyError", "request", "refused"}),
        ("q=status:5xx", {"request"}),
        ("q=route:/demo/error", {"about", "KeyError", "request"}),
        ("q=error:a1b2c3d4", {"KeyError"}),
        ("q=action:sample", {"sample"}),
        ("q=action:nobody_did_this", set()),
    ],
)
def test_each_filter_selects(
    app: Flask, as_admin: FlaskClient, query: str, wanted: set[str]
) -> None:
    refused = made("refused", action="login_failed", level="WARNING", account="bob@example.com")
    old = made("old", ago=timedelta(days=2))
    stored = put(app, old, *failed_request("r-1"), refused, made("sample", action="sample"))
    words = {one["id"]: one["message"].split()[0] for one in stored}
    links = page(as_admin, f"/admin/logs?{query}").every("a", class_="headline")
    assert {words[link["href"].rpartition("/")[2]] for link in links} == wanted


def test_samples_stay_out_unless_asked_for(app: Flask, as_admin: FlaskClient) -> None:
    put(app, made("figures", action="sample"), made("seen"))
    assert rows(as_admin, "/admin/logs") == ["seen made.up"]


def test_a_time_range_has_two_ends(app: Flask, as_admin: FlaskClient) -> None:
    put(app, *(made(f"{days} days", ago=timedelta(days=days)) for days in (9, 5, 1)))
    since, until = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M}" for days in (6, 3))
    found = rows(as_admin, f"/admin/logs?from={since}&to={until}")
    assert found == ["5 days made.up"]


@pytest.mark.parametrize("field", ["q", "range", "from", "to"])
def test_a_bad_value_is_a_400_that_marks_its_field(as_admin: FlaskClient, field: str) -> None:
    found = page(as_admin, f"/admin/logs?{field}=%00{SCRIPT}", 400)
    control = found.one("select" if field == "range" else "input", name=field)
    assert control["aria-invalid"] == "true"
    assert found.one("div", id=control["aria-describedby"]).text
    assert not found.every("td")


@pytest.mark.parametrize(
    "query",
    [
        "before=1",
        "before=%00",
        "q=&q=level:x",
        "from=0001-01-01",
        "to=9999-12-31",
        "from=1970-01-01",
    ],
)
def test_a_damaged_address_is_no_server_error(as_admin: FlaskClient, query: str) -> None:
    assert as_admin.get(f"/admin/logs?{query}").status_code in {200, 400}


def test_the_form_shows_what_was_asked(app: Flask, as_admin: FlaskClient) -> None:
    found = page(as_admin, "/admin/logs?q=a%22b+-action:my_own&range=24h")
    selected = [one["value"] for one in found.every("option") if "selected" in one.attributes]
    assert selected == ["24h"]
    assert found.one("input", name="q")["value"] == 'a"b -action:my_own'
    chips = found.one("ul", class_="chips").every("a", class_="chip")
    assert [parse_qs(urlsplit(chip["href"]).query) for chip in chips] == [
        {"q": ["-action:my_own"], "range": ["24h"]}, {"q": ['a"b'], "range": ["24h"]},
        {"q": ['a"b -action:my_own']},
    ]  # fmt: skip


def test_what_cannot_be_read_is_marked_and_explained_with_what_was_meant(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, made("disk"))
    found = page(as_admin, "/admin/logs?q=disk+lvel:error&range=1h", 400)
    box = found.one("input", id="q")
    problems = found.one("div", id=box["aria-describedby"])
    assert (box["value"], problems.one("mark").text) == ("disk lvel:error", "lvel:error")
    assert problems.one("li").text.startswith("There is no key lvel. Did you mean level?")
    meant = parse_qs(urlsplit(problems.one("a")["href"]).query)
    assert meant == {"q": ["disk level:error"], "range": ["1h"]}


def test_of_many_wrong_terms_the_first_are_explained(as_admin: FlaskClient) -> None:
    answer = as_admin.get("/admin/logs", query_string={"q": "x:1 " * 400})
    html = answer.get_data(as_text=True)
    assert (answer.status_code, html.count("There is no key x")) == (400, 5)
    assert "… and 395 more." in html


def test_the_chart_and_the_facets_are_those_of_the_search(
    app: Flask, as_admin: FlaskClient
) -> None:
    hour_ago = timedelta(hours=1)
    put(app, *(made("x", route="/a b", status=200, action="request") for _ in range(3)),
        made("x", route="/c", status=503, action="request", level="ERROR", ago=hour_ago),
        made("old", ago=timedelta(days=3)), made("figures", action="sample"))  # fmt: skip
    found = page(as_admin, "/admin/logs?q=action:request")
    chart = found.one("figure", class_="log-chart")
    table = chart.one("table").one("tbody").every("tr")
    numbers = [[cell.text for cell in row.every("td")] for row in table]
    assert numbers == [["1", "0", "0", "1"], ["3", "3", "0", "0"]]
    assert len(chart.one("svg", class_="chart-bars").every("a")) in {25, 26}
    assert len(rows(as_admin, table[0].one("a")["href"])) == 1
    links = {
        " ".join(link.text.split()): link["href"]
        for link in found.one("details", class_="facets").every("a", class_="facet-in")
    }
    assert set(links) == {"info 3", "error 1", "request 4", "2xx 3", "5xx 1", "/a b 3", "/c 1"}
    assert len(rows(as_admin, links["/a b 3"])) == 3
    out = found.one("details", class_="facets").every("a", class_="facet-out")
    without = next(link["href"] for link in out if link.text.endswith("route /a b"))
    assert parse_qs(urlsplit(without).query)["q"] == ['action:request -route:"/a b"']
    assert len(rows(as_admin, without)) == 1


def test_each_facet_leads_to_as_many_records_as_it_says_whoever_wrote_them(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, made("x", level="NOTICE", action="User Login", user_id="8", host="Ä b", status=799),
        made("x", level="WARN", action="-x", route='/"a:b', account="root", status=1000),
        made("x", route="/two\nlines"))  # fmt: skip
    found = [page(as_admin, f"/admin/logs{path}") for path in ("", "/figures")]
    links = [link for one in found for link in one.every("a", class_="facet-in")]
    names = {link.text.rpartition(" ")[0] for link in links}
    assert names >= {"notice", "warn", "User Login", "-x", '/"a:b', "7xx", "user 8", "root", "Ä b"}
    for link in links:
        assert len(rows(as_admin, link["href"])) == int(link.text.rpartition(" ")[2]), link.text
    assert "two" not in str(names)


def test_what_counts_cannot_tell_comes_after_the_page(app: Flask, as_admin: FlaskClient) -> None:
    put(app, made("needle", user_id="7", account="a@b.c", host="web-1", level="ERROR"),
        made("needle", account="bob", ago=timedelta(days=2)), made("hay", user_id="8"))  # fmt: skip
    first = page(as_admin, "/admin/logs?q=needle&range=7d")
    assert not first.every("figure")
    late = page(as_admin, next(
        one["data-figures"] for one in first.every("div") if "data-figures" in one.attributes
    ))  # fmt: skip
    assert [link.text.split() for link in late.every("a", class_="facet-in")] == [
        ["a@b.c", "1"], ["bob", "1"], ["web-1", "1"],
    ]  # fmt: skip
    bob = late.every("a", class_="facet-in")[1]["href"]
    assert parse_qs(urlsplit(bob).query)["q"] == ["needle account:bob"]
    assert len(late.one("figure").one("tbody").every("tr")) == 2
    assert as_admin.get("/admin/logs/figures?q=level:").status_code == 400


def test_opening_the_page_is_one_view_and_nobody_can_look_without_one(
    app: Flask, as_admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(address: str) -> str:
        found = page(as_admin, address).every("div")
        return next(one["data-figures"] for one in found if "data-figures" in one.attributes)

    def views() -> list[str]:
        return [one["details"]["page"] for one in log_lines(app, "logs_viewed")]

    address = late("/admin/logs?q=needle&range=7d")
    assert as_admin.get(address).status_code == 200
    assert views() == ["logs"]
    for other in (
        address.replace("needle", "secret"), address.partition("&seen=")[0], f"{address}x",
        late(f"/admin/logs?q=needle&before={'f' * 8}-ffff-7fff-bfff-{'f' * 12}"),
    ):  # fmt: skip
        assert as_admin.get(other).status_code == 200
    now = time.time()
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 90)
    as_admin.get(address)
    assert views() == ["logs", *["figures"] * 5]


def test_the_box_can_ask_which_terms_there_are(as_admin: FlaskClient) -> None:
    terms = {one["key"]: one["values"] for one in as_admin.get("/admin/logs/terms").json}
    assert "login_failed" in terms["action"]
    assert "/items" in terms["route"]
    assert ">=warning" in terms["level"]
    assert terms["user"] == []


def test_an_empty_log_and_filters_without_a_match_are_explained(as_admin: FlaskClient) -> None:
    empty = page(as_admin, "/admin/logs").one("div", class_="empty")
    nothing = page(as_admin, "/admin/logs?q=zebra").one("div", class_="empty")
    assert (empty.one("h2").text, nothing.one("h2").text) == (
        "The log is empty", "No record fits this search",
    )  # fmt: skip
    typo = page(as_admin, "/admin/logs?q=action:item_updat+level:info").one("div", class_="empty")
    assert typo.one("p").text.startswith("Did you mean action:item_update?")
    assert typo.one("a")["href"] == "/admin/logs?q=action:item_update+level:info"


def test_a_search_that_ran_out_of_time_says_how_far_it_looked_and_goes_on(
    app: Flask, as_admin: FlaskClient
) -> None:
    put(app, made("needle"), *(made("hay") for _ in range(3000)))
    app.extensions["log_store"]._deadline = 0
    first = page(as_admin, "/admin/logs?q=needle")
    assert not first.every("td")
    said = first.one("p", class_="looked-back")
    assert said.text.startswith("Looked back to 20")
    address, found = said.one("a")["href"], []
    while address and not found:
        after = page(as_admin, address)
        found = after.every("td", class_="cell-what")
        more = after.every("p", class_="looked-back")
        address = more[0].one("a")["href"] if more else ""
    assert [cell.text for cell in found] == ["needle made.up"]


TEXTS = (
    "logger", "message", "action", "request_id", "parent_request_id", "user_id", "account",
    "method", "path", "route", "remote_addr", "host", "release", "target_type", "target_id",
    "outcome", "statement",
)  # fmt: skip
HOSTILE = dict.fromkeys(TEXTS, SCRIPT)
HOSTILE_EXCEPTION = dict.fromkeys(("type", "message", "traceback", "fingerprint"), SCRIPT)
HOSTILE_DETAILS = {
    SCRIPT: SCRIPT,
    "place": SCRIPT,
    "queries": [{"statement": SCRIPT, "line": SCRIPT}],
}


@pytest.mark.parametrize("without", [(), ("exception",), ("exception", "statement")])
def test_markup_in_every_field_shows_as_text(
    app: Flask, as_admin: FlaskClient, without: tuple[str, ...]
) -> None:
    fields = {**HOSTILE, "exception": HOSTILE_EXCEPTION, "details": HOSTILE_DETAILS}
    kept = {name: value for name, value in fields.items() if name not in without}
    hostile = put(app, made(**kept))[0]
    story = put(app, made(**{**kept, "request_id": "r-1", "action": "request"}))
    pages = [
        "",
        f"/{hostile['id']}",
        f"/{story[0]['id']}",
        f"?q={SCRIPT}+account:a@{SCRIPT}",
        f"/figures?q={SCRIPT}",
    ]
    for address in ["/admin/requests/r-1", *(f"/admin/logs{one}" for one in pages)]:
        found = page(as_admin, address)
        assert all("src" in one.attributes for one in found.every("script"))
        assert SCRIPT in found.text


def test_a_record_is_shown_whole(app: Flask, as_admin: FlaskClient) -> None:
    _, _, request = put(app, *failed_request("r-1", remote_addr="10.1.2.3", release="9.9"))
    found = page(as_admin, f"/admin/logs/{request['id']}")
    shown = facts(found, "fields")
    for name in ("id", "level", "logger", "action", "path", "account", "remote_addr", "release"):
        assert shown[name] == str(request[name]), name
    assert (shown["status"], shown["duration_ms"], shown["db_count"]) == ("500", "45.5", "8")
    table = found.one("table", class_="sql-table").one("tbody")
    statements = [row.every("td") for row in table.every("tr")]
    assert [[cell.text for cell in cells] for cells in statements] == [
        ["3.2 ms", "12.5 ms", "1",
         "SELECT items.id FROM items WHERE items.id = ? app/services/item_service.py:42"],
        ["20.0 ms", "1.0 ms", "7", "SELECT users.id FROM users app/blueprints/auth/sessions.py:9"],
    ]  # fmt: skip


def test_a_record_leads_to_its_request_user_error_and_route(
    app: Flask, as_admin: FlaskClient
) -> None:
    stored = put(app, *failed_request("r-1"), *failed_request("r-2", user_id="8", account="b@c.d"))
    related = page(as_admin, f"/admin/logs/{stored[1]['id']}").one("nav", class_="related")
    links = {link.text: link["href"] for link in related.every("a")}
    assert links["Everything of this request"] == "/admin/requests/r-1"
    assert len(rows(as_admin, links["All of this user"])) == 3
    assert len(rows(as_admin, links["Every time this error happened"])) == 2
    assert len(rows(as_admin, links["All of this route"])) == 6


def test_a_traceback_marks_this_projects_lines(app: Flask, as_admin: FlaskClient) -> None:
    _, error, _ = put(app, *failed_request("r-1"))
    lines = page(as_admin, f"/admin/logs/{error['id']}").one("div", class_="traceback").every("li")
    ours = [line.text for line in lines if line.attributes.get("class") == "ours"]
    assert ours == ['ours: File "/srv/app/services/item_service.py", line 42, in create',
                    "ours: raise KeyError(name)"]  # fmt: skip
    assert len(lines) == 6


@pytest.mark.parametrize(
    "record_id", ["1", "x" * 300, "%00", "00000000-0000-7000-8000-000000000000"]
)
def test_a_record_that_is_not_there_is_a_404(as_admin: FlaskClient, record_id: str) -> None:
    assert as_admin.get(f"/admin/logs/{record_id}").status_code == 404
