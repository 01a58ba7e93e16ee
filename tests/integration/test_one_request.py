"""One request's ID leads from the error page to everything it did, whatever keeps the log."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import Mailbox
from tests.helpers import PASSWORD, ROOT, Server, read_lines, wait_for
from tests.visitor import Visitor

ADMIN = "admin@example.com"


@pytest.fixture
def server(serve: Callable[..., Server], store_url: str, smtp_server: Mailbox) -> Server:
    """A server that keeps its log in each store, and its data beside it where that is SQL."""
    name = "LOG_STORE_URL" if store_url.startswith("mongodb") else "DATABASE_URL"
    return serve(workers=2, env={
        name: store_url,
        "SMTP_HOST": smtp_server.host,
        "SMTP_PORT": str(smtp_server.port),
        "ALERT_RECIPIENTS": "ops@example.com",
        "ALERT_ERRORS_PER_HOUR": "0",
    })  # fmt: skip


def as_admin(server: Server) -> Visitor:
    server.flask("users", "create", ADMIN, "--admin", "--password-stdin", input=PASSWORD)
    visitor = Visitor(server.url)
    visitor.login(ADMIN, PASSWORD)
    return visitor


def test_an_error_is_found_by_the_id_on_its_page_with_its_sql(
    server: Server, smtp_server: Mailbox
) -> None:
    visitor = as_admin(server)

    failed = visitor.get("/demo/error")

    assert failed.status == 500
    request_id = failed.headers["X-Request-ID"]
    assert request_id in failed.text
    assert request_id in {one["request_id"] for one in server.records("error")}
    assert request_id in {one["request_id"] for one in read_lines(server.log_dir / "error.log")}
    wait_for(lambda: story_page(visitor, request_id))
    found = server.flask("logs", "search", "--request", request_id, "--json").stdout
    assert request_id in found

    check_alerts(server)
    mail = wait_for(lambda: smtp_server.messages)[0]
    assert mail["To"] == "ops@example.com"
    assert "error" in mail["Subject"].lower()


def check_alerts(server: Server) -> None:
    """Do now what a job does every five minutes."""
    program = (
        "from app import create_app, alerting\n"
        "with create_app().app_context(): alerting.check_error_rate()"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=server.env, check=True)


def story_page(visitor: Visitor, request_id: str) -> str | None:
    page = visitor.get(f"/admin/requests/{request_id}").text
    sql = re.search(r"SELECT\b[^<]*\bFROM items", page)
    return page if sql and "Traceback" in page and "/demo/error" in page else None


def test_the_same_failure_is_one_error_record(server: Server) -> None:
    Visitor(server.url).get("/demo/error", X_Request_ID="once")
    errors = [one for one in server.records("error") if one["request_id"] == "once"]
    requests = [one for one in server.records("request") if one["request_id"] == "once"]
    assert [one["level"] for one in errors] == ["ERROR"]
    assert [(one["level"], one["status"]) for one in requests] == [("INFO", 500)]


def test_a_hostile_address_never_stops_the_shipper(server: Server) -> None:
    visitor = as_admin(server)
    for path in ("%00", "%ff%fe", "items?q=%00", "%0d%0aX:%20y", "%F0%9F%92%A9", "a" * 3000):
        visitor.get(f"/{path}")
    failed = visitor.get("/demo/error")
    wait_for(lambda: story_page(visitor, failed.headers["X-Request-ID"]))
