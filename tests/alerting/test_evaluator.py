import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.alerting import evaluator, notifiers
from app.alerting.evaluator import check_error_rate, evaluate, firing_rules
from app.alerting.rules import ERROR_RATE
from app.extensions import db
from app.logstore import current_store
from app.logstore.contract import Checkpoint
from app.models.alert import AlertState
from app.models.types import utc_now
from app.observability.ids import id_floor, new_id
from tests.helpers import free_port, log_lines


@pytest.fixture
def alerting_app(
    make_app: Callable[..., Flask], smtp_server: Any, database_url: str
) -> Iterator[Flask]:
    app = make_app(
        DATABASE_URL=database_url, SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port,
        ALERT_RECIPIENTS=["ops@example.com"], ALERT_ERRORS_PER_HOUR=3,
    )  # fmt: skip
    with app.app_context():
        yield app


def store(*records: dict[str, Any]) -> None:
    checkpoint = Checkpoint("test-host", new_id(), 0, sealed=True, next_seq=1)
    current_store().append(list(records), checkpoint)


def error_record(**fields: Any) -> dict[str, Any]:
    now = utc_now()
    return {
        "id": new_id(), "timestamp": now.isoformat(), "level": "ERROR", "logger": "app.events",
        "message": "ZeroDivisionError", "action": "error", "route": "/items",
        "exception": {
            "type": "ZeroDivisionError", "message": "m", "traceback": "t", "fingerprint": "f",
        },
        "details": {"place": "app/services/item_service.py:42 in create"}, **fields,
    }  # fmt: skip


def state() -> AlertState:
    db.session.rollback()
    found = db.session.get(AlertState, "error_rate", populate_existing=True)
    assert found is not None
    return found


def an_hour_passes() -> None:
    with db.engine.begin() as connection:
        connection.execute(
            update(AlertState).values(last_sent_at=utc_now() - timedelta(minutes=61))
        )


def test_it_counts_the_error_records_of_the_last_hour(alerting_app: Flask) -> None:
    old = utc_now() - timedelta(minutes=61)
    store(
        error_record(),
        error_record(),
        error_record(id=id_floor(old), timestamp=old.isoformat()),
        error_record(action="slow_query", level="WARNING"),
    )
    assert check_error_rate() == 2


@pytest.mark.parametrize(("errors", "mails"), [(0, 0), (3, 0), (4, 1)])
def test_it_fires_above_the_limit_only(
    alerting_app: Flask, smtp_server: Any, errors: int, mails: int
) -> None:
    store(*[error_record() for _ in range(errors)])
    assert check_error_rate() == errors
    assert len(smtp_server.messages) == mails
    assert firing_rules() == {"error_rate": bool(mails)}
    assert state().value == errors


def test_the_mail_names_the_errors_most_frequent_first(
    alerting_app: Flask, smtp_server: Any
) -> None:
    other = error_record(
        exception={"type": "KeyError", "message": "m", "traceback": "t", "fingerprint": "g"},
        details={"place": "app/scheduler/jobs.py:7 in work", "job": "cleanup"},
    )
    common = [error_record() for _ in range(4)]
    store(other, *common)
    alerting_app.config["PUBLIC_URL"] = "https://shop.example.org/"
    check_error_rate()
    (message,) = smtp_server.messages
    assert message["Subject"] == "[CRITICAL] 5 errors in the last hour, limit 3"
    lines = [line.split() for line in message.get_content().splitlines()]
    first = next(n for n, words in enumerate(lines) if words[:1] == ["4"])
    assert lines[first][2:] == ["ZeroDivisionError", "in", "/items"]
    assert lines[first + 1] == ["app/services/item_service.py:42", "in", "create"]
    assert lines[first + 2] == [f"https://shop.example.org/admin/logs/{common[-1]['id']}"]
    assert lines[first + 3][0] == "1"
    assert lines[first + 3][2:] == ["KeyError", "in", "cleanup"]


def test_a_long_list_is_cut(alerting_app: Flask, smtp_server: Any) -> None:
    store(*[error_record(route=f"/r{n}") for n in range(8)])
    check_error_rate()
    lines = smtp_server.messages[0].get_content().splitlines()
    assert "  and 3 more kinds" in lines


def test_the_same_thing_is_told_once_an_hour(alerting_app: Flask, smtp_server: Any) -> None:
    store(*[error_record() for _ in range(4)])
    for _ in range(3):
        check_error_rate()
    assert len(smtp_server.messages) == 1
    assert len(log_lines(alerting_app, "alert_firing")) == 1
    an_hour_passes()
    check_error_rate()
    assert len(smtp_server.messages) == 2


def test_going_quiet_and_firing_again_within_the_hour_is_the_same_thing(
    alerting_app: Flask, smtp_server: Any
) -> None:
    def describe(*_: Any) -> str:
        return "text"

    for value in (4, 0, 4):
        evaluate(ERROR_RATE, value, describe)
    assert len(smtp_server.messages) == 1
    assert firing_rules() == {"error_rate": True}
    evaluate(ERROR_RATE, 0, describe)
    assert firing_rules() == {"error_rate": False}


def test_a_failed_mail_is_tried_again_at_the_next_check(
    alerting_app: Flask, smtp_server: Any
) -> None:
    store(*[error_record() for _ in range(4)])
    alerting_app.config["SMTP_PORT"] = free_port()
    check_error_rate()
    assert state().last_sent_at is None
    alerting_app.config["SMTP_PORT"] = smtp_server.port
    check_error_rate()
    assert len(smtp_server.messages) == 1
    assert state().last_sent_at is not None


def test_with_nobody_to_mail_to_the_event_comes_once_an_hour(alerting_app: Flask) -> None:
    alerting_app.config["ALERT_RECIPIENTS"] = []
    store(*[error_record() for _ in range(4)])
    for _ in range(3):
        check_error_rate()
    assert len(log_lines(alerting_app, "alert_firing")) == 1
    assert len(log_lines(alerting_app, "email_failed")) == 1


def set_last_sent(moment: datetime) -> None:
    with db.engine.begin() as connection:
        connection.execute(update(AlertState).values(last_sent_at=moment))


def test_a_clock_that_was_ahead_silences_nobody_and_one_a_little_ahead_repeats_nothing(
    alerting_app: Flask, smtp_server: Any
) -> None:
    for moment, mails in ((timedelta(seconds=30), 1), (timedelta(days=400), 2)):
        evaluate(ERROR_RATE, 4, lambda *_: "text")
        set_last_sent(utc_now() + moment)
        evaluate(ERROR_RATE, 4, lambda *_: "text")
        assert len(smtp_server.messages) == mails


def test_errors_of_a_clock_that_is_ahead_wait_for_their_time(alerting_app: Flask) -> None:
    tomorrow = utc_now() + timedelta(days=1)
    store(error_record(), error_record(id=id_floor(tomorrow), timestamp=tomorrow.isoformat()))
    assert check_error_rate() == 1


def test_the_database_may_go_away_once_the_mail_has_gone(
    alerting_app: Flask, smtp_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = notifiers.send_alert

    def send_and_lose_the_database(*args: Any) -> bool:
        sent = send(*args)
        monkeypatch.setattr(evaluator, "_of", lambda *_: 1 / 0)
        return sent

    monkeypatch.setattr(notifiers, "send_alert", send_and_lose_the_database)
    evaluate(ERROR_RATE, 4, lambda *_: "text")
    assert state().last_sent_at is not None


def test_a_message_that_cannot_be_made_does_not_block_the_next_check(
    alerting_app: Flask, smtp_server: Any
) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError("the store went away")

    with pytest.raises(RuntimeError):
        evaluate(ERROR_RATE, 4, fail)
    evaluate(ERROR_RATE, 4, lambda *_: "text")
    assert len(smtp_server.messages) == 1


def test_of_many_hosts_that_check_at_once_one_sends(
    alerting_app: Flask, smtp_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = 6
    start = threading.Barrier(hosts)
    remember = evaluator._remember

    def remember_together(*args: Any) -> None:
        remember(*args)
        start.wait(10)

    monkeypatch.setattr(evaluator, "_remember", remember_together)

    def check() -> None:
        with alerting_app.app_context():
            evaluate(ERROR_RATE, 4, lambda *_: "text")

    threads = [threading.Thread(target=check) for _ in range(hosts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(smtp_server.messages) == 1


def test_two_rules_are_two_things(alerting_app: Flask, smtp_server: Any) -> None:
    for rule in (ERROR_RATE, replace(ERROR_RATE, name="another")):
        evaluate(rule, 4, lambda *_: "text")
    assert len(smtp_server.messages) == 2
