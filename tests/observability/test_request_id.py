import logging
import uuid
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from flask import Flask, copy_current_request_context
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.observability import log_context
from app.observability.log_redaction import redact_text
from app.observability.request_id import HEADER, accept_or_make, get_request_id
from tests.exposition import scrape
from tests.helpers import log_lines, login

HARMLESS = "abc-DEF_1.2"


@pytest.mark.parametrize("value", ["a", HARMLESS, "x" * 64])
def test_a_harmless_id_is_accepted(value: str) -> None:
    assert accept_or_make(value) == value


@settings(derandomize=True, deadline=None)
@given(st.none() | st.text() | st.from_regex(r"[a-z]{60,70}[\s'\"<>%\x00]?", fullmatch=True))
def test_a_hostile_id_is_replaced(value: str | None) -> None:
    made = accept_or_make(value)
    allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
    assert 1 <= len(made) <= 64
    assert not set(made) - set(allowed)
    if value and len(value) <= 64 and not set(value) - set(allowed):
        assert made == value
    else:
        assert uuid.UUID(made).version == 7


@pytest.mark.parametrize("value", ["a\n", "a b", "ä", "١", "", "x" * 65, "../x", "<script>"])
def test_nothing_else_is(value: str) -> None:
    assert accept_or_make(value) != value


@pytest.mark.parametrize("path", ["/items", "/nothing", "/health/live", "/static/app.css"])
def test_every_answer_carries_the_id(client: FlaskClient, path: str) -> None:
    assert client.get(path, headers={HEADER: HARMLESS}).headers[HEADER] == HARMLESS
    assert uuid.UUID(client.get(path, headers={HEADER: "no way"}).headers[HEADER]).version == 7
    assert uuid.UUID(client.get(path).headers[HEADER]).version == 7


def test_every_record_of_a_request_carries_it_and_its_route(
    app: Flask, client: FlaskClient
) -> None:
    app.add_url_rule("/shop/<name>", "shop", lambda name: say(name))
    client.get("/shop/red", headers={HEADER: HARMLESS})
    found = {(one["request_id"], one["route"]) for one in log_lines(app)}
    assert found == {(HARMLESS, "/shop/<name>")}


def say(text: str) -> str:
    logging.getLogger("shop").warning("said")
    return text


def test_an_error_has_it_in_page_and_header(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    answer = client.get("/broken", headers={HEADER: HARMLESS})
    assert answer.headers[HEADER] == HARMLESS
    assert HARMLESS in answer.get_data(as_text=True)


def test_a_known_user_is_on_every_record(app: Flask, client: FlaskClient, user: Any) -> None:
    login(client, user)
    client.get("/items", headers={HEADER: HARMLESS})
    (record,) = [one for one in log_lines(app, "request") if one["request_id"] == HARMLESS]
    assert record["user_id"] == str(user.id)


@pytest.mark.parametrize("propagate", [True, False])
def test_nothing_of_a_request_is_left_for_the_next_on_its_thread(
    app: Flask, client: FlaskClient, propagate: bool
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = propagate
    seen: list[Any] = []

    def leave() -> str:
        log_context.bind(user_id="7", basket=1)
        seen.append(get_request_id())
        return str(1 // (seen[1:] == []))

    app.add_url_rule("/leave", "leave", leave)
    client.get("/leave?token=Zq9xCanary7")
    try:
        client.get("/leave")
    except ZeroDivisionError:
        assert propagate
    assert dict(log_context.current()) == {}
    assert get_request_id() is None
    assert redact_text("Zq9xCanary7") == "Zq9xCanary7"
    client.get("/items")
    last = log_lines(app, "request")[-1]
    assert "user_id" not in last
    assert "basket" not in last["details"]
    assert len({seen[0], seen[1], last["request_id"]}) == 3


def test_a_copy_of_a_request_in_another_thread_ends_for_itself(
    app: Flask, client: FlaskClient
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False

    raised: list[type[Exception]] = []

    def attempt(copy: Callable[[], Any]) -> None:
        try:
            copy()
        except Exception as error:
            raised.append(type(error))

    def work() -> str:
        worker = Thread(target=attempt, args=[copy_current_request_context(lambda: 1 / 0)])
        worker.start()
        worker.join()
        return get_request_id() or ""

    app.add_url_rule("/work", "work", work)
    answer = client.get("/work")
    assert raised == [ZeroDivisionError]
    assert answer.text == answer.headers[HEADER]
    assert dict(log_context.current()) == {}
    (record,) = log_lines(app, "request")
    assert (record["path"], record["status"]) == ("/work", 200)
    assert scrape(client).value("flask_http_request_total", method="GET", status=200) == 1
