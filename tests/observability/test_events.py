import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.observability.events import record_error, record_event
from tests import hostile
from tests.helpers import log_lines

MakeApp = Callable[..., Flask]


def raised(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:
        return caught


def test_an_event_has_its_action_its_fields_and_details(app: Flask) -> None:
    record_event("sell", "sold", target_id=42, name="chair", colour="red")
    (found,) = log_lines(app, "sell")
    assert (found["message"], found["level"], found["target_id"]) == ("sold", "INFO", "42")
    assert found["details"] == {"name_": "chair", "colour": "red"}
    assert found["logger"] == "app.events"


@pytest.mark.settings(LOG_LEVEL="CRITICAL")
def test_an_event_reaches_the_file_whatever_the_level(app: Flask) -> None:
    record_event("sell", "sold")
    record_error(raised(ValueError()))
    assert [one["action"] for one in log_lines(app)] == ["sell", "error"]


@pytest.mark.parametrize("value", hostile.ODD, ids=lambda value: type(value).__name__)
def test_an_event_never_raises(app: Flask, value: Any) -> None:
    record_event("sell", "sold", any=value, details=value, status=value, id=value, args=value)
    assert len(log_lines(app, "sell")) == 1


def test_a_failure_is_one_error_record_however_often_it_is_told(app: Flask) -> None:
    error = raised(ValueError("failed"))
    record_error(error, details={"job": "ship"})
    record_error(error, details={"job": "other"})
    (found,) = log_lines(app, "error")
    assert (found["level"], found["message"]) == ("ERROR", "ValueError")
    assert found["exception"]["message"] == "failed"
    assert found["details"]["job"] == "ship"
    assert found["details"]["place"].endswith(" in raised")


def test_equal_failures_are_told_each(app: Flask) -> None:
    for _ in range(2):
        record_error(raised(ValueError("failed")))
    first, second = log_lines(app, "error")
    assert first["exception"]["fingerprint"] == second["exception"]["fingerprint"]


class Guarded(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("read only")


def test_an_exception_that_takes_no_mark_is_told_too(app: Flask) -> None:
    record_error(raised(Guarded("failed")))
    assert len(log_lines(app, "error")) == 1


@pytest.mark.parametrize("propagate", [True, False])
@pytest.mark.parametrize("debug", [True, False])
def test_a_failed_request_is_one_error_record_and_a_request_record_at_info(
    make_app: MakeApp, propagate: bool, debug: bool
) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=propagate, DEBUG=debug)
    app.add_url_rule("/broken/<int:number>", "broken", lambda number: number / 0)
    client = app.test_client()
    try:
        assert client.get("/broken/1").status_code == 500
        assert not propagate
    except ZeroDivisionError:
        assert propagate
    errors = [one for one in log_lines(app) if one["level"] in ("ERROR", "CRITICAL")]
    (error,), (request,) = errors, log_lines(app, "request")
    assert error["action"] == "error"
    assert error["exception"]["type"] == "ZeroDivisionError"
    assert (error["route"], error["path"]) == ("/broken/<int:number>", "/broken/1")
    assert (request["status"], request["level"]) == (500, "INFO")
    assert request["request_id"] == error["request_id"]


def test_an_error_page_that_fails_is_told_as_what_it_is(make_app: MakeApp) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)

    @app.after_request
    def fail(response: Any) -> Any:
        if response.status_code < 500:
            raise LookupError("hook")
        return response

    assert app.test_client().get("/items").status_code == 500
    (error,) = log_lines(app, "error")
    assert error["exception"]["type"] == "LookupError"
    assert [one["status"] for one in log_lines(app, "request")] == [500]


def test_logging_an_error_by_hand_inside_a_view_stays_one_line(app: Flask) -> None:
    logging.getLogger("app.shop").error("odd", extra={"item": 1})
    assert [one["message"] for one in log_lines(app)] == ["odd"]
