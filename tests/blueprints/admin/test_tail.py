import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.tail import log_tail
from tests.helpers import log_lines
from tests.html_page import read_page
from tests.log_records import made, put

SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("address", ["/admin/logs/tail", "/api/logs/tail"])
def test_polls_tell_what_is_new_and_leave_no_record_but_of_the_first(
    app: Flask, as_admin: FlaskClient, address: str
) -> None:
    put(app, made("old"))
    before = len(log_lines(app, "request"))
    first = as_admin.get(f"{address}?q=-level:error+secret").json
    first = as_admin.get(f"{address}?q=-level:error").json
    assert (first["begun"], first["count"]) == (True, 1)
    poll = f"{address}?q=-level:error&cursor="
    quiet = as_admin.get(poll + first["cursor"])
    assert (quiet.status_code, quiet.data, quiet.headers["Cache-Control"]) == (204, b"", "no-store")
    put(app, made(SCRIPT, account=SCRIPT), made("bad", level="ERROR"))
    news = as_admin.get(poll + first["cursor"]).json
    assert (news["count"], news["begun"], news["skipped"], news["more"]) == (1, False, 0, False)
    if "rows" in news:
        shown = read_page(f"<table>{news['rows']}</table>")
        assert not shown.every("script")
        assert shown.one("td", class_="cell-what").text.startswith(SCRIPT)
    else:
        assert [one["message"] for one in news["records"]] == [SCRIPT]
    # Another search begins anew.
    assert as_admin.get(f"{address}?cursor={news['cursor']}").json["begun"]
    assert len(log_lines(app, "request")) == before
    views = [one["details"]["filters"] for one in log_lines(app, "logs_viewed")]
    assert views == [{"keys": "-level", "text_length": "6"}, {"keys": "-level"}, {}]


def test_a_poll_that_is_refused_is_recorded(app: Flask, as_admin: FlaskClient) -> None:
    assert as_admin.get("/admin/logs/tail?q=level:x").status_code == 400
    as_admin.post("/auth/logout")
    assert as_admin.get("/api/logs/tail").status_code == 401
    found = [one["status"] for one in log_lines(app, "request") if one["path"].endswith("/tail")]
    assert found == [400, 401]


def test_the_tail_is_a_page_of_its_own_and_no_record(as_admin: FlaskClient) -> None:
    assert log_tail.__name__ == "log_tail"
    assert as_admin.get("/admin/logs/tail").json["rows"] == ""
