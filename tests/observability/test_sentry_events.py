import logging
import secrets
from collections.abc import Callable
from typing import Any

import pytest
import sentry_sdk
from flask import Flask
from flask.testing import FlaskClient

from app.observability import log_context
from app.observability.events import record_error, record_event
from app.observability.log_redaction import MASK, redact_text
from app.observability.sentry_events import ErrorRecords, mask_long_parts, scrub_event, turn_off
from config import ConfigError
from tests.helpers import log_lines
from tests.sentry_receiver import KEY, SentryReceiver

MakeApp = Callable[..., Flask]


@pytest.fixture
def watched(make_app: MakeApp, receiver: SentryReceiver) -> Flask:
    app = make_app(SENTRY_DSN=receiver.dsn, RELEASE="9.8.7", PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/broken/<int:number>", "broken", lambda number: number / 0)
    return app


def sent(receiver: SentryReceiver) -> list[Any]:
    """Wait until everything on its way has arrived."""
    sentry_sdk.flush(timeout=10)
    return receiver.events()


def test_without_an_address_nothing_is_sent_and_nothing_set_up(make_app: MakeApp) -> None:
    make_app()
    assert not sentry_sdk.is_initialized()
    handlers = logging.getLogger("app.events").handlers
    assert not [one for one in handlers if isinstance(one, ErrorRecords)]


def test_a_later_app_without_an_address_turns_an_earlier_ones_off(
    make_app: MakeApp, receiver: SentryReceiver
) -> None:
    make_app(SENTRY_DSN=receiver.dsn)
    make_app()
    record_error(ValueError("nobody hears this"))
    assert sent(receiver) == []


def test_a_later_app_sends_to_its_own_address_only(
    make_app: MakeApp, receiver: SentryReceiver
) -> None:
    other = SentryReceiver()
    try:
        make_app(SENTRY_DSN=other.dsn)
        make_app(SENTRY_DSN=receiver.dsn)
        record_error(ValueError("for the second"))
        assert len(sent(receiver)) == 1
        assert other.events() == []
    finally:
        other.close()


@pytest.mark.parametrize(
    "dsn", ["nonsense", "http://host/1", "ftp://key@host/1", "http://k@host/x"]
)
def test_a_bad_address_stops_the_start_without_showing_it(make_app: MakeApp, dsn: str) -> None:
    with pytest.raises(ConfigError) as failure:
        make_app(SENTRY_DSN=dsn)
    assert str(failure.value) == "SENTRY_DSN: the given value is not a Sentry DSN."


def test_a_failing_request_is_one_event_with_its_request_id(
    watched: Flask, receiver: SentryReceiver
) -> None:
    answer = watched.test_client().get("/broken/1", headers={"X-Request-ID": "req-42"})
    assert answer.status_code == 500
    (event,) = sent(receiver)
    assert event["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    assert event["tags"]["request_id"] == answer.headers["X-Request-ID"] == "req-42"
    assert (event["environment"], event["release"]) == ("testing", "9.8.7")
    assert event["transaction"] == "/broken/<int:number>"
    assert event["request"]["method"] == "GET"


def many_causes() -> None:
    failures = [ValueError(f"row {number}") for number in range(300)]
    raise ExceptionGroup("import failed", failures)


def deep_causes() -> None:
    def fall(depth: int) -> None:
        return fall(depth + 1)

    for number in range(100):
        logging.getLogger("app.shop").info("step %s", number)
    try:
        fall(0)
    except RecursionError:
        fall(0)


@pytest.mark.parametrize("work", [many_causes, deep_causes])
def test_a_failure_of_any_size_is_recorded_and_sent_whole(
    watched: Flask, receiver: SentryReceiver, work: Callable[[], None]
) -> None:
    watched.add_url_rule("/large", "large", work)
    assert watched.test_client().get("/large").status_code == 500
    assert len(log_lines(watched, "error")) == 1
    (event,) = sent(receiver)
    assert event["contexts"]["trace"]["trace_id"]
    assert event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"]
    assert all(isinstance(one, dict) for one in event["breadcrumbs"]["values"])
    assert all(isinstance(one, dict) for one in event["exception"]["values"])


def test_what_fails_in_sending_costs_neither_answer_nor_record(
    watched: Flask, receiver: SentryReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AttributeError("outside the guard of the SDK")

    monkeypatch.setattr(sentry_sdk.get_client(), "capture_event", fail)
    assert watched.test_client().get("/broken/1").status_code == 500
    assert len(log_lines(watched, "error")) == 1


def test_the_same_failure_twice_is_two_events(watched: Flask, receiver: SentryReceiver) -> None:
    client = watched.test_client()
    client.get("/broken/1")
    client.get("/broken/1")
    assert len(sent(receiver)) == 2


def test_a_failure_outside_a_request_is_one_event(watched: Flask, receiver: SentryReceiver) -> None:
    def job() -> None:
        raise ValueError("in a job")

    with log_context.bound(request_id="job-run-1", user_id=5):
        try:
            job()
        except ValueError as error:
            record_error(error, details={"job": "check"})
            record_error(error)
    (event,) = sent(receiver)
    assert event["exception"]["values"][-1]["value"] == "in a job"
    assert event["exception"]["values"][-1]["mechanism"]["handled"] is False
    assert event["tags"]["request_id"] == "job-run-1"
    assert event["user"] == {"id": "5"}


def test_a_free_form_error_line_is_an_event_and_an_info_line_its_breadcrumb(
    watched: Flask, receiver: SentryReceiver
) -> None:
    log = logging.getLogger("app.some.feature")
    log.info("before it")
    log.error("something is odd", extra={"item_id": 3})
    (event,) = sent(receiver)
    assert event["logentry"]["message"] == "something is odd"
    assert event["extra"]["item_id"] == 3
    assert "rendered_line" not in event["extra"]
    crumbs = [one for one in event["breadcrumbs"]["values"] if one["category"] == log.name]
    assert [one["message"] for one in crumbs] == ["before it"]
    assert "rendered_line" not in crumbs[0]["data"]


def test_events_of_the_product_are_neither_errors_nor_breadcrumbs(
    watched: Flask, receiver: SentryReceiver
) -> None:
    record_event("email_failed", "email failed", level=logging.ERROR)
    assert sent(receiver) == []
    watched.test_client().get("/broken/1")
    (event,) = sent(receiver)
    crumbs = event.get("breadcrumbs", {}).get("values", [])
    assert not [one for one in crumbs if one["category"] == "app.events"]


def test_the_address_of_a_failing_request_shows_no_token(
    watched: Flask, receiver: SentryReceiver
) -> None:
    watched.add_url_rule("/link/<code>", "link", lambda code: 1 / 0)
    # Made up here: the source lines of a failure are sent, too.
    token = f"ImEi.{secrets.token_urlsafe(20)}"
    watched.test_client().get(f"/link/{token}?next=/items")
    (event,) = sent(receiver)
    assert event["request"]["url"] == f"http://localhost/link/{MASK}"
    assert token not in receiver.everything()


def test_neither_variables_nor_arguments_nor_packages_are_sent(
    watched: Flask, receiver: SentryReceiver
) -> None:
    watched.test_client().get("/broken/1")
    (event,) = sent(receiver)
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames
    assert not [frame for frame in frames if "vars" in frame]
    assert "sys.argv" not in event.get("extra", {})
    assert "modules" not in event
    assert set(event["request"]) <= {"url", "method", "env", "headers"}
    assert event["request"]["headers"] == {}
    assert not receiver.items("sessions")


def test_requests_are_not_traced_by_default_whatever_a_stranger_asks(
    watched: Flask, receiver: SentryReceiver
) -> None:
    watched.test_client().get("/health/live", headers={"sentry-trace": f"{'a' * 32}-{'b' * 16}-1"})
    sent(receiver)
    assert receiver.items("transaction") == []


def test_traces_are_sent_scrubbed_when_asked_for(
    make_app: MakeApp, receiver: SentryReceiver
) -> None:
    app = make_app(SENTRY_DSN=receiver.dsn, SENTRY_TRACES_SAMPLE_RATE=1.0)
    app.test_client().get("/health/ready?token=0123456789abcdef")
    sent(receiver)
    (trace,) = receiver.items("transaction")
    assert trace["transaction"] == "/health/ready"
    assert trace["tags"]["request_id"]
    assert "0123456789abcdef" not in receiver.everything()


def test_the_address_is_in_no_log(watched: Flask, receiver: SentryReceiver) -> None:
    assert redact_text(f"key {KEY}") == f"key {MASK}"
    logging.getLogger("app").error("address %s", receiver.dsn)
    (record,) = log_lines(watched)
    assert MASK in record["message"]
    assert KEY not in record["message"]


def test_an_endpoint_that_is_gone_stops_no_request(make_app: MakeApp) -> None:
    app = make_app(SENTRY_DSN="http://key@127.0.0.1:9/1", PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    client: FlaskClient = app.test_client()
    assert client.get("/broken").status_code == 500
    assert client.get("/health/live").status_code == 200
    turn_off()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/items/7", "http://h/items/7"),
        ("http://h/auth/reset/ImEi.Zx_9-abcdefghijklmnop", f"http://h/auth/reset/{MASK}"),
        ("http://h/reset/ImEi.Zx_9-abcdefghijklmnop/done", f"http://h/reset/{MASK}/done"),
        ("http://h/admin/logs/01890a5d-ac96-774b-bcce-b302099a8057",
         "http://h/admin/logs/01890a5d-ac96-774b-bcce-b302099a8057"),
        ("http://h/items?token=abc", "http://h/items"),
    ],
)  # fmt: skip
def test_long_random_parts_of_an_address_are_masked(url: str, shown: str) -> None:
    assert mask_long_parts(url) == shown


def test_all_spans_of_a_long_trace_are_kept_and_scrubbed() -> None:
    spans = [{"description": "SELECT 1", "data": {"password": "hunter22"}}] * 500
    clean = scrub_event({"type": "transaction", "spans": spans}, {})
    assert len(clean["spans"]) == 500
    assert all(span["data"]["password"] == MASK for span in clean["spans"])


def test_a_list_that_a_line_calls_values_hides_no_secret_beside_it() -> None:
    clean = scrub_event({"extra": {"values": [{"token": "hunter22"}], "password": "hunter22"}}, {})
    assert clean["extra"] == {"values": [{"token": MASK}], "password": MASK}


def test_the_deepest_part_of_an_event_survives_the_scrubbing() -> None:
    frame = {"function": "f", "pre_context": ["a = 1"], "context_line": "b", "lineno": 3}
    event: Any = {"exception": {"values": [{"type": "E", "stacktrace": {"frames": [frame]}}]}}
    clean: Any = scrub_event(event, {})
    assert clean["exception"]["values"][0]["stacktrace"]["frames"] == [frame]
