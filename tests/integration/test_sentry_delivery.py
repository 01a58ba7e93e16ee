"""What really leaves the process for Sentry, taken by a local endpoint and decoded."""

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, fields

import pytest
import sentry_sdk
from flask import Flask, request
from sqlalchemy import text

from app import db
from tests.helpers import Server, log_lines
from tests.sentry_receiver import SentryReceiver
from tests.visitor import Visitor


@dataclass
class Canaries:
    """One random secret for each place where a request can carry one."""

    header: str
    api_key: str
    cookie: str
    query: str
    form: str
    json: str
    path: str
    sql: str

    @classmethod
    def hatch(cls) -> "Canaries":
        return cls(**{field.name: f"cnry{secrets.token_hex(12)}" for field in fields(cls)})


def leaking_app(make_app: Callable[..., Flask], dsn: str) -> Flask:
    """Return an app whose views tell everything they were told, in the worst way."""
    app = make_app(SENTRY_DSN=dsn, SENTRY_TRACES_SAMPLE_RATE=1.0, PROPAGATE_EXCEPTIONS=False)

    @app.post("/leak/<token>")
    def leak(token: str) -> str:
        values = [
            request.headers["Authorization"], request.headers["X-Api-Key"],
            request.cookies["session_token"], request.args["token"], token,
            request.form.get("password"), (request.get_json(silent=True) or {}).get("password"),
        ]  # fmt: skip
        app.logger.info("breadcrumb with %s", values)
        app.logger.error("free-form with %s", values, extra={"values": values})
        db.session.execute(text("SELECT :secret"), {"secret": request.headers["X-Sql-Secret"]})
        db.session.execute(text(f"SELECT '{token}', '{request.args['token']}'"))
        try:
            db.session.execute(
                text("INSERT INTO nowhere VALUES (:secret)"),
                {"secret": request.headers["X-Sql-Secret"]},
            )
        except Exception as error:
            raise RuntimeError(f"refused {values}") from error
        return "not reached"

    return app


@pytest.mark.parametrize("body", ["form", "json"])
def test_no_secret_of_a_request_reaches_sentry(
    make_app: Callable[..., Flask], receiver: SentryReceiver, body: str
) -> None:
    canaries = Canaries.hatch()
    app = leaking_app(make_app, receiver.dsn)
    client = app.test_client()
    client.set_cookie("session_token", canaries.cookie)
    payload = {
        "form": {"data": {"password": canaries.form}},
        "json": {"json": {"password": canaries.json}},
    }[body]
    answer = client.post(
        f"/leak/{canaries.path}?token={canaries.query}&page=2",
        headers={
            "Authorization": f"Bearer {canaries.header}",
            "X-Api-Key": canaries.api_key,
            "X-Sql-Secret": canaries.sql,
            "Referer": f"http://localhost/leak/{canaries.path}?token={canaries.query}",
        },
        **payload,
    )
    assert answer.status_code == 500
    sentry_sdk.flush(timeout=10)
    free_form, failure = receiver.events()
    assert free_form["logger"] == "app"
    assert failure["exception"]["values"][-1]["type"] == "RuntimeError"
    assert failure["exception"]["values"][0]["type"] == "OperationalError"
    (trace,) = receiver.items("transaction")
    assert trace["spans"]
    sent = receiver.everything()
    assert {name: value for name, value in vars(canaries).items() if value in sent} == {}
    assert "cnry" not in sent


def test_one_failure_has_one_id_in_answer_file_and_event(
    make_app: Callable[..., Flask], receiver: SentryReceiver
) -> None:
    app = make_app(SENTRY_DSN=receiver.dsn, PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    answer = app.test_client().get("/broken")
    sentry_sdk.flush(timeout=10)
    (event,) = receiver.events()
    (record,) = log_lines(app, "error")
    assert event["tags"]["request_id"] == record["request_id"] == answer.headers["X-Request-ID"]
    assert set(receiver.paths) == {"/api/7/envelope/"}


def test_a_real_server_sends_one_event_for_a_failure_and_forgets_none_at_its_end(
    serve: Callable[..., Server], receiver: SentryReceiver
) -> None:
    server = serve(env={"SENTRY_DSN": receiver.dsn, "SCHEDULER_ENABLED": "false"})
    with closing(sqlite3.connect(server.folder / "app.db")) as connection:
        connection.execute("DROP TABLE items")
        connection.commit()
    answers = [Visitor(server.url).get("/items") for _ in range(3)]
    server.stop()
    assert [answer.status for answer in answers] == [503] * 3
    events = receiver.events()
    assert sorted(event["tags"]["request_id"] for event in events) == sorted(
        str(answer.headers["X-Request-ID"]) for answer in answers
    )
    assert {event["exception"]["values"][-1]["type"] for event in events} == {"OperationalError"}
    assert {event["environment"] for event in events} == {"development"}
    written = "".join(path.read_text() for path in server.log_dir.glob("*.log"))
    assert receiver.dsn not in written + (server.folder / "gunicorn.out").read_text()


def test_an_event_that_cannot_be_scrubbed_is_not_sent(
    make_app: Callable[..., Flask], receiver: SentryReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_value: object) -> object:
        raise RuntimeError("no redaction today")

    monkeypatch.setattr("app.observability.sentry_events.redact", broken)
    app = make_app(SENTRY_DSN=receiver.dsn, PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    assert app.test_client().get("/broken").status_code == 500
    sentry_sdk.flush(timeout=10)
    assert receiver.events() == []
