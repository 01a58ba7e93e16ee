from flask import Flask
from sqlalchemy import text

from app.extensions import db
from app.openapi.overview import PATHS
from app.services.log_overview import WINDOWS
from tests.helpers import bearer_of
from tests.log_records import failed_request, made, put
from tests.openapi.checking import Checked

ADDRESS = "/api/logs/overview"
SAMPLE = {"cpu_percent": 5.0, "disk_free": {"logs": 0.5}}
REPEAT = {"statement": "SELECT users", "line": "app/x.py:9", "count": 12}


def test_real_answers_are_as_described_and_all_that_is_described_happens(app: Flask) -> None:
    admin, user = bearer_of(app, "ann@example.com", "admin"), bearer_of(app, "bob@example.com")
    api = Checked(app)
    api.ask("GET", ADDRESS, 200, headers=admin)
    put(
        app,
        *failed_request("r-1"),
        made(action="request", route="/a", user_id="7", details={"n_plus_one": [REPEAT]}),
        made(action="slow_query", level="WARNING", statement="SELECT 1", duration_ms=1500.0),
        made(action="sample", host="web", pid=1, details=SAMPLE),
    )
    found = api.ask("GET", f"{ADDRESS}?window=1h", 200, headers=admin).json
    assert all(found["standouts"].values())
    assert [one["host"] for one in found["hosts"]] == ["web"]
    api.ask("GET", f"{ADDRESS}?window=2h", 400, headers=admin)
    api.ask("GET", ADDRESS, 401)
    api.ask("GET", ADDRESS, 403, headers=user)
    with app.app_context(), db.engines["logs"].begin() as connection:
        connection.execute(text("DROP TABLE logs"))
    api.ask("GET", ADDRESS, 503, headers=admin)
    assert {one for one in api.described(*PATHS) if one[2] != "429"} == api.seen


def test_the_windows_are_those_that_there_are() -> None:
    (window,) = PATHS[ADDRESS]["get"]["parameters"]
    assert window["schema"]["enum"] == list(WINDOWS)
