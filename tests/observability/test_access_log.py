import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from flask import Flask, Response, send_file, stream_with_context
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.serving import make_server

from app import db
from app.observability import log_context
from app.observability.access_log import init_app
from tests.helpers import log_lines, wait_for

MakeApp = Callable[..., Flask]


def test_a_request_is_one_record(app: Flask, client: FlaskClient) -> None:
    client.get("/items?q=chair&token=abc1234", headers={"User-Agent": "Browser/1"})
    (found,) = log_lines(app, "request")
    assert (found["message"], found["level"]) == ("request", "INFO")
    assert (found["method"], found["path"], found["route"]) == ("GET", "/items", "/items")
    assert (found["status"], found["remote_addr"]) == (200, "127.0.0.1")
    assert found["duration_ms"] > 0
    assert found["db_count"] >= 1
    assert 0 < found["db_ms"] < found["duration_ms"]
    assert found["details"]["user_agent"] == "Browser/1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/items", 405), ("GET", "/static/none.css", 404),
     ("HEAD", "/items", 200), ("GET", "/%00", 404), ("GET", "/%ff%fe", 404)],
)  # fmt: skip
def test_every_request_is_recorded(
    app: Flask, client: FlaskClient, method: str, path: str, status: int
) -> None:
    client.open(path, method=method)
    assert [one["status"] for one in log_lines(app, "request")] == [status]


@pytest.mark.parametrize("path", ["/health/live", "/metrics", "/static/app.css"])
def test_probes_and_static_files_are_quiet_while_they_succeed(
    app: Flask, client: FlaskClient, path: str
) -> None:
    assert client.get(path).status_code == 200
    assert log_lines(app, "request") == []


def test_a_hook_that_raises_does_not_double_the_record(make_app: MakeApp) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    hooks = app.after_request_funcs[None]
    hooks.insert(0, failing_once())  # Runs last: the record is written by then.
    assert app.test_client().get("/items").status_code == 500
    assert len(log_lines(app, "request")) == 1


def test_requests_within_a_request_are_recorded_each_by_itself(app: Flask) -> None:
    def outer() -> str:
        db.session.execute(text("SELECT 1"))
        app.test_client().get("/inner")
        with app.test_request_context("/never-asked"):
            pass
        db.session.execute(text("SELECT 2"))
        return ""

    app.add_url_rule("/outer", "outer", outer)
    app.add_url_rule("/inner", "inner", lambda: str(db.session.execute(text("SELECT 3"))))
    app.test_client().get("/outer")
    found = [(one["path"], one["db_count"]) for one in log_lines(app, "request")]
    assert found == [("/inner", 1), ("/outer", 2)]


def failing_once() -> Any:
    calls: list[int] = []

    def hook(response: Response) -> Response:
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("hook")
        return response

    return hook


def streaming(app: Flask, **options: Any) -> list[list[Any]]:
    """Add /stream, which says for each chunk what was in the log when it was made."""
    seen: list[list[Any]] = []

    def body() -> Iterator[bytes]:
        for chunk in (b"one", b"two", b"three"):
            seen.append(log_lines(app, "request"))
            yield chunk

    app.add_url_rule("/stream", "stream", lambda: Response(body(), **options))
    return seen


def test_a_stream_is_recorded_at_its_end(app: Flask, client: FlaskClient) -> None:
    seen = streaming(app)
    chunks = client.get("/stream", buffered=False).response
    assert [next(chunks) for _ in range(3)] == [b"one", b"two", b"three"]
    assert seen == [[], [], []]
    assert next(chunks, None) is None
    (found,) = log_lines(app, "request")
    assert (found["outcome"], found["status"]) == ("success", 200)
    assert found["request_id"]


def test_a_stream_of_known_length_is_recorded_before_its_last_chunk_leaves(
    app: Flask, client: FlaskClient
) -> None:
    streaming(app, headers={"Content-Length": "11"})
    answer = client.get("/stream", buffered=False)
    chunks = iter(answer.response)
    assert [next(chunks), next(chunks)] == [b"one", b"two"]
    assert log_lines(app, "request") == []
    assert next(chunks) == b"three"
    assert [one["outcome"] for one in log_lines(app, "request")] == ["success"]
    answer.close()
    assert len(log_lines(app, "request")) == 1


@pytest.mark.parametrize("chunks_read", [0, 1])
def test_a_stream_that_nobody_reads_to_its_end_is_aborted(
    app: Flask, client: FlaskClient, chunks_read: int
) -> None:
    streaming(app)
    answer = client.get("/stream", buffered=False)
    chunks = iter(answer.response)
    for _ in range(chunks_read):
        next(chunks)
    answer.close()
    assert [one["outcome"] for one in log_lines(app, "request")] == ["aborted"]


def test_a_stream_asked_for_its_head_only_is_recorded(app: Flask, client: FlaskClient) -> None:
    streaming(app)
    client.head("/stream").close()
    assert [one["outcome"] for one in log_lines(app, "request")] == ["success"]


def test_a_stream_that_fails_is_aborted(app: Flask, client: FlaskClient) -> None:
    def body() -> Iterator[bytes]:
        yield b"one"
        raise LookupError

    app.add_url_rule("/stream", "stream", lambda: Response(body()))
    answer = client.get("/stream", buffered=False)
    with pytest.raises(LookupError):
        list(answer.response)
    answer.close()
    assert [one["outcome"] for one in log_lines(app, "request")] == ["aborted"]


def test_a_streams_record_hides_the_secrets_of_its_request(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/reset/<token>", "stream", lambda token: Response(iter([b"one"])))
    assert client.get("/reset/Zq9xCanary7", headers={"User-Agent": "Zq9xCanary7"}).data
    (found,) = log_lines(app, "request")
    assert found["path"] == "/reset/[redacted]"
    assert found["details"]["user_agent"] == "[redacted]"


def test_what_a_stream_logs_belongs_to_its_request(app: Flask, client: FlaskClient) -> None:
    def body() -> Iterator[str]:
        for chunk in ("one", "two"):
            logging.getLogger("shop").info("%s Zq9xCanary7", chunk)
            yield chunk

    app.add_url_rule("/stream", "stream", lambda: Response(body()))
    assert client.get("/stream?token=Zq9xCanary7", headers={"X-Request-ID": "r1"}).data
    assert {one["request_id"] for one in log_lines(app)} == {"r1"}
    assert [one["message"] for one in log_lines(app)] == [
        "one [redacted]", "two [redacted]", "request",
    ]  # fmt: skip
    assert dict(log_context.current()) == {}


def test_a_stream_within_its_context_is_recorded_once(app: Flask, client: FlaskClient) -> None:
    @stream_with_context
    def body() -> Iterator[str]:
        yield str(db.session.scalar(db.text("SELECT 1")))

    app.add_url_rule("/stream", "stream", lambda: Response(body()))
    assert client.get("/stream").data == b"1"
    (found,) = log_lines(app, "request")
    assert (found["outcome"], found["db_count"]) == ("success", 1)


def test_a_token_in_the_path_is_masked(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/reset/<token>", "reset_link", lambda token: "ok")
    client.get("/reset/Zq9xCanary7")
    (found,) = log_lines(app, "request")
    assert (found["path"], found["route"]) == ("/reset/[redacted]", "/reset/<token>")


def test_a_cookie_that_repeats_an_address_does_not_hide_it(app: Flask, client: FlaskClient) -> None:
    client.set_cookie("a", "127.0.0.1")
    client.get("/items")
    assert log_lines(app, "request")[0]["remote_addr"] == "127.0.0.1"


@pytest.mark.settings(SLOW_QUERY_MS=0)
def test_a_slow_request_tells_the_sql_it_ran(app: Flask, client: FlaskClient) -> None:
    client.get("/items")
    (found,) = log_lines(app, "request")
    assert found["db_count"] == sum(one["count"] for one in found["details"]["queries"])
    first = found["details"]["queries"][0]
    assert set(first) == {"statement", "ms", "offset_ms", "line", "count"}
    assert first["line"].startswith("app/services/")


def test_a_client_that_has_its_answer_finds_the_record(app: Flask) -> None:
    """Over a socket: nothing is left to be written when the last byte has come."""
    streaming(app)
    app.add_url_rule("/file", "file", lambda: send_file(__file__))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for path in ("/items", "/stream", "/file"):
            before = len(log_lines(app, "request"))
            with urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10) as answer:
                answer.read()
            assert len(log_lines(app, "request")) == before + 1, path
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    wait_for(lambda: not thread.is_alive())


def test_an_app_can_do_without_it() -> None:
    bare = Flask("bare")
    bare.add_url_rule("/", "root", lambda: "ok")
    assert bare.test_client().get("/").data == b"ok"
    assert callable(init_app)
