from datetime import timedelta

from flask import Flask
from sqlalchemy import text

from app.extensions import db
from app.openapi.security import PATHS
from app.services.security_report import GUESSES
from tests.helpers import bearer_of
from tests.log_records import made, put
from tests.openapi.checking import Checked

(REPORT,) = PATHS


def test_real_answers_are_as_described_and_all_that_is_described_happens(app: Flask) -> None:
    admin, user = bearer_of(app, "ann@example.com", "admin"), bearer_of(app, "bob@example.com")
    api = Checked(app)
    tried = {"account": "bob@b.c", "remote_addr": "10.0.0.1"}
    put(
        app,
        *(
            made("x", action="login_failed", details={"reason": "r"}, **tried,
                 ago=timedelta(minutes=60 - number))
            for number in range(GUESSES)
        ),
        made("login", action="login", **tried),
        made("request", action="request", status=403, route="/admin/logs"),
        made("logs viewed", action="logs_viewed", account="bob@b.c"),
        *(made("role_changed", action="role_changed") for _ in range(60)),
    )  # fmt: skip
    found = api.ask("GET", REPORT, 200, headers=admin).json
    assert found["failed_by_account"][0]["guessed_at"]
    assert found["complete_since"]["changes"]
    assert all(found[name] for name in found)
    api.ask("GET", f"{REPORT}?window=2h", 400, headers=admin)
    api.ask("GET", REPORT, 401)
    api.ask("GET", REPORT, 403, headers=user)
    with app.app_context(), db.engines["logs"].begin() as connection:
        connection.execute(text("DROP TABLE logs"))
    api.ask("GET", REPORT, 503, headers=admin)
    assert {one for one in api.described(*PATHS) if one[2] != "429"} == api.seen
