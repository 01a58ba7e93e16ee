import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.cli.demo_traffic import DECK, FAILED_LOGINS, Traffic, Unreachable, Visitor
from tests.helpers import free_port


class Site(BaseHTTPRequestHandler):
    """Answers like the application and keeps what it was asked."""

    asked: list[tuple[str, str, str | None, Any]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        self.asked.append((self.command, self.path, self.headers["X-CSRFToken"], body))
        status, answer = 200, {"csrf_token": "t", "items": [{"id": 5}], "id": 7, "version": 2}
        if self.command == "POST" and self.path == "/api/items":
            status = 201
        if self.path == "/demo/error":
            status = 500
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[Any]:
    Site.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def url_of(site: Any) -> str:
    return f"http://127.0.0.1:{site.server_port}"


def test_one_deck_holds_every_kind_of_visit(site: Any) -> None:
    visits = Traffic(url_of(site))
    visits.log_in("demo@example.com", "password")
    Site.asked.clear()
    total, steps = sum(DECK.values()), []
    visits.run(total, 50, step=steps.append)

    assert sum(visits.statuses().values()) == len(steps) == total
    assert visits.statuses()[500] == DECK["error"]
    paths = Counter(path.partition("?")[0] for _, path, *_ in Site.asked)
    for path in ("/demo/error", "/demo/slow", "/demo/n-plus-one"):
        assert paths[path] == 1
    assert {"GET", "POST", "PUT"} <= {method for method, *_ in Site.asked}
    changes = [one for one in Site.asked if one[0] != "GET"]
    assert {token for _, _, token, _ in changes} == {"t"}


def test_failed_logins_are_few_however_long_the_traffic(site: Any) -> None:
    visits = Traffic(url_of(site))
    visits.log_in("demo@example.com", "password")
    Site.asked.clear()
    visits.run(sum(DECK.values()) * (FAILED_LOGINS + 2), 1000, step=lambda _: None)
    attempts = [body for _, path, _, body in Site.asked if path == "/auth/login"]
    assert len(attempts) == FAILED_LOGINS
    assert {body.partition("&")[0] for body in attempts} == {"email=nobody%40example.com"}


def test_an_address_where_nothing_answers_is_unreachable() -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "http://"):
        with pytest.raises(Unreachable):
            Traffic(url).log_in("demo@example.com", "password")


def test_another_application_at_the_address_is_unreachable_too(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "do_GET", lambda self: self.send_error(404))
    with pytest.raises(Unreachable):
        Traffic(url_of(site)).log_in("demo@example.com", "password")


def test_no_answer_is_the_status_0() -> None:
    visitor = Visitor(f"http://127.0.0.1:{free_port()}")
    assert visitor.send("GET", "/items") == (0, b"")
